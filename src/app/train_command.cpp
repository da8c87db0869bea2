#include "app/train_command.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>

#include "app/device.h"
#include "app/plan.h"
#include "app/samples.h"
#include "app/table.h"
#include "app/terminal_progress.h"
#include "app/threads.h"
#include "app/time_budget.h"
#include "app/version.h"
#include "core/error.h"
#include "core/file.h"
#include "core/file_lock.h"
#include "core/partial_files.h"
#include "phases/distill.h"
#include "phases/evaluate.h"
#include "phases/finetune.h"
#include "phases/gating.h"
#include "phases/model_fit.h"
#include "phases/pretrain.h"

namespace acm::app {
namespace {

using phases::PhaseId;
using phases::Run;

// The same text on all ranks and another at each start.
std::string name_this_start(comm::Communicator& group) {
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  return comm::broadcast_string(group, host_name() + "-" + std::to_string(getpid()) + "-" + std::to_string(now));
}

train::Outcome run_phase(const Run& run, PhaseId phase) {
  switch (phase) {
    case PhaseId::kPretrain:
      return phases::run_pretrain(run);
    case PhaseId::kDistill:
      return phases::run_distill(run);
    case PhaseId::kGating:
      return phases::run_gating(run);
    case PhaseId::kFinetune:
      return phases::run_finetune(run);
  }
  throw std::logic_error("unknown phase");
}

// Trains the phase unless its model file stands. Whether it does is rank 0's word: others may see the folder a moment
// later.
train::Outcome finish_phase(const Run& run, PhaseId phase) {
  int64_t finished = 0;
  comm::together(run.groups.control, [&] {
    if (!run.is_root()) return;
    phases::check_identity(run, phase);
    finished = std::filesystem::exists(run.folder.model(phase));
    const auto title = "phase " + std::to_string(number(phase)) + " (" + std::string(name_of(phase)) + ")";
    run.log.info(finished ? title + ": finished before, " + run.folder.model(phase).string() + " stands" : title);
  });
  if (comm::all_reduce_number(run.groups.control, finished, comm::ReduceOp::kMax) == 1)
    return train::Outcome::kFinished;
  return run_phase(run, phase);
}

std::string row_name(const Run& run, PhaseId phase, const Json& evaluation) {
  const Json& k = evaluation.at("choice");
  // Only with its gates shifted does it spend what was asked for; as it was trained, nearly.
  const bool is_met = evaluation.find("shift") != nullptr;
  const auto budget = [&](const char* before) { return std::string(before) + Json(run.settings.acm.budget).dump(); };
  switch (phase) {
    case PhaseId::kPretrain:
      return "dense";
    case PhaseId::kDistill:
      return "phase 1, k = " + std::to_string(k.as_int());
    case PhaseId::kGating:
      return is_met ? budget("phase 2, budget ") : "phase 2";
    case PhaseId::kFinetune:
      return budget(is_met ? "phase 3, budget " : "phase 3, trained for ");
  }
  throw std::logic_error("unknown phase");
}

void add_rows(const Run& run, PhaseId phase, const Json& content, std::vector<ResultRow>& rows) {
  for (const auto& evaluation : content.at("evaluations").as_array())
    rows.push_back({row_name(run, phase, evaluation), evaluation});
}

int run_phases(const Run& run, const std::vector<PhaseId>& wanted) {
  std::vector<ResultRow> rows;
  if (wanted.front() == PhaseId::kDistill)
    add_rows(run, PhaseId::kPretrain, phases::evaluate_phase(run, PhaseId::kPretrain), rows);
  for (const auto phase : wanted) {
    if (finish_phase(run, phase) == train::Outcome::kStopped) {
      run.log.info("stopped and saved; the same command goes on from here");
      return kExitStopped;
    }
    add_rows(run, phase, phases::evaluate_phase(run, phase), rows);
    run.beat.update([](comm::BeatState& state) { state.phase = "evaluate"; });
  }
  if (run.is_root())
    std::cout << "\n"
              << result_table(rows) << cost_lines(rows.back().evaluation) << "\n"
              << learner_table(rows.back().evaluation) << std::flush;
  return 0;
}

// Rank 0: what was begun in the folder must have been begun with these settings; only then is the file of the settings
// replaced.
void claim_folder(const Run& run, const std::vector<PhaseId>& wanted) {
  for (const auto phase : wanted) {
    const auto input = input_model(run.settings, run.folder, phase);
    const bool begun = std::filesystem::exists(run.folder.identity(phase));
    if (begun && (input.empty() || std::filesystem::exists(input))) check_identity(run, phase);
  }
  replace_file(run.folder.config(), config::to_toml(run.fields));
}

std::optional<double> seconds_left(const Options& options) {
  if (!options.seconds_left) return seconds_left_of_job();
  return *options.seconds_left - options.parsed.seconds();
}

std::unique_ptr<FileLock> lock_folder(const phases::RunFolder& folder) {
  // As long as the ranks of a run that was killed a moment ago may need to end.
  constexpr auto kPatience = std::chrono::seconds(10);
  const char* job = std::getenv("SLURM_JOB_ID");
  const auto holder = "process " + std::to_string(getpid()) + " on host " + host_name() +
                      (job ? ", job " + std::string(job) : std::string());
  return std::make_unique<FileLock>(folder.lock(), holder, kPatience);
}

void log_lock(const FileLock& lock, Log& log) {
  if (!lock.is_held())
    log.warn("the file system of the run folder has no locks: a second run in it would not be noticed");
  if (!lock.previous().empty())
    log.info("the last start in this folder, " + lock.previous() +
             ", did not end in order; going on from what it saved");
}

// The end of a rank whose run cannot go on. It calls neither MPI nor destructors: threads may be anywhere.
std::function<void(const std::string&)> give_up_call(comm::World& world, Log& log) {
  return [&world, &log](const std::string& why) {
    log.error("rank " + std::to_string(world.place().rank) + " gives the run up: " + why);
    log.flush();
    world.abort_collectives();
    std::_Exit(static_cast<int>(Fault::kResource));
  };
}

void log_start(const Run& run, const comm::World& world, int threads) {
  const auto& place = world.place();
  run.log.info("acm_dist " + version() + ", " + std::to_string(place.size) + " rank(s), " +
               std::to_string(place.local_size) + " on " + place.host + ", " + device_text(run.device) + ", " +
               std::to_string(threads) + " thread(s) a rank, " + comm::World::library_version());
  run.log.info("data: " + samples_line(run) + "; run folder " + run.folder.root().string());
  if (run.device.is_cuda() && run.settings.precision == "float32" && !run.settings.tf32)
    run.log.info(
        "products are in float32: tf32 = true makes them several times as fast on GPUs, and so does autocast = "
        "\"bfloat16\" in [pretrain] and [finetune]");
}

}  // namespace

int train_command(const Options& options, const LoadedSettings& loaded, comm::World& world, comm::Groups groups,
                  StopSignals& signals, at::Device device) {
  const auto& settings = loaded.settings;
  auto& control = groups.control;
  const phases::RunFolder folder(settings.run_dir);
  const auto wanted = wanted_phases(options.phase, settings);
  const int threads = set_threads(settings.threads, world.place().local_size);

  data::Sources data;
  std::unique_ptr<Log> log;
  std::unique_ptr<comm::Beat> beat;
  const auto start = name_this_start(control);
  const auto task = nn::make_classification();
  SilentProgress silent;
  std::unique_ptr<FileLock> lock;
  comm::together(control, [&] {
    if (options.dry_run || !control.is_root()) return;
    make_folder(folder.root() / "log");
    make_folder(folder.alive());
    lock = lock_folder(folder);
    remove_partial_files(folder.root());
  });
  root_first(control, [&] {
    const auto index = options.dry_run ? index_if_there(folder) : folder.index();
    data = data::open_sources(settings.data, StreamKey(static_cast<uint64_t>(settings.seed)), index);
  });
  comm::together(control, [&] {
    log = std::make_unique<Log>(options.dry_run ? std::filesystem::path() : folder.log(control.rank()),
                                control.is_root());
    const auto alive = options.dry_run ? std::filesystem::path() : folder.alive();
    const auto limits = comm::WatchdogLimits{.silent_seconds = settings.safety.silent_seconds,
                                             .late_seconds = settings.safety.late_seconds,
                                             .save_seconds = settings.safety.save_seconds};
    beat = std::make_unique<comm::Beat>(alive, control.rank(), control.size(), start,
                                        comm::Beat::Calls{.on_stop = [&] { signals.request_stop(); },
                                                          .call = [&] { return world.current_call(); },
                                                          .on_lost = give_up_call(world, *log)},
                                        limits);
  });
  TimeBudget time(seconds_left(options), [&] {
    log->info("the time of this job is nearly over: saving and stopping");
    signals.request_stop();
  });
  const std::stop_callback tell_others(signals.token(), [&] { beat->ask_stop(); });

  TerminalProgress terminal(*log, TerminalProgress::is_terminal());
  Progress& progress = control.is_root() && !options.quiet ? static_cast<Progress&>(terminal) : silent;
  SampleFetching fetching(settings.data, share_of_cores(world.place().local_size), *log);
  const Run run{settings,
                loaded.fields,
                folder,
                groups,
                *log,
                progress,
                *beat,
                signals.token(),
                *data.train,
                *data.test,
                *task,
                fetching.fetching(device),
                data.calibration.get(),
                [&](double seconds) { time.note_save(seconds); },
                device};
  comm::together(control, [&] { check_inputs(run, wanted, options.config.string()); });
  if (options.dry_run) {
    comm::together(control, [&] {
      if (control.is_root()) std::cout << plan_of(run, wanted, options.ranks.value_or(run.ranks())) << std::flush;
    });
    return 0;
  }
  comm::together(control, [&] {
    if (control.is_root()) claim_folder(run, wanted);
  });
  log_start(run, world, threads);
  if (lock) log_lock(*lock, *log);
  if (run.is_root()) std::ranges::for_each(data.notes, [&](const std::string& note) { log->warn(note); });
  comm::together(control, [&] { log_teacher(run); });
  const int code = run_phases(run, wanted);
  fetching.report(control, *log);
  if (lock) lock->clear();
  return code;
}

}  // namespace acm::app
