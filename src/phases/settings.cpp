#include "phases/settings.h"

#include <algorithm>
#include <cmath>

#include "data/schedule.h"

namespace acm::phases {
namespace {

using config::any;
using config::between;
using config::Effect;
using config::Fields;
using config::more_than_at_most;
using config::not_negative;
using config::one_of;
using config::positive;

void describe_training(Fields& fields, TrainingConfig& c, const std::string& batch_unit, const std::string& input) {
  fields.add("model", c.model, any(), "input model file; empty: " + input, Effect::kOperation);
  fields.add("epochs", c.epochs, positive(), "passes over the data; used where steps is 0");
  fields.add("steps", c.steps, not_negative(), "optimizer steps; 0: as many as epochs give");
  fields.add("batch", c.batch, positive(), batch_unit + " in the global batch of a step");
  fields.add("learning_rate", c.learning_rate, positive(),
             "peak of the schedule: linear warm-up, then a cosine to 1e-6");
  fields.add("warmup_steps", c.warmup_steps, not_negative(), "steps of linear warm-up");
  fields.add("save_every", c.save_every, not_negative(), "steps between checkpoints; 0: only when stopped",
             Effect::kOperation);
  fields.add("log_every", c.log_every, positive(), "steps between rows of metrics.jsonl", Effect::kOperation);
}

void describe_micro_batches(Fields& fields, TrainingConfig& c) {
  fields.add("micro_batches", c.micro_batches, positive(),
             "parts into which each rank cuts its share of a batch, to save memory", Effect::kOperation);
}

void describe_autocast(Fields& fields, std::string& autocast) {
  fields.add("autocast", autocast, one_of({"none", "bfloat16"}),
             "bfloat16: products of the forward and backward pass are computed in it; parameters, gradients, norms and "
             "losses stay float32");
}

void describe_backbone(Fields& fields, BackboneConfig& c) {
  fields.section("backbone", "The Transformer that is converted.");
  fields.add("family", c.family, one_of({"vit"}), "architecture");
  fields.add(
      "weights", c.weights, any(),
      "pretrained weights: a model file, or a file or folder of timm, Hugging Face or torchvision; empty: phase 0 "
      "trains them",
      Effect::kOperation);
  fields.add("new_head", c.new_head, any(),
             "give imported weights a fresh head where the data have another number of classes");
  fields.add("patch", c.patch, positive(), "side of a square patch, in pixels");
  fields.add("width", c.width, positive(), "width of a token");
  fields.add("depth", c.depth, positive(), "blocks");
  fields.add("heads", c.heads, positive(), "attention heads of a block");
  fields.add("hidden", c.hidden, positive(), "hidden units of a block's FFN");
  fields.add("pooling", c.pooling, one_of({"class", "mean"}),
             "what the head reads: a class token, or the mean of the patch tokens");
}

void describe_acm(Fields& fields, AcmConfig& c) {
  fields.section("acm", "The Adaptive Computation Modules that replace sub-layers (paper, section 3).");
  fields.add("learners", c.learners, between(1, 64), "learners N at each site");
  fields.add("sites", c.sites, any(), "what is replaced: site kinds (ffn, q, k, v, o) or names such as blocks.3.ffn");
  fields.add("init", c.init, one_of({"teacher", "random", "reference"}),
             "how learners start: cut from the dense module (docs/methods.md); the paper's random numbers; those of "
             "its authors' code");
  fields.add("init_samples", c.init_samples, positive(), "captured samples from which teacher measures importance");
  fields.add("projection_activation", c.projection_activation, one_of({"identity", "gelu"}),
             "activation inside the learners of q, k, v, o");
  fields.add("output_bias", c.output_bias, any(), "one output bias for each learner");
  fields.add("budget", c.budget, more_than_at_most(0, 1), "wanted share of the learners' cost (beta)");
}

void describe_gate(Fields& fields, GateSection& c) {
  fields.section("gate", "The gate of each site, which chooses how many learners a token runs.");
  fields.add("hidden", c.hidden, not_negative(),
             "hidden width; 0: the largest, at least 4, whose gates cost at most 1 % of the dense model");
  fields.add("depth", c.depth, between(2, 8), "linear layers");
  fields.add("activation", c.activation, one_of({"gelu", "identity"}), "between the linear layers");
  fields.add("temperature", c.temperature, positive(), "of the Gumbel-softmax in phase 3");
}

void describe_cache(Fields& fields, CacheConfig& c) {
  fields.section("cache", "The teacher's activations, which phases 1 and 2 train on.");
  fields.add("dir", c.dir, any(), "folder of the cache; empty: cache in the run folder", Effect::kOperation);
  fields.add("samples", c.samples, not_negative(), "training samples captured; 0: each once");
  fields.add("dtype", c.dtype, one_of({"precision", "float64", "float32", "bfloat16", "float16"}),
             "numbers stored; precision: those that models are trained in");
  fields.add("tokens_per_sample", c.tokens_per_sample, not_negative(),
             "tokens kept of each sample, chosen by the seed; 0: all");
  fields.add("max_bytes", c.max_bytes, not_negative(),
             "most bytes of the cache on disk: it is filled in windows while phases walk over it; 0: all at once",
             Effect::kOperation);
  fields.add("fresh_views", c.fresh_views, any(), "each epoch captures newly augmented samples");
  fields.add("segment_samples", c.segment_samples, positive(), "samples in one segment file");
  fields.add("micro_batch", c.micro_batch, positive(),
             "samples that go through the teacher at once; divides segment_samples");
  fields.add("shuffle_segments", c.shuffle_segments, positive(),
             "consecutive segments among which rows are shuffled; a rank holds that many of a site in memory");
}

void describe_training_phases(Fields& fields, Settings& s) {
  fields.section("pretrain", "Phase 0: trains the dense backbone, for those who have no pretrained one. AdamW.");
  describe_training(fields, s.pretrain, "samples", "none, the backbone starts from random weights");
  describe_micro_batches(fields, s.pretrain);
  fields.add("weight_decay", s.pretrain.weight_decay, not_negative(), "of matrices; biases and norms have none");
  describe_autocast(fields, s.pretrain.autocast);

  fields.section("distill",
                 "Phase 1: each site's learners learn to imitate the dense module (paper, section 3.2). Adam; every "
                 "rank trains its own sites.");
  describe_training(fields, s.distill, "tokens", "backbone.weights, else model-phase0.safetensors");
  fields.add("objective", s.distill.objective, one_of({"nested", "greedy"}),
             "nested: gradients through every prefix sum; greedy: each learner fits what those before it left");
  fields.add("slices", s.distill.slices, between(1, 1024),
             "parts, a power of two, into which a step is cut so that as many ranks can share a site");

  fields.section("gating", "Phase 2: gates learn from labels, learners frozen (paper, section 3.3). Adam.");
  describe_training(fields, s.gating, "tokens", "model-phase1.safetensors");
  describe_micro_batches(fields, s.gating);
  fields.add(
      "rule", s.gating.rule, one_of({"allocation", "marginal", "reference"}),
      "how a token's label is found: the best way to spend acm.budget; as in the paper; as in its authors' code");
  fields.add("tau", s.gating.tau, positive(),
             "marginal, reference: a further learner must improve the error by this factor");
  fields.add("site_weights", s.gating.site_weights, one_of({"measured", "unit"}),
             "allocation: what an error at a site costs: measured in the teacher's outputs, or 1");
  fields.add("label_samples", s.gating.label_samples, positive(),
             "allocation: captured samples on which weights and the price of a learner are measured");
  fields.add(
      "label_share", s.gating.label_share, more_than_at_most(0, 1),
      "allocation: labels spend this share of acm.budget, and the trained gates are then shifted to spend all of it "
      "(docs/methods.md); 1: labels spend acm.budget, and nothing is shifted");

  fields.section("finetune", "Phase 3: everything is trained end to end under the budget (paper, section 3.4). Adam.");
  describe_training(fields, s.finetune, "samples", "model-phase2.safetensors");
  describe_micro_batches(fields, s.finetune);
  fields.add("calibrated_start", s.finetune.calibrated_start, any(),
             "before the first step, shift the gates so that they spend acm.budget");
  fields.add("teacher_weight", s.finetune.teacher_weight, between(0, 1),
             "share of the task loss that compares with the teacher's outputs instead of labels");
  fields.add("gate_task_gradient", s.finetune.gate_task_gradient, any(), "whether the task loss reaches the gates");
  fields.add("budget_weight", s.finetune.budget_weight, not_negative(), "weight of the budget loss");
  fields.add("entropy_weight", s.finetune.entropy_weight, not_negative(), "weight of the entropy loss");
  fields.add("diversity_weight", s.finetune.diversity_weight, not_negative(), "weight of the diversity loss");
  fields.add(
      "entropy_bins", s.finetune.entropy_bins, one_of({"allowed", "all"}),
      "counts over which the entropy is taken: those a site may choose, or 0..N everywhere as in the authors' code");
  describe_autocast(fields, s.finetune.autocast);
}

void describe_checkpoints(Fields& fields, CheckpointsConfig& c) {
  fields.section("checkpoints", "How checkpoints are kept; each phase has its own save_every (docs/checkpoints.md).");
  fields.add("save_minutes", c.save_minutes, not_negative(), "minutes between checkpoints, beside save_every; 0: off",
             Effect::kOperation);
  fields.add("keep_last", c.keep_last, between(2, 1000000), "newest checkpoints that stay", Effect::kOperation);
  fields.add("keep_best", c.keep_best, any(), "the one with the lowest training loss stays as well",
             Effect::kOperation);
  fields.add("on_failed_save", c.on_failed_save, one_of({"stop", "continue"}),
             "a checkpoint that cannot be written ends the run, or is reported and tried again at the next interval",
             Effect::kOperation);
}

void describe_safety(Fields& fields, SafetyConfig& c) {
  fields.section("safety", "What is done about ranks and numbers that go wrong.");
  fields.add(
      "rollbacks", c.rollbacks, not_negative(),
      "how often a start of a phase goes back to its last checkpoint and leaves out a step whose numbers were not "
      "finite; after that they end the run",
      Effect::kOperation);
  fields.add("silent_seconds", c.silent_seconds, positive(),
             "a rank that gives no sign of life for so long is taken for dead, and all end", Effect::kOperation);
  fields.add(
      "late_seconds", c.late_seconds, positive(),
      "a rank that the others have waited for so long inside a step (or five times as long as the slowest step) is "
      "taken for hung, and all end",
      Effect::kOperation);
  fields.add(
      "save_seconds", c.save_seconds, positive(),
      "the disk of a rank that writes its part of one checkpoint for longer is taken for one that does not answer, "
      "and all end",
      Effect::kOperation);
}

}  // namespace

train::TrainerConfig Settings::trainer(const TrainingConfig& phase) const {
  return {.micro_batches = phase.micro_batches,
          .learning_rate = phase.learning_rate,
          .warmup_steps = phase.warmup_steps,
          .save_every = phase.save_every,
          .save_minutes = checkpoints.save_minutes,
          .retention = {.keep_last = checkpoints.keep_last, .keep_best = checkpoints.keep_best},
          .go_on_unsaved = checkpoints.on_failed_save == "continue",
          .rollbacks = safety.rollbacks,
          .log_every = phase.log_every};
}

int64_t TrainingConfig::steps_over(int64_t items) const {
  return steps > 0 ? steps : data::Schedule::steps(epochs, items, batch);
}

// Defaults that differ between phases: the learning rates and batches of the paper's vision runs (method.md 3 to 6).
Settings::Settings() {
  pretrain.batch = 128;
  distill.epochs = 2;
  distill.batch = 4096;
  gating.batch = 4096;
  gating.learning_rate = 1e-2;
  finetune.batch = 512;
  finetune.learning_rate = 1e-4;
}

Fields Settings::describe() {
  Fields fields;
  fields.section("", "Keys outside any section.");
  fields.add("run_dir", run_dir, any(), "folder of everything the run writes", Effect::kOperation);
  fields.add("seed", seed, not_negative(), "of every random choice");
  fields.add("precision", precision, one_of({"float32", "float64"}), "numbers that models are trained in");
  fields.add("device", device, one_of({"auto", "cpu", "cuda"}),
             "where models are trained; auto: on the ranks' GPUs where they see some", Effect::kOperation);
  fields.add("tf32", tf32, any(),
             "on a GPU: products of float32 numbers read no more than 11 significant bits of each and so are several "
             "times as fast; sums stay float32");
  fields.add("deterministic", deterministic, any(),
             "on a GPU: only algorithms whose results repeat, which may be slower; the CPU's always do",
             Effect::kOperation);
  fields.add("threads", threads, not_negative(), "threads of a rank; 0: its share of the cores", Effect::kOperation);
  fields.section("data", "Training and test samples.");
  data.describe(fields);
  fields.section("augment", "What is random in training samples.");
  data.augment.describe(fields);
  describe_backbone(fields, backbone);
  describe_acm(fields, acm);
  describe_gate(fields, gate);
  describe_cache(fields, cache);
  describe_training_phases(fields, *this);
  describe_checkpoints(fields, checkpoints);
  describe_safety(fields, safety);
  fields.section("evaluate", "Evaluation on the test samples.");
  fields.add("micro_batch", evaluate.micro_batch, positive(), "samples that go through the model at once");
  return fields;
}

std::vector<std::string> Settings::broken_rules() const {
  std::vector<std::string> broken;
  const auto must = [&](bool holds, std::string sentence) {
    if (!holds) broken.push_back(std::move(sentence));
  };
  must(!run_dir.empty(), "run_dir must not be empty");
  must(!data.path.empty(), "data.path must name the folder of the data set");
  must(backbone.width % backbone.heads == 0, "backbone.width must be a multiple of backbone.heads, got " +
                                                 std::to_string(backbone.width) + " and " +
                                                 std::to_string(backbone.heads));
  must(cache.segment_samples % cache.micro_batch == 0,
       "cache.segment_samples must be a multiple of cache.micro_batch, got " + std::to_string(cache.segment_samples) +
           " and " + std::to_string(cache.micro_batch));
  must((distill.slices & (distill.slices - 1)) == 0,
       "distill.slices must be a power of two, got " + std::to_string(distill.slices));
  must(distill.slices <= distill.batch, "distill.slices must not be more than distill.batch, got " +
                                            std::to_string(distill.slices) + " and " + std::to_string(distill.batch));
  const auto& augment = data.augment;
  must(
      data.kind != "idx" || !(augment.random_resized_crop || augment.three_augment || augment.colour_jitter > 0),
      "data.kind must not be idx where augment.random_resized_crop, three_augment or colour_jitter is on: they are for "
      "photographs");
  must(data.kind == "idx" || augment.crop_padding == 0,
       "augment.crop_padding must be 0 where data.kind is not idx: photographs have augment.random_resized_crop");
  const auto whole_pairs = [&](const char* field, int64_t samples) {
    must(!augment.mixes() || samples % 2 == 0,
         std::string(field) + " must be even, because augment.mixup and augment.cutmix mix samples in pairs, got " +
             std::to_string(samples));
  };
  whole_pairs("pretrain.batch", pretrain.batch);
  whole_pairs("finetune.batch", finetune.batch);
  whole_pairs("cache.micro_batch", cache.micro_batch);
  must(!acm.sites.empty(), "acm.sites must name at least one kind of site");
  // Only the outputs of these add up in the residual stream, where an error costs the same wherever it was made.
  const auto in_residual = [](const std::string& site) {
    return site == "ffn" || site == "o" || site.ends_with(".ffn") || site.ends_with(".o");
  };
  must(
      gating.rule != "allocation" || gating.site_weights != "unit" || std::ranges::all_of(acm.sites, in_residual),
      "gating.site_weights must be \"measured\" where acm.sites has q, k or v: errors of these are not in the residual "
      "stream and cannot be weighed alike");
  const auto check_warmup = [&](const char* section, const TrainingConfig& c) {
    must(c.steps == 0 || c.warmup_steps < c.steps, std::string(section) + ".warmup_steps must be less than " + section +
                                                       ".steps, got " + std::to_string(c.warmup_steps) + " and " +
                                                       std::to_string(c.steps));
  };
  must(precision == "float32" || (pretrain.autocast == "none" && finetune.autocast == "none"),
       "precision must be float32 where pretrain.autocast or finetune.autocast is bfloat16, got " + precision);
  check_warmup("pretrain", pretrain);
  check_warmup("distill", distill);
  check_warmup("gating", gating);
  check_warmup("finetune", finetune);
  return broken;
}

at::ScalarType Settings::dtype() const {
  return precision == "float64" ? at::ScalarType::Double : at::ScalarType::Float;
}

SurgeryConfig Settings::surgery() const {
  return {acm.learners, acm.sites, activation_from(acm.projection_activation), acm.output_bias};
}

GateConfig Settings::gate_config() const {
  return {gate.hidden, gate.depth, activation_from(gate.activation), gate.temperature};
}

}  // namespace acm::phases
