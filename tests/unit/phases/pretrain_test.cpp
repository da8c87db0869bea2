#include "phases/pretrain.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "unit/core/scratch.h"
#include "unit/phases/small_run.h"

namespace acm::phases {
namespace {

// A few steps of phase 0 in float64; gives the model file.
std::filesystem::path pretrained_by(int ranks, int64_t micro_batches, const std::filesystem::path& folder) {
  run_small_group(
      ranks, folder, [&](Settings& s) { s.pretrain.micro_batches = micro_batches; }, [](const auto&) {},
      [](const auto& run) { EXPECT_EQ(run_pretrain(run), train::Outcome::kFinished); });
  return RunFolder(folder).model(PhaseId::kPretrain);
}

TEST(Pretrain, ReachesTheSameModelForAnyCut) {
  const Scratch scratch;
  const auto alone = pretrained_by(1, 1, scratch / "1");
  EXPECT_LT(model_distance(pretrained_by(1, 3, scratch / "1x3"), alone), 1e-10);
  EXPECT_LT(model_distance(pretrained_by(2, 1, scratch / "2"), alone), 1e-10);
  EXPECT_LT(model_distance(pretrained_by(3, 2, scratch / "3x2"), alone), 1e-10);
}

TEST(Pretrain, MovesTheModelAndWritesMetrics) {
  const Scratch scratch;
  const auto path = pretrained_by(1, 1, scratch / "run");
  const auto model = load_model(path);
  EXPECT_EQ(model.description.at("phase"), Json("pretrain"));
  EXPECT_EQ(model.description.at("parent"), Json(""));
  const auto solo = comm::make_solo_communicator();
  SmallRun small(scratch.folder(), *solo);
  const auto fresh = new_backbone(small.run(*solo));
  for (auto& parameter : fresh->named_parameters())
    EXPECT_FALSE(parameter.value().equal(model.backbone->named_parameters()[parameter.key()])) << parameter.key();
  const auto metrics = read_file(scratch / "run/metrics.jsonl");
  EXPECT_EQ(std::ranges::count(metrics, '\n'), 3);  // steps 2 and 4, and the last one
}

TEST(NewBackbone, IsAFunctionOfTheSeed) {
  const Scratch scratch;
  const auto solo = comm::make_solo_communicator();
  SmallRun small(scratch.folder(), *solo);
  const auto run = small.run(*solo);
  const auto weight = [&] { return new_backbone(run)->named_parameters()["head.weight"].clone(); };
  const auto first = weight();
  EXPECT_EQ(first.scalar_type(), at::kDouble);
  EXPECT_TRUE(weight().equal(first));
  small.settings.seed = 9;
  EXPECT_FALSE(weight().equal(first));
}

}  // namespace
}  // namespace acm::phases
