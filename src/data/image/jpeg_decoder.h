#pragma once

#include <csetjmp>
#include <cstddef>
#include <cstdio>

// After <cstdio>, which it needs.
#include <jpeglib.h>

#include "core/error.h"
#include "data/image/decode.h"

namespace acm::data {

// One decompression with libjpeg, its header read. libjpeg reports errors by a call that must not return: it jumps back
// into run(), which throws Error(kData); so what runs inside may own nothing that needs a destructor. Damage of which
// libjpeg only warns is an error too.
class JpegDecoder {
 public:
  explicit JpegDecoder(Bytes file);
  ~JpegDecoder() { jpeg_destroy_decompress(&info_); }
  JpegDecoder(const JpegDecoder&) = delete;

  template <typename Step>
  void run(Step step) {
    if (setjmp(back_) == 0) {
      step();
    } else {
      jpeg_destroy_decompress(&info_);
      throw Error(Fault::kData, message_);
    }
  }

  jpeg_decompress_struct& info() { return info_; }
  ImageSize size() const { return {info_.image_height, info_.image_width}; }

 private:
  static JpegDecoder& from(j_common_ptr info) { return *static_cast<JpegDecoder*>(info->client_data); }
  [[noreturn]] void escape(const char* beginning);
  [[noreturn]] void escape_damage();
  void check_scans();

  size_t file_bytes_;
  jpeg_decompress_struct info_ = {};
  jpeg_error_mgr errors_ = {};
  jpeg_progress_mgr progress_ = {};
  std::jmp_buf back_;
  char message_[JMSG_LENGTH_MAX + 100] = {};
};

}  // namespace acm::data
