// bench_inference [--model tiny|base|quick] [--part model|ffn] [--sites KIND...] [--batch B]... [--rounds R]
// [--threads T] [--device cuda] [--precision bfloat16] [--eager PYTHON EAGER.PY]: time of a Vision Transformer with
// ACMs at every site over that of the dense one, beside the cost (multiply-accumulates) of the same, for shares k / N
// of the learners. The gates run, as wide as gates of this model and these sites are unless a user sets their width,
// but the choices are given: k is uniform in the widest range around the wanted mean, drawn for each token ("random")
// or falling from the middle of the picture to its border ("spatial"). Dense and gated forwards take turns; a ratio is
// the median over the rounds, of processor time, and on a GPU of the time until it has done its work. --part ffn: the
// first feed-forward network instead of the model, with the model's gates. With --precision bfloat16 on the CPU:
// dense and gated forwards in bfloat16, each over the same in float32; on a GPU everything is in bfloat16 (autocast).
// With --eager all take turns with the dense forward of eager PyTorch too. Prints CSV.
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <functional>
#include <memory>

#include "acm/bfloat16_model.h"
#include "acm/cost.h"
#include "acm/gate_width.h"
#include "acm/model.h"
#include "bench/figures.h"
#include "bench/player.h"
#include "bench/vit_shapes.h"
#include "core/memory.h"
#include "nn/autocast.h"
#include "nn/random_tensor.h"
#include "nn/sample_groups.h"

namespace {

using namespace acm;
using namespace acm::bench;

struct Options {
  std::string model = "tiny", part = "model", device = "cpu";
  std::vector<std::string> sites = SurgeryConfig{}.kinds;  // that become ACMs
  std::vector<int64_t> batches = {1, 8, 32};
  int64_t rounds = 15;
  int threads = 1;
  std::string precision = "float32";
  std::vector<std::string> eager;  // the command of eager.py
  bool in_bfloat16() const { return precision == "bfloat16"; }
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
  GivenChoice(const AcmShape& shape, const GateConfig& gate, StreamKey key) : acm_(std::make_shared<AcmLayer>(shape)) {
    register_module("acm", acm_);
    acm_->initialise(key);
    acm_->add_gate(gate);
    acm_->gate()->initialise(key);
  }
  at::Tensor forward(const at::Tensor& tokens, nn::TokenContext& context) override {
    GivenChoice* const alone = this;
    return run({&alone, 1}, tokens, context).front();
  }
  std::vector<at::Tensor> forward_together(std::span<nn::TokenModule* const> modules, const at::Tensor& tokens,
                                           nn::TokenContext& context) override {
    std::vector<GivenChoice*> sites;
    for (nn::TokenModule* module : modules) {
      sites.push_back(dynamic_cast<GivenChoice*>(module));
      if (!sites.back()) return TokenModule::forward_together(modules, tokens, context);
    }
    return run(sites, tokens, context);
  }
  int64_t macs_per_token() const override { return acm_->macs_per_token(); }
  int64_t macs() const {  // of all tokens of `choices`
    return choices.sum().item<int64_t>() * learner_macs_per_token(acm_->shape()) +
           choices.numel() * acm_->gate()->macs_per_token();
  }
  const AcmShape& shape() const { return acm_->shape(); }

  at::Tensor choices;

 private:
  static std::vector<at::Tensor> run(std::span<GivenChoice* const> sites, const at::Tensor& tokens,
                                     const nn::TokenContext& context) {
    std::vector<AcmLayer*> layers;
    std::vector<nn::SiteRecord> unread(sites.size());
    std::vector<nn::SiteRecord*> records;
    std::vector<at::Tensor> of_layers;
    for (GivenChoice* site : sites) {
      records.push_back(&unread[layers.size()]);
      layers.push_back(site->acm_.get());
      of_layers.push_back(site->choices.narrow(0, context.positions.data_ptr<int64_t>()[0], tokens.size(0)));
    }
    return AcmLayer::gated(layers, tokens, records, of_layers);
  }

  std::shared_ptr<AcmLayer> acm_;
};

struct Gated {
  std::shared_ptr<nn::Backbone> backbone;
  std::vector<GivenChoice*> sites;
};

// tokens: of an image.
GateConfig automatic_gates(const nn::Backbone& dense, const std::vector<size_t>& sites, int64_t tokens) {
  std::vector<AcmShape> shapes;
  for (const size_t index : sites) shapes.push_back(acm::shape_of(dense.sites()[index], SurgeryConfig{}));
  GateConfig gate;
  gate.hidden = automatic_gate_width(shapes, gate, tokens, nn::dense_macs(dense, tokens));
  return gate;
}

Gated gated_model(const nn::VitConfig& shape, const std::vector<std::string>& kinds) {
  Gated gated{nn::make_vit(shape), {}};
  gated.backbone->initialise(StreamKey(1));
  const auto selected = selected_sites(gated.backbone->sites(), kinds);
  const GateConfig gate = automatic_gates(*gated.backbone, selected, shape.patches() + shape.prefix_tokens());
  for (const size_t index : selected) {
    const nn::Site& site = gated.backbone->sites()[index];
    auto module =
        std::make_shared<GivenChoice>(acm::shape_of(site, SurgeryConfig{}), gate, StreamKey(2).with(site.name));
    gated.sites.push_back(module.get());
    gated.backbone->replace(site, module);
  }
  return gated;
}

// What takes turns with others. `take`: one forward pass, its seconds.
struct Contestant {
  std::string name;
  std::function<double()> take;
  std::vector<double> seconds = {};  // of an image, by round
};

void take_turns(std::vector<Contestant>& all, int64_t batch, int64_t rounds) {
  for (int64_t round = -1; round < rounds; ++round) {
    for (auto& one : all) {
      const double seconds = one.take() / static_cast<double>(batch);
      if (round >= 0) one.seconds.push_back(seconds);  // the first fills caches
    }
  }
}

class Measurement {
 public:
  explicit Measurement(const Options& options)
      : options_(options),
        shape_(vit_shape(options.model)),
        dense_(nn::make_vit(shape_)),
        gated_(gated_model(shape_, options.sites)) {
    dense_->initialise(StreamKey(1));
    for (const auto& model : {dense_, gated_.backbone}) model->to(device_);
    if (!options.in_bfloat16() || !device_.is_cpu()) return;
    narrow_dense_ = nn::make_vit(shape_);
    narrow_dense_->initialise(StreamKey(1));
    narrow_gated_ = gated_model(shape_, options_.sites);
    for (const auto& model : {narrow_dense_, narrow_gated_.backbone}) multiply_in_bfloat16(*model);
  }

  void run(int64_t batch) {
    data::Batch images;
    images.inputs = at::empty({batch, shape_.channels, shape_.height, shape_.width_pixels});
    nn::fill_normal(images.inputs, StreamKey(3), 1);
    images.positions = at::arange(batch);
    const bool whole = options_.part == "model";
    const std::string what = whole ? " forward" : " feed-forward network";
    const at::Tensor tokens = dense_->token_counts(images);
    const int64_t static_macs = whole ? dense_->static_macs(tokens).sum().item<int64_t>() : 0;
    const int64_t site_macs = whole ? nn::dense_site_macs_per_token(*dense_) : dense_->at(ffn()).macs_per_token();
    const int64_t dense_macs = static_macs + tokens.sum().item<int64_t>() * site_macs;
    const int64_t kept_macs = whole ? tokens.sum().item<int64_t>() * (site_macs - replaced_macs_per_token()) : 0;
    images.inputs = images.inputs.to(device_);
    const at::Tensor rows = whole ? at::Tensor() : noise_rows(batch);
    const auto pass = [&](const std::string& name, nn::Backbone& model) {
      return Contestant{name, [&] { return seconds_of(model, images, rows); }};
    };
    std::vector<Contestant> references{pass("dense" + what, *dense_)};
    if (!options_.eager.empty()) {
      const std::shared_ptr<Player> eager =
          start_eager(options_.eager, {"forward", options_.model, batch, options_.threads, options_.device,
                                       device_.is_cpu() ? "float32" : options_.precision});
      references.push_back({"eager PyTorch forward", [eager] { return eager->take().seconds; }});
    }
    if (narrow_dense_)
      compare({pass("bfloat16 dense" + what, *narrow_dense_), references.front()}, batch, 1, 1);
    else if (references.size() > 1)
      compare(references, batch, 1, 1);
    for (const auto& [mask, name] : {std::pair{Mask::kRandom, "random"}, std::pair{Mask::kSpatial, "spatial"}}) {
      for (const double share : {0.25, 0.5, 0.75, 1.0}) {
        const double cost = static_cast<double>(static_macs + kept_macs + set_choices(mask, share, batch)) /
                            static_cast<double>(dense_macs);
        const auto gated = pass("gated" + what + places() + " (" + name + " mask)", *gated_.backbone);
        std::vector<Contestant> all{gated};
        if (narrow_dense_)
          all = {pass("bfloat16 " + gated.name, *narrow_gated_.backbone), gated};
        else
          all.insert(all.end(), references.begin(), references.end());
        compare(all, batch, share, cost);
      }
    }
  }

 private:
  // Of ACMs, where they do not stand everywhere.
  std::string places() const {
    if (options_.sites == SurgeryConfig{}.kinds) return "";
    std::string text = " at";
    for (const std::string& kind : options_.sites) text += " " + kind;
    return text;
  }

  // Of the dense modules in whose places ACMs stand.
  int64_t replaced_macs_per_token() const {
    int64_t macs = 0;
    for (const size_t index : selected_sites(dense_->sites(), options_.sites))
      macs += nn::dense_site_macs_per_token(dense_->sites()[index]);
    return macs;
  }

  const nn::Site& ffn() const {
    return *std::ranges::find(dense_->sites(), nn::SiteKind::kFeedForward, &nn::Site::kind);
  }

  // What a feed-forward network reads, as a norm gives it.
  at::Tensor noise_rows(int64_t batch) const {
    at::Tensor rows = at::empty({batch, shape_.patches() + shape_.prefix_tokens(), shape_.width});
    nn::fill_normal(rows, StreamKey(5), 1);
    const nn::Autocast autocast(device_, options_.in_bfloat16() && !device_.is_cpu());
    rows = rows.to(device_);
    return rows.to(nn::product_type(rows));
  }

  // Of one forward pass; of its first feed-forward network alone where there are `rows`, on a GPU the mean of several,
  // so that it has work while the host goes on, as within a model.
  double seconds_of(nn::Backbone& model, const data::Batch& images, const at::Tensor& rows) const {
    const nn::Autocast autocast(device_, options_.in_bfloat16() && !device_.is_cpu());
    nn::TokenContext context;
    context.positions = images.positions;
    const double start = seconds_on(device_);
    const int passes = rows.defined() && !device_.is_cpu() ? 20 : 1;
    for (int pass = 0; pass < passes; ++pass) {
      if (rows.defined())
        model.at(ffn()).forward(rows, context);
      else
        nn::forward_in_groups(model, images, context);
    }
    return (seconds_on(device_) - start) / passes;
  }

  // Multiply-accumulates of all sites that run, with these choices.
  int64_t set_choices(Mask mask, double share, int64_t batch) {
    const int64_t side = shape_.height / shape_.patch;
    int64_t macs = 0;
    for (size_t i = 0; i < gated_.sites.size(); ++i) {
      GivenChoice& site = *gated_.sites[i];
      site.choices = choices_of(mask, share, site.shape(), batch, side, StreamKey(4).with(i));
      if (options_.part == "model" || &site == &gated_.backbone->at(ffn())) macs += site.macs();
      site.choices = site.choices.to(device_);
      if (narrow_dense_) narrow_gated_.sites[i]->choices = site.choices;
    }
    return macs;
  }
  // The first of them with each of the others.
  void compare(std::vector<Contestant> all, int64_t batch, double share, double cost) const {
    take_turns(all, batch, options_.rounds);
    for (size_t i = 1; i < all.size(); ++i)
      std::printf("%s,%s,%ld,%.2f,%.3f,%.4g,%s,%.4g,%.3f,%ld,\n", all[0].name.c_str(), options_.model.c_str(),
                  static_cast<long>(batch), share, cost, median(all[0].seconds), all[i].name.c_str(),
                  median(all[i].seconds), median_ratio(all[0].seconds, all[i].seconds),
                  static_cast<long>(options_.rounds));
    std::fflush(stdout);
  }

  const Options& options_;
  const at::Device device_ = device_of(options_.device);
  const nn::VitConfig shape_;
  std::shared_ptr<nn::Backbone> dense_, narrow_dense_;  // narrow: the same in bfloat16, where it is asked for
  Gated gated_, narrow_gated_;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Time of gated over dense inference of a Vision Transformer");
  app.add_option("--model", options.model)->check(CLI::IsMember({"tiny", "base", "quick"}));
  app.add_option("--part", options.part)->check(CLI::IsMember({"model", "ffn"}));
  app.add_option("--sites", options.sites, "kinds of sites that become ACMs, or names of such");
  app.add_option("--batch", options.batches)->check(CLI::PositiveNumber);
  app.add_option("--rounds", options.rounds)->check(CLI::PositiveNumber);
  app.add_option("--threads", options.threads)->check(CLI::PositiveNumber);
  app.add_option("--device", options.device)->check(CLI::IsMember({"cpu", "cuda"}));
  app.add_option("--precision", options.precision)->check(CLI::IsMember({"float32", "bfloat16"}));
  app.add_option("--eager", options.eager, "a Python with PyTorch, and tests/bench/eager.py")->expected(2);
  CLI11_PARSE(app, argc, argv);
  if (options.part == "ffn" && !options.eager.empty()) {
    std::fprintf(stderr, "bench_inference: eager PyTorch runs a whole model: leave --eager out, or --part ffn\n");
    return EXIT_FAILURE;
  }
  std::signal(SIGPIPE, SIG_IGN);
  keep_freed_memory();
  at::set_num_threads(options.threads);
  const at::NoGradGuard no_grad;
  try {
    std::printf("%s\n", kColumns);
    Measurement measurement(options);
    for (const int64_t batch : options.batches) measurement.run(batch);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_inference: %s\n", error.what());
    return EXIT_FAILURE;
  }
}
