#include "phases/capture.h"

#include <ATen/ops/cat.h>
#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

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

// What is cached of a sample depends neither on how many samples are wanted nor on the epoch's other segments.
TEST_F(CaptureTest, MoreSamplesKeepTheBytesOfFewer) {
  save_dense_model(run_);
  small_.settings.cache.micro_batch = 4;
  Capture few(run_);
  ASSERT_TRUE(few.fill());
  const auto short_output = few.cache().read_output(2, "blocks.1.ffn");
  EXPECT_EQ(short_output.size(0), 10);
  small_.settings.cache.samples = 12;
  Capture more(run_);
  ASSERT_TRUE(more.fill());
  EXPECT_TRUE(more.cache().read_output(2, "blocks.1.ffn").narrow(0, 0, 10).equal(short_output));
  // The first run goes on with what is there.
  const int64_t gets = small_.train_data.gets;
  small_.settings.cache.samples = 10;
  Capture again(run_);
  ASSERT_TRUE(again.fill());
  EXPECT_LE(small_.train_data.gets - gets, 1);
  EXPECT_TRUE(again.cache().read_output(2, "blocks.1.ffn").equal(short_output));
}

TEST_F(CaptureTest, KeepsTheSameTokensOfAllSites) {
  save_dense_model(run_);
  Capture all(run_);
  ASSERT_TRUE(all.fill());
  small_.settings.cache.tokens_per_sample = 2;
  small_.settings.cache.dir = (scratch_ / "some").string();
  Capture some(run_);
  ASSERT_TRUE(some.fill());
  EXPECT_EQ(some.need().epoch_rows(), 20);
  EXPECT_EQ(some.cache().read_offsets(0).const_data_ptr<int64_t>()[4], 8);
  // By its values, where each kept row stood among all of its sample's.
  const auto places = [&](const at::Tensor& kept, const at::Tensor& whole) {
    std::vector<int64_t> rows;
    for (int64_t i = 0; i < kept.size(0); ++i) rows.push_back(whole.sub(kept[i]).abs().sum(1).argmin().item<int64_t>());
    return rows;
  };
  const auto expected = places(some.cache().read_input(1, "blocks.1.q"), all.cache().read_input(1, "blocks.1.q"));
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(expected[i] / 5, static_cast<int64_t>(i) / 2);
  for (const char* site : {"blocks.1.k", "blocks.1.o", "blocks.1.ffn"}) {
    EXPECT_EQ(places(some.cache().read_input(1, site), all.cache().read_input(1, site)), expected) << site;
    EXPECT_EQ(places(some.cache().read_output(1, site), all.cache().read_output(1, site)), expected) << site;
  }
}

TEST_F(CaptureTest, StoresTheDtypeAskedForRoundedToTheNearest) {
  save_dense_model(run_);
  Capture exact(run_);
  ASSERT_TRUE(exact.fill());
  const auto values = exact.cache().read_output(0, "blocks.0.ffn");
  for (const auto& [name, dtype, bits] :
       {std::tuple{"float32", at::kFloat, 24}, {"float16", at::kHalf, 11}, {"bfloat16", at::kBFloat16, 8}}) {
    small_.settings.cache.dtype = name;
    small_.settings.cache.dir = (scratch_ / name).string();
    Capture narrow(run_);
    ASSERT_TRUE(narrow.fill());
    const auto stored = narrow.cache().read_output(0, "blocks.0.ffn");
    EXPECT_EQ(stored.scalar_type(), dtype);
    const auto error = stored.to(at::kDouble).sub(values).abs().div(values.abs()).max().item<double>();
    EXPECT_LE(error, std::ldexp(1.0, -bits)) << name;
    EXPECT_GT(error, std::ldexp(1.0, -bits - 3)) << name;
  }
}

TEST_F(CaptureTest, AValueBeyondFloat16IsNamed) {
  save_dense_model(run_);
  auto model = load_model(run_.folder.model(PhaseId::kPretrain));
  {
    at::NoGradGuard no_grad;
    for (auto& parameter : model.backbone->named_parameters())
      if (parameter.key() == "blocks.1.ffn.fc2.bias") parameter.value().fill_(1e5);
  }
  save_model(run_.folder.model(PhaseId::kPretrain), *model.backbone, "pretrain", run_.train_data.preprocessing(), "");
  small_.settings.cache.dtype = "float16";
  Capture capture(run_);
  expect_error(Fault::kUsage, "cannot store the activations of site blocks.1.ffn as Half: a value of",
               [&] { capture.fill(); });
  small_.settings.cache.dtype = "bfloat16";
  EXPECT_TRUE(Capture(run_).fill());
}

TEST_F(CaptureTest, FreshViewsDifferFromEpochToEpoch) {
  save_dense_model(run_);
  small_.settings.cache.fresh_views = true;
  Capture capture(run_);
  ASSERT_TRUE(capture.fill({0, 3, 6}));
  const auto first = capture.cache().read_input(0, "blocks.0.q");
  EXPECT_FALSE(capture.cache().read_input(3, "blocks.0.q").equal(first));
  EXPECT_EQ(capture.cache().read_input(6, "blocks.0.q").sizes(), first.sizes());
}

}  // namespace
}  // namespace acm::phases
