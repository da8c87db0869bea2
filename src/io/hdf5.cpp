#include "io/hdf5.h"

#include <algorithm>
#include <cstdlib>

#include "core/error.h"

namespace acm::io {
namespace {

// The innermost entry of the error stack, which names the cause.
herr_t keep_cause(unsigned, const H5E_error2_t* entry, void* cause) {
  if (entry->desc != nullptr) *static_cast<std::string*>(cause) = entry->desc;
  return 1;  // any positive value ends the walk
}

// HDF5 passes errno on only as text: "..., errno = 28, error message = ...".
int errno_in(const std::string& cause) {
  constexpr std::string_view kMark = "errno = ";
  const size_t at = cause.find(kMark);
  return at == std::string::npos ? 0 : std::atoi(cause.c_str() + at + kMark.size());
}

}  // namespace

QuietHdf5::QuietHdf5() {
  // We close what we open. At exit the library would close once more what a full disk kept it from closing, and crash
  // (1.10.8). Only the first call counts, before any other of the library.
  H5dont_atexit();
  H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

QuietHdf5::~QuietHdf5() { H5Eset_auto2(H5E_DEFAULT, function_, data_); }

void throw_hdf5_error(const std::string& doing) {
  std::string cause;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_cause, &cause);
  if (const int error_number = errno_in(cause); error_number != 0) {
    throw errno_error("cannot " + doing, error_number, Fault::kResource);
  }
  throw Error(Fault::kResource, "cannot " + doing + ": HDF5 says: " + (cause.empty() ? "nothing" : cause));
}

Hdf5Id::Hdf5Id(hid_t id, Close close, const std::string& doing) : id_(id), close_(close) {
  if (id < 0) throw_hdf5_error(doing);
}

Hdf5Id::~Hdf5Id() {
  if (id_ >= 0) close_(id_);
}

void Hdf5Id::close(const std::string& doing) { check_hdf5(close_(std::exchange(id_, H5I_INVALID_HID)), doing); }

void check_hdf5(herr_t status, const std::string& doing) {
  if (status < 0) throw_hdf5_error(doing);
}

namespace {

Hdf5Id text_type(size_t length, const std::string& doing) {
  Hdf5Id type(H5Tcopy(H5T_C_S1), H5Tclose, doing);
  check_hdf5(H5Tset_size(*type, std::max<size_t>(1, length)), doing);
  check_hdf5(H5Tset_strpad(*type, H5T_STR_NULLPAD), doing);
  check_hdf5(H5Tset_cset(*type, H5T_CSET_UTF8), doing);
  return type;
}

Hdf5Id scalar_attribute(hid_t object, const char* name, hid_t type, const std::string& doing) {
  const Hdf5Id space(H5Screate(H5S_SCALAR), H5Sclose, doing);
  return {H5Acreate2(object, name, type, *space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose, doing};
}

std::string writing_attribute(const char* name) { return std::string("write the HDF5 attribute ") + name; }

}  // namespace

TextAttribute::TextAttribute(hid_t object, const char* name, size_t length)
    : doing_(writing_attribute(name)),
      type_(text_type(length, doing_)),
      attribute_(scalar_attribute(object, name, *type_, doing_)) {}

void TextAttribute::write(const std::string& text) { check_hdf5(H5Awrite(*attribute_, *type_, text.c_str()), doing_); }

void write_attribute(hid_t object, const char* name, const std::string& text) {
  TextAttribute(object, name, text.size()).write(text);
}

void write_attribute(hid_t object, const char* name, int64_t number) {
  const std::string doing = writing_attribute(name);
  const Hdf5Id attribute = scalar_attribute(object, name, H5T_STD_I64LE, doing);
  check_hdf5(H5Awrite(*attribute, H5T_NATIVE_INT64, &number), doing);
}

}  // namespace acm::io
