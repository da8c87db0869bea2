#include "app/options.h"

#include <CLI/CLI.hpp>
#include <iostream>

#include "app/speech_plan.h"
#include "app/version.h"
#include "core/error.h"
#include "core/json.h"
#include "core/time_text.h"

namespace acm::app {
namespace {

void add_config(CLI::App& command, Options& options) {
  command.add_option("--config", options.config, "TOML file with the settings of all phases (docs/config.md)");
  command.add_option("--set", options.overrides, "section.key=value, over the file's; may be repeated")
      ->take_all()
      ->expected(1);
}

CLI::App* add_import(CLI::App& app, Options& options) {
  auto* command = app.add_subcommand("import", "make a model file of another library's weights (docs/weights.md)");
  command->add_option("--weights", options.weights, "safetensors file or folder of timm, Hugging Face or torchvision")
      ->required();
  command->add_option("--out", options.out, "model file to write")->required();
  command->add_option("--heads", options.import.heads, "attention heads, where no config.json tells them")
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--image-size", options.import.image_size, "interpolate position embeddings for images of this side")
      ->check(CLI::PositiveNumber);
  auto* classes =
      command->add_option("--classes", options.import.classes, "classes of the new head")->check(CLI::PositiveNumber);
  auto* new_head =
      command->add_flag("--new-head", options.import.new_head, "put a fresh head in place of the one it has");
  classes->needs(new_head);
  new_head->needs(classes);
  return command;
}

CLI::App* add_export(CLI::App& app, Options& options) {
  auto* command = app.add_subcommand("export", "write a model for another library, or for Python (docs/weights.md)");
  command->add_option("--model", options.model, "model file, or weights of another library")->required();
  command
      ->add_option("--to", options.library,
                   "whose names; acm (as without it): ours, with a JSON that describes the model")
      ->check(CLI::IsMember({"timm", "huggingface", "torchvision", "acm"}));
  command->add_option("--out", options.out, "folder to write")->required();
  return command;
}

CLI::App* add_estimate(CLI::App& app, Options& options) {
  auto* command =
      app.add_subcommand("estimate", "time, bytes and memory of a run on many ranks, on paper (docs/scale.md)");
  add_config(*command, options);
  command
      ->add_option_function<std::string>(
          "--model", [&options](const std::string&) { options.speech = true; },
          "in place of --config: a model and data that are not trained yet, by their shapes; --set changes the "
          "settings")
      ->check(CLI::IsMember({speech::kName}))
      ->excludes("--config");
  command->add_option("--ranks", options.rank_counts, "numbers of ranks, such as 8,64; without it 8,64,512,1024")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  command->add_option("--machine", options.machine, "cpu (without it), h100, or a TOML file with a machine's figures");
  command->add_flag("--measure", options.measure, "measure what can be measured of this machine, in some seconds");
  command
      ->add_option("--samples", options.samples, "count with so many training samples, whether they are there or not")
      ->check(CLI::PositiveNumber);
  command->add_flag("--json", options.json, "print JSON instead of tables");
  return command;
}

void check_budgets(const Options& options) {
  for (const double budget : options.budgets)
    if (!(budget > 0 && budget <= 1))
      throw Error(Fault::kUsage,
                  "--budget takes shares of the learners' cost, more than 0 and at most 1, got " + Json(budget).dump());
  if (options.choice && !options.budgets.empty())
    throw Error(Fault::kUsage, "--choice fixes the learners and --budget lets the gates choose: give one of them");
  if (options.store && options.budgets.empty())
    throw Error(Fault::kUsage, "--store keeps the shifts of budgets: name them with --budget, such as 0.35,0.5");
  if (options.store && !options.precision.empty())
    throw Error(Fault::kUsage, "--store keeps shifts for the model as it is in its file: leave --precision out");
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
  auto* dry_run =
      app.add_flag("--dry-run", options.dry_run, "check everything and show the plan, without writing anything");
  app.add_option("--ranks", options.ranks, "with --dry-run: the plan for so many ranks instead of those that run")
      ->needs(dry_run)
      ->check(CLI::PositiveNumber);
  app.add_option_function<std::string>(
      "--time-left", [&](const std::string& text) { options.seconds_left = seconds_from(text); },
      "save and stop in time before so many seconds, or [days-]hours:minutes:seconds, are over; in a Slurm job it is "
      "known without");
  app.add_flag("--quiet", options.quiet, "no progress on the terminal");

  auto* eval = app.add_subcommand("eval", "evaluate a model file on the test samples");
  eval->add_option("--model", options.model, "model file")->required();
  add_config(*eval, options);
  eval->add_option("--choice", options.choice, "run exactly so many learners at every site");
  eval->add_option(
          "--budget", options.budgets,
          "shares of the learners' cost, such as 0.35,0.5: the gates are shifted to each, as calibration samples show")
      ->delimiter(',')
      ->check(CLI::Number);
  eval->add_option("--precision", options.precision,
                   "numbers that are multiplied; bfloat16: sums and all else stay float32 (docs/performance.md)")
      ->check(CLI::IsMember({"float32", "bfloat16"}));
  eval->add_flag("--store", options.store, "keep the shifts of --budget in the model file");
  eval->add_flag("--json", options.json, "print JSON instead of a table");
  eval->add_flag("--quiet", options.quiet, "no progress on the terminal");

  auto* estimate = add_estimate(app, options);
  auto* import = add_import(app, options);
  auto* exporting = add_export(app, options);
  auto* inspect = app.add_subcommand("inspect", "show and verify checkpoints, cache segments and model files");
  inspect->add_option("path", options.inspected, "one of them, or a folder such as a run's")->required();
  inspect->add_flag("--json", options.json, "print JSON instead of lines");
  // Answered by main before this: here for the help.
  app.add_subcommand("selftest", "rehearse on this file system and cluster what may happen to a run");
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
  if (*inspect) {
    options.command = Options::Command::kInspect;
    return options;
  }
  if (*import || *exporting) {
    options.command = *import ? Options::Command::kImport : Options::Command::kExport;
    return options;
  }
  if (*eval) options.command = Options::Command::kEvaluate;
  if (*estimate) options.command = Options::Command::kEstimate;
  if (*eval && !options.phase.empty())
    throw Error(Fault::kUsage, "--phase trains and eval evaluates: give one of them, not both");
  if (*estimate && !options.phase.empty())
    throw Error(Fault::kUsage, "estimate tells of all phases: leave --phase out");
  if (*eval) check_budgets(options);
  if (options.config.empty() && !options.speech)
    throw Error(Fault::kUsage, "no settings were given: name a TOML file with --config, such as configs/tiny.toml");
  if (options.command == Options::Command::kTrain && options.phase.empty() && !options.print_config)
    throw Error(Fault::kUsage, "nothing to do: say which phase with --phase 0, 1, 2, 3 or all");
  return options;
}

}  // namespace acm::app
