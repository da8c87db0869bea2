#include "app/load_settings.h"

#include <gtest/gtest.h>

#include "core/file.h"
#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"

namespace acm::app {
namespace {

Options options_of(const Scratch& scratch, const std::string& toml, std::vector<std::string> overrides = {}) {
  replace_file(scratch / "run.toml", toml);
  Options options;
  options.config = scratch / "run.toml";
  options.overrides = std::move(overrides);
  return options;
}

TEST(LoadedSettings, ComeFromTheFileAndThenFromOverrides) {
  const Scratch scratch;
  const LoadedSettings loaded(
      options_of(scratch, "seed = 5\n[data]\npath = \"d\"\n[distill]\nsteps = 7\nbatch = 9\n", {"distill.steps=8"}));
  EXPECT_EQ(loaded.settings.seed, 5);
  EXPECT_EQ(loaded.settings.distill.steps, 8);
  EXPECT_EQ(loaded.settings.distill.batch, 9);
  EXPECT_EQ(loaded.origins.at("distill.steps"), "--set");
  EXPECT_EQ(loaded.origins.at("seed"), (scratch / "run.toml").string() + ":1");
}

TEST(LoadedSettings, AllFaultsAreToldAtOnceWithTheirPlace) {
  const Scratch scratch;
  const auto options = options_of(
      scratch, "data.path = \"d\"\n[backbone]\nwidth = 30\nheads = 4\n[distill]\nstep = 7\n", {"acm.budget=0"});
  const auto file = (scratch / "run.toml").string();
  const auto message = expect_error(Fault::kUsage, "distill.step is not a known key", [&] { LoadedSettings{options}; });
  EXPECT_NE(message.find(file + ":3: backbone.width must be a multiple of backbone.heads, got 30 and 4"),
            std::string::npos)
      << message;
  EXPECT_NE(message.find("--set acm.budget=0: acm.budget must be more than 0 and at most 1, got 0"), std::string::npos)
      << message;
}

}  // namespace
}  // namespace acm::app
