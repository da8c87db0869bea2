#pragma once

#include <functional>
#include <optional>

#include "comm/communicator.h"
#include "data/device_copy.h"
#include "data/loader.h"
#include "phases/run.h"

namespace acm::app {

// Collective. Runs `work` on rank 0 first and then on the others, who find what it left behind, such as an index of
// images.
void root_first(comm::Communicator& group, const std::function<void()>& work);

// Where a command that must not make a folder reads and keeps the index of images: the run's, if that stands.
std::filesystem::path index_if_there(const phases::RunFolder& folder);

// "1800 training, 200 calibration and 500 test samples".
std::string samples_line(const phases::Run& run);

// How a rank fetches samples by [data]; lives as long as those who fetch.
class SampleFetching {
 public:
  // `cores`: the rank's share, used where data.loader_threads is 0.
  SampleFetching(const data::DataConfig& config, int cores, Log& log);
  // Collective. Says on rank 0 how often a sample that could not be read was replaced on any rank, where one was.
  void report(comm::Communicator& group, Log& log) const;
  // For a model on `device`.
  data::Fetching fetching(at::Device device) {
    return {threads_, bad_samples_ ? &*bad_samples_ : nullptr, data::copy_stream(device)};
  }

 private:
  int threads_;
  std::optional<data::BadSamples> bad_samples_;
};

}  // namespace acm::app
