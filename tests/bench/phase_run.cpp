#include "bench/phase_run.h"

#include <ATen/ops/empty.h>

#include "data/device_copy.h"
#include "data/stack.h"
#include "nn/random_tensor.h"
#include "phases/learner_start.h"
#include "phases/pretrain.h"

namespace acm::bench {
namespace {

// What decides the cost of a step is as in configs/vit_tiny_imagenet.toml, with the paper's gates. A segment of the
// cache holds the rows of one step, and each step reads them, as it does on the average of an epoch. What happens
// before the first step is not measured, and kept short.
void set(phases::Settings& settings, const std::filesystem::path& folder, const nn::VitConfig& shape, int64_t batch,
         int64_t turns, int64_t steps_of_turn) {
  settings.run_dir = folder.string();
  auto& backbone = settings.backbone;
  backbone.patch = shape.patch;
  backbone.width = shape.width;
  backbone.depth = shape.depth;
  backbone.heads = shape.heads;
  backbone.hidden = shape.hidden;
  backbone.pooling = shape.pooling;
  settings.acm.init_samples = 1;
  settings.gate.hidden = 16;
  settings.cache.dtype = "float16";
  settings.cache.segment_samples = settings.cache.micro_batch = batch;
  settings.cache.shuffle_segments = 1;
  settings.gating.label_samples = 1;
  settings.gating.label_share = 1;
  settings.finetune.calibrated_start = false;
  for (phases::TrainingConfig* phase : std::initializer_list<phases::TrainingConfig*>{
           &settings.pretrain, &settings.distill, &settings.gating, &settings.finetune}) {
    phase->steps = turns * steps_of_turn;
    phase->batch = batch;
    phase->save_every = 0;
    phase->log_every = steps_of_turn;
  }
  settings.distill.steps = turns;
  settings.distill.batch = settings.gating.batch = batch * (shape.patches() + shape.prefix_tokens());
}

}  // namespace

RandomImages::RandomImages(const nn::VitConfig& shape, int64_t samples)
    : shape_(shape), inputs_(at::empty({samples, shape.channels, shape.height, shape.width_pixels})) {
  nn::fill_normal(inputs_, StreamKey(1), 1);
}

data::Sample RandomImages::get(int64_t index, StreamKey) const {
  return {.input = inputs_[index], .label = index % classes()};
}

data::Batch RandomImages::collate(std::span<const data::Sample> samples) const { return data::stack(samples); }

data::Batch RandomImages::all() const {
  std::vector<data::Sample> samples;
  for (int64_t i = 0; i < size(); ++i) samples.push_back(get(i, StreamKey()));
  return collate(samples);
}

NoiseRun::NoiseRun(const std::filesystem::path& folder, const nn::VitConfig& shape, int64_t batch, int64_t turns,
                   int64_t steps_of_turn)
    : images(shape, batch), log(folder / "log", false), beat({}, 0, 1, "bench", {[] {}}) {
  set(settings, folder, shape, batch, turns, steps_of_turn);
}

phases::Run NoiseRun::run(Progress& progress) {
  phases::Run run{
      settings, fields, phases::RunFolder(settings.run_dir), {*group, *group}, log, progress, beat, {}, images,
      images,   *task};
  run.device = device;
  run.fetching.copies = data::copy_stream(device);
  if (!device.is_cpu()) run.fetching.threads = 4;  // one copies more slowly than a GPU computes
  return run;
}

void prepare(const phases::Run& run, bool with_cache) {
  const auto model = phases::new_backbone(run);
  const auto save = [&](phases::PhaseId phase, const std::string& parent) {
    save_model(run.folder.model(phase), *model, std::string(name_of(phase)), run.train_data.preprocessing(), parent);
  };
  save(phases::PhaseId::kPretrain, "");
  convert_sites(*model, run.settings.surgery(), run.key());
  std::string teacher;
  if (with_cache) {
    phases::Capture capture(run);
    capture.fill();
    phases::CacheReader reader(capture, run.log);
    for (const auto& site : acm_sites(*model)) phases::start_learners(run, capture, *site.site, reader, *site.layer);
    teacher = capture.teacher_digest();
  }
  save(phases::PhaseId::kDistill, teacher);
  add_gates(*model, run.settings.gate_config(), run.key());
  save(phases::PhaseId::kGating, teacher);
}

}  // namespace acm::bench
