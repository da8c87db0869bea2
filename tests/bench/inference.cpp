// bench_inference [--model tiny|base|quick] [--batch B]... [--rounds R] [--threads T] [--precision bfloat16]: time of a
// Vision Transformer with ACMs at every site over that of the dense one, beside the cost (multiply-accumulates) of the
// same, for shares k / N of the learners. The gates run, but the choices are given: k is uniform in the widest range
// around the wanted mean, drawn for each token ("random") or falling from the middle of the picture to its border
// ("spatial"). Dense and gated forwards take turns; a ratio is the median over the rounds, of processor time. With
// --precision bfloat16: dense and gated forwards in bfloat16, each over the same in float32. Prints CSV.
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "acm/bfloat16_model.h"
#include "acm/cost.h"
#include "acm/model.h"
#include "bench/figures.h"
#include "bench/vit_shapes.h"
#include "core/memory.h"
#include "nn/random_tensor.h"

namespace {

using namespace acm;
using namespace acm::bench;

struct Options {
  std::string model = "tiny";
  std::vector<int64_t> batches = {1, 8, 32};
  int64_t rounds = 15;
  int threads = 1;
  std::string precision = "float32";
};

enum class Mask { kRandom, kSpatial };

// For each token, the class token first: the share of the patches that are farther from the middle of the picture.
std::vector<double> share_farther_out(int64_t side) {
  std::vector<double> distances = {0};
  for (int64_t patch = 0; patch < side * side; ++patch) {
    const double middle = static_cast<double>(side - 1) / 2;
    distances.push_back(
        std::hypot(static_cast<double>(patch / side) - middle, static_cast<double>(patch % side) - middle));
  }
  std::vector<double> shares;
  for (const double distance : distances) {
    const auto farther = std::ranges::count_if(distances, [&](double other) { return other > distance; });
    shares.push_back(static_cast<double>(farther) / static_cast<double>(distances.size()));
  }
  return shares;
}

// int64 [samples, tokens], for pictures of side x side patches.
at::Tensor choices_of(Mask mask, double share, const AcmShape& shape, int64_t samples, int64_t side, StreamKey key) {
  const std::vector<double> farther_out = share_farther_out(side);
  const auto tokens = static_cast<int64_t>(farther_out.size());
  at::Tensor quantiles = at::empty({samples, tokens}, at::kDouble), choices = at::empty({samples, tokens}, at::kLong);
  nn::fill_uniform(quantiles, key, 0, 1);
  const int64_t mean = std::llround(share * static_cast<double>(shape.learners));
  const int64_t spread = std::min(mean - shape.min_k, shape.learners - mean);
  for (int64_t i = 0; i < samples * tokens; ++i) {
    const double quantile =
        mask == Mask::kRandom ? quantiles.const_data_ptr<double>()[i] : farther_out[static_cast<size_t>(i % tokens)];
    choices.mutable_data_ptr<int64_t>()[i] =
        mean - spread + static_cast<int64_t>(quantile * static_cast<double>(2 * spread + 1));
  }
  return choices;
}

// An ACM whose gate runs and whose choices are given.
class GivenChoice final : public nn::TokenModule {
 public:
  GivenChoice(const AcmShape& shape, StreamKey key) : acm_(std::make_shared<AcmLayer>(shape)) {
    register_module("acm", acm_);
    acm_->initialise(key);
    acm_->add_gate({});
    acm_->gate()->initialise(key);
  }
  at::Tensor forward(const at::Tensor& tokens, nn::TokenContext&) override {
    best_class(acm_->gate()->forward(tokens));
    return acm_->chosen(tokens, choices);
  }
  int64_t macs_per_token() const override { return acm_->macs_per_token(); }
  int64_t macs() const {  // of all tokens of `choices`
    return choices.sum().item<int64_t>() * learner_macs_per_token(acm_->shape()) +
           choices.numel() * acm_->gate()->macs_per_token();
  }
  const AcmShape& shape() const { return acm_->shape(); }

  at::Tensor choices;

 private:
  std::shared_ptr<AcmLayer> acm_;
};

struct Gated {
  std::shared_ptr<nn::Backbone> backbone;
  std::vector<GivenChoice*> sites;
};

Gated gated_model(const nn::VitConfig& shape) {
  Gated gated{nn::make_vit(shape), {}};
  gated.backbone->initialise(StreamKey(1));
  for (const nn::Site& site : gated.backbone->sites()) {
    auto module = std::make_shared<GivenChoice>(acm::shape_of(site, SurgeryConfig{}), StreamKey(2).with(site.name));
    gated.sites.push_back(module.get());
    gated.backbone->replace(site, module);
  }
  return gated;
}

// Processor seconds of one forward pass.
double seconds_of(nn::Backbone& model, const data::Batch& images) {
  nn::TokenContext context;
  const double start = processor_seconds();
  model.forward(images, context);
  return processor_seconds() - start;
}

struct Measured {
  double seconds, reference_seconds, ratio;  // for an image
};

Measured compare(nn::Backbone& ours, nn::Backbone& reference, const data::Batch& images, int64_t rounds) {
  const auto of_image = [&](nn::Backbone& model) {
    return seconds_of(model, images) / static_cast<double>(images.inputs.size(0));
  };
  std::vector<double> seconds, reference_seconds, ratios;
  for (int64_t round = -1; round < rounds; ++round) {
    const double of_reference = of_image(reference), of_ours = of_image(ours);
    if (round < 0) continue;  // the first fills caches
    seconds.push_back(of_ours);
    reference_seconds.push_back(of_reference);
    ratios.push_back(of_ours / of_reference);
  }
  return {median(seconds), median(reference_seconds), median(ratios)};
}

class Measurement {
 public:
  explicit Measurement(const Options& options)
      : options_(options), shape_(vit_shape(options.model)), dense_(nn::make_vit(shape_)), gated_(gated_model(shape_)) {
    dense_->initialise(StreamKey(1));
    if (options.precision != "bfloat16") return;
    narrow_dense_ = nn::make_vit(shape_);
    narrow_dense_->initialise(StreamKey(1));
    narrow_gated_ = gated_model(shape_);
    for (const auto& model : {narrow_dense_, narrow_gated_.backbone}) multiply_in_bfloat16(*model);
  }

  void run(int64_t batch) {
    data::Batch images;
    images.inputs = at::empty({batch, shape_.channels, shape_.height, shape_.width_pixels});
    nn::fill_normal(images.inputs, StreamKey(3), 1);
    const at::Tensor tokens = dense_->token_counts(images);
    const int64_t static_macs = dense_->static_macs(tokens).sum().item<int64_t>();
    const int64_t dense_macs = static_macs + tokens.sum().item<int64_t>() * nn::dense_site_macs_per_token(*dense_);
    if (narrow_dense_) print("bfloat16 dense forward", *narrow_dense_, "dense forward", *dense_, images, 1, 1);
    for (const auto& [mask, name] : {std::pair{Mask::kRandom, "random"}, std::pair{Mask::kSpatial, "spatial"}}) {
      for (const double share : {0.25, 0.5, 0.75, 1.0}) {
        const double cost =
            static_cast<double>(static_macs + set_choices(mask, share, batch)) / static_cast<double>(dense_macs);
        const std::string gated = std::string("gated forward (") + name + " mask)";
        if (narrow_dense_)
          print("bfloat16 " + gated, *narrow_gated_.backbone, gated, *gated_.backbone, images, share, cost);
        else
          print(gated, *gated_.backbone, "dense forward", *dense_, images, share, cost);
      }
    }
  }

 private:
  // Multiply-accumulates of all sites with these choices.
  int64_t set_choices(Mask mask, double share, int64_t batch) {
    const int64_t side = shape_.height / shape_.patch;
    int64_t macs = 0;
    for (size_t i = 0; i < gated_.sites.size(); ++i) {
      GivenChoice& site = *gated_.sites[i];
      site.choices = choices_of(mask, share, site.shape(), batch, side, StreamKey(4).with(i));
      if (narrow_dense_) narrow_gated_.sites[i]->choices = site.choices;
      macs += site.macs();
    }
    return macs;
  }
  void print(const std::string& what, nn::Backbone& ours, const std::string& reference_name, nn::Backbone& reference,
             const data::Batch& images, double share, double cost) const {
    const Measured found = compare(ours, reference, images, options_.rounds);
    std::printf("%s,%s,%ld,%.2f,%.3f,%.6f,%s,%.6f,%.3f,%ld,\n", what.c_str(), options_.model.c_str(),
                static_cast<long>(images.inputs.size(0)), share, cost, found.seconds, reference_name.c_str(),
                found.reference_seconds, found.ratio, static_cast<long>(options_.rounds));
    std::fflush(stdout);
  }

  const Options& options_;
  const nn::VitConfig shape_;
  std::shared_ptr<nn::Backbone> dense_, narrow_dense_;  // narrow: the same in bfloat16, where it is asked for
  Gated gated_, narrow_gated_;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Time of gated over dense inference of a Vision Transformer");
  app.add_option("--model", options.model)->check(CLI::IsMember({"tiny", "base", "quick"}));
  app.add_option("--batch", options.batches)->check(CLI::PositiveNumber);
  app.add_option("--rounds", options.rounds)->check(CLI::PositiveNumber);
  app.add_option("--threads", options.threads)->check(CLI::PositiveNumber);
  app.add_option("--precision", options.precision)->check(CLI::IsMember({"float32", "bfloat16"}));
  CLI11_PARSE(app, argc, argv);
  keep_freed_memory();
  at::set_num_threads(options.threads);
  const at::NoGradGuard no_grad;
  std::printf("%s\n", kColumns);
  Measurement measurement(options);
  for (const int64_t batch : options.batches) measurement.run(batch);
  return 0;
}
