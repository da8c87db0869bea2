#include "app/estimate_command.h"

#include <iostream>

#include "app/estimate_table.h"
#include "app/plan.h"
#include "app/samples.h"
#include "app/speech_plan.h"
#include "app/threads.h"
#include "core/error.h"
#include "data/blank.h"
#include "phases/machine_rates.h"

namespace acm::app {
namespace {

constexpr int64_t kImageNetSamples = 1'281'167, kImageNetClasses = 1000;  // the training images of ImageNet-1k

// The samples that are counted with, and how they are called.
struct Counted {
  data::Sources data;
  std::string line;
};

std::unique_ptr<data::DataSource> blank(const data::DataConfig& config, int64_t whole, std::array<int64_t, 3> shape,
                                        int64_t classes) {
  const int64_t used = config.train_samples > 0 ? std::min(whole, config.train_samples) : whole;
  return data::make_blank_source(used - data::calibration_samples(config, used), shape, classes);
}

// The run's own data; blank samples where --samples says how many, or images are not there.
Counted count_samples(const Options& options, const phases::Settings& settings) {
  const auto& config = settings.data;
  const bool is_there = config.kind == "idx" || std::filesystem::exists(config.path);  // idx files tell their sizes
  const auto index = index_if_there(phases::RunFolder(settings.run_dir));
  Counted counted;
  if (is_there) counted.data = data::open_sources(config, StreamKey(static_cast<uint64_t>(settings.seed)), index);
  std::string origin = "those of " + config.path;
  if (options.samples || !is_there) {
    const auto shape = is_there ? counted.data.train->input_shape() : std::array{int64_t{3}, config.size, config.size};
    const int64_t classes = is_there             ? counted.data.train->classes()
                            : config.classes > 0 ? config.classes
                                                 : kImageNetClasses;
    counted.data.train = blank(config, options.samples.value_or(kImageNetSamples), shape, classes);
    origin = options.samples ? "of --samples " + std::to_string(*options.samples)
                             : "of ImageNet-1k's " + std::to_string(kImageNetSamples) + ", as " + config.path +
                                   " is not there (--samples says otherwise)";
  }
  const auto& train = *counted.data.train;
  counted.line = std::to_string(train.size()) + " training samples " + Json::array(train.input_shape()).dump() +
                 " in " + std::to_string(train.classes()) + " classes, " + origin;
  return counted;
}

Counted count_speech(const Options& options, const phases::Settings& settings) {
  Counted counted;
  counted.data.train = blank(settings.data, options.samples.value_or(speech::kUtterances), {1, 1, speech::kMeanSamples},
                             speech::kTokens);
  counted.line = std::to_string(counted.data.train->size()) + " training utterances, " +
                 (options.samples ? "of --samples " + std::to_string(*options.samples)
                                  : "of LibriSpeech's " + std::to_string(speech::kUtterances)) +
                 ", each as long as their mean: " + std::to_string(speech::kMeanSamples) + " samples at 16 kHz";
  return counted;
}

// Collective with --measure.
phases::Machine machine_of(const Options& options, const phases::Settings& settings, const comm::World& world,
                           comm::Communicator& group, at::Device device, const std::filesystem::path& folder) {
  phases::Machine machine;
  comm::together(group, [&] {
    machine = phases::machine_named(options.machine);
    if (options.measure && world.place().local_size != world.place().size)
      throw Error(Fault::kUsage, "--measure measures one host: start it with ranks of one");
  });
  if (!options.measure) return machine;
  phases::measure(machine, group, device, settings.backbone.width, settings.backbone.hidden, folder);
  return machine;
}

Estimates estimates_of(const phases::RunEstimate& model, const std::vector<phases::PhaseId>& wanted,
                       const std::vector<int>& ranks) {
  Estimates estimates;
  for (const auto phase : wanted)
    for (const int count : ranks) estimates.push_back(model.of(phase, count));
  return estimates;
}

}  // namespace

int estimate_command(const Options& options, const LoadedSettings& loaded, const comm::World& world,
                     comm::Groups groups, at::Device device) {
  const auto& settings = loaded.settings;
  set_threads(settings.threads, world.place().local_size);
  Counted counted;
  root_first(groups.control,
             [&] { counted = options.speech ? count_speech(options, settings) : count_samples(options, settings); });
  Log log({}, false);
  SilentProgress progress;
  comm::Beat beat({}, groups.control.rank(), groups.control.size(), "estimate", {.on_stop = [] {}});
  const auto task = nn::make_classification();
  const phases::Run run{settings,
                        loaded.fields,
                        phases::RunFolder(settings.run_dir),
                        groups,
                        log,
                        progress,
                        beat,
                        {},
                        *counted.data.train,
                        *counted.data.train,
                        *task};
  const auto machine = machine_of(options, settings, world, groups.control, device, phases::cache_folder(run));
  comm::together(groups.control, [&] {
    if (!run.is_root()) return;
    const phases::RunEstimate model(run, machine, options.speech ? speech::shape(settings) : phases::dense_shape(run));
    const auto estimates = estimates_of(model, wanted_phases("all", settings), options.rank_counts);
    if (options.json)
      std::cout << estimate_json(counted.line, model, estimates).dump(1) << "\n";
    else
      std::cout << "data: " << counted.line << "\n"
                << estimate_tables(run, model.sizes(), estimates) << "\n"
                << machine_lines(machine);
    std::cout << std::flush;
  });
  return 0;
}

}  // namespace acm::app
