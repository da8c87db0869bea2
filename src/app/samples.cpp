#include "app/samples.h"

namespace acm::app {

void root_first(comm::Communicator& group, const std::function<void()>& work) {
  for (const bool roots_turn : {true, false})
    comm::together(group, [&] {
      if (group.is_root() == roots_turn) work();
    });
}

std::filesystem::path index_if_there(const phases::RunFolder& folder) {
  return std::filesystem::exists(folder.index()) ? folder.index() : std::filesystem::path();
}

std::string samples_line(const phases::Run& run) {
  const auto calibration =
      run.calibration_data ? ", " + std::to_string(run.calibration_data->size()) + " calibration" : std::string();
  return std::to_string(run.train_data.size()) + " training" + calibration + " and " +
         std::to_string(run.test_data.size()) + " test samples";
}

SampleFetching::SampleFetching(const data::DataConfig& config, int cores, Log& log)
    : threads_(config.loader_threads > 0 ? static_cast<int>(config.loader_threads) : cores) {
  if (config.on_bad_sample == "skip") bad_samples_.emplace(log);
}

void SampleFetching::report(comm::Communicator& group, Log& log) const {
  const int64_t mine = bad_samples_ ? bad_samples_->replaced() : 0;
  const int64_t replaced = comm::all_reduce_number(group, mine, comm::ReduceOp::kSum);
  if (replaced > 0 && group.is_root())
    log.warn(std::to_string(replaced) +
             " samples that could not be read were replaced by the next ones; the logs of the ranks name them");
}

}  // namespace acm::app
