#pragma once

#include <filesystem>
#include <string>

#include "nn/vit/vit.h"
#include "phases/run.h"

namespace acm::bench {

// Noise as images, made once and held in memory, so that fetching costs a copy.
class RandomImages final : public data::DataSource {
 public:
  RandomImages(const nn::VitConfig& shape, int64_t samples);
  int64_t size() const override { return inputs_.size(0); }
  data::Sample get(int64_t index, StreamKey augmentation) const override;
  data::Batch collate(std::span<const data::Sample> samples) const override;
  int64_t classes() const override { return shape_.classes; }
  std::array<int64_t, 3> input_shape() const override { return {shape_.channels, shape_.height, shape_.width_pixels}; }
  Json identity() const override { return "noise"; }
  Json preprocessing() const override { return {}; }
  data::Batch all() const;

 private:
  nn::VitConfig shape_;
  at::Tensor inputs_;  // [samples, channels, height, width]
};

// What a run over noise borrows: phases take `turns` turns of so many steps (phase 1 of one), of `batch` images, or of
// the tokens of so many.
struct NoiseRun {
  NoiseRun(const std::filesystem::path& folder, const nn::VitConfig& shape, int64_t batch, int64_t turns,
           int64_t steps_of_turn);
  NoiseRun(const NoiseRun&) = delete;
  phases::Run run(Progress& progress);

  at::Device device = at::kCPU;
  phases::Settings settings;
  config::Fields fields = settings.describe();
  RandomImages images;
  Log log;
  comm::Beat beat;
  std::unique_ptr<comm::Communicator> group = comm::make_solo_communicator();
  std::unique_ptr<nn::Task> task = nn::make_classification();
};

// Leaves in the run's folder what the phases start from: a dense model, one with learners, one with gates, all of
// random weights, and with_cache that of the dense model's activations, from which learners then start.
void prepare(const phases::Run& run, bool with_cache);

}  // namespace acm::bench
