#include "config/read.h"

#include <gtest/gtest.h>

#include "core/file.h"
#include "unit/config/settings.h"
#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"

namespace acm::config {
namespace {

using Overrides = std::vector<std::string>;

class ReadTest : public testing::Test {
 protected:
  Origins read(const std::string& text, const Overrides& overrides = {}, const CrossRules& cross_rules = {}) {
    replace_file(file_, text);
    return config::read(settings_.fields, file_, overrides, cross_rules);
  }

  // All of the faults, with "FILE" for the name of the file.
  std::string faults(const std::string& text, const Overrides& overrides = {}, const CrossRules& cross_rules = {}) {
    std::string message = expect_error(Fault::kUsage, "", [&] { read(text, overrides, cross_rules); });
    for (size_t at; (at = message.find(file_.string())) != std::string::npos;)
      message.replace(at, file_.string().size(), "FILE");
    return message;
  }

  Scratch scratch_;
  std::filesystem::path file_ = scratch_ / "tiny.toml";
  Settings settings_;
};

TEST_F(ReadTest, SetsEachTypeAndSaysFromWhere) {
  const Origins origins = read(
      "seed = 7\n\n[distill]\nlearning_rate = 3e-4\nclip = 2\nobjective = 'relative|mse'\nshuffle = false\n"
      "[acm]\nsites = [\"key\"]\n");
  EXPECT_EQ(settings_.seed, 7);
  EXPECT_EQ(settings_.learning_rate, 3e-4);
  EXPECT_EQ(settings_.clip, 2.0);  // an integer is a number too
  EXPECT_EQ(settings_.objective, "relative|mse");
  EXPECT_FALSE(settings_.shuffle);
  EXPECT_EQ(settings_.sites, std::vector<std::string>{"key"});
  EXPECT_EQ(settings_.steps, 1000);
  EXPECT_EQ(origins, (Origins{{"seed", file_.string() + ":1"},
                              {"distill.learning_rate", file_.string() + ":4"},
                              {"distill.clip", file_.string() + ":5"},
                              {"distill.objective", file_.string() + ":6"},
                              {"distill.shuffle", file_.string() + ":7"},
                              {"acm.sites", file_.string() + ":9"}}));
}

TEST_F(ReadTest, OverridesAreEnough) {
  config::read(settings_.fields, {}, Overrides{"seed=7"}, {});
  EXPECT_EQ(settings_.seed, 7);
}

TEST_F(ReadTest, ArraysOfNumbersTakeIntegersAndMayBeEmpty) {
  Fields fields;
  std::vector<double> mean = {0.5}, std = {1};
  fields.add("mean", mean, any(), "of pixels");
  fields.add("std", std, any(), "of pixels");
  replace_file(file_, "mean = [0.25, 1]\nstd = []\n");
  config::read(fields, file_, {}, {});
  EXPECT_EQ(mean, (std::vector{0.25, 1.0}));
  EXPECT_TRUE(std.empty());
  EXPECT_EQ(to_toml(fields), "mean = [0.25, 1.0]\nstd = []\n");
  for (const char* text : {"mean = [0.25, \"a\"]\n", "mean = [\"a\", 1]\n", "mean = [\"a\"]\n", "mean = 1\n"}) {
    replace_file(file_, text);
    expect_error(Fault::kUsage, "mean must be an array of numbers", [&] { config::read(fields, file_, {}, {}); });
  }
}

TEST_F(ReadTest, DottedKeysAndInlineTablesAreSectionsToo) {
  read("distill.steps = 3\nacm = {learners = 2}\n");
  EXPECT_EQ(settings_.steps, 3);
  EXPECT_EQ(settings_.learners, 2);
}

TEST_F(ReadTest, AMissingFileIsUsage) {
  expect_error(Fault::kUsage, "cannot read the config: cannot open none.toml: No such file or directory",
               [&] { config::read(settings_.fields, "none.toml", {}, {}); });
}

TEST_F(ReadTest, ASyntaxErrorHasItsPlace) {
  const std::string found = faults("seed = 1\n[distill\nsteps = 2\n");
  EXPECT_TRUE(found.starts_with("FILE:2:9: not TOML: ")) << found;
}

TEST_F(ReadTest, ARepeatedKeyHasItsPlace) {
  const std::string found = faults("seed = 1\nseed = 2\n");
  EXPECT_TRUE(found.starts_with("FILE:2:")) << found;
  EXPECT_NE(found.find("seed"), std::string::npos) << found;
}

TEST_F(ReadTest, EveryRuleHasItsSentence) {
  EXPECT_EQ(faults("seed = -1\n"
                   "[distill]\n"
                   "  learning_rate = -1\n"
                   "  steps = 0\n"
                   "  objective = \"rmse\"\n"
                   "[acm]\n"
                   "learners = 65\n"
                   "budget = 0\n"
                   "sites = [\"ffn\", \"value\"]\n"
                   "[gate]\n"
                   "dropout = nan\n"),
            "FILE:1:1: seed must be zero or more, got -1\n"
            "FILE:3:3: distill.learning_rate must be positive, got -1\n"
            "FILE:4:3: distill.steps must be positive, got 0\n"
            "FILE:5:3: distill.objective must be one of \"mse\", \"relative|mse\", got \"rmse\"\n"
            "FILE:7:1: acm.learners must be between 1 and 64, got 65\n"
            "FILE:8:1: acm.budget must be more than 0 and at most 1, got 0\n"
            "FILE:9:1: acm.sites must be one of \"ffn\", \"query\", \"key\", got [\"ffn\", \"value\"]\n"
            "FILE:11:1: gate.dropout must be between 0 and 0.9, got nan");
}

TEST_F(ReadTest, EveryWrongTypeSaysWhatIsThere) {
  EXPECT_EQ(faults("run_dir = 3\n"
                   "seed = 1.5\n"
                   "[distill]\n"
                   "learning_rate = \"1e-4\"\n"
                   "steps = true\n"
                   "objective = 2024-01-31\n"
                   "shuffle = 1\n"
                   "clip.norm = 2\n"
                   "[acm]\n"
                   "learners = [1, 2]\n"
                   "sites = \"ffn\"\n"),
            "FILE:1:1: run_dir must be a string, got the integer 3\n"
            "FILE:2:1: seed must be an integer, got the number 1.5\n"
            "FILE:4:1: distill.learning_rate must be a number, got the string \"1e-4\"\n"
            "FILE:5:1: distill.steps must be an integer, got true\n"
            "FILE:6:1: distill.objective must be a string, got a date or time\n"
            "FILE:7:1: distill.shuffle must be true or false, got the integer 1\n"
            "FILE:8:1: distill.clip must be a number, got a table\n"
            "FILE:10:1: acm.learners must be an integer, got the array [1.0, 2.0]\n"
            "FILE:11:1: acm.sites must be an array of strings, got the string \"ffn\"");
}

TEST_F(ReadTest, UnknownNamesNameTheNearest) {
  EXPECT_EQ(faults("sed = 1\n"
                   "learners = 3\n"
                   "gate = 1\n"
                   "[distil]\n"
                   "steps = 1\n"
                   "[distill]\n"
                   "stepps = 2\n"
                   "zzzzzzzzz = 3\n"
                   "[elsewhere]\n"),
            "FILE:1:1: sed is not a known key; did you mean 'seed'?\n"
            "FILE:2:1: learners is not a known key; did you mean 'acm.learners'?\n"
            "FILE:3:1: gate must be a section, written [gate], got the integer 1\n"
            "FILE:4:2: [distil] is not a known section; did you mean 'distill'?\n"
            "FILE:7:1: distill.stepps is not a known key; did you mean 'distill.steps'?\n"
            "FILE:8:1: distill.zzzzzzzzz is not a known key; --print-config lists the known ones\n"
            "FILE:9:2: [elsewhere] is not a known section; --print-config lists the known ones");
}

TEST_F(ReadTest, OverridesAreTomlOrBareWordsAndTheLastWins) {
  const Origins origins =
      read("[distill]\nsteps = 5\n",
           {"distill.steps=6", "distill.steps = 7", "distill.learning_rate=1e-5", "distill.shuffle=false",
            "run_dir=runs/b=2 #1", "distill.objective=\"mse\"", "acm.sites=[\"key\", 'ffn']"});
  EXPECT_EQ(settings_.steps, 7);
  EXPECT_EQ(settings_.learning_rate, 1e-5);
  EXPECT_FALSE(settings_.shuffle);
  EXPECT_EQ(settings_.run_dir, "runs/b=2 #1");
  EXPECT_EQ(settings_.sites, (std::vector<std::string>{"key", "ffn"}));
  EXPECT_EQ(origins.at("distill.steps"), "--set");
}

TEST_F(ReadTest, AStringNeedsNoQuotesWhateverItLooksLike) {
  for (const std::string text : {"2024", "true", "2024-01-31", "[a]", ""}) {
    read("", {"run_dir=" + text});
    EXPECT_EQ(settings_.run_dir, text);
  }
}

TEST_F(ReadTest, FaultsOfOverridesBeginWithThem) {
  EXPECT_EQ(faults("", {"distill.learning_rate=-1", "distill.steps=many", "distil.steps=3", "distill", "acm=3",
                        "acm.learners=", "acm.learners=1\nseed=2"}),
            "--set distill.learning_rate=-1: distill.learning_rate must be positive, got -1\n"
            "--set distill.steps=many: distill.steps must be an integer, got the string \"many\"\n"
            "--set distil.steps=3: distil.steps is not a known key; did you mean 'distill.steps'?\n"
            "--set distill: expected KEY=VALUE\n"
            "--set acm=3: acm is a section; name one of its keys\n"
            "--set acm.learners=: acm.learners must be an integer, got the string \"\"\n"
            "--set acm.learners=1\nseed=2: acm.learners must be an integer, got the string \"1\\nseed=2\"");
}

TEST_F(ReadTest, ABrokenArrayInAnOverrideIsNotTakenAsAWord) {
  const std::string found = faults("", {"acm.sites=[ffn]"});
  EXPECT_TRUE(found.starts_with("--set acm.sites=[ffn]: acm.sites must be a TOML value: ")) << found;
}

TEST_F(ReadTest, CrossRulesNameTheOriginOfTheirField) {
  const CrossRules rules = [&] {
    std::vector<std::string> broken;
    if (settings_.learners % 2 != 0)
      broken.push_back("acm.learners must be even, got " + std::to_string(settings_.learners));
    if (settings_.steps < 2000) broken.push_back("distill.steps must be 2000 or more");
    if (settings_.seed == 3) broken.push_back("seed must not be 3");
    return broken;
  };
  EXPECT_EQ(faults("[acm]\nlearners = 3\n", {"seed=3"}, rules),
            "FILE:2: acm.learners must be even, got 3\n"
            "default: distill.steps must be 2000 or more\n"
            "--set seed=3: seed must not be 3");
  EXPECT_NO_THROW(read("[acm]\nlearners = 2\n[distill]\nsteps = 2000\n", {"seed=4"}, rules));
}

TEST_F(ReadTest, CrossRulesComeWithTheOtherFaultsButNotOnAFaultyField) {
  const CrossRules rules = [] {
    return std::vector<std::string>{"acm.learners must be even", "distill.steps must be odd"};
  };
  EXPECT_EQ(faults("[acm]\nlearners = 0\n", {}, rules),
            "FILE:2:1: acm.learners must be between 1 and 64, got 0\ndefault: distill.steps must be odd");
}

TEST_F(ReadTest, ASyntaxErrorSilencesTheCrossRules) {
  const std::string found = faults("?", {"seed=-1"}, [] { return std::vector<std::string>{"seed must be odd"}; });
  EXPECT_EQ(found.find("odd"), std::string::npos) << found;
  EXPECT_NE(found.find("\n--set seed=-1: seed must be zero or more, got -1"), std::string::npos) << found;
}

}  // namespace
}  // namespace acm::config
