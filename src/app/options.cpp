#include "app/options.h"

#include <CLI/CLI.hpp>
#include <iostream>

#include "app/version.h"
#include "core/error.h"

namespace acm::app {
namespace {

void add_config(CLI::App& command, Options& options) {
  command.add_option("--config", options.config, "TOML file with the settings of all phases (docs/config.md)");
  command.add_option("--set", options.overrides, "section.key=value, over the file's; may be repeated")
      ->take_all()
      ->expected(1);
}

}  // namespace

Options parse_options(int argc, char** argv, bool speak) {
  Options options;
  CLI::App app(
      "acm_dist turns a pretrained Transformer into one that spends computation where it is needed.\n"
      "Start it with mpirun -n RANKS, or alone; started again with the same arguments it goes on where it was.",
      "acm_dist");
  app.set_version_flag("--version", version());
  app.add_option("--phase", options.phase,
                 "0 pretrain, 1 distil, 2 gates, 3 fine-tune, or all: what is missing of them")
      ->check(CLI::IsMember({"0", "1", "2", "3", "all"}));
  add_config(app, options);
  app.add_flag("--print-config", options.print_config, "show every setting and where it comes from, and stop");
  app.add_flag("--dry-run", options.dry_run, "check everything and show the plan, without writing anything");
  app.add_flag("--quiet", options.quiet, "no progress on the terminal");

  auto* eval = app.add_subcommand("eval", "evaluate a model file on the test samples");
  eval->add_option("--model", options.model, "model file")->required();
  add_config(*eval, options);
  eval->add_option("--choice", options.choice, "run exactly so many learners at every site");
  eval->add_flag("--json", options.json, "print JSON instead of a table");
  eval->add_flag("--quiet", options.quiet, "no progress on the terminal");

  auto* reference = app.add_subcommand("reference", "print the reference page of all settings (docs/config.md)");
  app.require_subcommand(0, 1);

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    if (speak) app.exit(success);
    options.command = Options::Command::kNothing;
    return options;
  } catch (const CLI::ParseError& error) {
    throw Error(Fault::kUsage, std::string(error.what()) + "; acm_dist --help shows what there is");
  }
  if (*reference) {
    options.command = Options::Command::kReference;
    return options;
  }
  if (*eval) options.command = Options::Command::kEvaluate;
  if (*eval && !options.phase.empty())
    throw Error(Fault::kUsage, "--phase trains and eval evaluates: give one of them, not both");
  if (options.config.empty())
    throw Error(Fault::kUsage, "no settings were given: name a TOML file with --config, such as configs/tiny.toml");
  if (options.command == Options::Command::kTrain && options.phase.empty() && !options.print_config)
    throw Error(Fault::kUsage, "nothing to do: say which phase with --phase 0, 1, 2, 3 or all");
  return options;
}

}  // namespace acm::app
