#include "data/open.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "core/error.h"
#include "data/image/idx_source.h"
#include "data/image/image_set.h"
#include "data/image/preset.h"

namespace acm::data {
namespace {

config::Rule not_empty() {
  return {"the folder that holds the data",
          [](const config::Value& value) { return !std::get<std::string>(value).empty(); }};
}

config::Rule names() {
  return {"at least one name", [](const config::Value& value) {
            const auto& names = std::get<std::vector<std::string>>(value);
            return !names.empty() && std::ranges::none_of(names, &std::string::empty);
          }};
}

config::Rule none_one_or_three(std::string of_what, bool positive) {
  return {"empty, one or three " + std::move(of_what), [=](const config::Value& value) {
            const auto& numbers = std::get<std::vector<double>>(value);
            const bool sized = numbers.empty() || numbers.size() == 1 || numbers.size() == 3;
            return sized && std::ranges::all_of(numbers, [=](double number) {
                     return std::isfinite(number) && (!positive || number > 0);
                   });
          }};
}

config::Rule scale_range() {
  return {"two shares with 0 < low <= high <= 1", [](const config::Value& value) {
            const auto& range = std::get<std::vector<double>>(value);
            return range.size() == 2 && 0 < range[0] && range[0] <= range[1] && range[1] <= 1;
          }};
}

}  // namespace

void DataConfig::describe(config::Fields& fields) {
  using config::Effect;
  fields.add("kind", kind, config::one_of({"idx", "folder", "labelled", "shards"}),
             "layout of the data set: MNIST's files; a folder for each class; a folder of images and a file of labels; "
             "WebDataset tar files (docs/data.md)");
  fields.add("path", path, not_empty(), "the folder of the data set", Effect::kOperation);
  fields.add(
      "train", train, names(),
      "training data below path: idx: images, labels; folder: a folder of class folders; labelled: folder, file of "
      "labels (also for a split of kind folder); "
      "shards: tar files, with * or {0000..0123}");
  fields.add("test", test, names(), "test data, likewise");
  fields.add("image_column", image_column, config::any(),
             "labelled, CSV: the column with image names, with or without their ending");
  fields.add("label_column", label_column, config::any(), "labelled, CSV: the column with labels");
  fields.add("first_label", first_label, config::between(0, 1), "labelled: number of the first class");
  fields.add("class_names", class_names, config::any(),
             "file with one class a line, its name first, where labels or folders are names; empty: sorted names");
  fields.add("classes", classes, config::not_negative(), "number of classes; 0: as many as the labels need");
  fields.add(
      "preset", preset, config::one_of({"none", "augreg", "deit", "torchvision", "huggingface"}),
      "resize, interpolation, mean and std of a family of models (docs/data.md); none: as they are in the files");
  fields.add("size", size, config::between(1, 4096), "side of an input in pixels; idx has its own");
  fields.add("resize", resize, config::between(-1, 8192),
             "shorter side to which images are resized before the crop; 0: not resized; -1: of the preset");
  fields.add("interpolation", interpolation, config::one_of({"preset", "bilinear", "bicubic"}),
             "antialiased filter for resizing");
  fields.add("mean", mean, none_one_or_three("numbers", false),
             "subtracted from pixel values in [0, 1], for all channels or each; empty: of the preset");
  fields.add("std", std, none_one_or_three("positive numbers", true),
             "what pixel values are then divided by; empty: of the preset");
  fields.add("max_pixels", max_pixels, config::positive(), "larger images are refused before they are decoded",
             Effect::kOperation);
  fields.add("train_samples", train_samples, config::not_negative(), "use only the first so many; 0 is all");
  fields.add("test_samples", test_samples, config::not_negative(), "use only so many; 0 is all");
  fields.add("test_first", test_first, config::not_negative(), "leave out so many test samples at the start");
  fields.add("calibration", calibration, config::between(-1, 1e9),
             "training samples, chosen by the seed, on which no phase trains: budgets are met on them; -1: a tenth, at "
             "most 1000");
  fields.add("on_bad_sample", on_bad_sample, config::one_of({"error", "skip"}),
             "a sample that cannot be read ends the run, or is named, counted and replaced by the next");
  fields.add("loader_threads", loader_threads, config::between(0, 1024),
             "threads that fetch samples, on each rank; 0: its share of the cores", Effect::kOperation);
}

void AugmentConfig::describe(config::Fields& fields) {
  using config::between;
  fields.add("crop_padding", crop_padding, config::not_negative(),
             "idx: images are cropped at random from themselves with this many zero pixels around; 0 is off");
  fields.add("flip", flip, config::any(), "mirror half of the images left to right");
  fields.add("random_resized_crop", random_resized_crop, config::any(),
             "a random part of the image, bicubic to the input's size, instead of the centre");
  fields.add("crop_scale", crop_scale, scale_range(), "range of that part's share of the image's area");
  fields.add("three_augment", three_augment, config::any(), "one of grayscale, solarize and blur (DeiT-III)");
  fields.add("colour_jitter", colour_jitter, config::between(0, 1),
             "largest change of brightness, contrast and saturation, in random order");
  fields.add("mixup", mixup, config::not_negative(), "alpha of mixup; 0: off");
  fields.add("cutmix", cutmix, config::not_negative(), "alpha of cutmix; 0: off");
  fields.add("mix_switch", mix_switch, between(0, 1), "probability of cutmix where both are on");
  fields.add("mix_probability", mix_probability, between(0, 1), "probability that a step is mixed");
  fields.add("label_smoothing", label_smoothing, between(0, 0.99), "weight that the target spreads over all classes");
}

std::unique_ptr<DataSource> open_source(const DataConfig& config, Split split,
                                        const std::filesystem::path& index_folder, const Say& say) {
  if (config.kind == "idx") return open_idx(config, split);
  if (config.kind != "folder" && config.kind != "labelled" && config.kind != "shards") {
    throw std::logic_error("no data source is called " + config.kind);
  }
  preprocessing_of(config);  // a fault of the settings is told before folders are walked
  const Search search = {config, split, index_folder, say};
  const size_t names = search.names().size();
  if (config.kind == "shards") return make_image_source(config, split, find_shards(search));
  if (names == 2) return make_image_source(config, split, find_labelled(search));
  if (names == 1 && config.kind == "folder") return make_image_source(config, split, find_class_folders(search));
  throw Error(Fault::kUsage, "cannot open the images of " + config.path + ": data." +
                                 (split == Split::kTrain ? "train" : "test") + " has " + std::to_string(names) +
                                 " names; for data.kind = \"" + config.kind +
                                 (config.kind == "folder" ? "\" it is one folder, or a folder and a file of labels"
                                                          : "\" it is a folder and a file of labels"));
}

}  // namespace acm::data
