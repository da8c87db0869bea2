#pragma once

#include <ATen/ops/empty.h>

#include <atomic>
#include <functional>
#include <map>

#include "core/digest.h"
#include "core/file.h"
#include "data/stack.h"
#include "nn/random_tensor.h"
#include "phases/pretrain.h"
#include "phases/run.h"
#include "unit/nn/small_vit.h"

namespace acm::phases {

// Images of 8 x 8 in three classes, functions of (seed, index) with a little that only the augmentation decides.
class SmallImages final : public data::DataSource {
 public:
  SmallImages(int64_t samples, uint64_t seed) : samples_(samples), key_(seed) {}

  int64_t size() const override { return samples_; }
  data::Sample get(int64_t index, StreamKey augmentation) const override {
    const int64_t count = ++gets;
    if (on_get) on_get(count);
    at::Tensor image = at::empty({1, 8, 8});
    nn::fill_uniform(image, key_.with(static_cast<uint64_t>(index)), -1, 1);
    image.add_(0.1 * random_uniform(augmentation, 0));
    return {.input = image, .label = index % classes()};
  }
  data::Batch collate(std::span<const data::Sample> samples) const override { return data::stack(samples); }
  int64_t classes() const override { return 3; }
  std::array<int64_t, 3> input_shape() const override { return {1, 8, 8}; }
  Json identity() const override { return Json::object({{"small images", samples_}}); }
  Json preprocessing() const override { return Json::object({{"mean", 0.0}}); }

  mutable std::atomic<int64_t> gets = 0;
  std::function<void(int64_t count)> on_get;  // on any thread

 private:
  int64_t samples_;
  StreamKey key_;
};

// Two blocks, five tokens, two learners; three segments of 20, 20 and 10 rows; a few steps a phase.
inline void make_small(Settings& settings, const std::filesystem::path& folder) {
  settings.run_dir = folder.string();
  settings.seed = 3;
  settings.precision = "float64";
  settings.backbone.patch = 4;
  settings.backbone.width = 8;
  settings.backbone.depth = 2;
  settings.backbone.heads = 2;
  settings.backbone.hidden = 12;
  settings.acm.learners = 2;
  settings.gate.hidden = 3;
  settings.cache = {.dir = {}, .samples = 10, .segment_samples = 4, .micro_batch = 2, .shuffle_segments = 2};
  for (TrainingConfig* phase : std::initializer_list<TrainingConfig*>{&settings.pretrain, &settings.distill,
                                                                      &settings.gating, &settings.finetune}) {
    phase->steps = 5;
    phase->batch = 7;
    phase->learning_rate = 1e-2;
    phase->save_every = 0;
    phase->log_every = 2;
  }
  settings.distill.batch = settings.gating.batch = 16;
}

// Everything that a Run borrows, for one rank of a group, in a folder that stands.
class SmallRun {
 public:
  using Adjust = std::function<void(Settings&)>;
  SmallRun(const std::filesystem::path& folder, comm::Communicator& group, const Adjust& adjust = {})
      : log(folder / ("rank-" + std::to_string(group.rank()) + ".log"), false),
        beat({}, group.rank(), group.size(), "small", {[] {}}) {
    make_small(settings, folder);
    if (adjust) adjust(settings);
  }
  SmallRun(const SmallRun&) = delete;

  Settings settings;
  config::Fields fields = settings.describe();
  SmallImages train_data{20, 1}, test_data{7, 2};
  Log log;
  SilentProgress progress;
  comm::Beat beat;
  std::stop_source stop;
  std::unique_ptr<nn::Task> task = nn::make_classification();

  // Asks to stop when so many samples were fetched.
  void stop_after_gets(int64_t gets) {
    train_data.on_get = [this, gets](int64_t count) {
      if (count >= gets) stop.request_stop();
    };
  }

  // The settings may change until then.
  Run run(comm::Communicator& group) {
    return {settings,
            fields,
            RunFolder(settings.run_dir),
            {group, group},
            log,
            progress,
            beat,
            stop.get_token(),
            train_data,
            test_data,
            *task};
  }
};

// A dense model with parameters that all matter, as phase 0 would leave it.
inline void save_dense_model(const Run& run) {
  const auto backbone = new_backbone(run);
  nn::scatter(*backbone);
  save_model(run.folder.model(PhaseId::kPretrain), *backbone, "pretrain", run.train_data.preprocessing(), "");
}

// The same with learners at every site that the settings name, and gates unless `phase` is 1; made from the dense model
// that stands, if any.
inline void save_acm_model(const Run& run, PhaseId phase) {
  const auto backbone = new_backbone(run);
  nn::scatter(*backbone);
  convert_sites(*backbone, run.settings.surgery(), run.key().with("distill"));
  if (phase != PhaseId::kDistill) add_gates(*backbone, run.settings.gate_config(), run.key().with("gating"));
  const auto dense = run.folder.model(PhaseId::kPretrain);
  const auto parent = std::filesystem::exists(dense) ? digest_of_file(dense) : "none";
  save_model(run.folder.model(phase), *backbone, std::string(name_of(phase)), run.train_data.preprocessing(), parent);
}

// Runs `work` as every rank of a local group, each with its own SmallRun in `folder`; `prepare` runs first, alone on
// rank 0.
inline void run_small_group(int ranks, const std::filesystem::path& folder, const SmallRun::Adjust& adjust,
                            const std::function<void(const Run&)>& prepare,
                            const std::function<void(const Run&)>& work) {
  make_folder(folder);
  comm::run_local_group(ranks, [&](comm::Communicator& group) {
    SmallRun small(folder, group, adjust);
    const Run run = small.run(group);
    if (run.is_root()) prepare(run);
    group.barrier();
    work(run);
  });
}

// Changes the first byte of a tensor's values in a segment's file.
inline void spoil(const std::filesystem::path& path, const at::Tensor& values) {
  auto bytes = read_file(path);
  const std::string stored(static_cast<const char*>(values.const_data_ptr()), values.nbytes());
  bytes.at(bytes.find(stored)) ^= 1;
  replace_file(path, bytes);
}

// The digests of the files in a folder, by name.
inline std::map<std::string, std::string> digests_in(const std::filesystem::path& folder) {
  std::map<std::string, std::string> digests;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    digests[entry.path().filename().string()] = digest_of_file(entry.path());
  return digests;
}

// The largest difference between parameters of the same name in two model files; infinity where the names differ.
inline double model_distance(const std::filesystem::path& a, const std::filesystem::path& b) {
  const auto ours = nn::read_model_file(a).tensors, theirs = nn::read_model_file(b).tensors;
  double largest = ours.size() == theirs.size() ? 0 : INFINITY;
  for (const auto& [name, value] : ours) {
    const auto other = theirs.find(name);
    largest = other == theirs.end() ? INFINITY : std::max(largest, value.sub(other->second).abs().max().item<double>());
  }
  return largest;
}

}  // namespace acm::phases
