#include "data/image/decode.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "core/error.h"
#include "data/image/jpeg.h"
#include "data/image/png.h"

namespace acm::data {
namespace {

using namespace std::string_view_literals;

enum class Format { kJpeg, kPng };

// What people take for pictures, by how it begins (after `skip` bytes).
struct Signature {
  std::string_view bytes;
  size_t skip;
  std::string_view name;
};

constexpr std::array<Signature, 13> kOthers = {{
    {"GIF8"sv, 0, "a GIF image"},
    {"WEBP"sv, 8, "a WebP image"},
    {"BM"sv, 0, "a BMP image"},
    {"II*\0"sv, 0, "a TIFF image"},
    {"MM\0*"sv, 0, "a TIFF image"},
    {"ftypavif"sv, 4, "an AVIF image"},
    {"ftyphei"sv, 4, "a HEIC image"},
    {"\0\0\0\x0cjP"sv, 0, "a JPEG 2000 image"},
    {"%PDF"sv, 0, "a PDF document"},
    {"\x1f\x8b"sv, 0, "a gzip file"},
    {"PK\x03\x04"sv, 0, "a zip file"},
    {"version https://git-lfs"sv, 0, "a Git-LFS pointer, not the file (fetch it with 'git lfs pull')"},
    {"<"sv, 0, "an HTML or XML page, so the download went wrong: fetch it again"},
}};

bool begins(std::string_view text, std::string_view with, size_t skip = 0) {
  return text.size() >= skip && text.substr(skip).starts_with(with);
}

Format format_of(Bytes file) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (begins(text, "\xff\xd8\xff")) return Format::kJpeg;
  if (begins(text, "\x89PNG\r\n\x1a\n")) return Format::kPng;
  if (text.empty()) throw Error(Fault::kData, "it is empty (0 bytes); fetch it again");
  const std::string_view trimmed = text.substr(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  for (const Signature& other : kOthers) {
    if (begins(text, other.bytes, other.skip) || (other.bytes == "<" && trimmed.starts_with('<'))) {
      throw Error(Fault::kData, "it is " + std::string(other.name) + "; only JPEG and PNG images are read");
    }
  }
  if (text.find_first_not_of('\0') == text.npos) {
    throw Error(Fault::kData,
                "it is " + std::to_string(text.size()) + " zero bytes, as a broken copy leaves; fetch it again");
  }
  throw Error(Fault::kData, "it is neither a JPEG nor a PNG image; only those are read");
}

}  // namespace

ImageSize image_size(Bytes file, int64_t max_pixels) {
  return format_of(file) == Format::kJpeg ? jpeg_size(file, max_pixels) : png_size(file, max_pixels);
}

Image decode_image(Bytes file, int64_t max_pixels) {
  if (format_of(file) == Format::kPng) return decode_png(file, std::nullopt, max_pixels);
  return decode_jpeg(file, std::nullopt, std::nullopt, max_pixels).image;
}

DecodedPart decode_part(Bytes file, const Box& part, const ImageSize& wanted, int64_t max_pixels) {
  if (format_of(file) == Format::kJpeg) return decode_jpeg(file, part, wanted, max_pixels);
  return {decode_png(file, part, max_pixels), 0, 0, static_cast<double>(part.width), static_cast<double>(part.height)};
}

}  // namespace acm::data
