#include "phases/capture.h"

#include <ATen/ops/cat.h>
#include <gtest/gtest.h>

#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"
#include "unit/phases/small_run.h"

namespace acm::phases {
namespace {

std::map<std::string, std::string> captured_by(int ranks, const std::filesystem::path& folder) {
  run_small_group(ranks, folder, {}, save_dense_model, [](const auto& run) { EXPECT_TRUE(Capture(run).fill()); });
  return digests_in(folder / "cache");
}

TEST(Capture, LeavesTheSameBytesForAnyNumberOfRanks) {
  const Scratch scratch;
  const auto alone = captured_by(1, scratch / "1");
  ASSERT_EQ(alone.size(), 3u);  // segments of 4, 4 and 2 samples
  EXPECT_TRUE(alone.contains("segment-00002.h5"));
  EXPECT_EQ(captured_by(2, scratch / "2"), alone);
  EXPECT_EQ(captured_by(3, scratch / "3"), alone);
  EXPECT_EQ(captured_by(4, scratch / "4"), alone);  // one of them has nothing to do
}

class CaptureTest : public testing::Test {
 protected:
  const Scratch scratch_;
  const std::unique_ptr<comm::Communicator> solo_ = comm::make_solo_communicator();
  SmallRun small_{scratch_.folder(), *solo_};
  const phases::Run run_ = small_.run(*solo_);
};

TEST_F(CaptureTest, HoldsWhatTheTeacherComputes) {
  save_dense_model(run_);
  Capture capture(run_);
  ASSERT_TRUE(capture.fill());
  const auto teacher = load_model(run_.folder.model(PhaseId::kPretrain)).backbone;
  for (const auto& site : teacher->sites())
    for (int64_t segment = 0; segment < 3; ++segment) {
      const auto input = capture.cache().read_input(segment, site.name),
                 output = capture.cache().read_output(segment, site.name);
      EXPECT_EQ(input.sizes(), (std::vector<int64_t>{segment < 2 ? 20 : 10, 8}));
      nn::TokenContext context;
      const auto expected = teacher->at(site).forward(input.unsqueeze(0), context).squeeze(0);
      EXPECT_LT(expected.sub(output).abs().max().item<double>(), 1e-12) << site.name;
    }
  EXPECT_FALSE(capture.cache().read_output(0, "blocks.1.ffn").equal(capture.cache().read_output(1, "blocks.1.ffn")));
  EXPECT_EQ(capture.cache().read_offsets(2).const_data_ptr<int64_t>()[2], 10);
}

TEST_F(CaptureTest, ASecondFillCapturesNothing) {
  save_dense_model(run_);
  ASSERT_TRUE(Capture(run_).fill());
  const int64_t gets = small_.train_data.gets;
  EXPECT_GE(gets, 10);
  ASSERT_TRUE(Capture(run_).fill());
  EXPECT_LE(small_.train_data.gets - gets, 1);  // that one tells how many tokens a sample has
}

TEST_F(CaptureTest, OnlyWhatIsMissingOrDamagedIsCaptured) {
  save_dense_model(run_);
  ASSERT_TRUE(Capture(run_).fill());
  const auto before = digests_in(run_.folder.cache());
  std::filesystem::remove(run_.folder.cache() / "segment-00000.h5");
  std::filesystem::resize_file(run_.folder.cache() / "segment-00002.h5", 100);
  const int64_t gets = small_.train_data.gets;
  ASSERT_TRUE(Capture(run_).fill());
  EXPECT_EQ(digests_in(run_.folder.cache()), before);
  EXPECT_LE(small_.train_data.gets - gets, 4 + 2 + 1);
  const auto log = read_file(scratch_ / "rank-0.log");
  EXPECT_NE(log.find("segment-00002.h5 is truncated"), std::string::npos) << log;
}

TEST_F(CaptureTest, StopsBeforeTheNextSegment) {
  save_dense_model(run_);
  small_.stop.request_stop();
  EXPECT_FALSE(Capture(run_).fill());
  EXPECT_TRUE(digests_in(run_.folder.cache()).empty());
}

TEST_F(CaptureTest, AsksForSpaceBeforeItBegins) {
  save_dense_model(run_);
  small_.settings.cache.samples = small_.settings.cache.segment_samples = 10'000'000'000'000;
  Capture capture(run_);
  expect_error(Fault::kResource, "lower cache.samples or name another folder with cache.dir", [&] { capture.fill(); });
  EXPECT_TRUE(digests_in(run_.folder.cache()).empty());
}

TEST_F(CaptureTest, RefusesATeacherWithLearners) {
  save_acm_model(run_, PhaseId::kDistill);
  small_.settings.backbone.weights = run_.folder.model(PhaseId::kDistill).string();
  expect_error(Fault::kUsage, "it is an ACM model already", [&] { Capture{run_}; });
}

TEST_F(CaptureTest, RefusesTheCacheOfAnotherRun) {
  save_dense_model(run_);
  ASSERT_TRUE(Capture(run_).fill());
  small_.settings.seed = 4;
  expect_error(Fault::kUsage, "was made for other settings", [&] { Capture{run_}; });
}

TEST_F(CaptureTest, TheFirstSelectedReaderOwnsAnInput) {
  small_.settings.acm.sites = {"v", "k", "ffn"};
  const auto layout = cache_layout(run_, *new_backbone(run_), "digest");
  std::vector<std::pair<std::string, std::string>> sites;
  for (const auto& site : layout.sites) sites.emplace_back(site.name, site.input_of);
  EXPECT_EQ(sites, (std::vector<std::pair<std::string, std::string>>{{"blocks.0.k", "blocks.0.k"},
                                                                     {"blocks.0.v", "blocks.0.k"},
                                                                     {"blocks.0.ffn", "blocks.0.ffn"},
                                                                     {"blocks.1.k", "blocks.1.k"},
                                                                     {"blocks.1.v", "blocks.1.k"},
                                                                     {"blocks.1.ffn", "blocks.1.ffn"}}));
  EXPECT_EQ(layout.samples, 10);
  EXPECT_EQ(layout.dtype, at::kDouble);
  EXPECT_EQ(tokens_of_first_sample(run_, *new_backbone(run_)), 5);
}

TEST_F(CaptureTest, EachSampleOnceAndTheRunFolderAreTheDefaults) {
  EXPECT_EQ(cache_folder(run_), run_.folder.cache());
  small_.settings.cache.dir = "/elsewhere";
  small_.settings.cache.samples = 0;
  EXPECT_EQ(cache_folder(run_), "/elsewhere");
  EXPECT_EQ(cache_layout(run_, *new_backbone(run_), "").samples, 20);
}

}  // namespace
}  // namespace acm::phases
