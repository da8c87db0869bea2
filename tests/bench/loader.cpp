// Images from JPEG files to batches: as fast as the loader can, and ahead of a model that trains on them, where what
// counts is the share of the time that the model waits.
#include "data/loader.h"

#include <ATen/ops/cross_entropy_loss.h>

#include "bench/compare.h"
#include "bench/vit_shapes.h"
#include "core/file.h"
#include "data/open.h"
#include "temporary_folder.h"
#include "unit/data/image/pictures.h"

namespace acm::bench {
namespace {

constexpr int64_t kImages = 64, kBatch = 16;

// Pictures of ImageNet's usual size in one class folder, with the recipe of DeiT-III for single images.
class Pictures {
 public:
  Pictures() {
    std::filesystem::create_directories(folder_ / "train/class");
    for (int i = 0; i < kImages; ++i)
      replace_file(folder_ / ("train/class/" + std::to_string(i) + ".jpg"), data::jpeg(data::picture(375, 500, i)));
    data::DataConfig config;
    config.kind = "folder";
    config.path = (folder_ / ".").string();
    config.train = {"train"};
    config.preset = "augreg";
    config.augment.random_resized_crop = config.augment.flip = config.augment.three_augment = true;
    config.augment.colour_jitter = 0.3;
    source_ = data::open_source(config, data::Split::kTrain);
  }
  std::unique_ptr<data::Loader> loader(int threads) const {
    return std::make_unique<data::Loader>(*source_, data::Schedule(kImages, kBatch, StreamKey(1)),
                                          data::Views(StreamKey(2)), std::vector<data::Slice>{{}},
                                          data::Fetching{.threads = threads});
  }

 private:
  TemporaryFolder folder_;
  std::unique_ptr<data::DataSource> source_;
};

void loader_alone(benchmark::State& state) {
  const Pictures pictures;
  const auto loader = pictures.loader(static_cast<int>(state.range(0)));
  int64_t step = 0;
  for ([[maybe_unused]] auto _ : state) benchmark::DoNotOptimize(loader->get({.step = step++}));
  set_rate(state, "images/s", kBatch);
}
BENCHMARK(loader_alone)->MeasureProcessCPUTime()->UseRealTime()->ArgName("threads")->Arg(1)->Arg(2);

// Beside the forward and backward of ViT-Ti on one thread.
void loader_beside_training(benchmark::State& state) {
  const Pictures pictures;
  const auto model = nn::make_vit(vit_shape("tiny"));
  model->initialise(StreamKey(3));
  const auto loader = pictures.loader(static_cast<int>(state.range(0)));
  nn::TokenContext context;
  context.training = true;
  int64_t step = 0;
  const auto train = [&] {
    const auto batch = loader->get({.step = step++});
    at::cross_entropy_loss(model->forward(batch, context), batch.labels).backward();
  };
  train();  // the first batch is waited for
  loader->take_figures();
  const Stopwatch watch;
  for ([[maybe_unused]] auto _ : state) train();
  state.counters["data wait"] = loader->take_figures().waited_seconds / watch.seconds();
  set_rate(state, "images/s", kBatch);
}
BENCHMARK(loader_beside_training)->MeasureProcessCPUTime()->UseRealTime()->ArgName("threads")->Arg(1)->Arg(2);

}  // namespace
}  // namespace acm::bench
