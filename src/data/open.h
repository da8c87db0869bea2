#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/describe.h"
#include "data/source.h"

namespace acm::data {

// The keys of [data].
struct DataConfig {
  std::string kind = "idx";
  std::string path;
  std::vector<std::string> train = {"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"};
  std::vector<std::string> test = {"t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"};
  double mean = 0.0, std = 1.0;  // of pixel values in [0, 1]
  int64_t crop_padding = 0;      // random crop of the image padded with zeros by this many pixels on each side; 0: off
  bool flip = false;             // mirror left and right with probability one half
  int64_t train_samples = 0;     // use only the first so many; 0: all
  int64_t test_samples = 0;
  int64_t loader_threads = 1;
  void describe(config::Fields& fields);
};

enum class Split { kTrain, kTest };

// The data set that `config.kind` names. Error(kData) where its files are missing or damaged.
std::unique_ptr<DataSource> open_source(const DataConfig& config, Split split);

}  // namespace acm::data
