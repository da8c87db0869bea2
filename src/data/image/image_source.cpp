#include <c10/util/Exception.h>

#include <algorithm>

#include "core/digest.h"
#include "core/error.h"
#include "data/image/image_set.h"
#include "data/image/image_tree.h"
#include "data/image/shard_files.h"
#include "data/image/transform.h"
#include "data/stack.h"

namespace acm::data {
namespace {

class ImageSource final : public DataSource {
 public:
  ImageSource(const DataConfig& config, Split split, ImageSet images)
      : images_(std::make_shared<ImageSet>(std::move(images))),
        transform_(config, split),
        kind_(config.kind),
        split_(split),
        most_file_bytes_(config.max_pixels) {
    check_classes(config);
    select(config);
    digest_ = digest_of_entries();
  }

  int64_t size() const override { return static_cast<int64_t>(images_->index.entries.size()); }

  Sample get(int64_t index, StreamKey augmentation) const override {
    TORCH_CHECK(index >= 0 && index < size(), "sample ", index, " of ", size());
    const ImageEntry& entry = images_->index.entries[static_cast<size_t>(index)];
    try {
      const std::string file = read(entry);
      const Bytes bytes(reinterpret_cast<const uint8_t*>(file.data()), file.size());
      return {transform_(bytes, augmentation), entry.label, index};
    } catch (const Error& error) {
      throw Error(error.fault(), "cannot use the image " + path(entry) + ": " + error.what());
    }
  }

  Batch collate(std::span<const Sample> samples) const override { return stack(samples); }
  std::unique_ptr<DataSource> unaugmented() const override {
    auto transform = transform_.unaugmented();
    if (!transform) return nullptr;
    auto plain = std::make_unique<ImageSource>(*this);
    plain->transform_ = std::move(*transform);
    return plain;
  }
  int64_t classes() const override { return images_->classes; }

  std::array<int64_t, 3> input_shape() const override {
    const Json json = transform_.preprocessing();
    return {json.at("channels").as_int(), json.at("height").as_int(), json.at("width").as_int()};
  }

  Json identity() const override {
    return Json::object({{"kind", kind_},
                         {"split", split_ == Split::kTrain ? "train" : "test"},
                         {"samples", size()},
                         {"files", digest_},
                         {"preprocessing", preprocessing()},
                         {"augmentation", transform_.augmentation()}});
  }
  Json preprocessing() const override { return transform_.preprocessing(); }

 private:
  std::string path(const ImageEntry& entry) const { return (images_->root / images_->index.path(entry)).string(); }

  void check_classes(const DataConfig& config) {
    if (config.classes == 0) return;
    for (const ImageEntry& entry : images_->index.entries) {
      if (entry.label < config.classes) continue;
      throw Error(Fault::kData, "cannot use the image " + path(entry) + ": its class is number " +
                                    std::to_string(entry.label) +
                                    ", counted from 0, and data.classes = " + std::to_string(config.classes));
    }
    images_->classes = config.classes;
  }

  void select(const DataConfig& config) {
    auto& entries = images_->index.entries;
    const bool training = split_ == Split::kTrain;
    const auto found = static_cast<int64_t>(entries.size());
    const int64_t left_out = training ? 0 : std::min(config.test_first, found);
    entries.erase(entries.begin(), entries.begin() + left_out);
    const int64_t limit = training ? config.train_samples : config.test_samples;
    if (limit > 0 && limit < size()) entries.resize(static_cast<size_t>(limit));
    entries.shrink_to_fit();
    if (!entries.empty()) return;
    throw Error(Fault::kData, "cannot use " + images_->root.string() + ": it has " + std::to_string(found) +
                                  (training ? " training" : " test") + " images" +
                                  (left_out > 0 ? ", and data.test_first leaves out all of them" : ""));
  }

  // Names below the split's folder (tar files: without theirs), sizes and classes; no path of this machine.
  std::string digest_of_entries() const {
    Digest digest;
    for (const ImageEntry& entry : images_->index.entries) {
      const std::string& container = images_->index.containers[static_cast<size_t>(entry.container)];
      digest.update(entry.offset < 0 ? std::string(below(container, images_->top))
                                     : std::filesystem::path(container).filename().string());
      digest.update("/").update(images_->index.name(entry));
      digest.update(" " + std::to_string(entry.bytes) + " " + std::to_string(entry.label) + "\n");
    }
    return digest.hex();
  }

  std::string read(const ImageEntry& entry) const {
    if (entry.bytes > most_file_bytes_) {
      throw Error(Fault::kData, "its file has " + std::to_string(entry.bytes) +
                                    " bytes, more than one for each of the pixels that data.max_pixels allows");
    }
    std::string bytes(static_cast<size_t>(entry.bytes), '\0');
    if (entry.offset >= 0) {
      const auto& container = images_->index.containers[static_cast<size_t>(entry.container)];
      shards_->open(entry.container, images_->root / container)->read(bytes.data(), entry.bytes, entry.offset);
      return bytes;
    }
    const FileHandle file(path(entry), FileHandle::Mode::kRead);
    if (const int64_t now = file.size(); now != entry.bytes) {
      throw Error(Fault::kData, "it has " + std::to_string(now) + " bytes and had " + std::to_string(entry.bytes) +
                                    " when the images were listed: it has changed; delete the index of images in the "
                                    "run folder and start again");
    }
    file.read(bytes.data(), entry.bytes, 0);
    return bytes;
  }

  std::shared_ptr<ImageSet> images_;  // unchanged once constructed
  ImageTransform transform_;
  std::string kind_;
  Split split_;
  int64_t most_file_bytes_;
  std::string digest_;
  std::shared_ptr<ShardFiles> shards_ = std::make_shared<ShardFiles>();
};

}  // namespace

std::unique_ptr<DataSource> make_image_source(const DataConfig& config, Split split, ImageSet images) {
  return std::make_unique<ImageSource>(config, split, std::move(images));
}

}  // namespace acm::data
