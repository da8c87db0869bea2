#include "phases/cache_plan.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>

#include "acm/model.h"
#include "config/read.h"
#include "core/error.h"
#include "core/quotient.h"
#include "data/loader.h"

namespace acm::phases {
namespace {

// What of the settings changes the samples that the teacher sees, beside the data's own identity.
constexpr std::array<std::string_view, 2> kViews = {"augment", "data.on_bad_sample"};

int64_t captured_samples(const Run& run) {
  return run.settings.cache.samples > 0 ? run.settings.cache.samples : run.train_data.size();
}

at::ScalarType cached_dtype(const Settings& settings) {
  const auto& name = settings.cache.dtype;
  if (name == "float64") return at::kDouble;
  if (name == "float32") return at::kFloat;
  if (name == "bfloat16") return at::kBFloat16;
  if (name == "float16") return at::kHalf;
  return settings.dtype();
}

}  // namespace

io::CacheLayout cache_layout(const Run& run, const std::vector<nn::Site>& sites, const std::string& weights) {
  const auto& config = run.settings.cache;
  io::CacheLayout layout;
  layout.dtype = cached_dtype(run.settings);
  layout.samples = captured_samples(run);
  layout.segment_samples = config.segment_samples;
  const auto selected = selected_sites(sites, run.settings.acm.sites);
  for (const size_t index : selected) {
    const auto& site = sites[index];
    // The stored input belongs to the first selected site that reads it.
    const auto owner =
        std::ranges::find_if(selected, [&](size_t other) { return sites[other].input_of == site.input_of; });
    layout.sites.push_back({site.name, sites[*owner].name, site.width, site.width});
  }
  layout.key = Json::object({{"weights", weights},
                             {"data", run.train_data.identity()},
                             {"views", config::result_fields(run.fields, kViews)},
                             {"seed", run.settings.seed},
                             {"micro_batch", config.micro_batch},
                             {"tokens_per_sample", config.tokens_per_sample}});
  if (run.settings.tf32) layout.key["tf32"] = true;
  if (config.fresh_views) {
    layout.epochs = std::numeric_limits<int32_t>::max();  // as many as a phase asks for
    layout.epoch_positions = quotient_up(layout.samples, config.micro_batch) * config.micro_batch;
    layout.key["epoch_samples"] = layout.samples;  // the second epoch begins behind them
  }
  return layout;
}

std::filesystem::path cache_folder(const Run& run) {
  return run.settings.cache.dir.empty() ? run.folder.cache() : std::filesystem::path(run.settings.cache.dir);
}

int64_t tokens_of_first_sample(const Run& run, const nn::Backbone& teacher) {
  const data::Schedule schedule(run.train_data.size(), 1, run.key().with("capture"));
  return teacher
      .token_counts(
          data::load_positions(run.train_data, schedule, run.key().with("augmentation"), {0}, run.fetching.bad_samples))
      .item<int64_t>();
}

std::vector<int64_t> CacheNeed::rows_per_segment() const {
  std::vector<int64_t> rows;
  for (int64_t segment = 0; segment < layout.segments(); ++segment) rows.push_back(layout.samples_in(segment) * tokens);
  return rows;
}

int64_t CacheNeed::total_bytes(int64_t training_rows) const {
  const int64_t epochs =
      fresh_views && training_rows > 0 && epoch_rows() > 0 ? (training_rows - 1) / epoch_rows() + 1 : 1;
  return segment_bytes() * layout.segments() * epochs;
}

CacheNeed cache_need(const Run& run, const io::CacheLayout& layout, int64_t tokens_of_a_sample) {
  const auto& config = run.settings.cache;
  const int64_t kept =
      config.tokens_per_sample > 0 ? std::min(config.tokens_per_sample, tokens_of_a_sample) : tokens_of_a_sample;
  return {layout, kept, config.shuffle_segments, config.fresh_views, config.max_bytes};
}

int64_t training_rows(const TrainingConfig& config, const CacheNeed& need) {
  return config.steps_over(need.epoch_rows()) * config.batch;
}

WindowPlan plan_windows(const CacheNeed& need, int64_t training_rows) {
  const WindowPlan::Walk walk{need.rows_per_segment(), need.shuffle_segments, need.fresh_views, training_rows};
  if (need.max_bytes == 0) return {walk, 0};
  if (need.total_bytes(training_rows) <= need.max_bytes) return {walk, 0};
  const int64_t group = need.group_bytes(), groups = need.max_bytes / group;
  if (groups >= 2) return {walk, groups};
  throw Error(Fault::kUsage,
              "cannot fill the activation cache in windows: cache.max_bytes = " + std::to_string(need.max_bytes) +
                  " holds less than two groups of cache.shuffle_segments x cache.segment_samples = " +
                  std::to_string(need.shuffle_segments) + " x " + std::to_string(need.layout.segment_samples) +
                  " samples, " + std::to_string(group) + " bytes each: raise it to " + std::to_string(2 * group) +
                  " at least, or lower one of these two, cache.tokens_per_sample or the precision of cache.dtype");
}

std::string bytes_text(int64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1000 && unit + 1 < kUnits.size(); ++unit) value /= 1000;
  char text[40];
  std::snprintf(text, sizeof text, value < 100 && unit > 0 ? "%.1f %s" : "%.0f %s", value, kUnits[unit]);
  return text;
}

std::string describe_cache(const CacheNeed& need, const WindowPlan& windows, const std::filesystem::path& folder,
                           int64_t free_bytes) {
  const auto& layout = need.layout;
  const int64_t segment = need.segment_bytes(), total = layout.segments() * segment;
  std::string text = "cache: " + std::to_string(layout.samples) + " samples of " +
                     bytes_text(segment / layout.samples_in(0)) + " (" + std::to_string(need.tokens) + " tokens), " +
                     bytes_text(total) + " in " + std::to_string(layout.segments()) + " segments" +
                     (need.fresh_views ? " an epoch" : "") + "; ";
  if (need.max_bytes > 0) text += bytes_text(need.max_bytes) + " allowed, ";
  text += bytes_text(free_bytes) + " free in " + folder.string() + "; ";
  if (windows.is_whole()) return text + "captured at once";
  return text + std::to_string(windows.windows()) + " windows of " + std::to_string(windows.groups_per_window()) +
         " groups of " + std::to_string(need.shuffle_segments * layout.segment_samples) + " samples, " +
         bytes_text(windows.groups_per_window() * need.group_bytes()) + " each, two on the disk at a time";
}

}  // namespace acm::phases
