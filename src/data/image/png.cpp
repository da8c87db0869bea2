#include "data/image/png.h"

#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <new>
#include <string>

#include "core/error.h"
#include "data/image/picture_limits.h"
#include "data/image/resize.h"

namespace acm::data {
namespace {

// Chunks beside the picture (texts, profiles, times) may be compressed, and bombs themselves: few are kept, none large.
constexpr png_alloc_size_t kMostChunkBytes = 2 << 20;
constexpr png_uint_32 kMostChunks = 16;

// One reading of a PNG. libpng reports errors by a call that must not return: it jumps back into run(), so what runs
// inside may own nothing that needs a destructor.
class Reader {
 public:
  explicit Reader(Bytes file) : rest_(file) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, &Reader::fail, [](png_structp, png_const_charp) {});
    info_ = png_ ? png_create_info_struct(png_) : nullptr;
    if (!info_) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      throw std::bad_alloc();
    }
    run([&] {
      png_set_chunk_malloc_max(png_, kMostChunkBytes);
      png_set_chunk_cache_max(png_, kMostChunks);
      png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // check_picture_size names the limits better
      png_set_read_fn(png_, this, &Reader::read);
      png_read_info(png_, info_);
    });
  }
  ~Reader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  Reader(const Reader&) = delete;

  template <typename Step>
  void run(Step step) {
    if (setjmp(back_) == 0) {
      step();
    } else {
      png_destroy_read_struct(&png_, &info_, nullptr);
      throw Error(Fault::kData, message_);
    }
  }

  ImageSize size() const { return {png_get_image_height(png_, info_), png_get_image_width(png_, info_)}; }

  // Every kind of PNG becomes three bytes a pixel; transparency is dropped and of 16 bits the upper eight are kept.
  void ask_for_rgb() {
    run([&] {
      png_set_palette_to_rgb(png_);
      png_set_expand_gray_1_2_4_to_8(png_);
      png_set_strip_16(png_);
      png_set_strip_alpha(png_);
      png_set_gray_to_rgb(png_);
      passes_ = png_set_interlace_handling(png_);
      png_read_update_info(png_, info_);
    });
  }

  int passes() const { return passes_; }
  int64_t row_bytes() const { return static_cast<int64_t>(png_get_rowbytes(png_, info_)); }
  png_structp png() { return png_; }

 private:
  [[noreturn]] static void fail(png_structp png, png_const_charp text) {
    Reader& reader = *static_cast<Reader*>(png_get_error_ptr(png));
    if (!reader.ended_) {
      std::snprintf(reader.message_, sizeof reader.message_, "its PNG data are damaged, fetch it again: %s", text);
    }
    std::longjmp(reader.back_, 1);
  }

  static void read(png_structp png, png_bytep to, size_t bytes) {
    Reader& reader = *static_cast<Reader*>(png_get_io_ptr(png));
    if (bytes > reader.rest_.size()) {
      reader.ended_ = true;
      std::snprintf(reader.message_, sizeof reader.message_,
                    "its PNG data end early: the file is cut short, fetch it again");
      png_error(png, "the end");
    }
    std::memcpy(to, reader.rest_.data(), bytes);
    reader.rest_ = reader.rest_.subspan(bytes);
  }

  Bytes rest_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  int passes_ = 1;
  bool ended_ = false;
  std::jmp_buf back_;
  char message_[256] = {};
};

// Rows one at a time, of which the columns of `box` are kept.
void read_rows(Reader& reader, const Box& box, const ImageSize& size, Image& image, std::vector<uint8_t>& line) {
  reader.run([&] {
    for (int64_t y = 0; y < box.top + box.height; ++y) {
      png_read_row(reader.png(), line.data(), nullptr);
      if (y < box.top) continue;
      std::memcpy(image.pixels.data() + (y - box.top) * box.width * 3, line.data() + box.left * 3,
                  static_cast<size_t>(box.width) * 3);
    }
    if (box.top + box.height == size.height) png_read_end(reader.png(), nullptr);
  });
}

// An interlaced picture is complete only after its last pass.
void read_passes(Reader& reader, Image& image) {
  reader.run([&] {
    for (int pass = 0; pass < reader.passes(); ++pass) {
      for (int64_t y = 0; y < image.height; ++y) {
        png_read_row(reader.png(), image.pixels.data() + y * image.width * 3, nullptr);
      }
    }
    png_read_end(reader.png(), nullptr);
  });
}

Image image_of(int64_t height, int64_t width) {
  return {height, width, std::vector<uint8_t>(static_cast<size_t>(height * width * 3))};
}

}  // namespace

ImageSize png_size(Bytes file, int64_t max_pixels) {
  const ImageSize size = Reader(file).size();
  check_picture_size(size, max_pixels);
  return size;
}

Image decode_png(Bytes file, const std::optional<Box>& part, int64_t max_pixels) {
  Reader reader(file);
  const ImageSize size = reader.size();
  check_picture_size(size, max_pixels);
  reader.ask_for_rgb();
  const Box whole = {0, 0, size.width, size.height};
  if (reader.passes() > 1) {
    Image image = image_of(size.height, size.width);
    read_passes(reader, image);
    return part ? crop(image, *part) : image;
  }
  const Box& box = part ? *part : whole;
  Image image = image_of(box.height, box.width);
  std::vector<uint8_t> line(static_cast<size_t>(reader.row_bytes()));
  read_rows(reader, box, size, image, line);
  return image;
}

}  // namespace acm::data
