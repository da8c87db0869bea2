#include "phases/settings.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "config/read.h"

namespace acm::phases {
namespace {

// The defaults and a folder of data, which has none.
struct Complete : Settings {
  Complete() { data.path = "data"; }
};

TEST(Settings, EveryFieldHasAPathOfItsOwnInAKnownSection) {
  Settings settings;
  const auto fields = settings.describe();
  std::set<std::string> paths, sections;
  for (const auto& field : fields.all()) paths.insert(field.path()), sections.insert(field.section);
  EXPECT_EQ(paths.size(), fields.all().size());
  EXPECT_EQ(sections, (std::set<std::string>{"", "data", "augment", "backbone", "acm", "gate", "cache", "pretrain",
                                             "distill", "gating", "finetune", "checkpoints", "safety", "evaluate"}));
  for (const char* path : {"run_dir", "acm.budget", "distill.objective", "gating.tau", "finetune.entropy_bins"})
    EXPECT_TRUE(paths.contains(path)) << path;
}

TEST(Settings, DefaultsKeepTheirOwnRules) {
  Complete settings;
  const auto fields = settings.describe();
  for (const auto& field : fields.all())
    EXPECT_TRUE(field.rule.holds(field.initial)) << field.path() << " must be " << field.rule.sentence;
  EXPECT_TRUE(settings.broken_rules().empty());
}

TEST(Settings, EveryFieldSaysWhatItIsFor) {
  Settings settings;
  const auto fields = settings.describe();
  for (const auto& field : fields.all()) EXPECT_FALSE(field.meaning.empty()) << field.path();
  for (const auto& [name, meaning] : fields.sections()) EXPECT_FALSE(meaning.empty()) << name;
}

struct CrossRule {
  const char* what;
  std::function<void(Settings&)> break_it;
  const char* sentence;
};
void PrintTo(const CrossRule& rule, std::ostream* out) { *out << rule.what; }

class SettingsRule : public testing::TestWithParam<CrossRule> {};

TEST_P(SettingsRule, IsOneSentenceThatBeginsWithAField) {
  Complete settings;
  GetParam().break_it(settings);
  EXPECT_EQ(settings.broken_rules(), std::vector<std::string>{GetParam().sentence});
  const auto fields = settings.describe();
  const std::string path = std::string(GetParam().sentence).substr(0, std::string(GetParam().sentence).find(' '));
  EXPECT_TRUE(std::ranges::any_of(fields.all(), [&](const auto& field) { return field.path() == path; })) << path;
}

INSTANTIATE_TEST_SUITE_P(
    All, SettingsRule,
    testing::Values(
        CrossRule{"data", [](Settings& s) { s.data.path = ""; }, "data.path must name the folder of the data set"},
        CrossRule{"run_dir", [](Settings& s) { s.run_dir = ""; }, "run_dir must not be empty"},
        CrossRule{"heads", [](Settings& s) { s.backbone.width = 30; },
                  "backbone.width must be a multiple of backbone.heads, got 30 and 4"},
        CrossRule{"micro_batch", [](Settings& s) { s.cache.micro_batch = 100; },
                  "cache.segment_samples must be a multiple of cache.micro_batch, got 256 and 100"},
        CrossRule{"photographs", [](Settings& s) { s.data.augment.three_augment = true; },
                  "data.kind must not be idx where augment.random_resized_crop, three_augment or colour_jitter is on: "
                  "they are for photographs"},
        CrossRule{"crop_padding", [](Settings& s) { s.data.kind = "folder", s.data.augment.crop_padding = 2; },
                  "augment.crop_padding must be 0 where data.kind is not idx: photographs have "
                  "augment.random_resized_crop"},
        CrossRule{"pretrain_pairs", [](Settings& s) { s.data.augment.mixup = 0.8, s.pretrain.batch = 33; },
                  "pretrain.batch must be even, because augment.mixup and augment.cutmix mix samples in pairs, got 33"},
        CrossRule{"finetune_pairs", [](Settings& s) { s.data.augment.cutmix = 1, s.finetune.batch = 5; },
                  "finetune.batch must be even, because augment.mixup and augment.cutmix mix samples in pairs, got 5"},
        CrossRule{
            "capture_pairs",
            [](Settings& s) { s.data.augment.mixup = 1, s.cache.micro_batch = 1, s.cache.segment_samples = 2; },
            "cache.micro_batch must be even, because augment.mixup and augment.cutmix mix samples in pairs, got 1"},
        CrossRule{"autocast", [](Settings& s) { s.precision = "float64", s.finetune.autocast = "bfloat16"; },
                  "precision must be float32 where pretrain.autocast or finetune.autocast is bfloat16, got float64"},
        CrossRule{"sites", [](Settings& s) { s.acm.sites.clear(); }, "acm.sites must name at least one kind of site"},
        CrossRule{"site_weights",
                  [](Settings& s) {
                    s.gating.site_weights = "unit", s.acm.sites = {"ffn", "blocks.0.o", "blocks.3.q"};
                  },
                  "gating.site_weights must be \"measured\" where acm.sites has q, k or v: errors of these are not in "
                  "the residual stream and cannot be weighed alike"},
        CrossRule{"pretrain", [](Settings& s) { s.pretrain.steps = s.pretrain.warmup_steps = 5; },
                  "pretrain.warmup_steps must be less than pretrain.steps, got 5 and 5"},
        CrossRule{"distill", [](Settings& s) { s.distill.steps = 5, s.distill.warmup_steps = 6; },
                  "distill.warmup_steps must be less than distill.steps, got 6 and 5"},
        CrossRule{"gating", [](Settings& s) { s.gating.steps = s.gating.warmup_steps = 1; },
                  "gating.warmup_steps must be less than gating.steps, got 1 and 1"},
        CrossRule{"finetune", [](Settings& s) { s.finetune.steps = s.finetune.warmup_steps = 9; },
                  "finetune.warmup_steps must be less than finetune.steps, got 9 and 9"}),
    [](const auto& info) { return std::string(info.param.what); });

TEST(Settings, WarmupIsComparedOnlyWithGivenSteps) {
  Complete settings;
  settings.pretrain.warmup_steps = 1000;
  EXPECT_TRUE(settings.broken_rules().empty());
}

TEST(TrainingConfig, StepsAreGivenOrFollowFromEpochs) {
  TrainingConfig config;
  config.epochs = 1.5;
  config.batch = 64;
  EXPECT_EQ(config.steps_over(1000), 23);  // floor(1500 / 64)
  config.steps = 4;
  EXPECT_EQ(config.steps_over(1000), 4);
}

TEST(Settings, GiveTheTrainerWhatItNeeds) {
  Settings settings;
  settings.checkpoints = {.save_minutes = 5, .keep_last = 4, .keep_best = true, .on_failed_save = "continue"};
  settings.safety.rollbacks = 2;
  auto& config = settings.gating;
  config.micro_batches = 3, config.learning_rate = 0.25, config.warmup_steps = 7, config.save_every = 11,
  config.log_every = 13;
  const auto trainer = settings.trainer(config);
  EXPECT_EQ(trainer.micro_batches, 3);
  EXPECT_EQ(trainer.learning_rate, 0.25);
  EXPECT_EQ(trainer.warmup_steps, 7);
  EXPECT_EQ(trainer.save_every, 11);
  EXPECT_EQ(trainer.log_every, 13);
  EXPECT_EQ(trainer.save_minutes, 5);
  EXPECT_EQ(trainer.retention.keep_last, 4);
  EXPECT_TRUE(trainer.retention.keep_best);
  EXPECT_TRUE(trainer.go_on_unsaved);
  EXPECT_EQ(trainer.rollbacks, 2);
  EXPECT_FALSE(Settings().trainer(config).go_on_unsaved);
}

TEST(Settings, BecomeWhatTheMethodTakes) {
  Settings settings;
  EXPECT_EQ(settings.dtype(), at::kFloat);
  settings.precision = "float64";
  EXPECT_EQ(settings.dtype(), at::kDouble);
  settings.acm = {.learners = 3, .sites = {"ffn"}, .projection_activation = "gelu", .output_bias = true};
  const auto surgery = settings.surgery();
  EXPECT_EQ(surgery.learners, 3);
  EXPECT_EQ(surgery.kinds, std::vector<std::string>{"ffn"});
  EXPECT_EQ(surgery.projection_activation, Activation::kGelu);
  EXPECT_TRUE(surgery.output_bias);
  settings.gate = {.hidden = 5, .depth = 3, .activation = "identity", .temperature = 0.5};
  const auto gate = settings.gate_config();
  EXPECT_EQ(gate.hidden, 5);
  EXPECT_EQ(gate.depth, 3);
  EXPECT_EQ(gate.activation, Activation::kIdentity);
  EXPECT_EQ(gate.temperature, 0.5);
}

}  // namespace
}  // namespace acm::phases
