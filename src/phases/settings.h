#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "acm/model.h"
#include "config/describe.h"
#include "data/open.h"
#include "nn/vit/vit.h"
#include "train/trainer.h"

namespace acm::phases {

struct BackboneConfig {
  std::string family = "vit";
  std::string weights;    // a model file, or another library's weights, to start from instead of phase 0
  bool new_head = false;  // imported weights: a fresh head where the data have another number of classes
  int64_t patch = 7, width = 64, depth = 4, heads = 4, hidden = 256;
  std::string pooling = "class";
};

struct AcmConfig {
  int64_t learners = 4;
  std::vector<std::string> sites = {"ffn", "q", "k", "v", "o"};
  std::string init = "teacher";
  int64_t init_samples = 256;
  std::string projection_activation = "identity";
  bool output_bias = false;
  double budget = 0.5;
};

struct GateSection {
  int64_t hidden = 0, depth = 2;
  std::string activation = "gelu";
  double temperature = 0.8;
};

struct CacheConfig {
  std::string dir;  // "": `cache` in the run folder
  int64_t samples = 0;
  std::string dtype = "precision";
  int64_t tokens_per_sample = 0, max_bytes = 0;
  bool fresh_views = false;
  int64_t segment_samples = 256, micro_batch = 64, shuffle_segments = 4;
};

// What the sections [pretrain], [distill], [gating] and [finetune] have in common.
struct TrainingConfig {
  std::string model;  // input model file; "": the run folder's previous one
  double epochs = 1;
  int64_t steps = 0;  // 0: from epochs
  int64_t batch = 64, micro_batches = 1;
  double learning_rate = 1e-3;
  int64_t warmup_steps = 0, save_every = 200, log_every = 20;

  // steps where they are given, else floor(epochs * items / batch).
  int64_t steps_over(int64_t items) const;
};

struct PretrainConfig : TrainingConfig {
  double weight_decay = 0.05;
  std::string autocast = "none";
};

struct DistillConfig : TrainingConfig {
  std::string objective = "nested";
  int64_t slices = 1;
};

struct GatingConfig : TrainingConfig {
  std::string rule = "allocation";
  double tau = 1.2;
  std::string site_weights = "measured";
  int64_t label_samples = 256;
  double label_share = 0.8;
};

struct FinetuneConfig : TrainingConfig {
  bool calibrated_start = true;
  bool gate_task_gradient = true;
  double teacher_weight = 0;
  double budget_weight = 0.1, entropy_weight = 0.05, diversity_weight = 0.05;
  std::string entropy_bins = "allowed";
  std::string autocast = "none";
};

// How the phases' checkpoints are kept. Each phase has its own save_every.
struct CheckpointsConfig {
  double save_minutes = 0;
  int64_t keep_last = 2;
  bool keep_best = false;
  std::string on_failed_save = "stop";
};

// What is done about ranks and numbers that go wrong.
struct SafetyConfig {
  int64_t rollbacks = 0;
  double silent_seconds = 10, late_seconds = 30, save_seconds = 600;
};

struct EvaluateConfig {
  int64_t micro_batch = 100;
};

// The whole of a run's settings: one TOML for all phases.
struct Settings {
  std::string run_dir = "run";
  int64_t seed = 0;
  std::string precision = "float32";
  std::string device = "auto";
  bool tf32 = false, deterministic = false;
  int64_t threads = 0;
  data::DataConfig data;
  BackboneConfig backbone;
  AcmConfig acm;
  GateSection gate;
  CacheConfig cache;
  PretrainConfig pretrain;
  DistillConfig distill;
  GatingConfig gating;
  FinetuneConfig finetune;
  CheckpointsConfig checkpoints;
  SafetyConfig safety;
  EvaluateConfig evaluate;

  Settings();
  // Names every field once; the Fields refer to this object.
  config::Fields describe();
  // Rules that speak of several fields, as sentences that begin with the field to change.
  std::vector<std::string> broken_rules() const;

  at::ScalarType dtype() const;
  // Of a phase, with what [checkpoints] and [safety] add.
  train::TrainerConfig trainer(const TrainingConfig& phase) const;
  SurgeryConfig surgery() const;
  GateConfig gate_config() const;
};

}  // namespace acm::phases
