#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

// After <cstdio>, which it needs.
#include <jpeglib.h>
#include <png.h>

#include "data/image/decode.h"
#include "data/image/image.h"

namespace acm::data {

// A picture with smooth and sharp parts, different for each `seed`.
inline Image picture(int64_t height, int64_t width, int seed = 0) {
  Image image = {height, width, std::vector<uint8_t>(static_cast<size_t>(height * width * 3))};
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      uint8_t* pixel = image.pixels.data() + (y * width + x) * 3;
      const bool inside = (x + seed) / 7 % 2 == y / 5 % 2;
      pixel[0] = static_cast<uint8_t>(255 * x / width);
      pixel[1] = static_cast<uint8_t>((255 * y / height + 40 * seed) % 256);
      pixel[2] = inside ? 230 : 20;
    }
  }
  return image;
}

inline Bytes bytes_of(const std::string& file) { return {reinterpret_cast<const uint8_t*>(file.data()), file.size()}; }

struct JpegStyle {
  int quality = 90;
  bool progressive = false;
  bool subsampled = true;  // 4:2:0
};

inline std::string jpeg(const Image& image, const JpegStyle& style = {}) {
  jpeg_compress_struct info = {};
  jpeg_error_mgr errors = {};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &buffer, &size);
  info.image_width = static_cast<JDIMENSION>(image.width);
  info.image_height = static_cast<JDIMENSION>(image.height);
  info.input_components = 3;
  info.in_color_space = JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, style.quality, TRUE);
  if (style.progressive) jpeg_simple_progression(&info);
  if (!style.subsampled) info.comp_info[0].h_samp_factor = info.comp_info[0].v_samp_factor = 1;
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < info.image_height) {
    auto* row = const_cast<JSAMPLE*>(image.pixels.data() + info.next_scanline * image.width * 3);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::string out(reinterpret_cast<char*>(buffer), size);
  std::free(buffer);
  return out;
}

// Of any kind: `rows` are the bytes of all rows as PNG stores them (before compression), without filter bytes.
inline std::string png(int64_t height, int64_t width, int depth, int colour, const std::string& rows,
                       bool interlaced = false) {
  std::string out;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  const auto append = [](png_structp writer, png_bytep bytes, size_t count) {
    static_cast<std::string*>(png_get_io_ptr(writer))->append(reinterpret_cast<char*>(bytes), count);
  };
  png_set_write_fn(png, &out, append, nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), depth, colour,
               interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  const size_t row_bytes = png_get_rowbytes(png, info);
  const int passes = png_set_interlace_handling(png);
  for (int pass = 0; pass < passes; ++pass) {
    for (int64_t y = 0; y < height; ++y) {
      png_write_row(png, reinterpret_cast<png_const_bytep>(rows.data()) + static_cast<size_t>(y) * row_bytes);
    }
  }
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return out;
}

inline std::string png(const Image& image, bool interlaced = false) {
  return png(image.height, image.width, 8, PNG_COLOR_TYPE_RGB,
             {reinterpret_cast<const char*>(image.pixels.data()), image.pixels.size()}, interlaced);
}

}  // namespace acm::data
