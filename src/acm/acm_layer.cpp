#include "acm/acm_layer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>
#include <string>

#include "acm/cost.h"
#include "acm/mixed_execution.h"
#ifdef ACM_WITH_CUDA
#include "acm/gated_on_gpu.h"
#include "acm/mixed_on_gpu.h"
#endif
#include "core/error.h"
#include "nn/autocast.h"
#include "nn/random_tensor.h"

namespace acm {
namespace {

at::Tensor rows_of(const at::Tensor& tokens) { return tokens.reshape({-1, tokens.size(-1)}); }

// [allowed, learners]: 1 where a token that runs k learners runs learner n, so that mixture x this = the share of each
// learner.
at::Tensor runs_learner(const AcmShape& shape, const at::TensorOptions& options) {
  const at::Tensor counts = at::arange(shape.min_k, shape.learners + 1, options.dtype(at::kLong));
  const at::Tensor learners = at::arange(1, shape.learners + 1, options.dtype(at::kLong));
  return counts.unsqueeze(1).ge(learners.unsqueeze(0)).to(options.dtype());
}

// The modules as layers with gates; empty where one is something else, or has another shape.
std::vector<AcmLayer*> alike(std::span<nn::TokenModule* const> modules) {
  std::vector<AcmLayer*> layers;
  for (nn::TokenModule* module : modules) {
    auto* const layer = dynamic_cast<AcmLayer*>(module);
    if (layer == nullptr || layer->gate() == nullptr) return {};
    layers.push_back(layer);
    const AcmLayer& first = *layers.front();
    if (layer->shape() != first.shape() || layer->gate()->config() != first.gate()->config()) return {};
  }
  return layers;
}

#ifdef ACM_WITH_CUDA
GatedSite site_of(const AcmLayer& layer) { return {layer.weights(), *layer.gate(), layer.shape().min_k}; }

// int64 [sites, samples] of so many sites from that of the context on.
at::Tensor noise_keys(const nn::TokenContext& context, size_t sites, at::Device device) {
  if (!context.noise_keys.defined())
    return nn::token_streams(context.noise, context.positions, context.site, sites, device);
  TORCH_CHECK(context.noise_keys.size(1) == context.positions.numel(), "noise keys of other samples");
  return context.noise_keys.narrow(0, static_cast<int64_t>(context.site), static_cast<int64_t>(sites));
}

std::vector<GatedSite> gated_sites(std::span<AcmLayer* const> layers) {
  std::vector<GatedSite> sites;
  for (const AcmLayer* layer : layers) sites.push_back(site_of(*layer));
  return sites;
}

// The output, once the rest is recorded.
at::Tensor recorded(const GatedPass& pass, nn::SiteRecord& record) {
  record.logits = pass.logits;
  record.mixture = pass.mixture;
  record.choice = pass.choice;
  return pass.output;
}

std::vector<at::Tensor> recorded(const std::vector<GatedPass>& passes, std::span<nn::SiteRecord* const> records) {
  std::vector<at::Tensor> outputs;
  for (size_t i = 0; i < passes.size(); ++i) outputs.push_back(recorded(passes[i], *records[i]));
  return outputs;
}
#endif

}  // namespace

AcmLayer::AcmLayer(const AcmShape& shape) : shape_(shape) {
  TORCH_CHECK(shape.width > 0 && shape.learners > 0 && shape.learner_width > 0, "an ACM of impossible sizes");
  TORCH_CHECK(shape.min_k >= 0 && shape.min_k <= shape.learners, "min_k must lie in 0..learners");
  w1 = register_parameter("w1", at::zeros({shape.width, shape.hidden()}));
  b1 = register_parameter("b1", at::zeros({shape.hidden()}));
  w2 = register_parameter("w2", at::zeros({shape.hidden(), shape.width}));
  if (shape.output_bias) b2 = register_parameter("b2", at::zeros({shape.learners, shape.width}));
}

at::Tensor AcmLayer::forward(const at::Tensor& tokens, nn::TokenContext& context) {
  if (context.choice) {
    nn::SiteRecord unread;
    return run_fixed(tokens, *context.choice, context.recorder ? context.recorder->at(context.site) : unread);
  }
  if (!gate_) {
    throw Error(Fault::kUsage, "cannot choose learners at site " + std::to_string(context.site) +
                                   ": this model has no gates; make them with 'acm_dist --phase 2', or evaluate with a "
                                   "fixed number of learners");
  }
  AcmLayer* const alone = this;
  return run_by_gates({&alone, 1}, tokens, context).front();
}

std::vector<at::Tensor> AcmLayer::forward_together(std::span<nn::TokenModule* const> modules, const at::Tensor& tokens,
                                                   nn::TokenContext& context) {
  const auto layers = alike(modules);
  if (context.choice || layers.empty()) return TokenModule::forward_together(modules, tokens, context);
  return run_by_gates(layers, tokens, context);
}

std::vector<at::Tensor> AcmLayer::run_by_gates(std::span<AcmLayer* const> layers, const at::Tensor& tokens,
                                               const nn::TokenContext& context) {
  std::vector<nn::SiteRecord> unread(layers.size());
  std::vector<nn::SiteRecord*> records;
  for (size_t i = 0; i < layers.size(); ++i)
    records.push_back(context.recorder ? &context.recorder->at(context.site + i) : &unread[i]);
  return context.training ? run_mixtures(layers, tokens, context, records) : gated(layers, tokens, records);
}

std::vector<at::Tensor> AcmLayer::gated(std::span<AcmLayer* const> layers, const at::Tensor& tokens,
                                        std::span<nn::SiteRecord* const> records,
                                        const std::vector<at::Tensor>& choices) {
#ifdef ACM_WITH_CUDA
  AcmLayer& first = *layers.front();
  if (masks_on_gpu(tokens, first.weights(), *first.gate_))
    return recorded(run_masked_on_gpu(tokens, gated_sites(layers), first.for_gpu_.learners, choices), records);
#endif
  std::vector<at::Tensor> outputs;
  for (size_t i = 0; i < layers.size(); ++i)
    outputs.push_back(layers[i]->run_gated(tokens, *records[i], choices.empty() ? at::Tensor() : choices[i]));
  return outputs;
}

at::Tensor AcmLayer::run_gated(const at::Tensor& tokens, nn::SiteRecord& record, const at::Tensor& choice) const {
#ifdef ACM_WITH_CUDA
  if (orders_on_gpu(tokens, weights()))
    return recorded(run_gated_on_gpu(tokens, site_of(*this), for_gpu_, choice), record);
#endif
  // On a GPU rounded once for both that multiply them, the gate and the learners.
  const at::Tensor factors = tokens.is_cuda() ? tokens.to(nn::product_type(tokens)) : tokens;
  const Gate::Decision decision = gate_->decide(factors, shape_.min_k);
  record.logits = decision.logits;
  record.choice = decision.choice;
  return chosen(factors, choice.defined() ? choice : decision.choice);
}

std::vector<at::Tensor> AcmLayer::run_mixtures(std::span<AcmLayer* const> layers, const at::Tensor& tokens,
                                               const nn::TokenContext& context,
                                               std::span<nn::SiteRecord* const> records) {
#ifdef ACM_WITH_CUDA
  if (mixes_on_gpu(tokens, *layers.front()->gate_)) {
    const at::Tensor keys = noise_keys(context, layers.size(), tokens.device());
    return recorded(run_mixture_on_gpu(tokens, gated_sites(layers), {keys, context.gate_task_gradient}), records);
  }
#endif
  std::vector<at::Tensor> outputs;
  for (size_t i = 0; i < layers.size(); ++i)
    outputs.push_back(layers[i]->run_mixture(tokens, context, context.site + i, *records[i]));
  return outputs;
}

at::Tensor AcmLayer::run_mixture(const at::Tensor& tokens, const nn::TokenContext& context, size_t site,
                                 nn::SiteRecord& record) const {
  record.logits = gate_->forward(tokens).to(w1.scalar_type());  // autocast gives others
  const at::Tensor uniform =
      nn::token_uniform(context.noise, context.positions, site, tokens.size(1), shape_.allowed(), tokens.device());
  const at::Tensor noise = gumbel_noise(uniform).to(record.logits.options());
  record.mixture = straight_through_choice(record.logits, noise, gate_->config().temperature);
  record.choice = best_class(record.mixture.detach(), shape_.min_k);
  return mixed(tokens, context.gate_task_gradient ? record.mixture : record.mixture.detach());
}

at::Tensor AcmLayer::run_fixed(const at::Tensor& tokens, int64_t count, nn::SiteRecord& record) const {
  if (count < 0 || count > shape_.learners) {
    throw Error(Fault::kUsage, "cannot run " + std::to_string(count) + " learners: the model has 0 to " +
                                   std::to_string(shape_.learners) + " at a site");
  }
  record.choice = at::full(tokens.sizes().slice(0, tokens.dim() - 1), count, tokens.options().dtype(at::kLong));
  return run_first_learners(rows_of(tokens), count, weights()).view(tokens.sizes());
}

int64_t AcmLayer::macs_per_token() const {
  return shape_.learners * learner_macs_per_token(shape_) + (gate_ ? gate_->macs_per_token() : 0);
}

at::Tensor AcmLayer::hidden(const at::Tensor& tokens) const {
  const at::Tensor values = acm::apply(shape_.activation, at::addmm(b1, rows_of(tokens), w1));
  return tokens.dim() == 2 ? values : values.unflatten(0, tokens.sizes().slice(0, tokens.dim() - 1));
}

at::Tensor AcmLayer::prefixes(const at::Tensor& tokens) const {
  const at::Tensor values = hidden(tokens);
  std::vector<at::Tensor> sums = {at::zeros_like(tokens)};
  for (int64_t n = 0; n < shape_.learners; ++n) {
    const int64_t begin = n * shape_.learner_width;
    at::Tensor output =
        at::matmul(values.narrow(-1, begin, shape_.learner_width), w2.narrow(0, begin, shape_.learner_width));
    if (b2.defined()) output = output + b2.select(0, n);
    sums.push_back(sums.back() + output);
  }
  return at::stack(sums, -2);
}

at::Tensor AcmLayer::mixed(const at::Tensor& tokens, const at::Tensor& mixture) const {
  const at::Tensor shares = at::matmul(mixture, runs_learner(shape_, mixture.options()));  // [..., learners]
  return run_mixed_learners(tokens, shares, weights());
}

at::Tensor AcmLayer::chosen(const at::Tensor& tokens, const at::Tensor& choice) const {
#ifdef ACM_WITH_CUDA
  if (orders_on_gpu(tokens, weights()))
    return run_chosen_learners_on_gpu(rows_of(tokens), choice.reshape({-1}), weights(), for_gpu_.learners)
        .view(tokens.sizes());
#endif
  return run_chosen_learners(rows_of(tokens), choice.reshape({-1}), weights()).view(tokens.sizes());
}

LearnerWeights AcmLayer::weights() const { return {w1, b1, w2, b2, shape_.learners, shape_.activation}; }

void AcmLayer::add_gate(const GateConfig& config) {
  TORCH_CHECK(!gate_, "the layer has a gate already");
  gate_ = register_module("gate", std::make_shared<Gate>(shape_.width, shape_.allowed(), config));
  gate_->to(w1.device(), w1.scalar_type());
}

void AcmLayer::initialise(StreamKey key, RandomStart start) {
  const at::NoGradGuard no_grad;
  const auto fill = [&](at::Tensor& values, const char* name, int64_t fan_in) {
    const double bound = 1.0 / std::sqrt(static_cast<double>(fan_in));
    nn::fill_uniform(values, key.with(name), -bound, bound);
  };
  const bool paper = start == RandomStart::kPaper;
  fill(w1, "w1", paper ? shape_.width : shape_.hidden());
  fill(b1, "b1", paper ? shape_.width : shape_.learner_width);
  fill(w2, "w2", paper ? shape_.hidden() : shape_.width);
  if (b2.defined()) b2.zero_();
}

}  // namespace acm
