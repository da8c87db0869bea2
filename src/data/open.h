#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/describe.h"
#include "data/source.h"

namespace acm::data {

// The keys of [augment]: what is random in training samples. Off by default; the recipe of DeiT-III is written out in
// configs/vit_base_imagenet.toml.
struct AugmentConfig {
  int64_t crop_padding = 0;  // idx: random crop of the image padded with zeros by this many pixels on each side
  bool flip = false;         // mirror left and right with probability one half
  bool random_resized_crop = false;
  std::vector<double> crop_scale = {0.08, 1.0};  // range of the crop's share of the image's area
  bool three_augment = false;                    // one of grayscale, solarize, blur
  double colour_jitter = 0;                      // strength for brightness, contrast and saturation
  double mixup = 0, cutmix = 0;                  // alpha of the Beta distribution of lambda; 0: off
  double mix_switch = 0.5;                       // probability of cutmix where both are on
  double mix_probability = 1;                    // of a step to be mixed at all
  double label_smoothing = 0;
  void describe(config::Fields& fields);
  bool mixes() const { return mixup > 0 || cutmix > 0; }
  bool operator==(const AugmentConfig&) const = default;
};

// The keys of [data].
struct DataConfig {
  std::string kind = "idx";
  std::string path;
  // What holds each split: idx: images, labels; folder: a folder of class folders; labelled: a folder of images, a file
  // of labels; shards: names or patterns of tar files.
  std::vector<std::string> train = {"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"};
  std::vector<std::string> test = {"t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"};
  std::string image_column, label_column;  // labelled, CSV
  int64_t first_label = 0;                 // number of the first class in the file of labels
  std::string class_names;                 // file of class names in index order, where labels are names
  int64_t classes = 0;                     // 0: as many as the labels need
  std::string preset = "none";             // how a model family prepares images
  int64_t size = 224;                      // side of an input, in pixels
  int64_t resize = -1;                     // the shorter side before the crop; 0: not resized; -1: of the preset
  std::string interpolation = "preset";
  std::vector<double> mean, std;  // of pixel values in [0, 1], one or one a channel; empty: of the preset
  int64_t max_pixels = 64'000'000;
  int64_t train_samples = 0, test_samples = 0;  // use only so many; 0: all
  int64_t test_first = 0;                       // leave out so many test samples at the start
  int64_t calibration = -1;                     // training samples held back; -1: min(1000, 10 %)
  std::string on_bad_sample = "error";
  int64_t loader_threads = 0;  // 0: the rank's share of the cores
  AugmentConfig augment;
  void describe(config::Fields& fields);
};

enum class Split { kTrain, kTest };

// The data set that `config.kind` names. Error(kData) where its files are missing or damaged. What is found by walking
// folders or reading tar files is kept in `index_folder` (empty: nowhere) and read from there the next time, after a
// check that it still is so. `say` hears of what users should know: an index that is made again, images without a
// label.
using Say = std::function<void(const std::string&)>;
std::unique_ptr<DataSource> open_source(const DataConfig& config, Split split,
                                        const std::filesystem::path& index_folder = {}, const Say& say = {});

// The samples of a run. `calibration` (null where there is none) is cut from the training samples by the key and is
// seen as evaluation sees samples, without augmentation: no phase trains on it.
struct Sources {
  std::unique_ptr<DataSource> train, calibration, test;
  std::vector<std::string> notes;  // what users should know, each once
};
// How many of so many training samples become calibration samples. Error(kUsage) where none would be left to train on.
int64_t calibration_samples(const DataConfig& config, int64_t training);
Sources open_sources(const DataConfig& config, StreamKey key, const std::filesystem::path& index_folder);

}  // namespace acm::data
