#include "app/selftest/miniature.h"

#include <string>

#include "core/file.h"
#include "core/random.h"

namespace acm::app {
namespace {

constexpr int64_t kSide = 12, kClasses = 4;

std::string big_endian(int64_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}

// Class c: a bar at one of four places, brighter than the noise around it.
void write_images(const std::filesystem::path& folder, const std::string& split, int64_t images) {
  const StreamKey key = StreamKey(1).with(split);
  std::string pixels = big_endian(0x0803) + big_endian(images) + big_endian(kSide) + big_endian(kSide);
  std::string labels = big_endian(0x0801) + big_endian(images);
  for (int64_t image = 0; image < images; ++image) {
    labels += static_cast<char>(image % kClasses);
    for (int64_t y = 0; y < kSide; ++y)
      for (int64_t x = 0; x < kSide; ++x) {
        const bool in_bar = y / 3 == image % kClasses;
        const auto number = static_cast<uint64_t>((image * kSide + y) * kSide + x);
        pixels += static_cast<char>((in_bar ? 120 : 0) + random_below(key, number, 130));
      }
  }
  replace_file(folder / (split + "-images"), pixels);
  replace_file(folder / (split + "-labels"), labels);
}

constexpr std::string_view kSettings = R"(# A run of seconds, written by acm_dist selftest.
seed = 1
[data]
kind = "idx"
path = "data"
train = ["train-images", "train-labels"]
test = ["test-images", "test-labels"]
[backbone]
patch = 3
width = 32
depth = 2
heads = 2
hidden = 64
[acm]
learners = 4
sites = ["ffn", "o"]
[cache]
samples = 256
segment_samples = 32
micro_batch = 16
shuffle_segments = 2
[pretrain]
steps = 150
batch = 32
learning_rate = 3e-3
warmup_steps = 10
save_every = 10
[distill]
steps = 150
batch = 256
save_every = 10
[gating]
steps = 60
batch = 256
save_every = 10
[finetune]
steps = 60
batch = 32
learning_rate = 5e-4
save_every = 10
[safety]
silent_seconds = 3
late_seconds = 5
)";

}  // namespace

void write_miniature(const std::filesystem::path& folder) {
  make_folder(folder / "data");
  write_images(folder / "data", "train", 512);
  write_images(folder / "data", "test", 128);
  std::string settings(kSettings);
  const std::string path = "\"data\"";
  settings.replace(settings.find(path), path.size(), "\"" + (folder / "data").string() + "\"");
  replace_file(folder / "miniature.toml", settings);
}

}  // namespace acm::app
