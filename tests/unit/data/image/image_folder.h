#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "core/file.h"
#include "data/open.h"
#include "unit/core/scratch.h"
#include "unit/data/image/pictures.h"

namespace acm::data {

constexpr int64_t kSide = 8;

// Settings for pictures of kSide, as they are in the files.
inline DataConfig image_config(const Scratch& scratch, const std::string& kind) {
  DataConfig config;
  config.kind = kind;
  config.path = scratch.folder().string();
  config.size = kSide;
  config.train = {"train"};
  config.test = {"val"};
  return config;
}

// Writes a picture that no other `number` has; made of one colour, so that JPEG keeps it.
inline std::string numbered(int number) {
  Image image = picture(kSide, kSide);
  for (uint8_t& value : image.pixels) value = static_cast<uint8_t>(10 * number);
  return png(image);
}

inline void write_image(const Scratch& scratch, const std::string& name, int number) {
  const auto path = scratch / name;
  make_folder(path.parent_path());
  replace_file(path, numbered(number));
}

// "NUMBER:LABEL" of every sample, in order.
inline std::vector<std::string> contents(const DataSource& source) {
  std::vector<std::string> out;
  for (int64_t i = 0; i < source.size(); ++i) {
    const Sample sample = source.get(i, StreamKey());
    const double number = sample.input.const_data_ptr<float>()[0] * 25.5;
    out.push_back(std::to_string(static_cast<int>(number + 0.5)) + ":" + std::to_string(sample.label));
  }
  return out;
}

using Contents = std::vector<std::string>;

}  // namespace acm::data
