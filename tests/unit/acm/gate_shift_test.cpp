#include "acm/gate_shift.h"

#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "unit/nn/small_vit.h"

namespace acm {
namespace {

std::shared_ptr<nn::Backbone> gated_vit(int64_t depth) {
  auto vit = nn::scattered_vit(nn::small_vit());
  convert_sites(*vit, {.learners = 3, .kinds = {"ffn", "q"}}, StreamKey(1));
  add_gates(*vit, {.hidden = 4, .depth = depth}, StreamKey(2));
  return vit;
}

TEST(GateShift, AddsTheShiftForEveryLearnerToTheLogits) {
  for (const int64_t depth : {2, 3}) {
    const auto vit = gated_vit(depth);
    const auto sites = acm_sites(*vit);
    const auto tokens = at::ones({5, 16});
    const auto logits = [&](size_t site) { return sites[site].layer->gate()->forward(tokens).detach(); };
    const auto query = logits(0), feed_forward = logits(1);
    GateShift gates(*vit);
    gates.set(0.5);
    // q may run 1..3 learners, the FFN 0..3.
    EXPECT_TRUE(logits(0).allclose(query + at::tensor({0.5f, 1.0f, 1.5f})));
    EXPECT_TRUE(logits(1).allclose(feed_forward + at::tensor({0.0f, 0.5f, 1.0f, 1.5f})));
    gates.set(-2);  // from where the gates were, not from where they are
    EXPECT_TRUE(logits(1).allclose(feed_forward + at::tensor({0.0f, -2.0f, -4.0f, -6.0f})));
    gates.set(0);
    EXPECT_TRUE(logits(0).equal(query));
    EXPECT_TRUE(logits(1).equal(feed_forward));
  }
}

}  // namespace
}  // namespace acm
