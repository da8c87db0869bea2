// bench_steps [--model tiny|base|quick] [--batch B] [--rounds R] [--threads T] [--device cuda] [--precision
// tf32|bfloat16]
// [--phases P...] [--steps-of-turn S] [--eager PYTHON EAGER.PY]: processor time, on a GPU the time until it has done
// its work, and memory of the host of one training step of each phase over those of phase 0's, which trains the dense
// model; of that step and the dense forward pass over those of eager PyTorch, where a Python with it is given. Weights
// and images are random; the cache of phases 1 and 2 is captured first. What runs is the phases' own code, each in a
// process of its own, which takes one step when it is its turn (of phases 0, 2 and 3 S steps, the host looking at
// numbers after the last). On a GPU also products of 8192 x 8192 x 8192, as many operations as three dense forward
// passes have, which a step is said to need: that time over a step's is the step's share of the machine's peak. A step
// is forward, backward and update, over the same number of images; that of phase 1 is the sum over all sites. Seconds
// and ratios are medians over the rounds; memory is the peak of the steps beyond the weights. --precision bfloat16:
// phases 0 and 3, forward pass and eager PyTorch under autocast; tf32: float32, whose products on a GPU round what they
// multiply. Prints CSV.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>

#include "bench/figures.h"
#include "bench/phase_run.h"
#include "bench/player.h"
#include "bench/vit_shapes.h"
#include "core/file.h"
#include "core/memory.h"
#include "nn/autocast.h"
#include "phases/distill_site.h"
#include "phases/finetune.h"
#include "phases/gating.h"
#include "phases/pretrain.h"
#include "temporary_folder.h"

namespace {

using namespace acm;
using namespace acm::bench;
using phases::PhaseId;

struct Options {
  std::string model = "tiny";
  int64_t batch = 16, rounds = 9;
  int threads = 1;
  std::string device = "cpu", precision = "float32";
  std::vector<std::string> eager;  // the command of eager.py
  int64_t steps_of_turn = 1;
  std::vector<int> phases = {0, 1, 2, 3};
  bool runs(PhaseId phase) const { return std::ranges::find(phases, static_cast<int>(phase)) != phases.end(); }
  bool reads_cache() const { return runs(PhaseId::kDistill) || runs(PhaseId::kGating); }
};

// Lets a phase take so many steps a turn: it is told of each when the host is through with it.
class StepTurns final : public Progress {
 public:
  StepTurns(Turns& turns, at::Device device, int64_t steps) : turns_(turns), device_(device), steps_(steps) { begin(); }
  void report(const ProgressReport& report) override {
    if (report.unit != "steps" || report.done % steps_ != 0) return;  // there are others before the first step
    turns_.end((seconds_on(device_) - start_) / static_cast<double>(steps_));
    if (report.done < report.total) begin();
  }
  void finish(std::string_view) override {}

 private:
  void begin() {
    turns_.await();
    start_ = seconds_on(device_);
  }
  Turns& turns_;
  at::Device device_;
  int64_t steps_;
  double start_ = 0;
};

// One site of phase 1 with its trainer.
class SiteSteps {
 public:
  SiteSteps(const phases::Run& run, const nn::Site& site, phases::CacheReader& reader)
      : device_(run.device),
        phase_(run, site, reader, run.groups.control),
        trainer_(phase_, phase_.trainer_config(), run.groups, run.folder.site(site.name), outlets(run)) {}

  // Seconds of the next step, without the checkpoint that a trainer leaves when it is asked to pause.
  double step() {
    const auto threads = phase_.threads();
    const double start = seconds_on(device_);
    trainer_.run({}, trainer_.step() + 1);
    phase_.keep_rows(trainer_.step(), 0);  // each step reads its rows
    return end_ - start;
  }

 private:
  train::TrainerOutlets outlets(const phases::Run& run) {
    return {.log = run.log, .progress = run.progress, .on_step = [this](int64_t) { end_ = seconds_on(device_); }};
  }

  at::Device device_;
  phases::DistillSite phase_;
  double end_ = 0;
  train::Trainer trainer_;
};

// The sites of phase 1 one after another, one step of each a turn.
void run_sites(const phases::Run& run, Turns& turns) {
  phases::Capture capture(run);
  phases::CacheReader reader(capture, run.log);
  std::vector<std::unique_ptr<SiteSteps>> sites;
  for (const auto& site : capture.teacher().sites()) sites.push_back(std::make_unique<SiteSteps>(run, site, reader));
  for (int64_t step = 0; step < run.settings.distill.steps; ++step) {
    turns.await();
    double seconds = 0;
    for (const auto& site : sites) seconds += site->step();
    turns.end(seconds);
  }
}

void run_phase(PhaseId phase, NoiseRun& noise, Turns& turns, int64_t steps_of_turn) {
  if (phase == PhaseId::kDistill) {
    SilentProgress silent;
    return run_sites(noise.run(silent), turns);
  }
  StepTurns progress(turns, noise.device, steps_of_turn);
  const auto run = noise.run(progress);
  if (phase == PhaseId::kPretrain) phases::run_pretrain(run);
  if (phase == PhaseId::kGating) phases::run_gating(run);
  if (phase == PhaseId::kFinetune) phases::run_finetune(run);
}

// A forward pass of the dense model.
void run_forward(NoiseRun& noise, Turns& turns, int64_t turns_of_run) {
  SilentProgress silent;
  const auto run = noise.run(silent);
  const auto model = phases::new_backbone(run);
  model->to(run.device);
  data::Batch images = noise.images.all();
  images.inputs = images.inputs.to(run.device);
  const nn::Autocast autocast(run.device, run.settings.pretrain.autocast == "bfloat16");
  const at::NoGradGuard no_grad;
  for (int64_t turn = 0; turn < turns_of_run; ++turn) {
    turns.await();
    const double start = seconds_on(run.device);
    nn::TokenContext context;
    model->forward(images, context);
    turns.end(seconds_on(run.device) - start);
  }
}

// As many operations as three dense forward passes of each step of a turn have, in the largest product that is of use
// to measure a GPU by.
void run_products(NoiseRun& noise, Turns& turns, const Options& options) {
  constexpr int64_t kSide = 8192;
  SilentProgress silent;
  const auto run = noise.run(silent);
  const auto model = phases::new_backbone(run);
  const auto tokens = model->token_counts(noise.images.all())[0].item<int64_t>();
  const double wanted = 3 * static_cast<double>(nn::dense_macs(*model, tokens) * options.batch * options.steps_of_turn),
               of_product = static_cast<double>(kSide * kSide * kSide);
  const at::Tensor factor = at::randn({kSide, kSide}, run.device)
                                .to(run.settings.pretrain.autocast == "bfloat16" ? at::kBFloat16 : at::kFloat);
  const auto count = static_cast<int64_t>(std::ceil(wanted / of_product));
  for (int64_t turn = 0; turn <= options.rounds; ++turn) {
    turns.await();
    const double start = seconds_on(run.device);
    for (int64_t i = 0; i < count; ++i) at::mm(factor, factor);
    const double seconds = seconds_on(run.device) - start;
    turns.end(seconds * wanted / (of_product * static_cast<double>(count * options.steps_of_turn)));
  }
}

// What takes turns with the others. `weights`: bytes of its model, which are not counted as its memory (eager.py leaves
// them out by itself).
struct Contestant {
  std::string name, reference;  // the name of what it is compared with; empty: nothing
  std::unique_ptr<Player> player;
  int64_t weights = 0;
  std::vector<double> seconds = {};  // by round
  int64_t memory = 0;
};

// In a process of its own with a run of its own, in the folder that was prepared.
std::unique_ptr<Player> start(const Options& options, const std::filesystem::path& folder, const std::string& name,
                              const std::function<void(NoiseRun&, Turns&)>& body) {
  return std::make_unique<Player>(name, [&options, &folder, body](Turns& turns) {
    keep_freed_memory();
    at::set_num_threads(options.threads);
    NoiseRun noise(folder, vit_shape(options.model), options.batch, options.rounds + 1, options.steps_of_turn);
    noise.device = device_of(options.device);
    noise.settings.pretrain.autocast = noise.settings.finetune.autocast =
        options.precision == "bfloat16" ? "bfloat16" : "none";
    noise.settings.tf32 = options.precision == "tf32";
    at::globalContext().setAllowTF32CuBLAS(noise.settings.tf32);
    body(noise, turns);
  });
}

std::unique_ptr<Player> start_eager(const Options& options, const std::string& kind) {
  return bench::start_eager(options.eager, {kind, options.model, options.batch, options.threads, options.device,
                                            options.precision, kind == "step" ? options.steps_of_turn : 1});
}

std::vector<Contestant> contestants(const Options& options, const std::filesystem::path& folder) {
  const phases::RunFolder run(folder);
  const auto bytes = [&](PhaseId phase) { return static_cast<int64_t>(std::filesystem::file_size(run.model(phase))); };
  const int64_t dense = bytes(PhaseId::kPretrain), gated = bytes(PhaseId::kGating);
  const auto phase_step = [&](PhaseId phase) {
    const std::string name = std::string(name_of(phase)) + " step";
    return start(options, folder, name, [phase, &options](NoiseRun& noise, Turns& turns) {
      run_phase(phase, noise, turns, options.steps_of_turn);
    });
  };
  std::vector<Contestant> all;
  all.push_back({"pretrain step", "eager PyTorch step", phase_step(PhaseId::kPretrain), dense});
  for (const PhaseId phase : {PhaseId::kDistill, PhaseId::kGating, PhaseId::kFinetune})
    if (options.runs(phase))
      all.push_back({std::string(name_of(phase)) + " step", "pretrain step", phase_step(phase), gated});
  all.push_back({"dense forward", "eager PyTorch forward",
                 start(options, folder, "dense forward",
                       [&options](NoiseRun& noise, Turns& turns) { run_forward(noise, turns, options.rounds + 1); }),
                 dense});
  if (options.device != "cpu")
    all.push_back({"products of a step", options.runs(PhaseId::kFinetune) ? "finetune step" : "pretrain step",
                   start(options, folder, "products of a step",
                         [&options](NoiseRun& noise, Turns& turns) { run_products(noise, turns, options); })});
  if (options.eager.empty()) return all;
  all.push_back({"eager PyTorch step", "", start_eager(options, "step")});
  all.push_back({"eager PyTorch forward", "", start_eager(options, "forward")});
  return all;
}

void take_turns(std::vector<Contestant>& all, const Options& options) {
  for (int64_t round = -1; round < options.rounds; ++round) {
    for (Contestant& one : all) {
      const Turn turn = one.player->take();
      one.memory = turn.memory - one.weights;
      if (round < 0) continue;  // the first fills caches
      one.seconds.push_back(turn.seconds / static_cast<double>(options.batch));
    }
  }
}

void print(const Contestant& one, const Contestant* reference, const Options& options) {
  const std::string numbers = options.precision == "tf32" ? " in TF32" : "";
  std::printf("%s,%s,%ld,,,%.4g,", (one.name + numbers).c_str(), options.model.c_str(),
              static_cast<long>(options.batch), median(one.seconds));
  if (reference) {
    std::printf("%s,%.4g,%.3f", (reference->name + numbers).c_str(), median(reference->seconds),
                median_ratio(one.seconds, reference->seconds));
  } else {
    std::printf(",,");
  }
  std::printf(",%ld,%.0f\n", static_cast<long>(options.rounds), static_cast<double>(one.memory) / 1e6);
}

void measure(const Options& options, const std::filesystem::path& folder) {
  start(options, folder, "preparation", [&options](NoiseRun& noise, Turns&) {
    SilentProgress silent;
    prepare(noise.run(silent), options.reads_cache());
  })->finish();
  auto all = contestants(options, folder);
  take_turns(all, options);
  std::printf("%s\n", kColumns);
  for (const Contestant& one : all) {
    const auto reference = std::ranges::find(all, one.reference, &Contestant::name);
    print(one, reference == all.end() ? nullptr : &*reference, options);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Time and memory of one training step of each phase");
  app.add_option("--model", options.model)->check(CLI::IsMember({"tiny", "base", "quick"}));
  app.add_option("--batch", options.batch)->check(CLI::PositiveNumber);
  app.add_option("--rounds", options.rounds)->check(CLI::PositiveNumber);
  app.add_option("--threads", options.threads)->check(CLI::PositiveNumber);
  app.add_option("--device", options.device)->check(CLI::IsMember({"cpu", "cuda"}));
  app.add_option("--precision", options.precision)->check(CLI::IsMember({"float32", "tf32", "bfloat16"}));
  app.add_option("--eager", options.eager, "a Python with PyTorch, and tests/bench/eager.py")->expected(2);
  app.add_option("--steps-of-turn", options.steps_of_turn,
                 "steps of phases 0, 2 and 3 that a turn takes: the host looks at numbers after the last alone")
      ->check(CLI::PositiveNumber);
  app.add_option("--phases", options.phases, "of 0 to 3; 0 is always among them")->check(CLI::Range(0, 3));
  CLI11_PARSE(app, argc, argv);
  std::signal(SIGPIPE, SIG_IGN);
  try {
    const TemporaryFolder scratch;
    const auto folder = scratch / "run";
    make_folder(folder);
    measure(options, folder);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_steps: %s\n", error.what());
    return EXIT_FAILURE;
  }
}
