#pragma once

#include <memory>
#include <vector>

#include "acm/model.h"
#include "data/loader.h"
#include "io/activation_cache.h"
#include "phases/cache_plan.h"

namespace acm::phases {

// The activation cache of a run and the means to fill it: the frozen teacher, run over the capture schedule in
// micro-batches aligned to positions and always full, so that what is cached of a sample has the same bytes whichever
// rank captures it and however many samples are wanted. Needs no collective but in fill().
class Capture {
 public:
  // Loads the teacher; Error(kUsage) where it is an ACM model already, or the folder holds the cache of something else.
  explicit Capture(const Run& run);

  io::ActivationCache& cache() { return *cache_; }
  const io::ActivationCache& cache() const { return *cache_; }
  const nn::Backbone& teacher() const { return *teacher_.backbone; }
  const std::string& teacher_digest() const { return teacher_.digest; }
  const CacheNeed& need() const { return need_; }
  at::ScalarType dtype() const { return run_.settings.dtype(); }  // of the teacher, and of what is trained

  // The windows of a phase, as plan_windows(); Error(kResource) also where all is to stand at once and cannot, without
  // a look at every segment there would be.
  WindowPlan plan(const TrainingConfig& phase) const;
  // Collective. Captures those of the segments that are missing or damaged, shared out among the ranks, after comparing
  // the bytes that they and `further` more take with the free space (Error(kResource)). True where all stand; false
  // where the run was asked to stop before.
  bool fill(const std::vector<int64_t>& segments, int64_t further = 0);
  bool fill();  // all segments of an epoch, of a cache that plan() does not refuse
  // Captures what is missing or damaged of this rank's share of the segments, by itself. False: asked to stop before.
  bool fill_share(const std::vector<int64_t>& segments);
  // Captures one segment, here and now.
  void capture(int64_t segment);
  // What capture() would write.
  io::SegmentData compute(int64_t segment);

 private:
  [[noreturn]] void fail_of_space(int64_t bytes, int64_t free) const;
  std::vector<int64_t> find_missing(const std::vector<int64_t>& segments, int64_t further);
  bool capture_each(const std::vector<int64_t>& segments);
  std::unique_ptr<data::RangeLoader> loader_of(const std::vector<int64_t>& segments) const;
  io::SegmentData compute(int64_t segment, data::RangeLoader& loader);

  const Run& run_;
  Model teacher_;
  data::Schedule schedule_;
  std::unique_ptr<io::ActivationCache> cache_;
  CacheNeed need_;
};

}  // namespace acm::phases
