#include "data/mixing.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/stack.h>
#include <gtest/gtest.h>

#include <cmath>

#include "golden/gradients.h"
#include "golden/kinds.h"
#include "nn/task.h"

namespace golden {

namespace {

using acm::data::Box;
using acm::data::Mix;

Box box_from(const acm::Json& json) {
  const auto at = [&](const char* key) { return json.at(key).as_int(); };
  return {.left = at("left"), .top = at("top"), .width = at("right") - at("left"), .height = at("bottom") - at("top")};
}

Mix mix_from(const acm::Json& run) {
  if (run.at("op").as_string() == "mixup") return {.kind = Mix::Kind::kMixup, .lambda = run.at("lambda").as_double()};
  return {.kind = Mix::Kind::kCutmix, .lambda = run.at("lambda").as_double(), .box = box_from(run.at("box"))};
}

// What becomes of each picture when it is mixed with the one that `partners` names.
at::Tensor mixed(const at::Tensor& images, const at::Tensor& partners, const Mix& mix) {
  std::vector<at::Tensor> out;
  for (int64_t i = 0; i < images.size(0); ++i) {
    const at::Tensor first = images[i].clone(), second = images[partners[i].item<int64_t>()].clone();
    mix_pair(first, second, mix);
    out.push_back(first);
  }
  return at::stack(out);
}

}  // namespace

// Targets are mixed as pictures of one row are, whatever is done to the pictures.
void test_mixing(Case& golden) {
  const at::Tensor images = golden.tensor("images"), labels = golden.tensor("labels");
  const acm::Json& config = golden.config();
  const at::Tensor targets = acm::data::smoothed_targets(
      labels, config.at("classes").as_int(), config.at("label_smoothing").as_double(), images.scalar_type());
  golden.expect("smoothed_target", targets);
  for (const acm::Json& run : config.at("runs").as_array()) {
    const Mix mix = mix_from(run);
    const at::Tensor partners = golden.tensor("permutation." + run.at("permutation").as_string());
    const std::string name = run.at("name").as_string();
    golden.expect(name + ".images", mixed(images, partners, mix));
    const at::Tensor rows = targets.view({targets.size(0), 1, 1, targets.size(1)});
    golden.expect(name + ".target",
                  mixed(rows, partners, {.kind = Mix::Kind::kMixup, .lambda = mix.lambda}).view_as(targets));
    if (mix.kind == Mix::Kind::kCutmix) {
      EXPECT_NEAR(share_outside(mix.box, {.height = images.size(2), .width = images.size(3)}), mix.lambda, 1e-12);
    }
  }
}

void test_cutmix_boxes(Case& golden) {
  for (const acm::Json& row : golden.json().at("rows").as_array()) {
    const acm::data::ImageSize size{.height = row.at("height").as_int(), .width = row.at("width").as_int()};
    const Box expected = box_from(row.at("box"));
    const Box box = acm::data::cutmix_box(size, row.at("lambda").as_double(), row.at("centre_y").as_int(),
                                          row.at("centre_x").as_int());
    EXPECT_EQ(box.top, expected.top);
    EXPECT_EQ(box.left, expected.left);
    EXPECT_EQ(box.height, expected.height);
    EXPECT_EQ(box.width, expected.width);
    EXPECT_NEAR(share_outside(box, size), row.at("corrected_lambda").as_double(), 1e-12);
  }
}

void test_cross_entropy(Case& golden) {
  const auto task = acm::nn::make_classification();
  const at::Tensor logits = golden.tensor("logits").requires_grad_();
  acm::data::Batch batch;
  batch.labels = golden.tensor("labels");
  const auto compare = [&](const std::string& name, const at::Tensor& targets) {
    batch.targets = targets;
    const at::Tensor loss = task->losses(logits, batch).mean();
    golden.expect(name + ".loss", loss);
    golden.expect_all(name + ".grad.", gradients(loss, {{"logits", logits}}));
  };
  compare("soft", golden.tensor("soft_target"));
  compare("smoothed", acm::data::smoothed_targets(batch.labels, logits.size(1),
                                                  golden.config().at("label_smoothing").as_double(), at::kDouble));
}

}  // namespace golden
