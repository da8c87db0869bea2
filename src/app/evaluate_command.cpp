#include "app/evaluate_command.h"

#include <iostream>

#include "app/table.h"
#include "app/terminal_progress.h"
#include "app/threads.h"
#include "core/error.h"
#include "phases/evaluate.h"
#include "phases/model_fit.h"

namespace acm::app {
namespace {

void check_choice(Model& model, const Options& options) {
  const auto sites = acm_sites(*model.backbone);
  if (sites.empty() && options.choice)
    throw Error(Fault::kUsage, "--choice " + std::to_string(*options.choice) + " means nothing for " +
                                   options.model.string() + ": it is a dense model");
  if (sites.empty()) return;
  const int64_t learners = sites.front().layer->shape().learners;
  if (options.choice && (*options.choice < 1 || *options.choice > learners))
    throw Error(Fault::kUsage, "--choice must be between 1 and " + std::to_string(learners) + ", the learners of " +
                                   options.model.string() + ", got " + std::to_string(*options.choice));
  if (!options.choice && !sites.front().layer->gate())
    throw Error(Fault::kUsage,
                options.model.string() +
                    " has no gates yet (they come with phase 2): say with --choice how many learners to run");
}

}  // namespace

int evaluate_command(const Options& options, const LoadedSettings& loaded, const comm::World& world,
                     comm::Groups groups) {
  set_threads(loaded.settings.threads, world.place().local_size);
  Model model;
  std::unique_ptr<data::DataSource> test_data;
  comm::together(groups.control, [&] {
    model = load_model(options.model);
    check_choice(model, options);
    test_data = data::open_source(loaded.settings.data, data::Split::kTest);
    phases::check_fits(model, options.model, *test_data);
  });
  Log log({}, groups.control.is_root());
  TerminalProgress terminal(log, TerminalProgress::is_terminal());
  SilentProgress silent;
  Progress& progress = groups.control.is_root() && !options.quiet ? static_cast<Progress&>(terminal) : silent;
  const auto task = nn::make_classification();
  const auto evaluation = phases::evaluate(model, *test_data, *task, loaded.settings.evaluate.micro_batch,
                                           options.choice, groups.control, progress)
                              .to_json();
  if (!groups.control.is_root()) return 0;
  if (options.json) {
    std::cout << evaluation.dump(1) << std::endl;
  } else {
    std::cout << result_table({{options.model.filename().string(), evaluation}}) << "\n"
              << learner_table(evaluation) << std::flush;
  }
  return 0;
}

}  // namespace acm::app
