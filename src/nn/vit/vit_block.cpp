#include "nn/vit/vit_block.h"

#include <ATen/ops/empty.h>

#include <algorithm>

#include "nn/dense.h"
#include "nn/kernels/attention.h"

namespace acm::nn {
namespace {

std::shared_ptr<TokenModule> dense_module(SiteKind kind, const VitConfig& config) {
  if (kind == SiteKind::kFeedForward) return std::make_shared<DenseFeedForward>(config.width, config.hidden);
  return std::make_shared<DenseProjection>(config.width, config.qkv_bias || kind == SiteKind::kOutput);
}

bool keeps_activations(const TokenContext& context) {
  return context.recorder != nullptr && context.recorder->keeps_activations();
}

at::Tensor scaled(const at::Tensor& update, const at::Tensor& scale) {
  return scale.defined() ? update.mul(scale) : update;
}

}  // namespace

VitBlock::VitBlock(const VitConfig& config, size_t first_site) : heads_(config.heads), first_site_(first_site) {
  norm1_ = register_module("norm1", std::make_shared<LayerNorm>(config.width, config.eps));
  norm2_ = register_module("norm2", std::make_shared<LayerNorm>(config.width, config.eps));
  for (size_t slot = 0; slot < kSites.size(); ++slot) {
    sites_[slot] = register_module(to_string(kSites[slot]), dense_module(kSites[slot], config));
  }
  if (!config.layer_scale) return;
  scale1_ = register_parameter("scale1", at::empty({config.width}));
  scale2_ = register_parameter("scale2", at::empty({config.width}));
}

VitBlock::Residual VitBlock::forward(const Residual& residual, TokenContext& context) {
  const auto first = norm1_->forward_sum(residual.tokens, residual.update);
  const auto second = norm2_->forward_sum(first.sum, scaled(attention(first.normalised, context), scale1_));
  return {second.sum, scaled(run_site(SiteKind::kFeedForward, second.normalised, context), scale2_)};
}

void VitBlock::replace_site(size_t slot, std::shared_ptr<TokenModule> module) {
  sites_.at(slot) = replace_module(to_string(kSites.at(slot)), std::move(module));
}

at::Tensor VitBlock::attention(const at::Tensor& tokens, TokenContext& context) {
  const auto in = run_sites({SiteKind::kQuery, SiteKind::kKey, SiteKind::kValue}, tokens, context);
  const auto attend = attends_in_bfloat16_ ? nn::bfloat16_attention : nn::attention;
  return run_site(SiteKind::kOutput, attend(in[0], in[1], in[2], heads_), context);
}

at::Tensor VitBlock::run_site(SiteKind kind, const at::Tensor& tokens, TokenContext& context) {
  return run_sites({kind}, tokens, context).front();
}

std::vector<at::Tensor> VitBlock::run_sites(std::initializer_list<SiteKind> kinds, const at::Tensor& tokens,
                                            TokenContext& context) {
  const auto slot = static_cast<size_t>(std::ranges::search(kSites, kinds).begin() - kSites.begin());
  std::vector<TokenModule*> modules;
  for (size_t i = 0; i < kinds.size(); ++i) modules.push_back(sites_.at(slot + i).get());
  context.site = first_site_ + slot;
  auto outputs = modules.front()->forward_together(modules, tokens, context);
  for (size_t i = 0; i < outputs.size() && keeps_activations(context); ++i) {
    SiteRecord& record = context.recorder->at(first_site_ + slot + i);
    record.input = tokens;
    record.output = outputs[i];
  }
  return outputs;
}

}  // namespace acm::nn
