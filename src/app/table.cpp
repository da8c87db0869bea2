#include "app/table.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

namespace acm::app {
namespace {

using Row = std::vector<std::string>;

std::string text(const char* format, double value) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, value);
  return buffer;
}

std::string aligned(const std::vector<Row>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i) {
      if (i == widths.size()) widths.push_back(0);
      widths[i] = std::max(widths[i], row[i].size());
    }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - row[i].size(), ' ');
      line += i == 0 ? row[i] + padding : "  " + padding + row[i];
    }
    out += line + "\n";
  }
  return out;
}

std::string percent(const Json* value) { return value ? text("%.2f %%", 100 * value->as_double()) : "-"; }

std::string mean_learners(const Json& evaluation) {
  const auto& sites = evaluation.at("mean_learners").as_object();
  if (sites.empty()) return "-";
  double sum = 0;
  for (const auto& [site, mean] : sites) sum += mean.as_double();
  return text("%.2f", sum / static_cast<double>(sites.size()));
}

}  // namespace

std::string result_table(const std::vector<ResultRow>& rows) {
  std::vector<Row> cells = {{"model", "top-1", "top-5", "GMAC/sample", "of dense", "learner cost", "learners/site"}};
  for (const auto& [name, e] : rows) {
    const bool dense = e.at("mean_learners").as_object().empty();
    cells.push_back({name, percent(e.find("top1")), percent(e.find("top5")), text("%.6f", e.at("gmac").as_double()),
                     text("%.3f", e.at("share_of_dense").as_double()),
                     dense ? "-" : text("%.3f", e.at("learner_share").as_double()), mean_learners(e)});
  }
  return aligned(cells) +
         "GMAC: 10^9 multiply-accumulates counted from shapes; biases, norms, activations and softmax are not "
         "counted.\n";
}

std::string replaced_line(const Json& evaluation) {
  const int64_t replaced = evaluation.at("replaced_samples").as_int();
  if (replaced == 0) return "";
  return std::to_string(replaced) + " of " + std::to_string(evaluation.at("samples").as_int()) +
         " samples could not be read: others stand in for them, and count once more.\n";
}

std::string budget_table(const std::vector<Json>& rows) {
  std::vector<Row> cells = {
      {"budget", "shift", "on calibration", "learner cost", "top-1", "top-5", "GMAC/sample", "of dense"}};
  for (const Json& e : rows)
    cells.push_back({text("%.3f", e.at("budget").as_double()), text("%+.4f", e.at("shift").as_double()),
                     text("%.4f", e.at("calibration_share").as_double()),
                     text("%.4f", e.at("learner_share").as_double()), percent(e.find("top1")), percent(e.find("top5")),
                     text("%.6f", e.at("gmac").as_double()), text("%.3f", e.at("share_of_dense").as_double())});
  return aligned(cells) +
         "budget: share of the learners' cost that was asked for; shift: added to each gate's logits for every "
         "learner.\n";
}

std::string cost_lines(const Json& evaluation) {
  std::string line = "GMAC of a sample: mean " + text("%.6f", evaluation.at("gmac").as_double());
  for (const auto& [name, macs] : evaluation.at("mac_percentiles").as_object())
    line += ", " + name + " " + text("%.6f", macs.as_double() / 1e9);
  return line + "\n";
}

std::string learner_table(const Json& evaluation) {
  std::map<int, std::map<std::string, std::string>> blocks;  // "blocks.3.ffn" -> 3, "ffn"
  std::set<std::string> kinds;
  for (const auto& [site, mean] : evaluation.at("mean_learners").as_object()) {
    const auto first = site.find('.'), last = site.rfind('.');
    const auto kind = site.substr(last + 1);
    blocks[std::stoi(site.substr(first + 1, last - first - 1))][kind] = text("%.2f", mean.as_double());
    kinds.insert(kind);
  }
  if (blocks.empty()) return "";
  std::vector<Row> cells = {{"mean learners"}};
  for (const auto& kind : kinds) cells[0].push_back(kind);
  for (auto& [block, sites] : blocks) {
    cells.push_back({"block " + std::to_string(block)});
    for (const auto& kind : kinds) cells.back().push_back(sites.count(kind) ? sites[kind] : "-");
  }
  return aligned(cells);
}

}  // namespace acm::app
