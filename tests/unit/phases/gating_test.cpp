#include "phases/gating.h"

#include <gtest/gtest.h>

#include "phases/capture.h"
#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"
#include "unit/phases/small_run.h"

namespace acm::phases {
namespace {

void save_inputs(const Run& run) {
  save_dense_model(run);
  save_acm_model(run, PhaseId::kDistill);
}

std::filesystem::path gated_by(int ranks, int64_t micro_batches, const std::filesystem::path& folder) {
  run_small_group(
      ranks, folder, [&](Settings& s) { s.gating.micro_batches = micro_batches; }, save_inputs,
      [](const auto& run) { EXPECT_EQ(run_gating(run), train::Outcome::kFinished); });
  return RunFolder(folder).model(PhaseId::kGating);
}

TEST(Gating, ReachesTheSameModelForAnyCut) {
  const Scratch scratch;
  const auto alone = gated_by(1, 1, scratch / "1");
  EXPECT_LT(model_distance(gated_by(1, 2, scratch / "1x2"), alone), 1e-10);
  EXPECT_LT(model_distance(gated_by(2, 1, scratch / "2"), alone), 1e-10);
  EXPECT_LT(model_distance(gated_by(3, 2, scratch / "3x2"), alone), 1e-10);
}

// One sample a segment and a group; steps of 16 rows cross the windows.
TEST(Gating, LeavesTheSameBytesWhateverFitsOnTheDisk) {
  const Scratch scratch;
  const auto gated = [&](int ranks, int64_t max_bytes) {
    const auto folder = scratch / (std::to_string(ranks) + "-" + std::to_string(max_bytes));
    run_small_group(
        ranks, folder,
        [&](Settings& s) {
          s.cache.segment_samples = s.cache.micro_batch = s.cache.shuffle_segments = 1;
          s.cache.max_bytes = max_bytes;
          s.gating.steps = 12;
          s.gating.label_samples = 6;
        },
        save_inputs, [](const auto& run) { EXPECT_EQ(run_gating(run), train::Outcome::kFinished); });
    EXPECT_EQ(digests_in(folder / "cache").size() == 10, max_bytes == 0);
    return digest_of_file(RunFolder(folder).model(PhaseId::kGating));
  };
  for (const int ranks : {1, 2}) {
    const auto all = gated(ranks, 0);
    const auto segment = static_cast<int64_t>(
        std::filesystem::file_size(scratch / (std::to_string(ranks) + "-0") / "cache" / "segment-00003.h5"));
    for (const int64_t groups : {2, 5})
      EXPECT_EQ(gated(ranks, groups * (segment + 16)), all) << ranks << " x " << groups;
  }
}

TEST(Gating, AddsGatesAndLeavesEverythingElseAlone) {
  const Scratch scratch;
  const auto after = nn::read_model_file(gated_by(1, 1, scratch / "run"));
  const auto before = nn::read_model_file(RunFolder(scratch / "run").model(PhaseId::kDistill));
  EXPECT_EQ(after.description.at("phase"), Json("gating"));
  EXPECT_EQ(after.description.at("parent"), Json(before.digest));
  EXPECT_EQ(after.tensors.size(), before.tensors.size() + 10 * 4);  // two layers of weights and biases at ten sites
  for (const auto& [name, value] : before.tensors) EXPECT_TRUE(after.tensors.at(name).equal(value)) << name;
}

// Weights and price of the allocation are part of the state: a start from a checkpoint fetches no samples for them.
TEST(Gating, AStartFromACheckpointDoesNotMeasureAgain) {
  const Scratch scratch;
  const std::unique_ptr<comm::Communicator> solo = comm::make_solo_communicator();
  const auto gated = [&](bool stop, train::Outcome outcome) {
    SmallRun small(scratch.folder(), *solo);
    if (stop) small.stop.request_stop();
    EXPECT_EQ(run_gating(small.run(*solo)), outcome);
    return small.train_data.gets.load();
  };
  SmallRun first(scratch.folder(), *solo);
  const auto run = first.run(*solo);
  save_inputs(run);
  ASSERT_TRUE(Capture(run).fill());
  EXPECT_GE(gated(true, train::Outcome::kStopped), 10);  // after its first step; the cache has ten samples
  EXPECT_LT(gated(false, train::Outcome::kFinished), 10);
}

TEST(Gating, AnAutomaticWidthIsStoredInTheModel) {
  const Scratch scratch;
  run_small_group(
      1, scratch / "run", [](Settings& s) { s.gate.hidden = 0; }, save_inputs,
      [](const auto& run) { EXPECT_EQ(run_gating(run), train::Outcome::kFinished); });
  const auto model = nn::read_model_file(RunFolder(scratch / "run").model(PhaseId::kGating));
  EXPECT_EQ(model.description.at("gate").at("hidden"), Json(4));
}

class GatingInput : public testing::Test {
 protected:
  void expect_refused(PhaseId model, const std::string& part) {
    small_.settings.gating.model = run_.folder.model(model).string();
    expect_error(Fault::kUsage, "cannot train gates for " + small_.settings.gating.model + ": " + part,
                 [&] { run_gating(run_); });
  }
  const Scratch scratch_;
  const std::unique_ptr<comm::Communicator> solo_ = comm::make_solo_communicator();
  SmallRun small_{scratch_.folder(), *solo_};
  const phases::Run run_ = small_.run(*solo_);
};

TEST_F(GatingInput, IsAModelOfPhase1) {
  save_inputs(run_);
  save_acm_model(run_, PhaseId::kGating);
  expect_refused(PhaseId::kPretrain, "it is a dense model");
  expect_refused(PhaseId::kGating, "it has gates already");
}

TEST_F(GatingInput, IsMadeFromTheTeacher) {
  save_acm_model(run_, PhaseId::kDistill);
  save_dense_model(run_);
  expect_refused(PhaseId::kDistill, "its learners come from a model with the digest none");
}

TEST_F(GatingInput, HasNoSiteThatTheCacheLacks) {
  save_inputs(run_);
  small_.settings.acm.sites = {"q", "k", "v", "o"};
  expect_refused(PhaseId::kDistill, "its site blocks.0.ffn is not among those of acm.sites");
}

TEST(Gating, RefusesMoreRanksThanTheBatchCanBeCutInto) {
  const Scratch scratch;
  expect_error(Fault::kUsage, "cannot cut gating.batch = 16 into 18 slices", [&] { gated_by(2, 9, scratch / "run"); });
}

}  // namespace
}  // namespace acm::phases
