#include "io/gzip.h"

#include <c10/util/Exception.h>
#include <zlib.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <string_view>

#include "core/error.h"
#include "core/file.h"

namespace acm::io {
namespace {

constexpr std::string_view kGzipMagic = "\x1f\x8b";
constexpr size_t kPiece = size_t{1} << 20;

// A gzip file may be several streams, one after another; inflating continues while another one begins.
class Inflater {
 public:
  Inflater(const std::filesystem::path& path, std::string_view compressed) : path_(path), rest_(compressed) {
    const int gzip_only = 16 + MAX_WBITS;
    if (inflateInit2(&stream_, gzip_only) != Z_OK) throw std::bad_alloc();
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;

  // The first `most` bytes, or all.
  std::string run(size_t most) {
    std::string out;
    for (;;) {
      feed();
      const size_t before = out.size(), room = std::min(kPiece, most - before);
      out.resize(before + room);
      stream_.next_out = reinterpret_cast<Bytef*>(out.data() + before);
      stream_.avail_out = static_cast<uInt>(room);
      const int status = inflate(&stream_, Z_NO_FLUSH);
      out.resize(out.size() - stream_.avail_out);
      take_back_unread();
      if (status == Z_STREAM_END && rest_.empty()) return out;
      if (status == Z_STREAM_END && rest_.starts_with(kGzipMagic)) {
        inflateReset(&stream_);
      } else if (status == Z_STREAM_END) {
        fail("has " + std::to_string(rest_.size()) + " bytes of something else after its end");
      } else if (status == Z_BUF_ERROR || (status == Z_OK && rest_.empty() && stream_.avail_out > 0)) {
        fail("ends early: it is truncated");
      } else if (status != Z_OK) {
        fail(std::string("is damaged (") + (stream_.msg ? stream_.msg : "unknown fault") + ")");
      }
      if (out.size() == most) return out;
    }
  }

 private:
  // zlib counts in 32 bits, files do not.
  void feed() {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(rest_.data()));
    stream_.avail_in = static_cast<uInt>(std::min<size_t>(rest_.size(), std::numeric_limits<uInt>::max()));
    fed_ = stream_.avail_in;
  }
  void take_back_unread() { rest_.remove_prefix(fed_ - stream_.avail_in); }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(Fault::kData, "cannot inflate " + path_.string() + ": the gzip file " + what + "; fetch it again");
  }

  const std::filesystem::path& path_;
  std::string_view rest_;
  z_stream stream_{};
  uInt fed_ = 0;
};

}  // namespace

std::string read_maybe_gzip(const std::filesystem::path& path, int64_t most) {
  TORCH_CHECK(most > 0, "bytes of ", path.string(), " to read: ", most);
  const FileHandle file(path, FileHandle::Mode::kRead);
  std::string bytes(kGzipMagic.size(), '\0');
  const int64_t size = file.size(), beginning = std::min(size, static_cast<int64_t>(bytes.size()));
  file.read(bytes.data(), beginning, 0);
  const bool is_gzip = bytes == kGzipMagic;
  bytes.resize(static_cast<size_t>(is_gzip ? size : std::min(size, most)));
  file.read(bytes.data(), static_cast<int64_t>(bytes.size()), 0);
  return is_gzip ? Inflater(path, bytes).run(static_cast<size_t>(most)) : bytes;
}

}  // namespace acm::io
