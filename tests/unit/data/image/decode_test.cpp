#include "data/image/decode.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cstdlib>

#include "data/image/resize.h"
#include "unit/core/expect_error.h"
#include "unit/data/image/pictures.h"

namespace acm::data {
namespace {

constexpr int64_t kNoLimit = int64_t{1} << 40, kLimit = 64'000'000;

void expect_refused(const std::string& file, const std::string& part, int64_t max_pixels = kNoLimit) {
  expect_error(Fault::kData, part, [&] { decode_image(bytes_of(file), max_pixels); });
}

int64_t largest_difference(const Image& a, const Image& b) {
  EXPECT_EQ(a.height, b.height);
  EXPECT_EQ(a.width, b.width);
  int64_t largest = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) {
    largest = std::max<int64_t>(largest, std::abs(int{a.pixels[i]} - int{b.pixels[i]}));
  }
  return largest;
}

double mean_difference(const Image& a, const Image& b) {
  double sum = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) sum += std::abs(int{a.pixels[i]} - int{b.pixels[i]});
  return sum / static_cast<double>(a.pixels.size());
}

// The kinds of files that pixels are read from in different ways.
std::vector<std::string> files_of(const Image& image) {
  return {jpeg(image), jpeg(image, {.subsampled = false}), jpeg(image, {.progressive = true}), png(image),
          png(image, true)};
}

TEST(DecodeImage, GivesSizeAndPixels) {
  const Image image = picture(37, 53);
  for (const std::string& file : files_of(image)) {
    const ImageSize size = image_size(bytes_of(file), kNoLimit);
    EXPECT_EQ(size.height, 37);
    EXPECT_EQ(size.width, 53);
    const Image decoded = decode_image(bytes_of(file), kNoLimit);
    if (file[1] == 'P') {
      EXPECT_EQ(decoded.pixels, image.pixels);
    }
  }
}

TEST(DecodeImage, OfSixteenBitsTheUpperEightStay) {
  const std::string grey = png(1, 2, 16, PNG_COLOR_TYPE_GRAY, std::string("\x12\xff\xff\x01", 4));
  EXPECT_EQ(decode_image(bytes_of(grey), kNoLimit).pixels, (std::vector<uint8_t>{0x12, 0x12, 0x12, 255, 255, 255}));
}

TEST(DecodePart, WithoutAScaleIsThePartOfTheWhole) {
  const Image image = picture(61, 83);
  const Box boxes[] = {{0, 0, 83, 61},   {0, 0, 1, 1},    {82, 60, 1, 1},
                       {16, 16, 16, 16}, {17, 31, 40, 9}, {3, 47, 80, 14}};
  for (const std::string& file : files_of(image)) {
    const Image whole = decode_image(bytes_of(file), kNoLimit);
    for (const Box& box : boxes) {
      const DecodedPart part = decode_part(bytes_of(file), box, {1000, 1000}, kNoLimit);
      EXPECT_EQ(part.left, 0);
      EXPECT_EQ(part.width, static_cast<double>(box.width));
      EXPECT_EQ(part.image.pixels, crop(whole, box).pixels) << box.left << " " << box.top;
    }
  }
}

// Halving inside the decoder is another filter than Pillow's, so the result is close, not equal (docs/data.md).
TEST(DecodePart, AScaledPartIsNearlyTheResizedPart) {
  const Image smooth = resize(picture(30, 40), {400, 500}, Filter::kBicubic);
  const std::string file = jpeg(smooth, {.quality = 95});
  const Image whole = decode_image(bytes_of(file), kNoLimit);
  for (const int64_t wanted : {180, 90, 44}) {
    const Box box = {33, 21, 401, 367};
    const DecodedPart part = decode_part(bytes_of(file), box, {wanted, wanted}, kNoLimit);
    EXPECT_GE(part.width, static_cast<double>(wanted));
    EXPECT_LT(part.image.width, 202);
    EXPECT_NEAR(part.width / static_cast<double>(box.width), part.height / static_cast<double>(box.height), 1e-12);
    const Image scaled =
        resize(part.image, part.left, part.top, part.width, part.height, {wanted, wanted}, Filter::kBicubic);
    const Image exact = resize(crop(whole, box), {wanted, wanted}, Filter::kBicubic);
    EXPECT_LT(mean_difference(scaled, exact), 1.5) << wanted;
    EXPECT_LT(largest_difference(scaled, exact), 30) << wanted;
  }
}

TEST(DecodeImage, NamesWhatAFileIsInstead) {
  expect_refused("", "it is empty (0 bytes)");
  expect_refused(std::string(100, '\0'), "it is 100 zero bytes");
  expect_refused("<!DOCTYPE html><html>", "it is an HTML or XML page");
  expect_refused("\n <html>", "it is an HTML or XML page");
  expect_refused("GIF89a....", "it is a GIF image; only JPEG and PNG images are read");
  expect_refused("RIFF....WEBPVP8 ", "it is a WebP image");
  expect_refused("version https://git-lfs.github.com/spec/v1", "it is a Git-LFS pointer");
  expect_refused("hello", "it is neither a JPEG nor a PNG image");
}

TEST(DecodeImage, NamesDamageInAJpeg) {
  const std::string file = jpeg(picture(200, 200));
  expect_refused(file.substr(0, file.size() / 2), "its JPEG data end early: the file is cut short");
  expect_refused(file.substr(0, 30), "its JPEG data end early: the file is cut short");
  expect_refused(file.substr(0, file.size() - 40), "cut short");
  std::string garbage = file;
  for (size_t i = file.size() / 2; i < file.size() - 2; ++i) garbage[i] = static_cast<char>((i * 7919) % 251);
  expect_refused(garbage, "its JPEG data are damaged, fetch it again: ");
  std::string lossless = file;
  lossless[lossless.find("\xff\xc0") + 1] = '\xc3';
  expect_refused(lossless, "it cannot be decoded as a JPEG: Unsupported JPEG process");
}

TEST(DecodeImage, BytesAfterAPictureDoNoHarm) {
  EXPECT_EQ(decode_image(bytes_of(jpeg(picture(20, 20)) + "more"), kNoLimit).height, 20);
}

TEST(DecodeImage, NamesDamageInAPng) {
  const std::string file = png(picture(60, 60));
  expect_refused(file.substr(0, file.size() / 2), "its PNG data end early: the file is cut short");
  expect_refused(file.substr(0, 20), "its PNG data end early");
  expect_refused(file.substr(0, file.size() - 12), "its PNG data end early");
  std::string flipped = file;
  flipped[flipped.find("IEND") - 6] = static_cast<char>(flipped[flipped.find("IEND") - 6] + 1);
  expect_refused(flipped, "its PNG data are damaged, fetch it again: IDAT: CRC error");
}

TEST(DecodeImage, RefusesLargePicturesBeforeDecoding) {
  const Image image = picture(40, 50);
  for (const std::string& file : files_of(image)) {
    expect_refused(file, "it has 50 x 40 pixels, more than data.max_pixels = 1999 allows", 1999);
    EXPECT_EQ(decode_image(bytes_of(file), 40 * 50 * 3).height, 40);
  }
}

// A header that promises any size, as a bomb has it: the data are one row's worth.
std::string png_of_size(uint32_t height, uint32_t width) {
  std::string file = png(picture(8, 8));
  const auto put = [&](size_t at, uint32_t value) {
    for (size_t i = 0; i < 4; ++i) file[at + i] = static_cast<char>(value >> (24 - 8 * i));
  };
  put(16, width);
  put(20, height);
  put(29, static_cast<uint32_t>(::crc32(0, reinterpret_cast<const Bytef*>(file.data()) + 12, 17)));
  return file;
}

// The size in a JPEG's frame header replaced; its data are far too short.
std::string jpeg_of_size(uint16_t height, uint16_t width, bool progressive) {
  std::string file = jpeg(picture(64, 64), {.progressive = progressive, .subsampled = false});
  const size_t frame = file.find(progressive ? "\xff\xc2" : "\xff\xc0");
  const char sizes[] = {static_cast<char>(height >> 8), static_cast<char>(height), static_cast<char>(width >> 8),
                        static_cast<char>(width)};
  return file.replace(frame + 5, 4, sizes, 4);
}

TEST(DecodeImage, RefusesBombs) {
  expect_refused(png_of_size(50000, 50000), "it has 50000 x 50000 pixels, more than data.max_pixels", kLimit);
  expect_refused(png_of_size(1, 60'000'000), "no side may be longer than 65535", kLimit);
  expect_refused(jpeg_of_size(65500, 65500, false), "it has 65500 x 65500 pixels", kLimit);
  expect_refused(jpeg_of_size(8000, 8000, true), "it is a progressive JPEG of 8000 x 8000 pixels, which takes", kLimit);
}

// Kilobytes by which the largest memory of a process grows while it decodes the file, seen by a child of its own.
int64_t growth_of_memory(const std::string& file) {
  const pid_t child = ::fork();
  if (child == 0) {
    struct rusage before, after;
    ::getrusage(RUSAGE_SELF, &before);
    try {
      decode_image(bytes_of(file), kLimit);
    } catch (const Error&) {  // refused or damaged: what it cost is all that matters
    }
    ::getrusage(RUSAGE_SELF, &after);
    ::_exit(std::min<long>(255, (after.ru_maxrss - before.ru_maxrss) / 2048));
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  return int64_t{WEXITSTATUS(status)} * 2048;
}

TEST(DecodeImage, BombsStayBelow256Megabytes) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "the thread sanitizer keeps a copy of what memory holds, which counts as well";
#endif
  constexpr int64_t kMost = 256 * 1024 - 2048;
  const std::string files[] = {png_of_size(50000, 50000),       png_of_size(8000, 8000),
                               png_of_size(1000, 64000),        jpeg_of_size(65500, 65500, false),
                               jpeg_of_size(8000, 8000, false), jpeg_of_size(8000, 8000, true),
                               jpeg_of_size(5000, 5200, true)};
  for (const std::string& file : files) EXPECT_LT(growth_of_memory(file), kMost);
}

TEST(DecodeImage, RefusesAJpegOfEndlessScans) {
  const std::string file = jpeg(picture(64, 64), {.progressive = true});
  const size_t last = file.rfind("\xff\xda");
  std::string scans = file.substr(0, file.size() - 2);
  const std::string scan = file.substr(last, file.size() - 2 - last);
  for (int i = 0; i < 200; ++i) scans += scan;
  EXPECT_THROW(decode_image(bytes_of(scans + "\xff\xd9"), kNoLimit), Error);
}

}  // namespace
}  // namespace acm::data
