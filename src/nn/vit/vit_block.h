#pragma once

#include <array>
#include <initializer_list>
#include <memory>
#include <vector>

#include "nn/layers.h"
#include "nn/token_module.h"
#include "nn/vit/vit.h"

namespace acm::nn {

// Pre-norm attention and feed-forward network, each in a residual, which layer scale multiplies by `scale1` and
// `scale2`. Its five sites stand in kSites, in the order of execution.
class VitBlock final : public torch::nn::Module {
 public:
  static constexpr std::array kSites = {SiteKind::kQuery, SiteKind::kKey, SiteKind::kValue, SiteKind::kOutput,
                                        SiteKind::kFeedForward};

  // `first_site`: index of this block's first site in the backbone.
  VitBlock(const VitConfig& config, size_t first_site);
  // Tokens, and what is still to be added to them, so that the next norm adds it in the pass that it makes anyway. Both
  // [samples, tokens, width]; update undefined: nothing. Without gradients a block overwrites the tokens that it gets.
  struct Residual {
    at::Tensor tokens, update;
  };
  Residual forward(const Residual& residual, TokenContext& context);

  // Attention rounds what its own two products multiply (nn/kernels/attention.h). Without gradients, on the CPU.
  void attend_in_bfloat16() { attends_in_bfloat16_ = true; }

  TokenModule& site(size_t slot) { return *sites_.at(slot); }
  void replace_site(size_t slot, std::shared_ptr<TokenModule> module);

 private:
  at::Tensor attention(const at::Tensor& tokens, TokenContext& context);
  at::Tensor run_site(SiteKind kind, const at::Tensor& tokens, TokenContext& context);
  // Kinds that follow each other in kSites and read the same tokens.
  std::vector<at::Tensor> run_sites(std::initializer_list<SiteKind> kinds, const at::Tensor& tokens,
                                    TokenContext& context);

  int64_t heads_;
  size_t first_site_;
  bool attends_in_bfloat16_ = false;
  std::shared_ptr<LayerNorm> norm1_, norm2_;
  at::Tensor scale1_, scale2_;  // [width], undefined without layer scale
  std::array<std::shared_ptr<TokenModule>, kSites.size()> sites_;
};

}  // namespace acm::nn
