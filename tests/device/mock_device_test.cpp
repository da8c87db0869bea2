#include "device/mock_device.h"

#include <ATen/Context.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <gtest/gtest.h>

namespace acm {
namespace {

at::Tensor numbers(at::IntArrayRef sizes) {
  return at::arange(c10::multiply_integers(sizes), at::kDouble).mul(0.7).sin().reshape(sizes);
}

TEST(MockDevice, ForwardAndBackwardAreTheCpus) {
  const auto gradient = [](at::Device device) {
    const at::Tensor weight = numbers({3, 6}).to(device).set_requires_grad(true);
    at::gelu(at::linear(numbers({4, 6}).to(device), weight)).narrow(1, 0, 2).square().sum().backward();
    return weight.grad().to(at::kCPU);
  };
  EXPECT_TRUE(gradient(mock_device()).equal(gradient(at::kCPU)));
}

TEST(MockDevice, ViewsShareMemory) {
  const at::Tensor all = numbers({2, 3, 4}).to(mock_device());
  all.view({6, 4}).select(0, 5).zero_();
  EXPECT_EQ(all.to(at::kCPU)[1][2].abs().sum().item<double>(), 0);
}

TEST(MockDevice, TensorsOfTheHostAreRefused) {
  EXPECT_THROW(numbers({4}).to(mock_device()).add(numbers({4})), c10::Error);
  EXPECT_NO_THROW(numbers({4}).to(mock_device()).add(at::full({}, 2.0)));
}

TEST(MockDevice, WaitsOfTheHostAreCountedAndForbidden) {
  const at::Tensor there = numbers({4}).to(mock_device());
  const int64_t before = host_syncs();
  EXPECT_EQ(there.sum().mul(2).numel(), 1);
  EXPECT_EQ(host_syncs(), before);
  there.sum().item<double>();
  there.to(at::kCPU);
  numbers({4}).to(mock_device());
  EXPECT_EQ(host_syncs(), before + 3);
  const HostSyncsForbidden forbidden;
  EXPECT_THROW(there.sum().item<double>(), c10::Error);
  EXPECT_NO_THROW(numbers({4}).to(mock_device(), /*non_blocking=*/true));
}

TEST(MockDevice, ACopyToTheHostArrivesWithItsEvent) {
  const at::Tensor there = numbers({4}).to(mock_device());
  const at::Tensor here = at::empty({4}, at::TensorOptions().dtype(at::kDouble).pinned_memory(true));
  here.copy_(there, /*non_blocking=*/true);
  c10::Event event(mock_device().type());
  event.record(c10::impl::VirtualGuardImpl(mock_device().type()).getStream(mock_device()));
  EXPECT_TRUE(here.isnan().all().item<bool>());
  event.synchronize();
  EXPECT_TRUE(here.equal(numbers({4})));
}

TEST(MockDevice, ACopyOnAnotherStreamArrivesWithItsEventInRecordedMemory) {
  const c10::impl::VirtualGuardImpl guard(mock_device().type());
  const c10::Stream computing = guard.getStream(mock_device()), other = guard.getStreamFromGlobalPool(mock_device());
  const at::Tensor there = [&] {
    const c10::StreamGuard copying(other);
    return numbers({4}).to(mock_device(), /*non_blocking=*/true);
  }();
  c10::Event event(mock_device().type());
  event.record(other);
  EXPECT_THROW(there.cpu(), c10::Error);
  guard.recordDataPtrOnStream(there.storage().data_ptr(), computing);
  EXPECT_TRUE(there.cpu().isnan().all().item<bool>());
  event.block(computing);
  EXPECT_TRUE(there.cpu().equal(numbers({4})));
}

TEST(MockDevice, ListsOfTensorsAreUpdatedInPlace) {
  const auto updated = [](at::Device device) {
    const at::Tensor parameter = numbers({5}).to(device), steps = at::ones({}, at::kFloat).to(device);
    at::_fused_adamw_({parameter}, {parameter.mul(2)}, {parameter.mul(0)}, {parameter.mul(0)}, {}, {steps}, 0.1, 0.9,
                      0.999, 0, 1e-8, false, false);
    return parameter.to(at::kCPU);
  };
  EXPECT_TRUE(updated(mock_device()).equal(updated(at::kCPU)));
  EXPECT_FALSE(updated(mock_device()).equal(numbers({5})));
}

}  // namespace
}  // namespace acm
