#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

#include "config/read.h"
#include "core/file.h"
#include "unit/config/settings.h"
#include "unit/core/scratch.h"

namespace acm::config {
namespace {

TEST(Print, ShowsEachValueWithItsOrigin) {
  Settings settings;
  EXPECT_EQ(print(settings.fields, {{"seed", "--set"}, {"distill.steps", "a.toml:3"}}),
            "run_dir = \"runs/first\"  # default\n"
            "seed = 0  # --set\n"
            "\n"
            "[distill]\n"
            "learning_rate = 1e-4  # default\n"
            "steps = 1000  # a.toml:3\n"
            "clip = 1.0  # default\n"
            "objective = \"mse\"  # default\n"
            "shuffle = true  # default\n"
            "\n"
            "[acm]\n"
            "learners = 4  # default\n"
            "budget = 0.5  # default\n"
            "sites = [\"ffn\", \"query\"]  # default\n"
            "\n"
            "[gate]\n"
            "dropout = 0.0  # default\n");
}

TEST(ToToml, PutsTheTopLevelFirst) {
  int64_t inner = 1, top = 2;
  Fields fields;
  fields.section("a", "");
  fields.add("inner", inner, any(), "");
  fields.section("", "Everything else.");
  fields.add("top", top, any(), "");
  EXPECT_EQ(to_toml(fields), "top = 2\n\n[a]\ninner = 1\n");
}

TEST(ToToml, ReadsBackToTheSameBits) {
  const Scratch scratch;
  for (const double number :
       {1e-4, 1.0 / 3, 5e-324, 1e300, -0.0, 123456789012345680.0, std::numeric_limits<double>::infinity()}) {
    Settings written, read_back;
    written.clip = number;
    written.seed = std::numeric_limits<int64_t>::max();
    written.run_dir = "a\"\\\n\t\x01\x7fé # [x]";
    written.sites = {};
    written.shuffle = false;
    replace_file(scratch / "config.toml", to_toml(written.fields));
    read(read_back.fields, scratch / "config.toml", {}, {});
    EXPECT_EQ(read_back.clip, number);
    EXPECT_EQ(std::signbit(read_back.clip), std::signbit(number));
    EXPECT_EQ(read_back.run_dir, written.run_dir);
    for (size_t i = 0; i < written.fields.all().size(); ++i) {
      EXPECT_EQ(value_of(written.fields.all()[i]), value_of(read_back.fields.all()[i]))
          << written.fields.all()[i].path();
    }
  }
}

using Names = std::vector<std::string_view>;

TEST(ResultFields, TakesSectionsAndPathsAndLeavesOut) {
  Settings settings;
  EXPECT_EQ(result_fields(settings.fields, Names{"seed", "acm", "-acm.budget", "distill.steps"}).dump(),
            R"({"acm.learners":4,"acm.sites":["ffn","query"],"distill.steps":1000,"seed":0})");
  EXPECT_EQ(result_fields(settings.fields, Names{"-acm.budget", "acm.budget"}).dump(), "{}");
}

TEST(ResultFields, LeavesOutOperations) {
  Settings settings;
  EXPECT_EQ(result_fields(settings.fields, Names{"run_dir", "distill"}).dump(),
            R"({"distill.clip":1.0,"distill.learning_rate":1e-4,"distill.objective":"mse","distill.steps":1000})");
}

TEST(ResultFields, RefusesANameThatFitsNothing) {
  Settings settings;
  EXPECT_THROW(result_fields(settings.fields, Names{"acm.budgets"}), std::logic_error);
  EXPECT_THROW(result_fields(settings.fields, Names{"acm", "-ac"}), std::logic_error);
}

TEST(ReferencePage, HasARowForEachSetting) {
  Settings settings;
  settings.steps = 5;  // the page shows the default
  const std::string page = reference_page(settings.fields);
  const std::string heading = "| Key | Type | Default | Must be | Meaning | Effect |\n|---|---|---|---|---|---|\n";
  const auto holds = [&](const std::string& part) { return page.find(part) != std::string::npos; };
  EXPECT_TRUE(holds("\n## Top level\n\n" + heading +
                    "| `run_dir` | a string | `\"runs/first\"` | anything | where a run keeps its files | operation |\n"
                    "| `seed` | an integer | `0` | zero or more | of every random number | result |\n"))
      << page;
  EXPECT_TRUE(holds("\n## `[distill]`\n\nPhase 1.\n\n" + heading)) << page;
  EXPECT_TRUE(holds("| `steps` | an integer | `1000` | positive | optimizer steps a site | result |\n")) << page;
  EXPECT_TRUE(holds("one of \"mse\", \"relative\\|mse\"")) << page;
  EXPECT_TRUE(holds("| `sites` | an array of strings | `[\"ffn\", \"query\"]` |")) << page;
}

}  // namespace
}  // namespace acm::config
