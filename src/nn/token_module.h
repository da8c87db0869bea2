#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/random.h"

namespace acm::nn {

// What one site did in one forward pass. Undefined where it was not asked for or does not apply.
struct SiteRecord {
  at::Tensor input, output;  // [samples, tokens, width]
  at::Tensor logits;         // [samples, tokens, allowed counts], without noise; on a GPU without gradient
  at::Tensor mixture;        // [samples, tokens, allowed counts]: the straight-through one-hot choice, in training
  at::Tensor choice;         // int64 [samples, tokens]: learners run
};

// Takes what capture, losses and reports need from a forward pass, by site, so that modules keep nothing in members.
class Recorder {
 public:
  enum class Keep { kChoices, kActivations };  // kActivations: inputs and outputs as well
  Recorder(size_t sites, Keep keep) : records_(sites), keep_(keep) {}
  SiteRecord& at(size_t site) { return records_.at(site); }
  const SiteRecord& at(size_t site) const { return records_.at(site); }
  size_t size() const { return records_.size(); }
  Keep keep() const { return keep_; }
  bool keeps_activations() const { return keep_ == Keep::kActivations; }

 private:
  std::vector<SiteRecord> records_;
  Keep keep_;
};

// What a token module may know and tell in one forward pass.
struct TokenContext {
  at::Tensor valid;       // bool [samples, tokens]; undefined: every token is valid
  at::Tensor positions;   // int64 [samples], on the host: places in the schedule, part of the key of every
                          // sample's noise
  StreamKey noise;        // of (seed, step)
  at::Tensor noise_keys;  // on a GPU: token_streams() of all sites, so that one copy brings them; undefined: each
                          // site's own does
  bool training = false;
  bool gate_task_gradient = true;  // method.md 2: whether the output carries gradient to the gates
  std::optional<int64_t> choice;   // run exactly so many learners at every site, and no gate
  Recorder* recorder = nullptr;
  size_t site = 0;  // index in Backbone::sites() of the site that is running; set by the backbone
};

// A sub-layer that maps each token by itself: what an ACM replaces and what replaces it.
class TokenModule : public torch::nn::Module {
 public:
  virtual at::Tensor forward(const at::Tensor& tokens,
                             TokenContext& context) = 0;  // [samples, tokens, width] -> the same shape
  // The outputs of `modules`, of any kinds, of which this is the first, for the same tokens. context.site is that of
  // the first, and those of the others follow. Here one after another; a module that has a faster way overrides it.
  virtual std::vector<at::Tensor> forward_together(std::span<TokenModule* const> modules, const at::Tensor& tokens,
                                                   TokenContext& context);
  // Multiply-accumulates of one token where everything runs (an ACM: all learners and the gate).
  virtual int64_t macs_per_token() const = 0;
};

enum class SiteKind { kFeedForward, kQuery, kKey, kValue, kOutput };
std::string to_string(SiteKind kind);              // "ffn", "q", "k", "v", "o"
SiteKind site_kind_from(const std::string& name);  // Error(kData) for another name

// A place in a backbone where a token module stands.
struct Site {
  std::string name;  // its module's path: "blocks.3.ffn"
  SiteKind kind;
  int64_t width;         // of its tokens
  int64_t hidden;        // hidden units of the dense module; 0 for a projection
  std::string input_of;  // the first site that reads the same tokens (q, for q, k and v), else its own name
};

// The fewest learners that a site may run (method.md 2): 0 where a residual carries the token on, else 1.
int64_t min_learners(SiteKind kind);

}  // namespace acm::nn
