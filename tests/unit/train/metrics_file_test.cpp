#include <gtest/gtest.h>

#include <limits>

#include "core/file.h"
#include "train/metrics.h"
#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"

namespace acm::train {
namespace {

Json row(std::string_view phase, std::string_view site, int64_t step) {
  Json json = Json::object({{"phase", phase}, {"step", step}});
  if (!site.empty()) json["site"] = site;
  return json;
}

TEST(MetricsFile, AppendsOneObjectALine) {
  const Scratch scratch;
  MetricsFile file(scratch / "run/metrics.jsonl");
  file.append(row("gating", "", 1));
  Json second = row("gating", "", 2);
  second["loss"] = std::numeric_limits<double>::quiet_NaN();
  file.append(second);
  EXPECT_EQ(read_file(scratch / "run/metrics.jsonl"),
            "{\"phase\":\"gating\",\"step\":1}\n{\"loss\":\"nan\",\"phase\":\"gating\",\"step\":2}\n");
}

TEST(MetricsFile, DropsATornLastLineWhenOpened) {
  const Scratch scratch;
  const auto path = scratch / "metrics.jsonl";
  for (const std::string whole : {"", "{\"phase\":\"gating\",\"step\":1}\n"}) {
    replace_file(path, whole + "{\"phase\":\"gat");
    MetricsFile file(path);
    EXPECT_EQ(read_file(path), whole);
    file.append(row("gating", "", 9));
    EXPECT_EQ(read_file(path), whole + "{\"phase\":\"gating\",\"step\":9}\n");
  }
}

TEST(MetricsFile, DropsOnlyLaterRowsOfThePhaseAndSite) {
  const Scratch scratch;
  const auto path = scratch / "metrics.jsonl";
  MetricsFile file(path);
  std::string expected;
  for (int64_t step = 1; step <= 3; ++step) {
    for (const auto& [phase, site] : {std::pair{"distill", "a"}, {"distill", "b"}, {"gating", ""}}) {
      file.append(row(phase, site, step));
      if (std::string_view(site) != "a" || step <= 1) expected += row(phase, site, step).dump() + "\n";
    }
  }
  file.drop_after("distill", "a", 1);
  EXPECT_EQ(read_file(path), expected);
  file.drop_after("pretrain", "", 0);
  EXPECT_EQ(read_file(path), expected);
}

TEST(MetricsFile, NamesALineThatIsNoJson) {
  const Scratch scratch;
  const auto path = scratch / "metrics.jsonl";
  replace_file(path, "{\"phase\":\"gating\",\"step\":1}\nnonsense\n");
  MetricsFile file(path);
  expect_error(Fault::kData, "metrics.jsonl:2", [&] { file.drop_after("gating", "", 0); });
}

}  // namespace
}  // namespace acm::train
