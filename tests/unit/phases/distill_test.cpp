#include "phases/distill.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "phases/site_trainings.h"
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

// What phase 1 leaves of the small run, its metrics included, under settings and on so many ranks.
std::string left_by(int ranks, const std::filesystem::path& folder, const SmallRun::Adjust& adjust) {
  run_small_group(ranks, folder, adjust, save_dense_model,
                  [](const auto& run) { EXPECT_EQ(run_distill(run), train::Outcome::kFinished); });
  std::string left = digest_of_file(RunFolder(folder).model(PhaseId::kDistill));
  std::vector<std::string> sites;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "phase1"))
    if (entry.is_directory()) sites.push_back(entry.path().string());
  std::ranges::sort(sites);
  for (const auto& site : sites) {
    auto rows = read_file(std::filesystem::path(site) / "metrics.jsonl");
    for (size_t begin = 0; begin < rows.size(); begin = rows.find('\n', begin) + 1)
      left += Json(Json::parse(rows.substr(begin, rows.find('\n', begin) - begin), "row").at("loss")).dump() + " ";
  }
  return left;
}

// Ten segments in groups of one: 5 epochs of 50 rows in steps of 16 that cross the windows.
void in_windows(Settings& s, int64_t groups) {
  s.precision = "float32";
  s.cache.segment_samples = s.cache.micro_batch = 1;
  s.cache.shuffle_segments = 1;
  s.distill.steps = 15;
  const auto solo = comm::make_solo_communicator();
  SmallRun small(s.run_dir, *solo, [&](Settings& other) { other = s; });
  const auto run = small.run(*solo);
  const auto need = cache_need(run, cache_layout(run, new_backbone(run)->sites(), std::string(16, 'x')), 5);
  s.cache.max_bytes = groups * need.group_bytes();
}

TEST(Distill, LeavesTheSameBytesWhateverFitsOnTheDisk) {
  const Scratch scratch;
  const auto all = left_by(1, scratch / "all", [](Settings& s) { in_windows(s, 0); });
  for (const auto& [ranks, groups] : {std::pair{1, 10}, {1, 6}, {2, 4}, {3, 2}, {1, 3}, {12, 2}}) {
    const auto folder = scratch / (std::to_string(ranks) + "-" + std::to_string(groups));
    EXPECT_EQ(left_by(ranks, folder, [&](Settings& s) { in_windows(s, groups); }), all) << folder;
    EXPECT_LE(digests_in(folder / "cache").size(), static_cast<size_t>(groups));
    // Nothing that had been removed was asked for again.
    for (int rank = 0; rank < ranks; ++rank)
      EXPECT_EQ(read_file(folder / ("rank-" + std::to_string(rank) + ".log")).find("captured again"),
                std::string::npos);
  }
}

// A batch larger than a window, and one larger than an epoch.
TEST(Distill, StepsMaySpanManyWindows) {
  const Scratch scratch;
  for (const int64_t batch : {33, 120}) {
    const auto adjust = [&](int64_t groups) {
      return [=](Settings& s) {
        in_windows(s, groups);
        s.distill.batch = batch;
        s.distill.steps = 4;
        s.distill.slices = 2;
      };
    };
    const auto name = std::to_string(batch);
    EXPECT_EQ(left_by(2, scratch / ("few" + name), adjust(4)), left_by(1, scratch / ("all" + name), adjust(0)));
  }
}

TEST(Distill, TheTeachersStartNeedsNoLargeWindow) {
  const Scratch scratch;
  const auto adjust = [](int64_t groups) {
    return [=](Settings& s) {
      in_windows(s, groups);
      s.acm.init = "teacher";
      s.acm.init_samples = 7;
    };
  };
  const auto all = left_by(1, scratch / "all", adjust(0));
  EXPECT_EQ(left_by(1, scratch / "few", adjust(2)), all);
  EXPECT_EQ(left_by(3, scratch / "few-3", adjust(4)), all);
}

// Stopped after each of its windows in turn, and resumed on another number of ranks.
TEST(Distill, GoesOnInTheWindowThatIsDue) {
  const Scratch scratch;
  const auto adjust = [](Settings& s) { in_windows(s, 4); };
  const auto all = left_by(1, scratch / "all", adjust);
  const auto folder = scratch / "parts";
  make_folder(folder);
  auto outcome = train::Outcome::kStopped;
  for (int start = 0; start < 40 && outcome == train::Outcome::kStopped; ++start) {
    comm::run_local_group(1 + start % 3, [&](comm::Communicator& group) {
      SmallRun small(folder, group, adjust);
      const auto run = small.run(group);
      if (start == 0 && run.is_root()) save_dense_model(run);
      group.barrier();
      // After so many segments of the second window at most, or a step of some site.
      small.stop_after_gets(2 + start);
      const auto mine = run_distill(run);
      if (run.is_root()) outcome = mine;
    });
    EXPECT_LE(digests_in(folder / "cache").size(), 4u);
  }
  EXPECT_EQ(outcome, train::Outcome::kFinished);
  EXPECT_EQ(digest_of_file(RunFolder(folder).model(PhaseId::kDistill)), all.substr(0, 16));
}

TEST(Distill, TeamsOfAnySizeLeaveTheSameBytes) {
  const Scratch scratch;
  for (const int64_t slices : {2, 4}) {
    for (const std::vector<std::string>& sites :
         {std::vector<std::string>{"blocks.1.ffn"}, {"blocks.0.q", "blocks.0.ffn", "blocks.1.o"}}) {
      const auto adjust = [&](Settings& s) {
        s.acm.sites = sites;
        s.distill.slices = slices;
      };
      const auto name = std::to_string(slices) + "-" + std::to_string(sites.size()) + "-";
      const auto alone = left_by(1, scratch / (name + "1"), adjust);
      for (const int ranks : {2, 3, 4, 5})
        EXPECT_EQ(left_by(ranks, scratch / (name + std::to_string(ranks)), adjust), alone) << name << ranks;
    }
  }
}

TEST(SiteTeams, EverySelectedSiteHasOneAndDearOnesArePlacedFirst) {
  const Scratch scratch;
  const auto solo = comm::make_solo_communicator();
  SmallRun small(scratch.folder(), *solo);
  const auto teacher = new_backbone(small.run(*solo));
  const auto plan = site_teams(*teacher, small.settings, 2);
  ASSERT_EQ(plan.sites.size(), 10u);
  std::map<std::string, int> by_name;
  for (size_t i = 0; i < plan.sites.size(); ++i) {
    EXPECT_EQ(plan.sites[i], teacher->sites()[i].name);
    by_name[plan.sites[i]] = plan.teams.team_of_site[i];
  }
  EXPECT_EQ(by_name.at("blocks.0.ffn"), 0);
  EXPECT_EQ(by_name.at("blocks.1.ffn"), 1);
  small.settings.acm.sites = {"ffn"};
  EXPECT_EQ(site_teams(*teacher, small.settings, 4).sites.size(), 2u);
}

}  // namespace
}  // namespace acm::phases
