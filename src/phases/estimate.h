#pragma once

#include "phases/machine.h"
#include "phases/model_sizes.h"
#include "train/gradient_reducer.h"

namespace acm::phases {

// What a phase takes on so many ranks. Bytes are exact up to what is said beside them; times follow from a machine's
// figures, with nothing overlapped: docs/scale.md says what is counted and what is not.
struct Estimate {
  PhaseId phase = PhaseId::kPretrain;
  int ranks = 1;
  std::string refused = {};  // why the phase cannot run on so many; all else is then 0

  int64_t steps = 0;
  // Of a step on the busiest rank; in phase 1 of a step of each of its sites.
  int64_t macs = 0;
  double compute_seconds = 0, exchange_seconds = 0;
  double step_seconds() const { return compute_seconds + exchange_seconds; }

  // Once: labels of phase 2, captured samples, the cache written; read, and handed from rank to rank.
  double start_seconds = 0, capture_seconds = 0, write_seconds = 0, read_seconds = 0;
  double total_seconds() const {
    return static_cast<double>(steps) * step_seconds() + start_seconds + capture_seconds + write_seconds + read_seconds;
  }

  int64_t gradient_bytes = 0;    // that a rank sums with others in a step; phase 1: of a team, for all its sites
  int64_t gather_bytes = 0;      // that a rank gathers from all in a step, its own included
  int64_t checkpoint_bytes = 0;  // tensors of one checkpoint; phase 1: of all sites
  double save_seconds = 0;       // of writing one, beside training: not part of the total
  int64_t cache_bytes = 0;       // on the disk at a time; every segment is counted as the first, a full one
  int64_t written_bytes = 0;     // to the cache over the phase
  int64_t read_bytes = 0;        // from it, over all ranks, to train on: what a host's memory keeps is not looked at
  int64_t memory_bytes = 0;      // of the busiest rank, about: parameters, optimizer, rows of the cache, activations

  int team_ranks = 1;    // phase 1: ranks that share a site
  double imbalance = 1;  // busiest / mean load
};

// The cost model of a run: from shapes, settings and data to bytes and operations, and by a machine's figures to time.
class RunEstimate {
 public:
  // Builds the run's model once.
  RunEstimate(const Run& run, Machine machine);
  // Of a model that is not built, and that the run's settings need not know.
  RunEstimate(const Run& run, Machine machine, const ModelShape& dense);
  // Error(kUsage) where cache.max_bytes is too small whatever the number of ranks.
  Estimate of(PhaseId phase, int ranks) const;
  const ModelSizes& sizes() const { return sizes_; }
  const Machine& machine() const { return machine_; }

 private:
  // Operations of a rank: multiply-accumulates, and numbers read or written in memory beside those of the products.
  struct Work {
    double macs = 0, passed = 0;
  };
  double seconds(const Work& work, bool in_bfloat16 = false) const;  // by autocast, or in the settings' numbers
  double bytes(double numbers) const;
  Work update(double numbers) const;
  void add_samples(Estimate& e, double samples, double slices) const;
  void add_sites(Estimate& e) const;
  void add_gates(Estimate& e, double rows) const;
  void add_reduction(Estimate& e, double numbers) const;
  void add_capture(Estimate& e) const;
  void add_reading(Estimate& e) const;
  double label_seconds(int ranks) const;
  Work teacher_pass() const;
  int64_t prefix_values(const SiteSizes& site) const;
  int64_t segment_bytes(const SiteSizes& site) const;
  int64_t held_bytes(int ranks, int64_t of_segment) const;

  const Run& run_;
  Machine machine_;
  ModelSizes sizes_;
};

}  // namespace acm::phases
