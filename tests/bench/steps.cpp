// bench_steps [--model tiny|base|quick] [--batch B] [--rounds R] [--threads T]: processor time and memory of one
// training step of each phase, over those of phase 0's, which trains the dense model. Weights and images are random;
// the cache of phases 1 and 2 is captured first. What runs is the phases' own code: each in a process of its own, which
// takes one step when it is its turn. A step is all of forward, backward and update, over the same number of images;
// that of phase 1 is the sum over all sites. Seconds are those for an image; seconds and ratios are medians over the
// rounds. Memory is the peak of the steps beyond the weights. Prints CSV.
#include <ATen/Parallel.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "bench/figures.h"
#include "bench/phase_run.h"
#include "bench/player.h"
#include "bench/vit_shapes.h"
#include "core/file.h"
#include "core/reproducible_products.h"
#include "phases/distill_site.h"
#include "phases/finetune.h"
#include "phases/gating.h"
#include "phases/pretrain.h"

namespace {

using namespace acm;
using namespace acm::bench;
using phases::PhaseId;

struct Options {
  std::string model = "tiny";
  int64_t batch = 16, rounds = 9;
  int threads = 1;
};

// Lets a phase take one step a turn: it is told of each when the step is over.
class StepTurns final : public Progress {
 public:
  explicit StepTurns(Turns& turns) : turns_(turns) { begin(); }
  void report(const ProgressReport& report) override {
    if (report.unit != "steps") return;  // what comes before the first step
    turns_.end(processor_seconds() - start_);
    if (report.done < report.total) begin();
  }
  void finish(std::string_view) override {}

 private:
  void begin() {
    turns_.await();
    start_ = processor_seconds();
  }
  Turns& turns_;
  double start_ = 0;
};

// One site of phase 1 with its trainer.
class SiteSteps {
 public:
  SiteSteps(const phases::Run& run, const nn::Site& site, phases::CacheReader& reader)
      : phase_(run, site, reader, run.groups.control),
        trainer_(phase_, phase_.trainer_config(), run.groups, run.folder.site(site.name), outlets(run)) {}

  // Processor seconds of the next step, without the checkpoint that a trainer leaves when it is asked to pause.
  double step() {
    const auto threads = phase_.threads();
    const double start = processor_seconds();
    trainer_.run({}, trainer_.step() + 1);
    return end_ - start;
  }

 private:
  train::TrainerOutlets outlets(const phases::Run& run) {
    return {.log = run.log, .progress = run.progress, .on_step = [this](int64_t) { end_ = processor_seconds(); }};
  }

  phases::DistillSite phase_;
  double end_ = 0;
  train::Trainer trainer_;
};

// The sites of phase 1 one after another, one step of each a turn.
void run_sites(const phases::Run& run, Turns& turns) {
  phases::Capture capture(run);
  phases::CacheReader reader(capture, run.log, run.settings.cache.shuffle_segments);
  std::vector<std::unique_ptr<SiteSteps>> sites;
  for (const auto& site : capture.teacher().sites()) sites.push_back(std::make_unique<SiteSteps>(run, site, reader));
  for (int64_t step = 0; step < run.settings.distill.steps; ++step) {
    turns.await();
    double seconds = 0;
    for (const auto& site : sites) {
      seconds += site->step();
      reader.clear();
    }
    turns.end(seconds);
  }
}

void run_phase(PhaseId phase, NoiseRun& noise, Turns& turns) {
  if (phase == PhaseId::kDistill) {
    SilentProgress silent;
    return run_sites(noise.run(silent), turns);
  }
  StepTurns progress(turns);
  const auto run = noise.run(progress);
  if (phase == PhaseId::kPretrain) phases::run_pretrain(run);
  if (phase == PhaseId::kGating) phases::run_gating(run);
  if (phase == PhaseId::kFinetune) phases::run_finetune(run);
}

// A process with a run of its own in a folder of its own, but for what was prepared.
std::unique_ptr<Player> start(const Options& options, const std::filesystem::path& folder, const std::string& name,
                              const std::function<void(NoiseRun&, Turns&)>& body) {
  return std::make_unique<Player>(name, [&options, folder, body](Turns& turns) {
    make_products_reproducible();
    at::set_num_threads(options.threads);
    NoiseRun noise(folder, vit_shape(options.model), options.batch, options.rounds + 1);
    body(noise, turns);
  });
}

void measure(const Options& options, const std::filesystem::path& folder) {
  start(options, folder, "preparation", [](NoiseRun& noise, Turns&) {
    SilentProgress silent;
    prepare(noise.run(silent));
  })->finish();
  const phases::RunFolder run(folder);
  std::vector<std::unique_ptr<Player>> players;
  std::vector<int64_t> weights;
  for (const PhaseId phase : phases::kAllPhases) {
    weights.push_back(static_cast<int64_t>(
        std::filesystem::file_size(run.model(phase == PhaseId::kPretrain ? phase : PhaseId::kGating))));
    players.push_back(start(options, folder, std::string(name_of(phase)),
                            [phase](NoiseRun& noise, Turns& turns) { run_phase(phase, noise, turns); }));
  }

  std::array<std::vector<double>, phases::kAllPhases.size()> seconds, ratios;
  std::array<int64_t, phases::kAllPhases.size()> memory{};
  for (int64_t round = -1; round < options.rounds; ++round) {
    double dense = 0;
    for (size_t i = 0; i < players.size(); ++i) {
      const Turn turn = players[i]->take();
      if (i == 0) dense = turn.seconds;
      memory[i] = turn.memory - weights[i];
      if (round < 0) continue;  // the first fills caches
      seconds[i].push_back(turn.seconds / static_cast<double>(options.batch));
      ratios[i].push_back(turn.seconds / dense);
    }
  }
  std::printf("step,model,batch,seconds an image,over dense,rounds,memory MB\n");
  for (size_t i = 0; i < players.size(); ++i) {
    players[i]->finish();
    std::printf("%s,%s,%ld,%.6f,%.3f,%ld,%.0f\n", std::string(name_of(phases::kAllPhases[i])).c_str(),
                options.model.c_str(), static_cast<long>(options.batch), median(seconds[i]), median(ratios[i]),
                static_cast<long>(options.rounds), static_cast<double>(memory[i]) / 1e6);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Processor time and memory of one training step of each phase");
  app.add_option("--model", options.model)->check(CLI::IsMember({"tiny", "base", "quick"}));
  app.add_option("--batch", options.batch)->check(CLI::PositiveNumber);
  app.add_option("--rounds", options.rounds)->check(CLI::PositiveNumber);
  app.add_option("--threads", options.threads)->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  std::signal(SIGPIPE, SIG_IGN);
  const auto folder = std::filesystem::temp_directory_path() / ("acm-bench-" + std::to_string(::getpid()));
  int code = EXIT_SUCCESS;
  try {
    std::filesystem::create_directories(folder);
    measure(options, folder);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_steps: %s\n", error.what());
    code = EXIT_FAILURE;
  }
  std::filesystem::remove_all(folder);
  return code;
}
