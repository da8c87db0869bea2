#include "phases/cache_plan.h"

#include <gtest/gtest.h>

#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"
#include "unit/phases/small_run.h"

namespace acm::phases {
namespace {

// The cache of ViT-B/16 on ImageNet's training images: 12 blocks, of each the inputs of q (k's and v's too), o and ffn
// and five outputs.
CacheNeed vit_base_on_imagenet() {
  CacheNeed need;
  need.layout.key = Json::object({{"seed", 1}});
  for (int block = 0; block < 12; ++block) {
    const auto name = [&](const char* kind) { return "blocks." + std::to_string(block) + "." + kind; };
    for (const char* kind : {"q", "k", "v"}) need.layout.sites.push_back({name(kind), name("q"), 768, 768});
    for (const char* kind : {"o", "ffn"}) need.layout.sites.push_back({name(kind), name(kind), 768, 768});
  }
  need.layout.dtype = at::kBFloat16;
  need.layout.samples = 1'281'167;
  need.layout.segment_samples = 32;
  need.shuffle_segments = 8;
  need.tokens = 197;
  return need;
}

TEST(CachePlan, ImageNetFitsInTwoHundredGigabytes) {
  auto need = vit_base_on_imagenet();
  const int64_t rows = need.epoch_rows();
  EXPECT_EQ(rows, 1'281'167 * 197);
  const double sample = 8 * 12 * 197 * 768 * 2;  // 29 MB
  EXPECT_NEAR(static_cast<double>(need.segment_bytes()), 32 * sample, 0.001 * 32 * sample);
  EXPECT_TRUE(plan_windows(need, rows).is_whole());

  need.max_bytes = 200'000'000'000;
  const auto plan = plan_windows(need, rows);
  // 6884 samples fit, 26 groups of 256; a window is 13 of them, 3328 samples.
  EXPECT_EQ(plan.groups_per_window(), 13);
  EXPECT_EQ(plan.windows(), (1'281'167 + 3327) / 3328);
  EXPECT_EQ(plan.segments(1).size(), 13u * 8);
  EXPECT_LE(2 * plan.groups_per_window() * need.group_bytes(), need.max_bytes);
  const auto text = describe_cache(need, plan, "cache", 800'000'000'000);
  EXPECT_EQ(text,
            "cache: 1281167 samples of 29.1 MB (197 tokens), 37.2 TB in 40037 segments; 200 GB allowed, 800 GB free in "
            "cache; 385 windows of 13 groups of 256 samples, 96.7 GB each, two on the disk at a time");
}

TEST(CachePlan, AQuarterOfEightGroupsIsTwo) {
  auto need = vit_base_on_imagenet();
  need.layout.samples = 8 * 256;
  need.max_bytes = need.segment_bytes() * need.layout.segments() / 4;
  EXPECT_EQ(plan_windows(need, 10 * need.epoch_rows()).groups_per_window(), 1);
  need.max_bytes *= 4;
  EXPECT_TRUE(plan_windows(need, 10 * need.epoch_rows()).is_whole());
  need.fresh_views = true;  // ten times as much
  EXPECT_FALSE(plan_windows(need, 10 * need.epoch_rows()).is_whole());
  EXPECT_TRUE(plan_windows(need, need.epoch_rows()).is_whole());
}

TEST(CachePlan, LessThanTwoGroupsAreRefusedWithTheSmallestLimit) {
  auto need = vit_base_on_imagenet();
  need.max_bytes = 2 * need.group_bytes() - 1;
  const auto message = expect_error(Fault::kUsage, "cache.max_bytes = " + std::to_string(need.max_bytes),
                                    [&] { plan_windows(need, need.epoch_rows()); });
  for (const auto& part : {"raise it to " + std::to_string(need.max_bytes + 1) + " at least",
                           std::string("cache.shuffle_segments x cache.segment_samples = 8 x 32"),
                           std::string("cache.tokens_per_sample"), std::string("cache.dtype")})
    EXPECT_NE(message.find(part), std::string::npos) << message;
  ++need.max_bytes;
  EXPECT_EQ(plan_windows(need, need.epoch_rows()).groups_per_window(), 1);
}

TEST(CachePlan, BytesForPeople) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(999), "999 B");
  EXPECT_EQ(bytes_text(1'234), "1.2 kB");
  EXPECT_EQ(bytes_text(200'000'000'000), "200 GB");
  EXPECT_EQ(bytes_text(37'200'000'000'000), "37.2 TB");
}

class CacheLayoutTest : public testing::Test {
 protected:
  io::CacheLayout layout() const { return cache_layout(run_, new_backbone(run_)->sites(), "digest"); }
  const Scratch scratch_;
  const std::unique_ptr<comm::Communicator> solo_ = comm::make_solo_communicator();
  SmallRun small_{scratch_.folder(), *solo_};
  const phases::Run run_ = small_.run(*solo_);
};

TEST_F(CacheLayoutTest, TheFirstSelectedReaderOwnsAnInput) {
  small_.settings.acm.sites = {"v", "k", "ffn"};
  std::vector<std::pair<std::string, std::string>> sites;
  for (const auto& site : layout().sites) sites.emplace_back(site.name, site.input_of);
  EXPECT_EQ(sites, (std::vector<std::pair<std::string, std::string>>{{"blocks.0.k", "blocks.0.k"},
                                                                     {"blocks.0.v", "blocks.0.k"},
                                                                     {"blocks.0.ffn", "blocks.0.ffn"},
                                                                     {"blocks.1.k", "blocks.1.k"},
                                                                     {"blocks.1.v", "blocks.1.k"},
                                                                     {"blocks.1.ffn", "blocks.1.ffn"}}));
  EXPECT_EQ(layout().samples, 10);
  EXPECT_EQ(layout().dtype, at::kDouble);
  EXPECT_EQ(tokens_of_first_sample(run_, *new_backbone(run_)), 5);
}

TEST_F(CacheLayoutTest, EachSampleOnceAndTheRunFolderAreTheDefaults) {
  EXPECT_EQ(cache_folder(run_), run_.folder.cache());
  small_.settings.cache.dir = "/elsewhere";
  small_.settings.cache.samples = 0;
  EXPECT_EQ(cache_folder(run_), "/elsewhere");
  EXPECT_EQ(layout().samples, 20);
}

TEST_F(CacheLayoutTest, TokensAndAugmentationMakeAnotherCache) {
  const auto before = layout().key;
  small_.settings.cache.tokens_per_sample = 3;
  EXPECT_NE(layout().key, before);
  EXPECT_EQ(cache_need(run_, layout(), 5).tokens, 3);
  EXPECT_EQ(cache_need(run_, layout(), 5).rows_per_segment(), (std::vector<int64_t>{12, 12, 6}));
  EXPECT_EQ(cache_need(run_, layout(), 2).tokens, 2);
  small_.settings.cache.tokens_per_sample = 0;
  EXPECT_EQ(layout().key, before);
  small_.settings.data.augment.flip = true;
  EXPECT_NE(layout().key, before);
}

TEST_F(CacheLayoutTest, HasTheDtypeAskedFor) {
  for (const auto& [name, dtype] : std::map<std::string, at::ScalarType>{
           {"float64", at::kDouble}, {"float32", at::kFloat}, {"bfloat16", at::kBFloat16}, {"float16", at::kHalf}}) {
    small_.settings.cache.dtype = name;
    EXPECT_EQ(layout().dtype, dtype);
  }
}

// Ten samples in micro-batches of 4: the second epoch begins behind the third.
TEST_F(CacheLayoutTest, FreshViewsRunOn) {
  small_.settings.cache.micro_batch = 4;
  small_.settings.cache.fresh_views = true;
  EXPECT_EQ(layout().first_sample(2), 8);
  EXPECT_EQ(layout().first_sample(3), 12);
  EXPECT_EQ(layout().samples_in(5), 2);
}

}  // namespace
}  // namespace acm::phases
