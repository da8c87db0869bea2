#include "data/image/jpeg_decoder.h"

// After <cstdio> and jpeglib.h, which it needs.
#include <jerror.h>

namespace acm::data {
namespace {

// Real progressive files have about ten scans; each costs a pass over the whole picture.
constexpr int kMostScans = 100;

// Of bytes that belong to no pixel some encoders leave a few before the end. Many are what is left of damaged data:
// nearly every string of bits decodes to something.
constexpr int64_t kMostExtraShare = 32;  // one in so many

// Remarks of libjpeg about oddities that lose no pixel. Everything else that it warns of is damage.
bool is_harmless(const jpeg_error_mgr& errors, size_t file_bytes) {
  if (errors.msg_code == JWRN_EXTRANEOUS_DATA) {
    return errors.msg_parm.i[0] * kMostExtraShare <= static_cast<int64_t>(file_bytes);
  }
  return errors.msg_code == JWRN_JFIF_MAJOR || errors.msg_code == JWRN_ADOBE_XFORM;
}

}  // namespace

JpegDecoder::JpegDecoder(Bytes file) : file_bytes_(file.size()) {
  info_.err = jpeg_std_error(&errors_);
  info_.client_data = this;
  errors_.error_exit = [](j_common_ptr info) { from(info).escape("it cannot be decoded as a JPEG: "); };
  errors_.emit_message = [](j_common_ptr info, int level) {
    if (level < 0 && !is_harmless(*info->err, from(info).file_bytes_)) from(info).escape_damage();
  };
  progress_.progress_monitor = [](j_common_ptr info) { from(info).check_scans(); };
  run([&] {
    jpeg_create_decompress(&info_);
    info_.progress = &progress_;
    jpeg_mem_src(&info_, file.data(), file.size());
    jpeg_read_header(&info_, TRUE);
  });
}

void JpegDecoder::escape(const char* beginning) {
  char text[JMSG_LENGTH_MAX];
  errors_.format_message(reinterpret_cast<j_common_ptr>(&info_), text);
  std::snprintf(message_, sizeof message_, "%s%s", beginning, text);
  std::longjmp(back_, 1);
}

void JpegDecoder::escape_damage() {
  if (errors_.msg_code != JWRN_JPEG_EOF) escape("its JPEG data are damaged, fetch it again: ");
  std::snprintf(message_, sizeof message_, "its JPEG data end early: the file is cut short, fetch it again");
  std::longjmp(back_, 1);
}

void JpegDecoder::check_scans() {
  if (info_.input_scan_number <= kMostScans) return;
  std::snprintf(message_, sizeof message_, "it is a progressive JPEG of more than %d scans; save it again as baseline",
                kMostScans);
  std::longjmp(back_, 1);
}

}  // namespace acm::data
