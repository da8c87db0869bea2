#include "nn/vit/vit.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include "nn/layers.h"
#include "nn/random_tensor.h"
#include "nn/vit/patch_embedding.h"
#include "nn/vit/vit_block.h"

namespace acm::nn {
namespace {

class Vit final : public Backbone {
 public:
  explicit Vit(const VitConfig& config);
  at::Tensor forward(const data::Batch& batch, TokenContext& context) override;
  const std::vector<Site>& sites() const override { return sites_; }
  TokenModule& at(const Site& site) override;
  void replace(const Site& site, std::shared_ptr<TokenModule> module) override;
  at::Tensor token_counts(const data::Batch& batch) const override;
  at::Tensor static_macs(const at::Tensor& token_counts) const override;
  Json description() const override { return description_of(config_); }
  void initialise(StreamKey key) override;

 private:
  VitConfig config_;
  at::Tensor class_token_, position_embedding_;  // [1, 1, width], undefined for mean pooling; [1, tokens, width]
  std::shared_ptr<PatchEmbedding> patch_embedding_;
  std::vector<std::shared_ptr<VitBlock>> blocks_;
  std::shared_ptr<LayerNorm> norm_;
  std::shared_ptr<Linear> head_;
  std::vector<Site> sites_;
};

Vit::Vit(const VitConfig& config) : config_(config) {
  patch_embedding_ = register_module("patch_embed", std::make_shared<PatchEmbedding>(config));
  int64_t tokens = patch_embedding_->patches();
  if (config.pooling == "class") {
    class_token_ = register_parameter("cls_token", at::empty({1, 1, config.width}));
    ++tokens;
  }
  position_embedding_ = register_parameter("pos_embed", at::empty({1, tokens, config.width}));
  const auto blocks = register_module("blocks", std::make_shared<torch::nn::Module>("blocks"));
  for (int64_t i = 0; i < config.depth; ++i) {
    const std::string prefix = "blocks." + std::to_string(i) + ".";
    blocks_.push_back(blocks->register_module(std::to_string(i), std::make_shared<VitBlock>(config, sites_.size())));
    for (const SiteKind kind : VitBlock::kSites) {
      const std::string name = prefix + to_string(kind);
      const bool shares_input = kind == SiteKind::kKey || kind == SiteKind::kValue;
      sites_.push_back({.name = name,
                        .kind = kind,
                        .width = config.width,
                        .hidden = kind == SiteKind::kFeedForward ? config.hidden : 0,
                        .input_of = shares_input ? prefix + to_string(SiteKind::kQuery) : name});
    }
  }
  norm_ = register_module("norm", std::make_shared<LayerNorm>(config.width, config.eps));
  head_ = register_module("head", std::make_shared<Linear>(config.width, config.classes));
}

at::Tensor Vit::forward(const data::Batch& batch, TokenContext& context) {
  at::Tensor tokens = patch_embedding_->forward(batch.inputs);
  if (class_token_.defined()) tokens = at::cat({class_token_.expand({tokens.size(0), -1, -1}), tokens}, 1);
  tokens = tokens.add(position_embedding_);
  for (const auto& block : blocks_) tokens = block->forward(tokens, context);
  const at::Tensor pooled = class_token_.defined() ? tokens.select(1, 0) : tokens.mean(1);
  return head_->forward(norm_->forward(pooled));
}

TokenModule& Vit::at(const Site& site) {
  const size_t index = site_index(*this, site.name);
  return blocks_[index / VitBlock::kSites.size()]->site(index % VitBlock::kSites.size());
}

void Vit::replace(const Site& site, std::shared_ptr<TokenModule> module) {
  const size_t index = site_index(*this, site.name);
  blocks_[index / VitBlock::kSites.size()]->replace_site(index % VitBlock::kSites.size(), std::move(module));
}

at::Tensor Vit::token_counts(const data::Batch& batch) const {
  return at::full({batch.inputs.size(0)}, position_embedding_.size(1), batch.inputs.options().dtype(at::kLong));
}

at::Tensor Vit::static_macs(const at::Tensor& token_counts) const {
  // Attention multiplies queries by keys, then its weights by values: each tokens^2 * width in a block.
  const at::Tensor attention = token_counts.square().mul(2 * config_.width * config_.depth);
  return attention.add(patch_embedding_->macs() + head_->weight.numel());
}

// As ViTs are started in practice (timm): matrices and embeddings from a truncated normal, norms as the identity.
void Vit::initialise(StreamKey key) {
  constexpr double kStd = 0.02;
  const at::NoGradGuard no_grad;
  for (auto& parameter : named_parameters()) {
    const std::string& name = parameter.key();
    if (name.ends_with("bias")) {
      parameter.value().zero_();
    } else if (name.ends_with("norm.weight") || name.ends_with("norm1.weight") || name.ends_with("norm2.weight")) {
      parameter.value().fill_(1.0);
    } else {
      fill_normal(parameter.value(), key.with(name), kStd);
    }
  }
}

}  // namespace

std::shared_ptr<Backbone> make_vit(const VitConfig& config) {
  check(config);
  return std::make_shared<Vit>(config);
}

}  // namespace acm::nn
