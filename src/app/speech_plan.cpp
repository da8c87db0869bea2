#include "app/speech_plan.h"

#include <array>

#include "acm/model.h"

namespace acm::app::speech {
namespace {

struct Convolution {
  int64_t kernel = 0, stride = 0;
};
constexpr std::array<Convolution, 7> kEncoder = {{{10, 5}, {3, 2}, {3, 2}, {3, 2}, {3, 2}, {2, 2}, {2, 2}}};
constexpr int64_t kChannels = 512;  // of each of them; they have no bias
constexpr int64_t kPositionKernel = 128, kPositionGroups = 16;

int64_t frames_after(Convolution layer, int64_t frames) { return (frames - layer.kernel) / layer.stride + 1; }

// Weight and bias.
int64_t linear_numbers(int64_t in, int64_t out) { return in * out + out; }
int64_t norm_numbers(int64_t width) { return 2 * width; }

void add_feature_encoder(phases::ModelShape& shape, int64_t frames) {
  shape.frozen_numbers = norm_numbers(kChannels);  // of the first layer's channels
  int64_t channels = 1;
  for (const auto layer : kEncoder) {
    const int64_t weights = kChannels * channels * layer.kernel;
    frames = frames_after(layer, frames);
    shape.frozen_numbers += weights;
    shape.frozen_macs += frames * weights;
    channels = kChannels;
  }
  shape.numbers += shape.frozen_numbers;
  shape.macs += shape.frozen_macs;
  shape.tokens = frames;
}

// Between the feature encoder and the layers, and behind them.
void add_ends(phases::ModelShape& shape, int64_t width) {
  const int64_t position_weights = width * (width / kPositionGroups) * kPositionKernel;
  const int64_t mask = width, position_magnitudes = kPositionKernel;  // weight normalisation by place in the kernel
  shape.numbers += norm_numbers(kChannels) + linear_numbers(kChannels, width) + mask + position_weights +
                   position_magnitudes + width + norm_numbers(width) + linear_numbers(width, kTokens);
  shape.macs += shape.tokens * (kChannels * width + position_weights + width * kTokens);
}

int64_t numbers_of(const nn::Site& site) {
  return site.hidden > 0 ? linear_numbers(site.width, site.hidden) + linear_numbers(site.hidden, site.width)
                         : linear_numbers(site.width, site.width);
}

void add_layers(phases::ModelShape& shape, const phases::BackboneConfig& sizes) {
  using enum nn::SiteKind;
  const int64_t width = sizes.width;
  for (int64_t layer = 0; layer < sizes.depth; ++layer) {
    const auto path = "layers." + std::to_string(layer) + ".";
    for (const auto kind : {kQuery, kKey, kValue, kOutput, kFeedForward}) {
      const auto name = path + to_string(kind);
      const bool reads_query = kind == kKey || kind == kValue;
      shape.sites.push_back({.name = name,
                             .kind = kind,
                             .width = width,
                             .hidden = kind == kFeedForward ? sizes.hidden : 0,
                             .input_of = reads_query ? path + to_string(kQuery) : name});
    }
  }
  shape.numbers += sizes.depth * 2 * norm_numbers(width);
  for (const auto& site : shape.sites) {
    shape.numbers += numbers_of(site);
    shape.macs += shape.tokens * nn::dense_site_macs_per_token(site);
  }
  // Queries by keys, then weights by values.
  shape.macs += sizes.depth * 2 * shape.tokens * shape.tokens * width;
}

}  // namespace

int64_t frames(int64_t samples) {
  for (const auto layer : kEncoder) samples = frames_after(layer, samples);
  return samples;
}

std::vector<std::string> settings() {
  const auto utterances = [](int64_t count) { return std::to_string(count * frames(kMeanSamples)); };
  return {"run_dir=runs/wav2vec2_base_librispeech",
          "tf32=true",
          "data.path=data/LibriSpeech",
          "backbone.weights=weights/wav2vec2-base-960h",
          "backbone.width=768",
          "backbone.depth=12",
          "backbone.heads=12",
          "backbone.hidden=3072",
          "acm.sites=[\"ffn\"]",
          "cache.dtype=float16",
          "cache.max_bytes=200_000_000_000",
          "cache.segment_samples=64",
          "distill.epochs=5",
          "distill.batch=" + utterances(12),
          "gating.epochs=1",
          "gating.batch=" + utterances(16),
          "finetune.epochs=4",
          "finetune.batch=16",
          "finetune.autocast=bfloat16"};
}

phases::ModelShape shape(const phases::Settings& settings) {
  phases::ModelShape shape{.origin = "wav2vec2-base by its shapes, whose feature encoder is frozen"};
  add_feature_encoder(shape, kMeanSamples);
  add_ends(shape, settings.backbone.width);
  add_layers(shape, settings.backbone);
  for (const size_t index : selected_sites(shape.sites, settings.acm.sites))
    shape.site_numbers += numbers_of(shape.sites[index]);
  return shape;
}

}  // namespace acm::app::speech
