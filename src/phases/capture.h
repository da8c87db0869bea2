#pragma once

#include <memory>

#include "acm/model.h"
#include "data/schedule.h"
#include "io/activation_cache.h"
#include "phases/run.h"

namespace acm::phases {

// What the cache of a run holds: sites, dtype, samples, and the key that makes it what it is, in which `weights` is the
// teacher's digest.
io::CacheLayout cache_layout(const Run& run, const nn::Backbone& teacher, const std::string& weights);
std::filesystem::path cache_folder(const Run& run);
int64_t tokens_of_first_sample(const Run& run, const nn::Backbone& teacher);

// The activation cache of a run and the means to fill it: the frozen teacher, run over the capture schedule in
// micro-batches aligned to positions, so that a segment has the same bytes whichever rank makes it. Needs no collective
// but in fill().
class Capture {
 public:
  // Loads the teacher; Error(kUsage) where it is an ACM model already, or the folder holds the cache of something else.
  explicit Capture(const Run& run);

  io::ActivationCache& cache() { return *cache_; }
  const nn::Backbone& teacher() const { return *teacher_.backbone; }
  const std::string& teacher_digest() const { return teacher_.digest; }

  // Collective. Captures every segment that is missing or damaged, segment s by rank s mod ranks, after comparing the
  // bytes needed with the free space (Error(kResource); every sample is taken to have as many tokens as the first).
  // True where all stand; false where the run was asked to stop before.
  bool fill();
  // Captures one segment, here and now.
  void capture(int64_t segment);

 private:
  std::vector<int64_t> missing_segments();  // collective
  std::vector<int64_t> find_missing();
  int64_t bytes_per_segment() const;

  const Run& run_;
  Model teacher_;
  data::Schedule schedule_;
  std::unique_ptr<io::ActivationCache> cache_;
};

}  // namespace acm::phases
