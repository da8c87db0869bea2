#include "nn/sample_groups.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include "nn/random_tensor.h"
#include "nn/vit/vit.h"

namespace acm::nn {
namespace {

// Of 17 tokens: 94 samples make a group.
constexpr int64_t kSamples = 200, kGroup = 94;

struct Pass {
  at::Tensor outputs;
  Recorder recorder;
};

class SampleGroups : public testing::Test {
 protected:
  SampleGroups() : backbone_(make_vit({.width = 16, .depth = 2, .heads = 2, .hidden = 32})) {
    backbone_->initialise(StreamKey(1));
    batch_.inputs = at::empty({kSamples, 1, 28, 28});
    fill_normal(batch_.inputs, StreamKey(2), 1);
    batch_.positions = at::arange(kSamples);
  }

  template <typename Forward>
  Pass pass(const data::Batch& batch, const Forward& forward) {
    Pass pass{{}, Recorder(backbone_->sites().size(), Recorder::Keep::kActivations)};
    TokenContext context;
    context.positions = batch.positions;
    context.recorder = &pass.recorder;
    pass.outputs = forward(batch, context);
    return pass;
  }
  Pass in_groups() {
    return pass(batch_,
                [&](const auto& batch, auto& context) { return forward_in_groups(*backbone_, batch, context); });
  }
  Pass together(int64_t first, int64_t count) {
    data::Batch part;
    part.inputs = batch_.inputs.narrow(0, first, count);
    part.positions = batch_.positions.narrow(0, first, count);
    return pass(part, [&](const auto& batch, auto& context) { return backbone_->forward(batch, context); });
  }

  std::shared_ptr<Backbone> backbone_;
  data::Batch batch_;
};

TEST_F(SampleGroups, AreJoinedInOrderForAnyNumberOfThreads) {
  const at::NoGradGuard no_grad;
  const int threads = at::get_num_threads();
  const auto first = together(0, kGroup), second = together(kGroup, kGroup), third = together(2 * kGroup, 12);
  const auto expected = at::cat({first.outputs, second.outputs, third.outputs});
  for (const int count : {1, 3, 4}) {  // 4: more than there are groups
    at::set_num_threads(count);
    const auto found = in_groups();
    EXPECT_TRUE(found.outputs.equal(expected)) << count;
    for (size_t site = 0; site < found.recorder.size(); ++site) {
      const auto of = [&](const Pass& pass) { return pass.recorder.at(site); };
      EXPECT_TRUE(found.recorder.at(site).input.equal(at::cat({of(first).input, of(second).input, of(third).input})));
      EXPECT_TRUE(
          found.recorder.at(site).output.equal(at::cat({of(first).output, of(second).output, of(third).output})));
      EXPECT_FALSE(found.recorder.at(site).choice.defined());
    }
  }
  at::set_num_threads(threads);
}

TEST_F(SampleGroups, WithGradientsThereAreNone) {
  const auto found = in_groups();
  EXPECT_TRUE(found.outputs.requires_grad());
  EXPECT_TRUE(found.outputs.equal(together(0, kSamples).outputs));
}

}  // namespace
}  // namespace acm::nn
