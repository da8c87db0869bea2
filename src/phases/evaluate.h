#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "acm/model.h"
#include "core/json.h"
#include "core/progress.h"
#include "phases/run.h"

namespace acm::phases {

// What a model does on the test samples. Costs are multiply-accumulates counted from shapes and choices (method.md 7).
struct Evaluation {
  std::optional<int64_t> choice = {};  // learners fixed for all sites; empty: the gates chose, or the model is dense
  int64_t samples = 0;
  std::vector<std::pair<std::string, double>> figures = {};        // top1, top5
  double mean_macs = 0, dense_macs = 0;                            // of a sample
  double learner_share = 1;                                        // of the learners' cost; 1 for a dense model
  std::vector<std::pair<std::string, double>> mean_learners = {};  // by site
  Json to_json() const;
};

// Collective over the group. Micro-batches are aligned to positions and shared out by number, and everything that is
// summed is a whole number, so the result is the same for any number of ranks. Only the chosen learners run.
Evaluation evaluate(Model& model, const data::DataSource& source, const nn::Task& task, int64_t micro_batch,
                    std::optional<int64_t> choice, comm::Communicator& group, Progress& progress);

// Evaluates a phase's model and keeps the result in its evaluation file: phase 1 with k = 1..N fixed at all sites,
// phase 0 the teacher, the others as they are. A file made from the same model is taken as it is. Returns what the file
// holds: {"model": digest, "evaluations": [...]}. Collective over all ranks.
Json evaluate_phase(const Run& run, PhaseId phase);

}  // namespace acm::phases
