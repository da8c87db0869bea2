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
  at::Tensor with_prefix(const at::Tensor& patches) const;  // class and distillation token before the patch tokens
  at::Tensor outputs(const at::Tensor& tokens) const;       // of the last block -> [samples, classes]

  at::Tensor class_token_, distillation_token_;  // [1, 1, width]; undefined where there is none
  at::Tensor position_embedding_;                // [1, positions, width]
  std::shared_ptr<PatchEmbedding> patch_embedding_;
  std::vector<std::shared_ptr<VitBlock>> blocks_;
  std::shared_ptr<LayerNorm> norm_;
  std::shared_ptr<Linear> head_, distillation_head_;
  std::vector<Site> sites_;
};

Vit::Vit(const VitConfig& config) : config_(config) {
  patch_embedding_ = register_module("patch_embed", std::make_shared<PatchEmbedding>(config));
  const auto token = [&](const char* name) { return register_parameter(name, at::empty({1, 1, config.width})); };
  if (config.pooling != "mean") class_token_ = token("cls_token");
  if (config.distillation_token) distillation_token_ = token("distillation_token");
  position_embedding_ = register_parameter("pos_embed", at::empty({1, config.positions(), config.width}));
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
  if (config.distillation_head) {
    distillation_head_ = register_module("distillation_head", std::make_shared<Linear>(config.width, config.classes));
  }
}

at::Tensor Vit::with_prefix(const at::Tensor& patches) const {
  std::vector<at::Tensor> parts;
  for (const at::Tensor& token : {class_token_, distillation_token_}) {
    if (token.defined()) parts.push_back(token.expand({patches.size(0), -1, -1}));
  }
  if (parts.empty()) return patches;
  parts.push_back(patches);
  return at::cat(parts, 1);
}

at::Tensor Vit::outputs(const at::Tensor& tokens) const {
  const int64_t prefix = config_.prefix_tokens();
  const at::Tensor pooled =
      config_.pooling == "class" ? tokens.select(1, 0) : tokens.narrow(1, prefix, tokens.size(1) - prefix).mean(1);
  const at::Tensor logits = head_->forward(norm_->forward(pooled));
  if (!distillation_head_) return logits;
  return logits.add(distillation_head_->forward(norm_->forward(tokens.select(1, 1)))).div(2);
}

at::Tensor Vit::forward(const data::Batch& batch, TokenContext& context) {
  at::Tensor tokens = patch_embedding_->forward(batch.inputs);
  tokens = config_.prefix_positions ? with_prefix(tokens).add(position_embedding_)
                                    : with_prefix(tokens.add(position_embedding_));
  VitBlock::Residual residual{tokens, {}};
  for (const auto& block : blocks_) residual = block->forward(residual, context);
  return outputs(residual.tokens.add(residual.update));
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
  return at::full({batch.inputs.size(0)}, config_.patches() + config_.prefix_tokens(),
                  batch.inputs.options().dtype(at::kLong));
}

at::Tensor Vit::static_macs(const at::Tensor& token_counts) const {
  // Attention multiplies queries by keys, then its weights by values: each tokens^2 * width in a block.
  const at::Tensor attention = token_counts.square().mul(2 * config_.width * config_.depth);
  const int64_t heads = head_->weight.numel() * (distillation_head_ ? 2 : 1);
  return attention.add(patch_embedding_->macs() + heads);
}

// As ViTs are started in practice (timm): matrices and embeddings from a truncated normal, norms and
// layer scales as the identity.
void Vit::initialise(StreamKey key) {
  constexpr double kStd = 0.02;
  const at::NoGradGuard no_grad;
  for (auto& parameter : named_parameters()) {
    const std::string& name = parameter.key();
    if (name.ends_with("bias")) {
      parameter.value().zero_();
    } else if (name.ends_with("norm.weight") || name.ends_with("norm1.weight") || name.ends_with("norm2.weight") ||
               name.ends_with("scale1") || name.ends_with("scale2")) {
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
