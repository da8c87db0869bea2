#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "io/activation_cache.h"
#include "nn/backbone.h"
#include "phases/run.h"
#include "phases/window_plan.h"

namespace acm::phases {

// What the cache of a run holds: those of the teacher's sites that are selected, dtype, samples, and the key that makes
// it what it is, in which `weights` is the teacher's digest.
io::CacheLayout cache_layout(const Run& run, const std::vector<nn::Site>& sites, const std::string& weights);
std::filesystem::path cache_folder(const Run& run);
// Valid tokens of the first captured sample.
int64_t tokens_of_first_sample(const Run& run, const nn::Backbone& teacher);

// What a phase's walk over the cache takes of the disk, found without one: samples of all data known so far have as
// many tokens as the first, and Capture refuses others.
struct CacheNeed {
  io::CacheLayout layout;
  int64_t tokens = 0;  // kept of each sample
  int64_t shuffle_segments = 1;
  bool fresh_views = false;
  int64_t max_bytes = 0;  // cache.max_bytes

  int64_t segment_bytes() const { return io::segment_file_bytes(layout, tokens); }
  int64_t group_bytes() const { return segment_bytes() * shuffle_segments; }
  std::vector<int64_t> rows_per_segment() const;  // of an epoch
  int64_t epoch_rows() const { return layout.samples * tokens; }
  int64_t total_bytes(int64_t training_rows) const;  // where everything stands at once
};
CacheNeed cache_need(const Run& run, const io::CacheLayout& layout, int64_t tokens_of_a_sample);

// Positions that a phase trains on: steps x batch.
int64_t training_rows(const TrainingConfig& config, const CacheNeed& need);

// The windows of a phase that trains on so many rows. Error(kUsage) where cache.max_bytes holds less than two groups:
// it names the smallest limit that works and what else to change.
WindowPlan plan_windows(const CacheNeed& need, int64_t training_rows);

// One line for people: samples, bytes a sample, the total, what is allowed and free, and the windows.
std::string describe_cache(const CacheNeed& need, const WindowPlan& windows, const std::filesystem::path& folder,
                           int64_t free_bytes);

// "38.6 GB"
std::string bytes_text(int64_t bytes);

}  // namespace acm::phases
