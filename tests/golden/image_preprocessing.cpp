#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <cstring>

#include "core/file.h"
#include "data/image/decode.h"
#include "data/image/preset.h"
#include "data/image/transform.h"
#include "golden/kinds.h"
#include "unit/data/image/pictures.h"

namespace golden {
namespace {

using namespace acm::data;

constexpr int64_t kNoLimit = int64_t{1} << 40;

Image image_of(const at::Tensor& pixels) {
  const auto* from = pixels.const_data_ptr<uint8_t>();
  return {pixels.size(0), pixels.size(1), std::vector<uint8_t>(from, from + pixels.numel())};
}

at::Tensor tensor_of(const Image& image) {
  at::Tensor out = at::empty({image.height, image.width, 3}, at::TensorOptions().dtype(at::kByte));
  std::memcpy(out.mutable_data_ptr<uint8_t>(), image.pixels.data(), image.pixels.size());
  return out;
}

std::string file_of(const at::Tensor& bytes) {
  return {reinterpret_cast<const char*>(bytes.const_data_ptr<uint8_t>()), static_cast<size_t>(bytes.numel())};
}

Filter filter_of(const acm::Json& run) {
  return run.at("filter").as_string() == "bicubic" ? Filter::kBicubic : Filter::kBilinear;
}

// A tensor of the case, or a photograph beside the vectors.
Image source_of(const Case& golden, const std::string& name) {
  if (golden.has(name)) return image_of(golden.tensor(name));
  const std::string file =
      acm::read_file(std::filesystem::path(ACM_SHARED_DATA) / "nips17_imagenet_compatible_1000/images" / name);
  return decode_image(bytes_of(file), kNoLimit);
}

Preprocessing preprocessing_of_run(const acm::Json& run) {
  Preprocessing out;
  out.filter = filter_of(run);
  if (const acm::Json* exact = run.find("resize_exact")) {
    out.resize = Preprocessing::Resize::kWhole;
    out.size = exact->as_array().front().as_int();
  } else {
    out.resize = Preprocessing::Resize::kShorterSide;
    out.shorter_side = run.at("resize_shortest").as_int();
    out.size = run.at("crop").as_int();
  }
  return out;
}

void expect_geometry(const acm::Json& run, const Geometry& geometry) {
  const acm::Json* resized = run.find("resized");
  if (!resized) return;
  EXPECT_EQ(geometry.resized.height, resized->at("height").as_int());
  EXPECT_EQ(geometry.resized.width, resized->at("width").as_int());
  EXPECT_EQ(geometry.window.top, run.at("offset").at("top").as_int());
  EXPECT_EQ(geometry.window.left, run.at("offset").at("left").as_int());
}

// The whole way from a file to an input.
void expect_normalised(Case& golden, const std::string& name, std::vector<double> mean, std::vector<double> std) {
  DataConfig config;
  config.size = 56;
  config.resize = 64;
  config.mean = std::move(mean);
  config.std = std::move(std);
  const std::string file = png(image_of(golden.tensor("tall.decoded")));
  const at::Tensor actual = ImageTransform(config, Split::kTest)(bytes_of(file), acm::StreamKey());
  const at::Tensor difference = (actual - golden.tensor(name)).abs().max();
  golden.note_compared(name);
  EXPECT_LE(difference.item<float>(), 1e-6f) << name;
}

}  // namespace

void test_image_preprocessing(Case& golden) {
  for (const acm::Json& run : golden.config().at("runs").as_array()) {
    const std::string& name = run.at("name").as_string();
    SCOPED_TRACE(name);
    const Image source = source_of(golden, run.at("source").as_string());
    const Preprocessing preprocessing = preprocessing_of_run(run);
    const Geometry geometry = geometry_of(preprocessing, {source.height, source.width});
    expect_geometry(run, geometry);
    const Image result = resize_window(source, geometry.resized, geometry.window, preprocessing.filter);
    // Ours is the route through PIL; the other one may be one grey level away.
    golden.expect_within(name, tensor_of(result), run.find("route") ? 1 : 0);
  }
  expect_normalised(golden, "tall.normalised_half", {0.5}, {0.5});
  expect_normalised(golden, "tall.normalised_imagenet", {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225});
}

// Files of all kinds as Pillow decodes them, and parts as it resizes them.
void test_image_files(Case& golden) {
  for (const acm::Json& file : golden.config().at("files").as_array()) {
    const std::string& name = file.as_string();
    const std::string bytes = file_of(golden.tensor(name));
    golden.expect_equal(name + ".pixels", tensor_of(decode_image(bytes_of(bytes), kNoLimit)));
  }
  for (const acm::Json& run : golden.config().at("resized").as_array()) {
    const auto& box = run.at("box").as_array();
    const auto edge = [&](size_t i) { return box[i].as_double(); };
    const Image result =
        resize(image_of(golden.tensor("noise")), edge(0), edge(1), edge(2) - edge(0), edge(3) - edge(1),
               {run.at("height").as_int(), run.at("width").as_int()}, filter_of(run));
    golden.expect_equal(run.at("name").as_string(), tensor_of(result));
  }
}

}  // namespace golden
