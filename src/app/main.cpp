#include <iostream>

#include "app/device.h"
#include "app/estimate_command.h"
#include "app/evaluate_command.h"
#include "app/export_command.h"
#include "app/import_command.h"
#include "app/inspect_command.h"
#include "app/options.h"
#include "app/selftest_command.h"
#include "app/signals.h"
#include "app/threads.h"
#include "app/train_command.h"
#include "comm/current_error.h"
#include "core/error.h"
#include "core/memory.h"

namespace {

using namespace acm;

#ifdef ACM_CHECKED
constexpr bool kChecked = true;
#else
constexpr bool kChecked = false;
#endif

int run(int argc, char** argv, comm::World& world, app::StopSignals& signals) {
  const auto groups = world.connect(at::kCPU, kChecked);
  app::Options options;
  std::unique_ptr<app::LoadedSettings> loaded;
  comm::together(groups.control, [&] { options = app::parse_options(argc, argv, groups.control.is_root()); });
  if (options.command == app::Options::Command::kNothing) return 0;
  if (options.command == app::Options::Command::kReference) {
    phases::Settings defaults;
    if (groups.control.is_root()) std::cout << config::reference_page(defaults.describe()) << std::flush;
    return 0;
  }
  if (options.command == app::Options::Command::kImport) return app::import_command(options, groups.control);
  if (options.command == app::Options::Command::kExport) return app::export_command(options, groups.control);
  if (options.command == app::Options::Command::kInspect) return app::inspect_command(options, groups.control);
  comm::together(groups.control, [&] { loaded = std::make_unique<app::LoadedSettings>(options); });
  if (options.print_config) {
    if (groups.control.is_root()) std::cout << config::print(loaded->fields, loaded->origins) << std::flush;
    return 0;
  }
  const auto device = app::choose_device(loaded->settings.device, world.place(), groups.control);
  app::set_deterministic(loaded->settings.deterministic);
  app::set_tf32(loaded->settings.tf32);
  if (options.command == app::Options::Command::kEvaluate)
    return app::evaluate_command(options, *loaded, world, groups, device);
  if (options.command == app::Options::Command::kEstimate)
    return app::estimate_command(options, *loaded, world, groups, device);
  const auto training = device.is_cpu() || options.dry_run ? groups : world.connect(device, kChecked);
  return app::train_command(options, *loaded, world, training, signals, device);
}

// One sentence to standard error. An error that all ranks hold is rank 0's to print, and all leave in order; one that
// this rank alone met ends the others.
int fail(comm::World& world, const Error& error) {
  const auto& place = world.place();
  const int code = static_cast<int>(error.fault());
  if (!error.shared() || place.rank == 0) {
    const auto who = !error.shared() && place.size > 1 ? "rank " + std::to_string(place.rank) + ": " : std::string();
    std::cerr << "acm_dist: " + who + error.what() + "\n";  // in one piece: other ranks may write at the same moment
  }
  if (!error.shared() && place.size > 1) world.abort(code);
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  if (app::is_selftest(argc, argv)) return app::selftest_command(argc, argv);
  keep_freed_memory();
  app::ensure_passive_waiting(argv);
  app::StopSignals signals;
  comm::World world(argc, argv);
  try {
    return run(argc, argv, world, signals);
  } catch (...) {
    return fail(world, comm::current_error());
  }
}
