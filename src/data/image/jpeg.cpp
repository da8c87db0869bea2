#include "data/image/jpeg.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "core/error.h"
#include "data/image/jpeg_decoder.h"
#include "data/image/picture_limits.h"

namespace acm::data {
namespace {

// Smooth chroma upsampling looks one chroma sample, so at most two pixels, to each side.
constexpr int64_t kMargin = 2;

// What libjpeg will hold: a file of several scans is kept as coefficients, whole, before its first pixel.
int64_t coefficient_bytes(const jpeg_decompress_struct& info) {
  const bool one_scan = info.progressive_mode == FALSE && info.comps_in_scan == info.num_components;
  if (one_scan) return 0;
  int64_t blocks = 0;
  for (int i = 0; i < info.num_components; ++i) {
    const jpeg_component_info& component = info.comp_info[i];
    blocks += static_cast<int64_t>(component.width_in_blocks + 1) * (component.height_in_blocks + 1);
  }
  return blocks * static_cast<int64_t>(sizeof(JBLOCK));
}

void check_memory(const jpeg_decompress_struct& info, int64_t pixels, int64_t max_pixels) {
  const int64_t bytes = 3 * pixels + coefficient_bytes(info);
  if (bytes <= most_decoding_bytes(max_pixels)) return;
  throw Error(Fault::kData, "it is a progressive JPEG of " + size_text({info.image_height, info.image_width}) +
                                ", which takes " + std::to_string(bytes) + " bytes to decode, more than the " +
                                std::to_string(most_decoding_bytes(max_pixels)) +
                                " that data.max_pixels allows; save it as baseline, or raise the limit");
}

// The largest of 8, 4, 2 and 1 by which `part` can shrink and still be as large as wanted.
int shrink_for(const Box& part, const ImageSize& wanted) {
  int shrink = 8;
  while (shrink > 1 && (part.width < shrink * wanted.width || part.height < shrink * wanted.height)) shrink /= 2;
  return shrink;
}

// Pillow's CMYK to RGB, where Adobe's files, and so in its eyes all, hold 255 minus the ink.
void cmyk_to_rgb(const uint8_t* from, uint8_t* to, int64_t pixels) {
  for (int64_t i = 0; i < pixels; ++i, from += 4, to += 3) {
    const int white = from[3];
    for (int c = 0; c < 3; ++c) {
      const int product = (255 - from[c]) * white + 128;
      const int ink = ((product >> 8) + product) >> 8;
      to[c] = static_cast<uint8_t>(std::max(0, white - ink));
    }
  }
}

// The whole pixels of the scaled picture that cover the part.
Box cover(const DecodedPart& part, int64_t width, int64_t height) {
  Box box;
  box.left = static_cast<int64_t>(part.left);
  box.top = static_cast<int64_t>(part.top);
  box.width = std::min(width, static_cast<int64_t>(std::ceil(part.left + part.width))) - box.left;
  box.height = std::min(height, static_cast<int64_t>(std::ceil(part.top + part.height))) - box.top;
  return box;
}

// Reads the rows of `box` into `image`; `line` has room for a row of the decoded width.
void read_rows(JpegDecoder& decoder, const Box& box, Image& image, std::vector<uint8_t>& line) {
  jpeg_decompress_struct& info = decoder.info();
  const bool cmyk = info.out_color_space == JCS_CMYK;
  decoder.run([&] {
    JDIMENSION left = static_cast<JDIMENSION>(std::max<int64_t>(0, box.left - kMargin));
    JDIMENSION width =
        static_cast<JDIMENSION>(std::min<int64_t>(info.output_width, box.left + box.width + kMargin)) - left;
    if (width < info.output_width) jpeg_crop_scanline(&info, &left, &width);
    if (box.top > 0) jpeg_skip_scanlines(&info, static_cast<JDIMENSION>(box.top));
    const int64_t skipped = box.left - left;
    for (int64_t y = 0; y < box.height; ++y) {
      uint8_t* row = line.data();
      uint8_t* to = image.pixels.data() + y * box.width * 3;
      jpeg_read_scanlines(&info, &row, 1);
      if (cmyk) {
        cmyk_to_rgb(row + skipped * 4, to, box.width);
      } else {
        std::memcpy(to, row + skipped * 3, static_cast<size_t>(box.width) * 3);
      }
    }
    // The last row is followed by the end of the file; rows that nobody wants are not looked at.
    if (info.output_scanline == info.output_height) jpeg_finish_decompress(&info);
  });
}

}  // namespace

ImageSize jpeg_size(Bytes file, int64_t max_pixels) {
  const ImageSize size = JpegDecoder(file).size();
  check_picture_size(size, max_pixels);
  return size;
}

DecodedPart decode_jpeg(Bytes file, const std::optional<Box>& part, const std::optional<ImageSize>& wanted,
                        int64_t max_pixels) {
  JpegDecoder decoder(file);
  const ImageSize size = decoder.size();
  check_picture_size(size, max_pixels);
  const Box whole = {0, 0, size.width, size.height};
  const Box& box = part ? *part : whole;
  const int shrink = wanted ? shrink_for(box, *wanted) : 1;
  check_memory(decoder.info(), box.width * box.height / (shrink * shrink), max_pixels);

  jpeg_decompress_struct& info = decoder.info();
  const bool four = info.num_components == 4;
  info.out_color_space = four ? JCS_CMYK : JCS_RGB;
  info.scale_num = 1;
  info.scale_denom = static_cast<unsigned>(shrink);
  decoder.run([&] { jpeg_start_decompress(&info); });

  const double scale = 1.0 / shrink;
  DecodedPart out;
  out.left = static_cast<double>(box.left) * scale;
  out.top = static_cast<double>(box.top) * scale;
  out.width = static_cast<double>(box.width) * scale;
  out.height = static_cast<double>(box.height) * scale;
  const Box rows = cover(out, info.output_width, info.output_height);
  out.image.height = rows.height;
  out.image.width = rows.width;
  out.image.pixels.resize(static_cast<size_t>(rows.height * rows.width * 3));
  std::vector<uint8_t> line(size_t{info.output_width} * (four ? 4 : 3));
  read_rows(decoder, rows, out.image, line);
  out.left -= static_cast<double>(rows.left);
  out.top -= static_cast<double>(rows.top);
  return out;
}

}  // namespace acm::data
