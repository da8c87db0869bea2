#include "phases/estimate.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/quotient.h"
#include "phases/sample_loader.h"
#include "phases/teams.h"

namespace acm::phases {
namespace {

// Reads and writes of as many numbers as there are parameters in a step: zeroing gradients, their norm, and the
// operations of train/optimizer.cpp one by one.
constexpr double kUpdatePasses = 36;
// Each value of a pass is written once and read once; the backward pass does that with gradients, and reads the values
// again.
constexpr double kForwardPasses = 2, kTrainingPasses = 6;
// Of prefixes and their distances from the target, operation by operation (AcmLayer::prefixes(), prefix_distances());
// the kernels of the CPU pass fewer.
constexpr double kLabelPasses = 9;
// Multiply-accumulates of a training step over those of its forward pass: each product has two gradients.
constexpr double kTraining = 3;
// Of phase 1, whose inputs are data: a learner's first matrix has the gradient of its weights alone.
constexpr double kDistillation = 2.5;
constexpr double kAutocastBytes = 2;  // of a number that passes between products in bfloat16
// Parameters, gradients and two moments.
constexpr double kTrained = 4;
// A checkpoint holds parameters and two moments.
constexpr int64_t kSaved = 3;

struct Captured {
  int64_t segments = 0, of_busiest_rank = 0;
};

Captured captured(const WindowPlan& plan, int ranks) {
  Captured sum;
  for (int64_t window = 0; window < plan.windows(); ++window) {
    const auto segments = static_cast<int64_t>(plan.segments(window).size());
    sum.segments += segments;
    sum.of_busiest_rank += quotient_up(segments, ranks);
  }
  return sum;
}

// What a walk over the cache reads: whole groups, one after another, in each epoch again.
struct Reading {
  int64_t rows = 0, groups = 0;
};

Reading reading_of(const CacheNeed& need, int64_t training_rows) {
  const int64_t epoch = need.epoch_rows(), group = need.shuffle_segments * need.layout.segment_samples * need.tokens;
  const int64_t epochs = training_rows / epoch, rest = quotient_up(training_rows % epoch, group);
  return {epochs * epoch + std::min(rest * group, epoch), epochs * quotient_up(epoch, group) + rest};
}

}  // namespace

RunEstimate::RunEstimate(const Run& run, Machine machine) : RunEstimate(run, std::move(machine), dense_shape(run)) {}

RunEstimate::RunEstimate(const Run& run, Machine machine, const ModelShape& dense)
    : run_(run), machine_(std::move(machine)), sizes_(model_sizes(run, dense)) {}

double RunEstimate::bytes(double numbers) const {
  return numbers * static_cast<double>(c10::elementSize(run_.settings.dtype()));
}

double RunEstimate::seconds(const Work& work, bool in_bfloat16) const {
  const Figure& of_float = run_.settings.tf32 ? machine_.tf32_flops : machine_.float32_flops;
  const Figure& of_settings = run_.settings.dtype() == at::kDouble ? machine_.float64_flops : of_float;
  const double flops = (in_bfloat16 ? machine_.bfloat16_flops : of_settings).value;
  const double passed = in_bfloat16 ? kAutocastBytes * work.passed : bytes(work.passed);
  return 2 * work.macs / flops + passed / machine_.memory_bandwidth.value;
}

RunEstimate::Work RunEstimate::update(double numbers) const { return {.passed = kUpdatePasses * numbers}; }

// Gradients of so many parameters over all ranks, in buckets, and the few numbers on which ranks agree after a step.
void RunEstimate::add_reduction(Estimate& e, double numbers) const {
  constexpr double kAgreement = 4 * sizeof(int64_t);  // train/trainer.cpp
  e.gradient_bytes = static_cast<int64_t>(bytes(numbers));
  e.checkpoint_bytes += kSaved * e.gradient_bytes;
  if (e.ranks == 1) return;
  const double buckets = std::ceil(bytes(numbers) / train::GradientReducer::kBucketBytes);
  e.exchange_seconds += all_reduce_seconds(machine_, e.ranks, bytes(numbers), buckets) +
                        all_reduce_seconds(machine_, e.ranks, kAgreement, 1);
}

// Phases 0 and 3: `samples` of a step on the busiest rank, in so many slices.
void RunEstimate::add_samples(Estimate& e, double samples, double slices) const {
  const bool finetunes = e.phase == PhaseId::kFinetune;
  const auto& model = finetunes ? sizes_.acm : sizes_.dense;
  const auto tokens = static_cast<double>(sizes_.tokens), values = static_cast<double>(model.values);
  const auto macs = static_cast<double>(model.macs), frozen_macs = static_cast<double>(model.frozen_macs);
  const auto frozen = static_cast<double>(model.frozen_numbers), trained = static_cast<double>(model.numbers) - frozen;
  Work step{.macs = samples * (kTraining * (macs - frozen_macs) + frozen_macs),
            .passed = kTrainingPasses * samples * tokens * values};
  if (finetunes && slices > 1) {  // the choices of all slices are gathered before the first gradient
    step.macs += samples * macs;
    step.passed += kForwardPasses * samples * tokens * values;
  }
  const bool has_teacher = finetunes && run_.settings.finetune.teacher_weight > 0;
  if (has_teacher) {
    step.macs += samples * static_cast<double>(sizes_.dense.macs);
    step.passed += kForwardPasses * samples * tokens * static_cast<double>(sizes_.dense.values);
  }
  const bool in_bfloat16 =
      (finetunes ? run_.settings.finetune.autocast : run_.settings.pretrain.autocast) == "bfloat16";
  e.macs = static_cast<int64_t>(step.macs);
  e.compute_seconds = seconds(step, in_bfloat16) + seconds(update(trained));
  add_reduction(e, trained);
  const double kept = samples / slices * tokens * 2 * values;
  e.memory_bytes = static_cast<int64_t>(
      bytes(kTrained * trained + frozen + (has_teacher ? static_cast<double>(sizes_.dense.numbers) : 0)) +
      (in_bfloat16 ? kAutocastBytes * kept : bytes(kept)));
  if (!finetunes) return;
  // phases/batch_statistics.cpp: how many tokens chose each count at each site, and tokens, of every sample.
  const auto sites = static_cast<int64_t>(sizes_.sites.size()), counts = run_.settings.acm.learners + 1;
  const int64_t of_sample = (sites * counts + 1) * static_cast<int64_t>(sizeof(double));
  e.gather_bytes = e.ranks * static_cast<int64_t>(samples) * of_sample;
  if (e.ranks > 1) e.exchange_seconds += all_gather_seconds(machine_, e.ranks, static_cast<double>(e.gather_bytes), 1);
}

// Phase 1: each site by itself, on a rank or on a team, which cuts the rows of a step.
void RunEstimate::add_sites(Estimate& e) const {
  const auto& config = run_.settings.distill;
  std::vector<int64_t> costs;
  for (const auto& site : sizes_.sites) costs.push_back(site.learner_macs);
  const auto plan = plan_teams(costs, e.ranks, config.slices);
  const double rows = static_cast<double>(config.batch) / plan.size;
  std::vector<Estimate> teams(static_cast<size_t>(plan.teams), e);
  int64_t segment = 0;  // what of one is a site's; rows are held for one site at a time
  for (size_t i = 0; i < sizes_.sites.size(); ++i) {
    const auto& site = sizes_.sites[i];
    auto& team = teams[static_cast<size_t>(plan.team_of_site[i])];
    const auto numbers = static_cast<double>(site.learner_numbers);
    const Work step{.macs = kDistillation * rows * static_cast<double>(site.learner_macs),
                    .passed = kTrainingPasses * rows * static_cast<double>(prefix_values(site))};
    team.macs += static_cast<int64_t>(step.macs);
    team.compute_seconds += seconds(step) + seconds(update(numbers));
    team.gradient_bytes += static_cast<int64_t>(bytes(numbers));
    team.memory_bytes += static_cast<int64_t>(bytes(kTrained * numbers));
    segment = std::max(segment, segment_bytes(site));
    e.checkpoint_bytes += kSaved * static_cast<int64_t>(bytes(numbers));
    if (plan.size == 1) continue;
    const double buckets = std::ceil(bytes(numbers) / train::GradientReducer::kBucketBytes);
    // Added in a tree, for which all gather the parts of all (train/gradient_reducer.cpp).
    team.exchange_seconds += all_gather_seconds(machine_, plan.size, plan.size * bytes(numbers), buckets);
  }
  const auto& busiest = *std::ranges::max_element(teams, {}, &Estimate::step_seconds);
  e.macs = busiest.macs;
  e.compute_seconds = busiest.compute_seconds;
  e.exchange_seconds = busiest.exchange_seconds;
  e.gradient_bytes = busiest.gradient_bytes;
  e.memory_bytes = busiest.memory_bytes + held_bytes(plan.size, segment) +
                   static_cast<int64_t>(bytes(static_cast<double>(sizes_.dense.numbers)));
  e.team_ranks = plan.size;
  e.imbalance = plan.imbalance();
}

// Phase 2: labels from all prefixes of every site's learners, which are frozen, and a step of every gate.
void RunEstimate::add_gates(Estimate& e, double rows) const {
  Work step;
  double numbers = 0;
  for (const auto& site : sizes_.sites) {
    step.macs += rows * static_cast<double>(site.learner_macs + 3 * site.gate_macs - site.first_gate_macs);
    step.passed += kLabelPasses * rows * static_cast<double>(prefix_values(site));
    numbers += static_cast<double>(site.gate_numbers);
  }
  e.macs = static_cast<int64_t>(step.macs);
  e.compute_seconds = seconds(step) + seconds(update(numbers));
  add_reduction(e, numbers);
  const bool allocates = run_.settings.gating.rule == "allocation";
  if (allocates)  // a weight for each site, and a price (phases/allocation.cpp)
    e.checkpoint_bytes += static_cast<int64_t>((sizes_.sites.size() + 1) * sizeof(double));
  if (allocates) e.start_seconds = label_seconds(e.ranks);
  e.memory_bytes = held_bytes(e.ranks, sizes_.cache.segment_bytes()) +
                   static_cast<int64_t>(bytes(static_cast<double>(sizes_.acm.numbers + sizes_.dense.numbers) +
                                              (kTrained - 1) * numbers));
}

// Before the first step of phase 2 (phases/site_weights.cpp, allocation.cpp): the teacher on the samples of the labels,
// once, and again for each site of the rank's own from that site on, half of it in the mean; then their prefixes.
double RunEstimate::label_seconds(int ranks) const {
  const auto samples = static_cast<double>(std::min(run_.settings.gating.label_samples, sizes_.cache.layout.samples));
  const auto sites = static_cast<double>(quotient_up(static_cast<int64_t>(sizes_.sites.size()), ranks));
  const double passes = run_.settings.gating.site_weights == "measured" ? 1 + sites / 2 : 0;
  int64_t macs = 0, values = 0;
  for (const auto& site : sizes_.sites) {
    macs += site.learner_macs;
    values += prefix_values(site);
  }
  const double share =
      sites / static_cast<double>(sizes_.sites.size()) * samples * static_cast<double>(sizes_.cache.tokens);
  return passes * samples * seconds(teacher_pass()) +
         seconds(
             {.macs = share * static_cast<double>(macs), .passed = kLabelPasses * share * static_cast<double>(values)});
}

// Of a sample, forward.
RunEstimate::Work RunEstimate::teacher_pass() const {
  return {.macs = static_cast<double>(sizes_.dense.macs),
          .passed = kForwardPasses * static_cast<double>(sizes_.tokens * sizes_.dense.values)};
}

// Values of a token where all prefixes of the learners' outputs are kept.
int64_t RunEstimate::prefix_values(const SiteSizes& site) const {
  return site.hidden + (run_.settings.acm.learners + 2) * site.width;
}

// What of a segment is a site's: its input and output.
int64_t RunEstimate::segment_bytes(const SiteSizes& site) const {
  const auto& need = sizes_.cache;
  return need.layout.segment_samples * need.tokens * 2 * site.width *
         static_cast<int64_t>(c10::elementSize(need.layout.dtype));
}

// Phases 1 and 2: segments captured by all ranks, each its share.
void RunEstimate::add_capture(Estimate& e) const {
  const auto& need = sizes_.cache;
  const auto plan = [&](PhaseId phase) {
    return plan_windows(need, training_rows(training_of(run_.settings, phase), need));
  };
  const auto windows = plan(e.phase);
  auto captures = captured(windows, e.ranks);
  const int64_t on_disk =
      windows.is_whole() ? captures.segments : 2 * windows.groups_per_window() * need.shuffle_segments;
  e.cache_bytes = on_disk * need.segment_bytes();
  // What phase 1 left is there still, unless windows took it away.
  if (const auto before = plan(PhaseId::kDistill);
      e.phase == PhaseId::kGating && windows.is_whole() && before.is_whole()) {
    const int64_t missing = std::max<int64_t>(0, captures.segments - captured(before, e.ranks).segments);
    captures = {missing, quotient_up(missing, e.ranks)};
  }
  e.capture_seconds =
      static_cast<double>(captures.of_busiest_rank * need.layout.segment_samples) * seconds(teacher_pass());
  // A segment in memory is joined from its parts (phases/capture.cpp).
  e.memory_bytes = std::max(e.memory_bytes, 2 * need.segment_bytes() +
                                                static_cast<int64_t>(bytes(static_cast<double>(sizes_.dense.numbers))));
  e.written_bytes = captures.segments * need.segment_bytes();
  e.write_seconds = write_seconds(machine_, e.ranks, static_cast<double>(e.written_bytes));
}

// Of the rows of a group that ranks share, of which a segment holds so many bytes: a rank's own, and a dataset as it is
// read and as it is handed on (phases/training_rows.h).
int64_t RunEstimate::held_bytes(int ranks, int64_t of_segment) const {
  int64_t largest = 0;
  for (const auto& site : sizes_.sites) largest = std::max(largest, segment_bytes(site));
  return sizes_.cache.shuffle_segments * of_segment / ranks + largest;
}

// Rows read once by those who train on them together, and handed from rank to rank.
void RunEstimate::add_reading(Estimate& e) const {
  const auto& need = sizes_.cache;
  const auto reading = reading_of(need, e.steps * training_of(run_.settings, e.phase).batch);
  const bool by_site = e.phase == PhaseId::kDistill;
  const int64_t element = static_cast<int64_t>(c10::elementSize(need.layout.dtype));
  int64_t row_bytes = 0, datasets = 0;
  for (const auto& site : need.layout.sites) {
    const bool reads_input = by_site || site.input_of == site.name;  // else once for all sites that share it
    row_bytes += element * (site.output_width + (reads_input ? site.input_width : 0));
    datasets += reads_input ? 2 : 1;
  }
  e.read_bytes = reading.rows * row_bytes;
  const int together = by_site ? e.team_ranks : e.ranks, groups_of_ranks = e.ranks / together;
  const int64_t reads = need.shuffle_segments * datasets / groups_of_ranks;
  const auto calls = static_cast<double>(reading.groups * quotient_up(reads, together));
  e.read_seconds = read_seconds(machine_, e.ranks, static_cast<double>(e.read_bytes)) +
                   all_to_all_seconds(machine_, together, static_cast<double>(e.read_bytes / groups_of_ranks), calls);
}

Estimate RunEstimate::of(PhaseId phase, int ranks) const {
  const auto& config = training_of(run_.settings, phase);
  Estimate e{.phase = phase, .ranks = ranks};
  const bool on_rows = phase == PhaseId::kDistill || phase == PhaseId::kGating;
  e.steps = config.steps_over(on_rows ? sizes_.cache.epoch_rows() : run_.train_data.size());
  if (phase == PhaseId::kDistill) {
    add_sites(e);
  } else {
    try {
      // Ranks hold equal numbers of slices, and the first rank those that are not smaller than others.
      const auto first = first_slice(run_.settings, phase, ranks);
      const auto items = static_cast<double>(
          data::cut(config.batch, static_cast<int>(config.micro_batches) - 1, first.count, first.unit).end);
      phase == PhaseId::kGating ? add_gates(e, items)
                                : add_samples(e, items, static_cast<double>(config.micro_batches));
    } catch (const Error& refusal) {
      return {.phase = phase, .ranks = ranks, .refused = refusal.what()};
    }
  }
  if (on_rows) {
    add_capture(e);
    add_reading(e);
  }
  e.save_seconds = write_seconds(machine_, ranks, static_cast<double>(e.checkpoint_bytes));
  return e;
}

}  // namespace acm::phases
