#pragma once

#include <hdf5.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace acm::io {

// The library's own printing of errors to standard error is off on this thread while one of these lives: its errors
// become Error.
class QuietHdf5 {
 public:
  QuietHdf5();
  ~QuietHdf5();
  QuietHdf5(const QuietHdf5&) = delete;

 private:
  H5E_auto2_t function_ = nullptr;
  void* data_ = nullptr;
};

// Throws what HDF5's error stack says as "cannot DOING: ..."; no space, a forbidden place and the like get the fault
// that errno has.
[[noreturn]] void throw_hdf5_error(const std::string& doing);

// An identifier of the library, closed by its destructor. `doing` ends the sentence "cannot ..." if the library gave
// none.
class Hdf5Id {
 public:
  using Close = herr_t (*)(hid_t);
  Hdf5Id(hid_t id, Close close, const std::string& doing);
  ~Hdf5Id();
  Hdf5Id(Hdf5Id&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
  Hdf5Id(const Hdf5Id&) = delete;
  hid_t operator*() const { return id_; }
  // Closing writes what is buffered, so a writer closes its file here and hears of failures.
  void close(const std::string& doing);

 private:
  hid_t id_;
  Close close_;
};

void check_hdf5(herr_t status, const std::string& doing);

// An attribute of text, UTF-8 of a fixed length, that is made before its text is known. To be closed before the file.
class TextAttribute {
 public:
  TextAttribute(hid_t object, const char* name, size_t length);
  void write(const std::string& text);  // of that length

 private:
  std::string doing_;
  Hdf5Id type_, attribute_;
};

void write_attribute(hid_t object, const char* name, const std::string& text);
void write_attribute(hid_t object, const char* name, int64_t number);

}  // namespace acm::io
