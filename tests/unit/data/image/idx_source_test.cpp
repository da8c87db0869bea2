#include "data/image/idx_source.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <set>

#include "core/digest.h"
#include "core/file.h"
#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"

namespace acm::data {
namespace {

constexpr int64_t kImages = 6, kHeight = 5, kWidth = 4;

// An IDX file of any magic number and sizes.
std::string idx(uint32_t magic, const std::vector<uint32_t>& sizes, const std::string& bytes) {
  std::string out;
  const auto put = [&](uint32_t value) {
    for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(value >> shift);
  };
  put(magic);
  for (const uint32_t size : sizes) put(size);
  return out + bytes;
}

uint8_t pixel(int64_t image, int64_t y, int64_t x) { return static_cast<uint8_t>(1 + image * 40 + y * kWidth + x); }

std::string image_bytes() {
  std::string bytes;
  for (int64_t image = 0; image < kImages; ++image) {
    for (int64_t y = 0; y < kHeight; ++y) {
      for (int64_t x = 0; x < kWidth; ++x) bytes += static_cast<char>(pixel(image, y, x));
    }
  }
  return bytes;
}

const std::string kImageFile = idx(0x803, {kImages, kHeight, kWidth}, image_bytes());
const std::string kLabelFile = idx(0x801, {kImages}, std::string("\0\1\2\7\4\5", 6));

void write_gzip(const std::filesystem::path& path, const std::string& content) {
  const gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, content.data(), static_cast<unsigned>(content.size()));
  gzclose(file);
}

// The training split as gzip files, the test split as plain ones.
DataConfig example(const Scratch& scratch) {
  DataConfig config;
  config.path = scratch.folder().string();
  config.test = {"test-images", "test-labels"};
  config.mean = {0.1307};
  config.std = {0.3081};
  write_gzip(scratch / config.train[0], kImageFile);
  write_gzip(scratch / config.train[1], kLabelFile);
  replace_file(scratch / "test-images", kImageFile);
  replace_file(scratch / "test-labels", kLabelFile);
  return config;
}

float normalised(uint8_t byte) { return static_cast<float>((byte / 255.0 - 0.1307) / 0.3081); }

TEST(IdxSource, GivesImagesAndLabels) {
  const Scratch scratch;
  const DataConfig config = example(scratch);
  for (const Split split : {Split::kTrain, Split::kTest}) {
    const auto source = open_source(config, split);
    EXPECT_EQ(source->size(), kImages);
    EXPECT_EQ(source->classes(), 8);
    EXPECT_EQ(source->input_shape(), (std::array<int64_t, 3>{1, kHeight, kWidth}));
    const Sample sample = source->get(3, StreamKey(1));
    EXPECT_EQ(sample.label, 7);
    EXPECT_EQ(sample.index, 3);
    EXPECT_EQ(sample.input.scalar_type(), at::kFloat);
    EXPECT_EQ(sample.input.sizes(), (std::vector<int64_t>{1, kHeight, kWidth}));
    for (int64_t y = 0; y < kHeight; ++y) {
      for (int64_t x = 0; x < kWidth; ++x) EXPECT_EQ(sample.input[0][y][x].item<float>(), normalised(pixel(3, y, x)));
    }
  }
}

// The same by the obvious way: pad, cut out, then mirror.
std::vector<std::vector<uint8_t>> augmented(int64_t image, int64_t padding, int64_t down, int64_t right,
                                            bool mirrored) {
  std::vector<std::vector<uint8_t>> padded(kHeight + 2 * padding, std::vector<uint8_t>(kWidth + 2 * padding, 0));
  for (int64_t y = 0; y < kHeight; ++y) {
    for (int64_t x = 0; x < kWidth; ++x) padded[y + padding][x + padding] = pixel(image, y, x);
  }
  std::vector<std::vector<uint8_t>> out;
  for (int64_t y = 0; y < kHeight; ++y) {
    const auto row = padded[y + down].begin() + right;
    out.emplace_back(row, row + kWidth);
    if (mirrored) std::reverse(out.back().begin(), out.back().end());
  }
  return out;
}

TEST(IdxSource, CropsAndFlipsAsTheKeySays) {
  const Scratch scratch;
  DataConfig config = example(scratch);
  config.augment.crop_padding = 2;
  config.augment.flip = true;
  const auto source = open_source(config, Split::kTrain);
  std::set<std::tuple<uint64_t, uint64_t, bool>> seen;
  for (uint64_t position = 0; position < 300; ++position) {
    const StreamKey key = StreamKey(11).with(position);
    const uint64_t down = random_below(key, 0, 5), right = random_below(key, 1, 5);
    const bool mirrored = random_below(key, 2, 2) == 1;
    seen.insert({down, right, mirrored});
    const auto expected = augmented(4, 2, static_cast<int64_t>(down), static_cast<int64_t>(right), mirrored);
    const at::Tensor image = source->get(4, key).input;
    const float* found = image.const_data_ptr<float>();
    for (int64_t y = 0; y < kHeight; ++y) {
      for (int64_t x = 0; x < kWidth; ++x) ASSERT_EQ(found[y * kWidth + x], normalised(expected[y][x])) << position;
    }
  }
  EXPECT_EQ(seen.size(), 50u) << "every place and both directions occur";
}

TEST(IdxSource, TestImagesAreNotAugmented) {
  const Scratch scratch;
  DataConfig config = example(scratch);
  const auto plain = open_source(config, Split::kTest);
  config.augment.crop_padding = 2;
  config.augment.flip = true;
  const auto test = open_source(config, Split::kTest);
  for (uint64_t key = 0; key < 20; ++key)
    EXPECT_TRUE(test->get(1, StreamKey(key)).input.equal(plain->get(1, StreamKey(0)).input));
  EXPECT_EQ(test->identity(), plain->identity());
  EXPECT_NE(open_source(config, Split::kTrain)->identity().dump(),
            open_source(example(scratch), Split::kTrain)->identity().dump());
}

TEST(IdxSource, CollatesInOrder) {
  const Scratch scratch;
  const auto source = open_source(example(scratch), Split::kTrain);
  std::vector<Sample> samples = {source->get(5, StreamKey(0)), source->get(2, StreamKey(0))};
  samples[0].position = 40;
  samples[1].position = 41;
  const Batch batch = source->collate(samples);
  EXPECT_EQ(batch.samples(), 2);
  EXPECT_EQ(batch.inputs.sizes(), (std::vector<int64_t>{2, 1, kHeight, kWidth}));
  EXPECT_TRUE(batch.inputs[0].equal(samples[0].input));
  EXPECT_TRUE(batch.inputs[1].equal(samples[1].input));
  EXPECT_EQ(batch.labels[0].item<int64_t>(), 5);
  EXPECT_EQ(batch.labels[1].item<int64_t>(), 2);
  EXPECT_EQ(batch.positions[1].item<int64_t>(), 41);
  EXPECT_FALSE(batch.lengths.defined());
}

TEST(IdxSource, UsesOnlyTheFirstSamples) {
  const Scratch scratch;
  DataConfig config = example(scratch);
  config.train_samples = 4;
  config.test_samples = 100;
  EXPECT_EQ(open_source(config, Split::kTrain)->size(), 4);
  EXPECT_EQ(open_source(config, Split::kTest)->size(), kImages);
  EXPECT_EQ(open_source(config, Split::kTrain)->identity().at("samples"), Json(4));
}

TEST(IdxSource, IdentityNamesFilesWithoutTheirFolder) {
  const Scratch scratch;
  const DataConfig config = example(scratch);
  const Json identity = open_source(config, Split::kTrain)->identity();
  const Json::Array& files = identity.at("files").as_array();
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[0].at("name"), Json("train-images-idx3-ubyte.gz"));
  EXPECT_EQ(files[0].at("bytes").as_int(), static_cast<int64_t>(read_file(scratch / config.train[0]).size()));
  EXPECT_EQ(identity.at("labels"), Json(digest_of_file(scratch / config.train[1])));
  EXPECT_EQ(identity.dump().find(scratch.folder().string()), std::string::npos);
  EXPECT_EQ(identity.at("preprocessing").dump(), R"({"channels":1,"height":5,"mean":0.1307,"std":0.3081,"width":4})");
}

struct BadFile {
  const char* name;
  std::string content;
  const char* part;
};

TEST(IdxSource, NamesWhatIsWrongWithAFile) {
  const Scratch scratch;
  const DataConfig config = example(scratch);
  const std::string images = image_bytes();
  const BadFile cases[] = {
      {"test-images", "", "not an IDX file of unsigned bytes with 3 dimensions"},
      {"test-images", kLabelFile, "not an IDX file of unsigned bytes with 3 dimensions"},
      {"test-images", idx(0xD03, {kImages, kHeight, kWidth}, images), "not an IDX file"},
      {"test-images", kImageFile.substr(0, 10), "truncated within its header"},
      {"test-images", kImageFile.substr(0, 100), "truncated: its header promises 120 bytes of data, 84 are there"},
      {"test-images", kImageFile + "x", "too long: its header promises 120 bytes of data, and more are there"},
      {"test-images", idx(0x803, {0, kHeight, kWidth}, ""), "it is empty"},
      {"test-images", idx(0x803, {0xffffffff, 0xffffffff, 0xffffffff}, ""), "absurd"},
      {"test-images", idx(0x803, {2, kHeight, kWidth}, images.substr(0, 40)), "holds 2 images"},
      {"test-labels", kImageFile, "not an IDX file of unsigned bytes with 1 dimensions"},
      {"test-labels", kLabelFile.substr(0, 9), "truncated"},
      {"test-labels", std::string("\x1f\x8b") + "damaged gzip", "damaged"},
  };
  for (const BadFile& bad : cases) {
    SCOPED_TRACE(bad.part);
    replace_file(scratch / "test-images", kImageFile);
    replace_file(scratch / "test-labels", kLabelFile);
    replace_file(scratch / bad.name, bad.content);
    const std::string message = expect_error(Fault::kData, bad.part, [&] { open_source(config, Split::kTest); });
    EXPECT_NE(message.find(bad.name), std::string::npos) << message;
  }
  std::filesystem::remove(scratch / "test-labels");
  expect_error(Fault::kData, "test-labels", [&] { open_source(config, Split::kTest); });
}

}  // namespace
}  // namespace acm::data
