#pragma once

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "acm/model.h"
#include "core/json.h"
#include "core/progress.h"
#include "phases/run.h"

namespace acm::phases {

inline constexpr std::array<int, 5> kPercentiles = {5, 25, 50, 75, 95};

// What a model does on samples. Costs are multiply-accumulates counted from shapes and choices (method.md 7).
struct Evaluation {
  std::optional<int64_t> choice = {};  // learners fixed for all sites; empty: the gates chose, or the model is dense
  int64_t samples = 0;
  int64_t replaced = 0;                                            // samples that stand in for one that cannot be read
  std::vector<std::pair<std::string, double>> figures = {};        // top1, top5
  double mean_macs = 0, dense_macs = 0;                            // of a sample
  std::array<int64_t, kPercentiles.size()> macs_percentiles = {};  // the least cost that so many samples do not exceed
  double learner_share = 1;                                        // of the learners' cost; 1 for a dense model
  std::vector<std::pair<std::string, double>> mean_learners = {};  // by site
  double samples_per_second = 0, data_wait = 0;                    // data_wait: share of the time, mean over the ranks
  Json to_json() const;                                            // all but the two that depend on the machine
  std::string speed() const;                                       // those two, as a sentence
};

// What an evaluation needs beside a model and samples.
struct Evaluator {
  const nn::Task& task;
  int64_t micro_batch;
  comm::Communicator& group;
  Progress& progress;
  data::Fetching fetching = {};
  at::Device device = at::kCPU;  // where the model lives
  bool autocast = false;         // whether products are computed in bfloat16 (nn/autocast.h)

  // Collective over the group. Micro-batches are aligned to positions and shared out by number, and everything that is
  // summed is a whole number, so the result is the same for any number of ranks. Only the chosen learners run; samples
  // are fetched while the model computes.
  Evaluation operator()(Model& model, const data::DataSource& source, std::optional<int64_t> choice = {}) const;
};
Evaluator evaluator_of(const Run& run);

// Evaluates a phase's model and keeps the result in its evaluation file: phase 1 with k = 1..N fixed at all sites,
// phase 0 the teacher, the others as they are, and phase 3 once more with its gates shifted to acm.budget where there
// are calibration samples. A file made from the same model is taken as it is. Returns what the file holds: {"model":
// digest, "evaluations": [...]}. Collective over all ranks.
Json evaluate_phase(const Run& run, PhaseId phase);

}  // namespace acm::phases
