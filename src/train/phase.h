#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/loader.h"
#include "train/metrics.h"
#include "train/state.h"

namespace acm::train {

struct NamedParameter {
  std::string name;
  at::Tensor tensor;        // a leaf that requires a gradient
  double weight_decay = 0;  // AdamW's, decoupled
};

// Parameters whose gradients are clipped together.
struct ParameterGroup {
  std::vector<NamedParameter> parameters;
  double max_grad_norm = 1.0;
};

// What a Trainer trains: a loss over slices of a step's global batch, and the parameters it moves.
// The loss of a step is the sum over its slices, so each slice divides by the denominators of the GLOBAL batch.
class Phase : public Stateful {
 public:
  virtual std::string_view name() const = 0;            // "pretrain", "distill", "gating", "finetune"
  virtual std::string_view site() const { return ""; }  // phase 1: the site that this phase trains
  virtual int64_t steps() const = 0;
  virtual std::string_view unit() const = 0;   // what items_per_step counts: "samples" or "tokens"
  virtual int64_t items_per_step() const = 0;  // of the global batch
  virtual std::vector<ParameterGroup> parameter_groups() = 0;

  // What fetching samples has cost this rank since the last call; nothing for a phase that fetches none.
  virtual std::optional<data::FetchFigures> take_fetch_figures() { return std::nullopt; }

  // Before the first step of a phase that no checkpoint continues, on every rank of its group: what a start needs and a
  // resumption does not.
  virtual void start() {}
  // Collective over the group that trains this phase. `mine`: this rank's slices of the coming step, in order. Where
  // the loss speaks of the whole batch its statistics are gathered here.
  virtual void begin_step(std::span<const data::Slice> mine) { (void)mine; }
  // This slice's additive part of the step's loss; collective only as begin_step() is (same calls on every rank). Adds
  // to `metrics` its part of each figure, with the same names on every slice of every rank. "loss" is expected among
  // them.
  virtual at::Tensor loss(const data::Slice& slice, Metrics& metrics) = 0;
  // Collective. Figures on held-out data, where the phase has some.
  virtual void evaluate(int64_t step, Metrics& metrics) { (void)step, (void)metrics; }
  // Writes what the next phase reads. Idempotent; called after the last step on every rank, collective over the group.
  virtual void finish() = 0;
};

}  // namespace acm::train
