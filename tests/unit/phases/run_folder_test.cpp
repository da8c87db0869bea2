#include "phases/run_folder.h"

#include <gtest/gtest.h>

#include <set>

#include "unit/core/scratch.h"

namespace acm::phases {
namespace {

TEST(RunFolder, NamesWhatTheDesignNames) {
  const RunFolder folder("run");
  EXPECT_EQ(folder.root(), "run");
  EXPECT_EQ(folder.config(), "run/config.toml");
  EXPECT_EQ(folder.metrics(), "run/metrics.jsonl");
  EXPECT_EQ(folder.log(12), "run/log/rank-00012.log");
  EXPECT_EQ(folder.alive(), "run/alive");
  EXPECT_EQ(folder.cache(), "run/cache");
  EXPECT_EQ(folder.checkpoints(PhaseId::kPretrain), "run/phase0");
  EXPECT_EQ(folder.identity(PhaseId::kGating), "run/phase2/identity.json");
  EXPECT_EQ(folder.site("blocks.3.ffn"), "run/phase1/blocks.3.ffn");
  EXPECT_EQ(folder.model(PhaseId::kDistill), "run/model-phase1.safetensors");
  EXPECT_EQ(folder.model(PhaseId::kFinetune), "run/model.safetensors");
  EXPECT_EQ(folder.evaluation(PhaseId::kPretrain), "run/eval-phase0.json");
  EXPECT_EQ(folder.evaluation(PhaseId::kFinetune), "run/eval.json");
}

TEST(RunFolder, PhasesNeverMeetInAFile) {
  const RunFolder folder("run");
  std::set<std::filesystem::path> paths;
  std::set<std::string_view> names;
  for (const auto phase : kAllPhases) {
    paths.insert({folder.checkpoints(phase), folder.identity(phase), folder.model(phase), folder.evaluation(phase)});
    names.insert(name_of(phase));
  }
  EXPECT_EQ(paths.size(), 16u);
  EXPECT_EQ(names, (std::set<std::string_view>{"pretrain", "distill", "gating", "finetune"}));
}

TEST(RunFolder, MakesNothing) {
  const Scratch scratch;
  const RunFolder folder(scratch / "run");
  static_cast<void>(folder.log(0));
  static_cast<void>(folder.site("a"));
  EXPECT_EQ(scratch.entries(), 0);
}

}  // namespace
}  // namespace acm::phases
