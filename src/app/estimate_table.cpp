#include "app/estimate_table.h"

#include <algorithm>
#include <cstdio>
#include <map>

namespace acm::app {
namespace {

using phases::bytes_text;
using phases::Estimate;
using phases::PhaseId;

template <typename... Values>
std::string format(const char* pattern, Values... values) {
  char text[256];
  std::snprintf(text, sizeof text, pattern, values...);
  return text;
}

bool trains_on_rows(const Estimate& e) { return e.phase == PhaseId::kDistill || e.phase == PhaseId::kGating; }

std::string title(const phases::Run& run, const Estimate& e) {
  const auto& config = phases::training_of(run.settings, e.phase);
  std::string text = "phase " + std::to_string(number(e.phase)) + " " + std::string(name_of(e.phase)) + ": " +
                     std::to_string(e.steps) + " steps of " + std::to_string(config.batch) +
                     (trains_on_rows(e) ? " tokens" : " samples") +
                     (e.phase == PhaseId::kDistill ? " a site" : ", gradients of " + bytes_text(e.gradient_bytes)) +
                     "; checkpoint " + bytes_text(e.checkpoint_bytes);
  if (trains_on_rows(e)) text += "; cache " + bytes_text(e.cache_bytes) + " on the disk";
  return text + "\n";
}

std::string heading(const Estimate& e) {
  std::string text = format("  %5s %10s %10s %10s %10s", "ranks", "compute", "exchange", "step", "training");
  if (trains_on_rows(e)) text += format(" %9s %9s %9s %9s %9s", "start", "capture", "writing", "reading", "of bytes");
  if (e.phase == PhaseId::kDistill) text += format(" %5s %8s", "team", "balance");
  return text + format(" %9s %9s\n", "memory", "total");
}

std::string row(const Estimate& e) {
  if (!e.refused.empty()) return format("  %5d ", e.ranks) + e.refused + "\n";
  const auto time = [](double seconds) { return seconds_text(seconds); };
  std::string text =
      format("  %5d %10s %10s %10s %10s", e.ranks, time(e.compute_seconds).c_str(), time(e.exchange_seconds).c_str(),
             time(e.step_seconds()).c_str(), time(static_cast<double>(e.steps) * e.step_seconds()).c_str());
  if (trains_on_rows(e))
    text += format(" %9s %9s %9s %9s %9s", time(e.start_seconds).c_str(), time(e.capture_seconds).c_str(),
                   time(e.write_seconds).c_str(), time(e.read_seconds).c_str(), bytes_text(e.read_bytes).c_str());
  if (e.phase == PhaseId::kDistill) text += format(" %5d %8.2f", e.team_ranks, e.imbalance);
  return text + format(" %9s %9s\n", bytes_text(e.memory_bytes).c_str(), time(e.total_seconds()).c_str());
}

// Of the phases that can run on so many ranks; of numbers that a phase refuses there is no total.
std::string totals(const Estimates& estimates) {
  std::map<int, double> seconds;
  std::map<int, bool> is_refused;
  for (const auto& e : estimates) {
    seconds[e.ranks] += e.total_seconds();
    is_refused[e.ranks] = is_refused[e.ranks] || !e.refused.empty();
  }
  std::string text = "in all:";
  for (const auto& [ranks, total] : seconds)
    text += " " + std::to_string(ranks) + " rank(s) " + (is_refused[ranks] ? "refused" : seconds_text(total)) + ";";
  text.back() = '\n';
  return text;
}

Json to_json(const Estimate& e) {
  Json json = Json::object({{"phase", name_of(e.phase)}, {"ranks", e.ranks}});
  if (!e.refused.empty()) {
    json["refused"] = e.refused;
    return json;
  }
  const auto add = [&](const char* key, Json value) { json[key] = std::move(value); };
  add("steps", e.steps);
  add("macs", e.macs);
  add("compute_seconds", e.compute_seconds);
  add("exchange_seconds", e.exchange_seconds);
  add("step_seconds", e.step_seconds());
  add("start_seconds", e.start_seconds);
  add("capture_seconds", e.capture_seconds);
  add("write_seconds", e.write_seconds);
  add("read_seconds", e.read_seconds);
  add("save_seconds", e.save_seconds);
  add("total_seconds", e.total_seconds());
  add("gradient_bytes", e.gradient_bytes);
  add("gather_bytes", e.gather_bytes);
  add("checkpoint_bytes", e.checkpoint_bytes);
  add("cache_bytes", e.cache_bytes);
  add("written_bytes", e.written_bytes);
  add("read_bytes", e.read_bytes);
  add("memory_bytes", e.memory_bytes);
  add("team_ranks", e.team_ranks);
  add("imbalance", e.imbalance);
  return json;
}

Json to_json(const phases::WholeSizes& model) {
  return Json::object({{"parameters", model.numbers}, {"macs_per_sample", model.macs}});
}

}  // namespace

std::string seconds_text(double seconds) {
  if (seconds == 0) return "-";
  if (seconds < 1e-3) return format("%.3g ms", 1e3 * seconds);
  if (seconds < 100) return format("%.3g s", seconds);
  if (seconds < 100 * 60) return format("%.1f min", seconds / 60);
  if (seconds < 100 * 3600) return format("%.1f h", seconds / 3600);
  return format("%.1f d", seconds / 86400);
}

std::string estimate_tables(const phases::Run& run, const phases::ModelSizes& sizes, const Estimates& estimates) {
  std::string text =
      format(
          "model: %lld tokens a sample, %.4g M parameters, %.4g GMAC a sample; with gates and learners at %zu sites "
          "%.4g M, %.4g GMAC where all run; ",
          static_cast<long long>(sizes.tokens), 1e-6 * static_cast<double>(sizes.dense.numbers),
          1e-9 * static_cast<double>(sizes.dense.macs), sizes.sites.size(),
          1e-6 * static_cast<double>(sizes.acm.numbers), 1e-9 * static_cast<double>(sizes.acm.macs)) +
      "of " + sizes.origin + "\n";
  std::optional<PhaseId> phase;
  for (const auto& e : estimates) {
    if (phase != e.phase) {
      // Bytes of the title are the same on every number of ranks that is not refused.
      const auto shown = std::ranges::find_if(
          estimates, [&](const Estimate& other) { return other.phase == e.phase && other.refused.empty(); });
      text += "\n" + (shown == estimates.end()
                          ? "phase " + std::to_string(number(e.phase)) + " " + std::string(name_of(e.phase)) + ":\n"
                          : title(run, *shown) + heading(*shown));
      phase = e.phase;
    }
    text += row(e);
  }
  return text + "\n" + totals(estimates);
}

std::string machine_lines(const phases::Machine& machine) {
  std::string text = "machine " + machine.name + ":\n";
  for (const auto& [key, figure, meaning] : phases::Machine::entries())
    text += format("  %-18s %-9.3g ", key, (machine.*figure).value) + (machine.*figure).origin + "\n";
  return text;
}

Json estimate_json(const std::string& data, const phases::RunEstimate& model, const Estimates& estimates) {
  Json figures = Json::object(), list = Json::Array();
  for (const auto& [key, figure, meaning] : phases::Machine::entries()) {
    const auto& [value, origin] = model.machine().*figure;
    figures[key] = Json::object({{"value", value}, {"origin", origin}});
  }
  for (const auto& e : estimates) list.push_back(to_json(e));
  const auto& sizes = model.sizes();
  return Json::object({{"data", data},
                       {"model", Json::object({{"origin", sizes.origin},
                                               {"tokens", sizes.tokens},
                                               {"dense", to_json(sizes.dense)},
                                               {"acm", to_json(sizes.acm)},
                                               {"sites", static_cast<int64_t>(sizes.sites.size())}})},
                       {"machine", Json::object({{"name", model.machine().name}, {"figures", figures}})},
                       {"estimates", list}});
}

}  // namespace acm::app
