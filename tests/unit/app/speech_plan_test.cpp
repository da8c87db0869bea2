#include "app/speech_plan.h"

#include <gtest/gtest.h>

#include "app/load_settings.h"

namespace acm::app {
namespace {

LoadedSettings loaded(std::vector<std::string> overrides = {}) {
  Options options;
  options.speech = true;
  options.overrides = std::move(overrides);
  return LoadedSettings(options);
}

TEST(SpeechPlan, FramesStandWhereAllLayersOfTheEncoderFit) {
  EXPECT_EQ(speech::frames(400), 1);
  EXPECT_EQ(speech::frames(719), 1);
  EXPECT_EQ(speech::frames(720), 2);
  EXPECT_EQ(speech::frames(160'000), 499);
  EXPECT_EQ(speech::frames(speech::kMeanSamples), 614);
}

// facebook/wav2vec2-base-960h, of 213 tensors.
TEST(SpeechPlan, HasTheParametersOfThePublishedModel) {
  const auto shape = speech::shape(loaded().settings);
  EXPECT_EQ(shape.numbers, 94'396'320);
  EXPECT_EQ(shape.frozen_numbers, 512 * 10 + 2 * 512 + 4 * 512 * 512 * 3 + 2 * 512 * 512 * 2);
  EXPECT_EQ(shape.sites.size(), 12 * 5);
  EXPECT_EQ(shape.site_numbers, 12 * (2 * 768 * 3072 + 3072 + 768));  // FFN alone by default
  const auto all = speech::shape(loaded({"acm.sites=[\"ffn\",\"q\",\"k\",\"v\",\"o\"]"}).settings);
  EXPECT_EQ(all.site_numbers, shape.site_numbers + 12 * 4 * (768 * 768 + 768));
}

TEST(SpeechPlan, CountsEachProductOfAnUtterance) {
  const auto shape = speech::shape(loaded().settings);
  const int64_t of_three = 512 * 512 * 3, of_two = 512 * 512 * 2;
  EXPECT_EQ(shape.frozen_macs,
            39'359 * int64_t{512 * 10} + (19'679 + 9'839 + 4'919 + 2'459) * of_three + (1'229 + 614) * of_two);
  const int64_t frame = 512 * 768 + 768 * 48 * 128 + 768 * 32 + 12 * (4 * 768 * 768 + 2 * 768 * 3072);
  EXPECT_EQ(shape.tokens, 614);
  EXPECT_EQ(shape.macs, shape.frozen_macs + 614 * frame + int64_t{12 * 2 * 614 * 614} * 768);
}

TEST(SpeechPlan, TheSizesOfTheTransformerAreThoseOfTheSettings) {
  const auto base = speech::shape(loaded().settings), half = speech::shape(loaded({"backbone.depth=6"}).settings);
  EXPECT_EQ(base.numbers - half.numbers, 6 * 7'087'872);
  EXPECT_EQ(half.sites.size(), 30);
}

}  // namespace
}  // namespace acm::app
