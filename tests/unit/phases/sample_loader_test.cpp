#include "phases/sample_loader.h"

#include <gtest/gtest.h>

#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"
#include "unit/phases/small_run.h"

namespace acm::phases {
namespace {

TEST(SlicesOfRank, StandSideBySide) {
  const Scratch scratch;
  comm::run_local_group(3, [&](comm::Communicator& group) {
    SmallRun small(scratch.folder(), group, [](Settings& s) { s.finetune.micro_batches = 2; });
    const auto slices = slices_of_rank(small.run(group), PhaseId::kFinetune);
    ASSERT_EQ(slices.size(), 2u);
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(slices[static_cast<size_t>(i)].index, 2 * group.rank() + i);
      EXPECT_EQ(slices[static_cast<size_t>(i)].count, 6);
    }
  });
}

TEST(SlicesOfRank, RefuseMoreSlicesThanItems) {
  const Scratch scratch;
  comm::run_local_group(2, [&](comm::Communicator& group) {
    SmallRun small(scratch.folder(), group, [](Settings& s) { s.pretrain.micro_batches = 4; });
    expect_error(Fault::kUsage, "cannot cut pretrain.batch = 7 into 8 slices (2 ranks x 4 micro-batches)",
                 [&] { slices_of_rank(small.run(group), PhaseId::kPretrain); });
  });
}

TEST(SlicesOfRank, KeepPairsThatAreMixed) {
  const Scratch scratch;
  comm::run_local_group(2, [&](comm::Communicator& group) {
    SmallRun small(scratch.folder(), group, [](Settings& s) {
      s.data.augment.mixup = 0.8;
      s.pretrain.batch = 6;
    });
    const auto run = small.run(group);
    EXPECT_EQ(slices_of_rank(run, PhaseId::kPretrain).front().unit, 2);
    EXPECT_EQ(slices_of_rank(run, PhaseId::kGating).front().unit, 1) << "cached tokens are not mixed";
    const auto batch =
        make_sample_loader(run, PhaseId::kPretrain)->get(slices_of_rank(run, PhaseId::kPretrain).front());
    EXPECT_EQ(batch.samples(), group.is_root() ? 4 : 2);
    EXPECT_EQ(batch.targets.sizes(), (at::IntArrayRef{batch.samples(), 3}));
    small.settings.pretrain.micro_batches = 2;
    expect_error(Fault::kUsage, "into 4 slices (2 ranks x 2 micro-batches) of whole pairs, which are mixed",
                 [&] { slices_of_rank(run, PhaseId::kPretrain); });
  });
}

TEST(SampleLoader, ServesTheSameSamplesForAnyCut) {
  const Scratch scratch;
  const auto solo = comm::make_solo_communicator();
  SmallRun whole(scratch.folder(), *solo);
  const auto run = whole.run(*solo);
  const auto batch = make_sample_loader(run, PhaseId::kPretrain)->get({.step = 3});
  EXPECT_EQ(batch.samples(), 7);
  EXPECT_EQ(batch.positions[0].item<int64_t>(), 21);

  SmallRun cut(scratch.folder(), *solo, [](Settings& s) { s.pretrain.micro_batches = 2; });
  const auto cut_run = cut.run(*solo);
  const auto loader = make_sample_loader(cut_run, PhaseId::kPretrain);
  const auto first = loader->get({.step = 3, .index = 0, .count = 2}),
             second = loader->get({.step = 3, .index = 1, .count = 2});
  EXPECT_TRUE(batch.inputs.narrow(0, 0, 4).equal(first.inputs));
  EXPECT_TRUE(batch.inputs.narrow(0, 4, 3).equal(second.inputs));
  EXPECT_FALSE(make_sample_loader(run, PhaseId::kFinetune)->get({.step = 3}).labels.equal(batch.labels));
}

}  // namespace
}  // namespace acm::phases
