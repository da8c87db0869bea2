#include "phases/module_state.h"

#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include "train/state_visitors.h"

namespace acm::phases {
namespace {

struct Net : torch::nn::Module {
  Net() {
    weight = register_parameter("weight", at::ones({3, 2}));
    bias = register_parameter("bias", at::ones({3}));
    frozen = register_parameter("frozen", at::ones({2, 2}), false);
  }
  at::Tensor weight, bias, frozen;
};

struct Held final : train::Stateful {
  explicit Held(torch::nn::Module& module) : module(module) {}
  void visit_state(train::StateVisitor& visitor) override { visit_parameters(module, visitor); }
  torch::nn::Module& module;
};

TEST(OneGroup, OnlyMatricesDecay) {
  Net net;
  const auto groups = one_group(net, 0.05);
  ASSERT_EQ(groups.size(), 1u);
  ASSERT_EQ(groups[0].parameters.size(), 2u);
  EXPECT_EQ(groups[0].parameters[0].name, "weight");
  EXPECT_EQ(groups[0].parameters[0].weight_decay, 0.05);
  EXPECT_EQ(groups[0].parameters[1].name, "bias");
  EXPECT_EQ(groups[0].parameters[1].weight_decay, 0);
  EXPECT_EQ(groups[0].max_grad_norm, 1);
}

TEST(OneGroup, FrozenParametersAreNotTrained) {
  Net net;
  net.weight.set_requires_grad(false);
  const auto groups = one_group(net);
  ASSERT_EQ(groups[0].parameters.size(), 1u);
  EXPECT_TRUE(groups[0].parameters[0].tensor.is_same(net.bias));
}

TEST(VisitParameters, WalksAllByName) {
  Net net;
  Held held(net);
  const auto state = train::state_of({{"net", &held}});
  ASSERT_EQ(state.tensors.size(), 3u);
  EXPECT_EQ(state.tensors.at("net.frozen").const_data_ptr(), net.frozen.const_data_ptr());
  EXPECT_EQ(state.tensors.at("net.weight").const_data_ptr(), net.weight.const_data_ptr());
}

}  // namespace
}  // namespace acm::phases
