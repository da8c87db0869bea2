#include "app/options.h"

#include <gtest/gtest.h>

#include "app/version.h"
#include "unit/core/expect_error.h"

namespace acm::app {
namespace {

Options parse(std::vector<std::string> words, bool speak = false) {
  words.insert(words.begin(), "acm_dist");
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  return parse_options(static_cast<int>(words.size()), argv.data(), speak);
}

void expect_refused(const std::vector<std::string>& words, const std::string& part) {
  expect_error(Fault::kUsage, part, [&] { parse(words); });
}

TEST(Options, OfATrainingRun) {
  const auto options = parse(
      {"--phase", "all", "--config", "a.toml", "--set", "seed=2", "--set", "acm.sites=[\"q\", \"k\"]", "--quiet"});
  EXPECT_EQ(options.command, Options::Command::kTrain);
  EXPECT_EQ(options.phase, "all");
  EXPECT_EQ(options.config, "a.toml");
  EXPECT_EQ(options.overrides, (std::vector<std::string>{"seed=2", "acm.sites=[\"q\", \"k\"]"}));
  EXPECT_TRUE(options.quiet);
  EXPECT_FALSE(options.dry_run || options.print_config);
}

TEST(Options, OfAnEvaluation) {
  const auto options =
      parse({"eval", "--model", "m.safetensors", "--config", "a.toml", "--choice", "2", "--json", "--set", "seed=1"});
  EXPECT_EQ(options.command, Options::Command::kEvaluate);
  EXPECT_EQ(options.model, "m.safetensors");
  EXPECT_EQ(options.choice, 2);
  EXPECT_TRUE(options.json);
  EXPECT_EQ(options.overrides, std::vector<std::string>{"seed=1"});
  EXPECT_EQ(parse({"eval", "--model", "m", "--config", "a.toml"}).choice, std::nullopt);
}

TEST(Options, OfBudgets) {
  const auto options =
      parse({"eval", "--model", "m", "--config", "a.toml", "--budget", "0.2,0.35,1", "--budget", "0.5", "--store"});
  EXPECT_EQ(options.budgets, (std::vector<double>{0.2, 0.35, 1, 0.5}));
  EXPECT_TRUE(options.store);
  const auto refused = [](std::vector<std::string> more, const std::string& part) {
    more.insert(more.begin(), {"eval", "--model", "m", "--config", "a.toml"});
    expect_refused(more, part);
  };
  refused({"--budget", "0"}, "--budget takes shares of the learners' cost, more than 0 and at most 1, got 0");
  refused({"--budget", "0.5,1.5"}, "more than 0 and at most 1, got 1.5");
  refused({"--budget", "half"}, "--budget");
  refused({"--budget", "0.5", "--choice", "2"}, "give one of them");
  refused({"--store"}, "--store keeps the shifts of budgets: name them with --budget");
}

TEST(Options, OfAnEstimate) {
  const auto plain = parse({"estimate", "--config", "a.toml"});
  EXPECT_EQ(plain.command, Options::Command::kEstimate);
  EXPECT_EQ(plain.rank_counts, (std::vector<int>{8, 64, 512, 1024}));
  EXPECT_EQ(plain.machine, "cpu");
  EXPECT_FALSE(plain.measure || plain.json || plain.samples);
  const auto options = parse({"estimate", "--config", "a.toml", "--ranks", "1,16", "--machine", "h100", "--measure",
                              "--samples", "5000", "--json", "--set", "seed=1"});
  EXPECT_EQ(options.rank_counts, (std::vector<int>{1, 16}));
  EXPECT_EQ(options.machine, "h100");
  EXPECT_TRUE(options.measure && options.json);
  EXPECT_EQ(options.samples, 5000);
  EXPECT_EQ(options.overrides, std::vector<std::string>{"seed=1"});
  EXPECT_FALSE(options.speech);
  EXPECT_TRUE(parse({"estimate", "--model", "wav2vec2-base-librispeech"}).speech);
  expect_refused({"estimate", "--model", "wav2vec2-base-librispeech", "--config", "a.toml"},
                 "--config excludes --model");
  expect_refused({"estimate", "--model", "wav2vec2-huge"}, "wav2vec2-huge not in {wav2vec2-base-librispeech}");
  expect_refused({"estimate"}, "name a TOML file with --config");
  expect_refused({"estimate", "--config", "a.toml", "--ranks", "8,0"}, "--ranks");
  expect_refused({"--phase", "1", "estimate", "--config", "a.toml"}, "leave --phase out");
}

TEST(Options, TheReferencePageNeedsNothing) { EXPECT_EQ(parse({"reference"}).command, Options::Command::kReference); }

TEST(Options, PrintingTheSettingsNeedsNoPhase) {
  const auto options = parse({"--config", "a.toml", "--print-config"});
  EXPECT_TRUE(options.print_config);
  EXPECT_TRUE(options.phase.empty());
  EXPECT_TRUE(parse({"--config", "a.toml", "--phase", "0", "--dry-run"}).dry_run);
}

TEST(Options, SayWhatIsWrong) {
  expect_refused({}, "no settings were given: name a TOML file with --config");
  expect_refused({"--phase", "1"}, "name a TOML file with --config");
  expect_refused({"--config", "a.toml"}, "nothing to do: say which phase with --phase 0, 1, 2, 3 or all");
  expect_refused({"--config", "a.toml", "--phase", "4"}, "--phase: 4 not in {");
  expect_refused({"--config", "a.toml", "--phase", "1", "--sett", "a=1"}, "--sett");
  expect_refused({"--config", "a.toml", "--phase", "1", "--set"}, "--set");
  expect_refused({"evaluate"}, "evaluate");
  expect_refused({"eval", "--config", "a.toml"}, "--model is required");
  expect_refused({"eval", "--model", "m"}, "name a TOML file with --config");
  expect_refused({"eval", "--model", "m", "--config", "a.toml", "--choice", "many"}, "many");
  expect_refused({"eval", "reference"}, "");
  expect_refused({"--phase", "1", "eval", "--model", "m", "--config", "a.toml"}, "--phase trains and eval evaluates");
}

TEST(Options, ImportAndExportNeedNoSettings) {
  const auto import = parse({"import", "--weights", "vit", "--out", "m", "--heads", "3", "--image-size", "96",
                             "--classes", "5", "--new-head"});
  EXPECT_EQ(import.command, Options::Command::kImport);
  EXPECT_EQ(import.weights, "vit");
  EXPECT_EQ(import.out, "m");
  EXPECT_EQ(import.import.heads, 3);
  EXPECT_EQ(import.import.image_size, 96);
  EXPECT_EQ(import.import.classes, 5);
  EXPECT_TRUE(import.import.new_head);
  const auto exported = parse({"export", "--model", "m", "--to", "timm", "--out", "vit"});
  EXPECT_EQ(exported.command, Options::Command::kExport);
  EXPECT_EQ(exported.library, "timm");
  EXPECT_EQ(parse({"export", "--model", "m", "--out", "vit"}).library, "acm");
  expect_refused({"import", "--weights", "vit"}, "--out is required");
  expect_refused({"import", "--weights", "vit", "--out", "m", "--classes", "5"}, "--new-head");
  expect_refused({"import", "--weights", "vit", "--out", "m", "--heads", "0"}, "--heads");
  expect_refused({"export", "--model", "m", "--to", "keras", "--out", "vit"}, "--to: keras not in {");
}

TEST(Options, EveryRefusalPointsToTheHelp) {
  expect_refused({"--frobnicate"}, "; acm_dist --help shows what there is");
}

std::string spoken(const std::vector<std::string>& words, bool speak) {
  testing::internal::CaptureStdout();
  EXPECT_EQ(parse(words, speak).command, Options::Command::kNothing);
  return testing::internal::GetCapturedStdout();
}

TEST(Options, HelpIsAnsweredByTheOneThatSpeaks) {
  const auto help = spoken({"--help"}, true);
  for (const char* part : {"--phase", "--config", "--set", "--dry-run", "eval", "reference"})
    EXPECT_NE(help.find(part), std::string::npos) << part;
  EXPECT_NE(spoken({"eval", "--help"}, true).find("--choice"), std::string::npos);
  EXPECT_EQ(spoken({"--version"}, true), version() + "\n");
  EXPECT_EQ(spoken({"--help"}, false), "");
}

}  // namespace
}  // namespace acm::app
