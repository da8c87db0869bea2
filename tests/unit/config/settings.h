#pragma once

#include <string>
#include <vector>

#include "config/describe.h"

namespace acm::config {

// A small program's settings: every type, every rule, the top level and three sections.
struct Settings {
  std::string run_dir = "runs/first";
  int64_t seed = 0;
  double learning_rate = 1e-4;
  int64_t steps = 1000;
  double clip = 1.0;
  std::string objective = "mse";
  bool shuffle = true;
  int64_t learners = 4;
  double budget = 0.5;
  double dropout = 0;
  std::vector<std::string> sites = {"ffn", "query"};
  Fields fields;

  Settings() {
    fields.add("run_dir", run_dir, any(), "where a run keeps its files", Effect::kOperation);
    fields.add("seed", seed, not_negative(), "of every random number");
    fields.section("distill", "Phase 1.");
    fields.add("learning_rate", learning_rate, positive(), "of AdamW");
    fields.add("steps", steps, positive(), "optimizer steps a site");
    fields.add("clip", clip, any(), "largest norm of a gradient");
    fields.add("objective", objective, one_of({"mse", "relative|mse"}), "what is made small");
    fields.add("shuffle", shuffle, any(), "rows in another order each epoch", Effect::kOperation);
    fields.section("acm", "The modules.");
    fields.add("learners", learners, between(1, 64), "in each module");
    fields.add("budget", budget, more_than_at_most(0, 1), "share of the learners that runs");
    fields.add("sites", sites, one_of({"ffn", "query", "key"}), "what is replaced");
    fields.section("gate", "The gates.");
    fields.add("dropout", dropout, between(0, 0.9), "in a gate");
  }
  Settings(const Settings&) = delete;
};

}  // namespace acm::config
