#include "data/image/idx_source.h"

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include "core/digest.h"
#include "core/error.h"
#include "data/image/idx_file.h"
#include "data/stack.h"

namespace acm::data {
namespace {

// Numbers of the stream that decide a sample's augmentation.
enum Draw : uint64_t { kDown, kRight, kMirror };

// Where the pixel (0, 0) of the augmented image lies in the original, and whether columns run backwards.
struct View {
  int64_t top = 0, left = 0;
  bool mirrored = false;
};

class IdxSource final : public DataSource {
 public:
  IdxSource(const DataConfig& config, Split split)
      : config_(config), split_(split), images_path_(folder_file(0)), labels_path_(folder_file(1)) {
    images_ = std::make_shared<IdxFile>(read_idx(images_path_, 3, "images"));
    labels_ = std::make_shared<IdxFile>(read_idx(labels_path_, 1, "labels"));
    if (images_->sizes[0] != labels_->sizes[0]) {
      throw Error(Fault::kData, images_path_.string() + " holds " + std::to_string(images_->sizes[0]) + " images and " +
                                    labels_path_.string() + " holds " + std::to_string(labels_->sizes[0]) +
                                    " labels: they must belong together");
    }
    const int64_t limit = split == Split::kTrain ? config.train_samples : config.test_samples;
    size_ = limit > 0 ? std::min(limit, images_->sizes[0]) : images_->sizes[0];
    for (size_t byte = 0; byte < values_.size(); ++byte) {
      values_[byte] = static_cast<float>((static_cast<double>(byte) / 255.0 - mean()) / deviation());
    }
  }

  int64_t size() const override { return size_; }

  // [1, height, width], normalised.
  Sample get(int64_t index, StreamKey augmentation) const override {
    TORCH_CHECK(index >= 0 && index < size_, "sample ", index, " of ", size_);
    const int64_t pixels = height() * width();
    const auto* image = reinterpret_cast<const uint8_t*>(images_->bytes().data()) + index * pixels;
    Sample sample;
    sample.input = at::empty({1, height(), width()}, at::TensorOptions().dtype(at::kFloat));
    sample.label = static_cast<uint8_t>(labels_->bytes()[static_cast<size_t>(index)]);
    sample.index = index;
    render(image, view_of(augmentation), sample.input.mutable_data_ptr<float>());
    return sample;
  }

  Batch collate(std::span<const Sample> samples) const override { return stack(samples); }

  std::unique_ptr<DataSource> unaugmented() const override {
    if (crop_padding() == 0 && !flips()) return nullptr;
    auto plain = std::make_unique<IdxSource>(*this);
    plain->config_.augment = {};
    return plain;
  }

  int64_t classes() const override {
    const auto bytes = labels_->bytes();
    const auto less = [](char a, char b) { return static_cast<uint8_t>(a) < static_cast<uint8_t>(b); };
    return 1 + static_cast<uint8_t>(*std::max_element(bytes.begin(), bytes.end(), less));
  }

  std::array<int64_t, 3> input_shape() const override { return {1, height(), width()}; }

  Json identity() const override {
    std::vector<std::filesystem::path> paths = {images_path_, labels_path_};
    std::sort(paths.begin(), paths.end());
    Json files = Json::Array{};
    for (const auto& path : paths) {
      files.push_back(Json::object(
          {{"name", path.filename().string()}, {"bytes", static_cast<int64_t>(std::filesystem::file_size(path))}}));
    }
    return Json::object({{"kind", "idx"},
                         {"split", split_ == Split::kTrain ? "train" : "test"},
                         {"samples", size_},
                         {"files", std::move(files)},
                         {"labels", digest_of_file(labels_path_)},
                         {"preprocessing", preprocessing()},
                         {"augmentation", Json::object({{"crop_padding", crop_padding()}, {"flip", flips()}})}});
  }

  Json preprocessing() const override {
    return Json::object(
        {{"channels", 1}, {"height", height()}, {"width", width()}, {"mean", mean()}, {"std", deviation()}});
  }

 private:
  std::filesystem::path folder_file(size_t which) const {
    const auto& names = split_ == Split::kTrain ? config_.train : config_.test;
    return std::filesystem::path(config_.path) / names.at(which);
  }

  double mean() const { return config_.mean.empty() ? 0.0 : config_.mean.front(); }
  double deviation() const { return config_.std.empty() ? 1.0 : config_.std.front(); }
  int64_t height() const { return images_->sizes[1]; }
  int64_t width() const { return images_->sizes[2]; }
  int64_t crop_padding() const { return split_ == Split::kTrain ? config_.augment.crop_padding : 0; }
  bool flips() const { return split_ == Split::kTrain && config_.augment.flip; }

  View view_of(StreamKey key) const {
    View view;
    if (const int64_t padding = crop_padding(); padding > 0) {
      const auto places = static_cast<uint64_t>(2 * padding + 1);
      view.top = static_cast<int64_t>(random_below(key, kDown, places)) - padding;
      view.left = static_cast<int64_t>(random_below(key, kRight, places)) - padding;
    }
    view.mirrored = flips() && random_below(key, kMirror, 2) == 1;
    return view;
  }

  void render(const uint8_t* image, const View& view, float* out) const {
    for (int64_t y = 0; y < height(); ++y) {
      for (int64_t x = 0; x < width(); ++x) {
        const int64_t row = y + view.top;
        const int64_t column = (view.mirrored ? width() - 1 - x : x) + view.left;
        const bool inside = row >= 0 && row < height() && column >= 0 && column < width();
        *out++ = values_[inside ? image[row * width() + column] : 0];
      }
    }
  }

  DataConfig config_;
  Split split_;
  std::filesystem::path images_path_, labels_path_;
  std::shared_ptr<const IdxFile> images_, labels_;
  int64_t size_ = 0;
  std::array<float, 256> values_;  // of each byte, normalised
};

}  // namespace

std::unique_ptr<DataSource> open_idx(const DataConfig& config, Split split) {
  return std::make_unique<IdxSource>(config, split);
}

}  // namespace acm::data
