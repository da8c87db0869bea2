#include <gtest/gtest.h>

#include "core/error.h"
#include "parallel/shared_scratch.h"
#include "parallel/world.h"
#include "phases/capture.h"
#include "phases/distill.h"
#include "phases/evaluate.h"
#include "phases/finetune.h"
#include "phases/gating.h"
#include "phases/pretrain.h"
#include "unit/phases/small_run.h"

namespace acm::phases {
namespace {

using Work = std::function<void(const phases::Run&)>;

// Every phase once by all ranks in one folder, and by rank 0 alone in another, from the same inputs.
class Phases : public testing::Test {
 protected:
  void run(const SmallRun::Adjust& adjust, const Work& prepare, const Work& work) {
    auto& all = parallel_test::groups().control;
    const auto solo = comm::make_solo_communicator();
    if (all.is_root()) {
      make_folder(alone_.root());
      make_folder(together_.root());
      run_on(*solo, alone_, adjust, prepare);
      run_on(*solo, together_, adjust, prepare);
      run_on(*solo, alone_, adjust, work);
    }
    all.barrier();
    run_on(all, together_, adjust, work);
    all.barrier();
  }

  const parallel_test::SharedScratch scratch_{parallel_test::groups().control};
  const RunFolder alone_{scratch_ / "alone"}, together_{scratch_ / "together"};

 private:
  static void run_on(comm::Communicator& group, const RunFolder& folder, const SmallRun::Adjust& adjust,
                     const Work& work) {
    SmallRun small(folder.root(), group, adjust);
    work(small.run(group));
  }
};

void save_learners(const phases::Run& run) {
  save_dense_model(run);
  save_acm_model(run, PhaseId::kDistill);
}

TEST_F(Phases, PretrainingReachesTheSameModel) {
  run(
      {}, [](const auto&) {}, [](const auto& run) { EXPECT_EQ(run_pretrain(run), train::Outcome::kFinished); });
  EXPECT_LT(model_distance(together_.model(PhaseId::kPretrain), alone_.model(PhaseId::kPretrain)), 1e-10);
}

TEST_F(Phases, DistillationLeavesTheSameBytes) {
  run([](Settings& s) { s.precision = "float32"; }, save_dense_model,
      [](const auto& run) { EXPECT_EQ(run_distill(run), train::Outcome::kFinished); });
  EXPECT_EQ(digest_of_file(together_.model(PhaseId::kDistill)), digest_of_file(alone_.model(PhaseId::kDistill)));
  EXPECT_EQ(digests_in(together_.cache()), digests_in(alone_.cache()));
}

TEST_F(Phases, GatingReachesTheSameModel) {
  run({}, save_learners, [](const auto& run) { EXPECT_EQ(run_gating(run), train::Outcome::kFinished); });
  EXPECT_LT(model_distance(together_.model(PhaseId::kGating), alone_.model(PhaseId::kGating)), 1e-10);
}

// Whichever rank reads the values names them, captures the segment again and goes on with all others.
TEST_F(Phases, ADamagedSegmentIsNamedByOneRankAndMended) {
  const auto with_damage = [](const phases::Run& run) {
    save_learners(run);
    Capture capture(run);
    ASSERT_TRUE(capture.fill());
    spoil(capture.cache().path_of(1), capture.cache().read_output(1, "blocks.1.ffn"));
  };
  run([](Settings& s) { s.gating.rule = "marginal"; }, with_damage,
      [](const auto& run) { EXPECT_EQ(run_gating(run), train::Outcome::kFinished); });
  EXPECT_LT(model_distance(together_.model(PhaseId::kGating), alone_.model(PhaseId::kGating)), 1e-10);
  EXPECT_EQ(digests_in(together_.cache()), digests_in(alone_.cache()));
  int named = 0;
  for (int rank = 0; rank < parallel_test::groups().control.size(); ++rank) {
    const auto log = read_file(together_.root() / ("rank-" + std::to_string(rank) + ".log"));
    named += log.find("segment-00001.h5: it is changed: the values of /blocks.1.ffn/output") != std::string::npos;
  }
  EXPECT_EQ(named, 1);
}

TEST_F(Phases, FineTuningReachesTheSameModel) {
  run(
      {}, [](const auto& run) { save_acm_model(run, PhaseId::kGating); },
      [](const auto& run) { EXPECT_EQ(run_finetune(run), train::Outcome::kFinished); });
  const auto model = together_.model(PhaseId::kFinetune);
  EXPECT_LT(model_distance(model, alone_.model(PhaseId::kFinetune)), 1e-10);
  EXPECT_GT(model_distance(model, together_.model(PhaseId::kGating)), 1e-3);
}

TEST_F(Phases, EvaluationCountsTheSame) {
  run(
      {}, [](const auto& run) { save_acm_model(run, PhaseId::kGating); },
      [](const auto& run) { evaluate_phase(run, PhaseId::kGating); });
  EXPECT_EQ(read_file(together_.evaluation(PhaseId::kGating)), read_file(alone_.evaluation(PhaseId::kGating)));
}

TEST_F(Phases, CalibrationFindsTheSameShift) {
  run(
      {}, [](const auto& run) { save_acm_model(run, PhaseId::kFinetune); },
      [](const auto& run) {
        const SmallImages split(60, 4);
        auto calibrated = run;
        calibrated.calibration_data = &split;
        evaluate_phase(calibrated, PhaseId::kFinetune);
      });
  const auto text = read_file(together_.evaluation(PhaseId::kFinetune));
  EXPECT_EQ(text, read_file(alone_.evaluation(PhaseId::kFinetune)));
  EXPECT_NE(text.find("calibration_share"), std::string::npos);
}

// A batch of 7 has no 8 slices; every rank says so, and none waits for another.
TEST_F(Phases, TooManySlicesAreRefusedOnEveryRank) {
  auto& all = parallel_test::groups().control;
  SmallRun small(scratch_ / ".", all, [](Settings& s) { s.pretrain.micro_batches = 8; });
  try {
    run_pretrain(small.run(all));
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::kUsage) << error.what();
    EXPECT_TRUE(error.shared());
  }
}

}  // namespace
}  // namespace acm::phases
