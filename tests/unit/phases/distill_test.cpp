#include "phases/distill.h"

#include <gtest/gtest.h>

#include "phases/distill_site.h"
#include "unit/core/scratch.h"
#include "unit/phases/small_run.h"

namespace acm::phases {
namespace {

// The digest of the model that phase 1 leaves on so many ranks.
std::string distilled_by(int ranks, const std::filesystem::path& folder) {
  run_small_group(
      ranks, folder, [](Settings& s) { s.precision = "float32"; }, save_dense_model,
      [](const auto& run) { EXPECT_EQ(run_distill(run), train::Outcome::kFinished); });
  return digest_of_file(RunFolder(folder).model(PhaseId::kDistill));
}

TEST(Distill, LeavesTheSameBytesForAnyNumberOfRanks) {
  const Scratch scratch;
  const auto alone = distilled_by(1, scratch / "1");
  EXPECT_EQ(distilled_by(2, scratch / "2"), alone);
  EXPECT_EQ(distilled_by(3, scratch / "3"), alone);
  EXPECT_EQ(distilled_by(12, scratch / "12"), alone);  // two of them have no site
}

TEST(Distill, AssemblesTheLearnersOfAllSites) {
  const Scratch scratch;
  distilled_by(2, scratch / "run");
  const RunFolder folder(scratch / "run");
  const auto model = load_model(folder.model(PhaseId::kDistill));
  EXPECT_EQ(model.description.at("phase"), Json("distill"));
  EXPECT_EQ(model.description.at("parent"), Json(load_model(folder.model(PhaseId::kPretrain)).digest));
  EXPECT_TRUE(model.description.at("gate").is_null());
  const auto sites = acm_sites(*model.backbone);
  ASSERT_EQ(sites.size(), 10u);
  for (const auto& site : sites) {
    const auto learners = io::SafetensorsFile(DistillSite::learners_file(folder, site.site->name)).read_all();
    EXPECT_TRUE(site.layer->w1.equal(learners.at("w1"))) << site.site->name;
    EXPECT_TRUE(site.layer->w2.equal(learners.at("w2"))) << site.site->name;
  }
}

TEST(Distill, FinishedSitesAreNotTrainedAgain) {
  const Scratch scratch;
  const auto model = distilled_by(2, scratch / "run");
  const RunFolder folder(scratch / "run");
  std::filesystem::remove(folder.model(PhaseId::kDistill));
  std::filesystem::remove_all(folder.site("blocks.1.q"));
  const auto untouched = DistillSite::learners_file(folder, "blocks.0.ffn");
  const auto written = std::filesystem::last_write_time(untouched);
  EXPECT_EQ(distilled_by(3, scratch / "run"), model);
  EXPECT_EQ(std::filesystem::last_write_time(untouched), written);
}

TEST(Distill, StopsWithoutAModel) {
  const Scratch scratch;
  const auto solo = comm::make_solo_communicator();
  SmallRun small(scratch.folder(), *solo);
  const auto run = small.run(*solo);
  save_dense_model(run);
  ASSERT_TRUE(Capture(run).fill());
  small.stop.request_stop();
  EXPECT_EQ(run_distill(run), train::Outcome::kStopped);
  EXPECT_FALSE(std::filesystem::exists(run.folder.model(PhaseId::kDistill)));
}

TEST(SiteOwners, EverySelectedSiteHasOneAndDearOnesArePlacedFirst) {
  const Scratch scratch;
  const auto solo = comm::make_solo_communicator();
  SmallRun small(scratch.folder(), *solo);
  const auto teacher = new_backbone(small.run(*solo));
  const auto owners = site_owners(*teacher, small.settings.surgery(), 2);
  ASSERT_EQ(owners.size(), 10u);
  for (size_t i = 0; i < owners.size(); ++i) EXPECT_EQ(owners[i].first, teacher->sites()[i].name);
  std::map<std::string, int> by_name(owners.begin(), owners.end());
  EXPECT_EQ(by_name.at("blocks.0.ffn"), 0);
  EXPECT_EQ(by_name.at("blocks.1.ffn"), 1);
  small.settings.acm.sites = {"ffn"};
  EXPECT_EQ(site_owners(*teacher, small.settings.surgery(), 4).size(), 2u);
}

}  // namespace
}  // namespace acm::phases
