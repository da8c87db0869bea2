#include "train/metrics.h"

#include <gtest/gtest.h>

#include "unit/train/toy_phase.h"

namespace acm::train {
namespace {

at::Tensor number(double value, at::ScalarType dtype) { return at::empty({}, dtype).fill_(value); }

TEST(Metrics, AddsPartsAndShowsTheMeanOverSteps) {
  const auto solo = comm::make_solo_communicator();
  Metrics metrics;
  for (int step = 0; step < 4; ++step) {
    metrics.add("loss", number(1.5, at::kFloat));
    metrics.add("loss", number(0.5 * step, at::kDouble));
    metrics.add("tokens", 10.0);
    metrics.end_step();
  }
  EXPECT_EQ(metrics.steps(), 4);
  const auto row = metrics.take(*solo);
  EXPECT_EQ(row, (std::map<std::string, double>{{"loss", 1.5 + 0.75}, {"tokens", 10}}));
  EXPECT_EQ(metrics.steps(), 0);
  EXPECT_TRUE(metrics.take(*solo).empty());
}

TEST(Metrics, KeepsItsOwnCopyAndNoGraph) {
  const auto solo = comm::make_solo_communicator();
  at::Tensor value = number(2, at::kDouble).set_requires_grad(true);
  Metrics metrics;
  metrics.add("loss", value.mul(3));
  metrics.add("raw", value);
  value.detach().zero_();
  metrics.end_step();
  EXPECT_EQ(metrics.take(*solo), (std::map<std::string, double>{{"loss", 6}, {"raw", 2}}));
}

TEST(Metrics, SumsOverTheGroup) {
  comm::run_local_group(3, [](comm::Communicator& group) {
    Metrics metrics;
    for (int step = 0; step < 2; ++step) {
      metrics.add("loss", number(group.rank() + 1, at::kDouble));
      metrics.add("budget", 0.25);
      metrics.end_step();
    }
    EXPECT_EQ(metrics.take(group), (std::map<std::string, double>{{"loss", 6}, {"budget", 0.75}}));
  });
}

// Eight slices, however many ranks hold them. In float64 the order of additions shows in the last bits.
TEST(Metrics, OfTheSameSlicesHaveTheSameBitsOnAnyNumberOfRanks) {
  const auto taken_by = [](int ranks) {
    double loss = 0;
    comm::run_local_group(ranks, [&](comm::Communicator& group) {
      const int own = 8 / ranks;
      Metrics metrics;
      for (uint64_t step = 0; step < 3; ++step) {
        for (int i = 0; i < own; ++i) {
          metrics.begin_slice(static_cast<size_t>(i));
          metrics.add("loss", random_normal(StreamKey(step), static_cast<uint64_t>(group.rank() * own + i)));
        }
        metrics.end_step();
      }
      const auto row = metrics.take(group);
      if (group.is_root()) loss = row.at("loss");
    });
    return loss;
  };
  const double alone = taken_by(1);
  for (const int ranks : {2, 4, 8}) EXPECT_EQ(taken_by(ranks), alone) << ranks;
}

}  // namespace
}  // namespace acm::train
