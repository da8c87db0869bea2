#include "data/open.h"

#include <stdexcept>

#include "data/image/idx_source.h"

namespace acm::data {
namespace {

config::Rule not_empty() {
  return {"the folder that holds the data",
          [](const config::Value& value) { return !std::get<std::string>(value).empty(); }};
}

config::Rule pair_of_names() {
  return {"two file names, images and labels", [](const config::Value& value) {
            const auto& names = std::get<std::vector<std::string>>(value);
            return names.size() == 2 && !names[0].empty() && !names[1].empty();
          }};
}

}  // namespace

void DataConfig::describe(config::Fields& fields) {
  using config::Effect;
  fields.add("kind", kind, config::one_of({"idx"}), "the format of the data set; idx is that of MNIST");
  fields.add("path", path, not_empty(), "the folder of the data set", Effect::kOperation);
  fields.add("train", train, pair_of_names(), "idx: training images and labels, gzip or plain");
  fields.add("test", test, pair_of_names(), "idx: test images and labels");
  fields.add("mean", mean, config::between(0, 1), "subtracted from pixel values in [0, 1]");
  fields.add("std", std, config::positive(), "what pixel values are then divided by");
  fields.add("crop_padding", crop_padding, config::not_negative(),
             "training images are cropped at random from themselves with this many zero pixels around; 0 is off");
  fields.add("flip", flip, config::any(), "mirror half of the training images left to right");
  fields.add("train_samples", train_samples, config::not_negative(), "use only the first so many; 0 is all");
  fields.add("test_samples", test_samples, config::not_negative(), "use only the first so many; 0 is all");
  fields.add("loader_threads", loader_threads, config::between(1, 1024), "threads that fetch batches, on each rank",
             Effect::kOperation);
}

std::unique_ptr<DataSource> open_source(const DataConfig& config, Split split) {
  if (config.kind == "idx") return open_idx(config, split);
  throw std::logic_error("no data source is called " + config.kind);
}

}  // namespace acm::data
