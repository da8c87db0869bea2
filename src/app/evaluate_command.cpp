#include "app/evaluate_command.h"

#include <iostream>

#include "acm/bfloat16_model.h"
#include "app/device.h"
#include "app/samples.h"
#include "app/table.h"
#include "app/terminal_progress.h"
#include "app/threads.h"
#include "core/error.h"
#include "nn/kernels/bfloat16_product.h"
#include "phases/calibration.h"
#include "phases/model_fit.h"

namespace acm::app {
namespace {

using phases::Calibration;

void check_options(Model& model, const Options& options) {
  const auto sites = acm_sites(*model.backbone);
  const auto name = options.model.string();
  if (sites.empty() && (options.choice || !options.budgets.empty()))
    throw Error(Fault::kUsage, (options.choice ? "--choice " + std::to_string(*options.choice) : "--budget") +
                                   " means nothing for " + name + ": it is a dense model");
  if (sites.empty()) return;
  const int64_t learners = sites.front().layer->shape().learners;
  if (options.choice && (*options.choice < 1 || *options.choice > learners))
    throw Error(Fault::kUsage, "--choice must be between 1 and " + std::to_string(learners) + ", the learners of " +
                                   name + ", got " + std::to_string(*options.choice));
  if (!options.choice && !sites.front().layer->gate())
    throw Error(Fault::kUsage,
                name + " has no gates yet (they come with phase 2): say with --choice how many learners to run");
}

// On a GPU the evaluator multiplies in bfloat16 by autocast.
void set_precision(Model& model, const std::string& precision, at::Device device) {
  if (precision.empty()) return;
  set_tf32(false);  // whatever the settings say
  model.backbone->to(at::kFloat);
  if (precision == "bfloat16" && device.is_cpu()) multiply_in_bfloat16(*model.backbone);
}

void warn_of_emulation(const Options& options, at::Device device, Log& log) {
  if (options.precision == "bfloat16" && device.is_cpu() && !nn::has_bfloat16_products())
    log.warn(
        "this processor has no instructions for bfloat16 (avx512_bf16): its products are computed in float32 after "
        "rounding, and are no faster than with --precision float32");
}

// Budgets whose shifts the model file holds already need no calibration samples; where the table is to be stored all
// are found anew.
std::vector<double> budgets_to_find(const Options& options, const std::optional<Calibration>& stored) {
  std::vector<double> missing;
  for (const double budget : options.budgets)
    if (options.store || !stored || !stored->budgets.contains(budget)) missing.push_back(budget);
  return missing;
}

[[noreturn]] void refuse_search(const std::vector<double>& missing, const std::string& model) {
  throw Error(Fault::kUsage, "cannot find the shift for a budget of " + Json(missing.front()).dump() + ": " + model +
                                 " holds none for it, and there are no calibration samples; set data.calibration, or "
                                 "ask for a budget that was stored with --store");
}

// What `eval` was asked for, with everything that is needed to answer.
struct Request {
  const Options& options;
  Model model = {};
  std::optional<Calibration> stored = {};
  std::vector<double> missing = {};  // budgets whose shifts are to be found
  data::Sources data = {};
};

Request load_request(const Options& options, const phases::Settings& settings, comm::Communicator& group,
                     at::Device device) {
  Request request{.options = options};
  const auto index = index_if_there(phases::RunFolder(settings.run_dir));
  root_first(group, [&] { request.data.test = data::open_source(settings.data, data::Split::kTest, index); });
  comm::together(group, [&] {
    request.model = load_model(options.model, phases::import_options(settings, *request.data.test));
    check_options(request.model, options);
    phases::check_fits(request.model, options.model, *request.data.test);
    set_precision(request.model, options.precision, device);
    request.model.backbone->to(device);
    request.stored = phases::stored_calibration(request.model.description);
    request.missing = budgets_to_find(options, request.stored);
  });
  if (request.missing.empty()) return request;
  root_first(group, [&] {
    request.data = data::open_sources(settings.data, StreamKey(static_cast<uint64_t>(settings.seed)), index);
    if (!request.data.calibration) refuse_search(request.missing, options.model.string());
  });
  return request;
}

// A result says in which precision it was computed where that was asked for.
Json labelled(const Options& options, Json evaluation) {
  if (!options.precision.empty()) evaluation["precision"] = options.precision;
  return evaluation;
}

// A row for each budget, in the order in which they were asked for.
Json evaluate_budgets(Request& request, const phases::Evaluator& evaluator, Log& log) {
  const auto& options = request.options;
  Calibration table = request.stored.value_or(Calibration());
  if (!request.missing.empty()) {
    auto found = phases::calibrate(request.model, options.model.string(), *request.data.calibration, evaluator,
                                   request.missing, log);
    for (const auto& [budget, shifted] : found.budgets) table.budgets[budget] = shifted;
    comm::together(evaluator.group, [&] {
      if (options.store && evaluator.group.is_root()) store_calibration(options.model, found);
    });
  }
  Json rows = Json::Array();
  for (const double budget : options.budgets)
    rows.push_back(
        labelled(options, evaluate_at(request.model, *request.data.test, evaluator, budget, table.budgets.at(budget))));
  return rows;
}

std::string text_of(const Options& options, const Json& evaluation) {
  const std::string precision = options.precision.empty() ? "" : ", " + options.precision;
  return result_table({{options.model.filename().string() + precision, evaluation}}) + cost_lines(evaluation) +
         replaced_line(evaluation) + "\n" + learner_table(evaluation);
}

}  // namespace

int evaluate_command(const Options& options, const LoadedSettings& loaded, const comm::World& world,
                     comm::Groups groups, at::Device device) {
  const auto& settings = loaded.settings;
  const bool speaks = groups.control.is_root();
  set_threads(settings.threads, world.place().local_size);
  auto request = load_request(options, settings, groups.control, device);
  Log log({}, speaks);
  warn_of_emulation(options, device, log);
  for (const std::string& note : request.model.notes) log.info(options.model.filename().string() + ": " + note);
  const std::string doubt = phases::doubt_of_classes(request.model, *request.data.test);
  if (!doubt.empty()) log.warn(doubt);
  TerminalProgress terminal(log, TerminalProgress::is_terminal());
  SilentProgress silent;
  Progress& progress = speaks && !options.quiet ? static_cast<Progress&>(terminal) : silent;
  SampleFetching fetching(settings.data, share_of_cores(world.place().local_size), log);
  const auto task = nn::make_classification();
  const phases::Evaluator evaluator{.task = *task,
                                    .micro_batch = settings.evaluate.micro_batch,
                                    .group = groups.control,
                                    .progress = progress,
                                    .fetching = fetching.fetching(device),
                                    .device = device,
                                    .autocast = options.precision == "bfloat16" && !device.is_cpu()};
  if (!options.budgets.empty()) {
    const Json rows = evaluate_budgets(request, evaluator, log);
    const auto text = [&] { return budget_table(rows.as_array()) + replaced_line(rows.as_array().front()); };
    if (speaks) std::cout << (options.json ? rows.dump(1) + "\n" : text()) << std::flush;
    return 0;
  }
  const auto evaluation = evaluator(request.model, *request.data.test, options.choice);
  if (!speaks) return 0;
  log.info(evaluation.speed());
  const Json json = labelled(options, evaluation.to_json());
  std::cout << (options.json ? json.dump(1) + "\n" : text_of(options, json)) << std::flush;
  return 0;
}

}  // namespace acm::app
