#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <vector>

#include "acm/activation.h"
#include "acm/kept_tensors.h"
#include "core/json.h"
#include "core/random.h"

namespace acm {

struct GateConfig {
  int64_t hidden = 4;
  int64_t depth = 2;  // linear layers
  Activation activation = Activation::kGelu;
  double temperature = 0.8;
  Json description() const;
  static GateConfig from(const Json& description);
  bool operator==(const GateConfig&) const = default;
};

// Tokens to logits over the allowed counts (method.md 2): `depth` linear layers, named 0, 1, ..., with the activation
// between them.
class Gate : public torch::nn::Module {
 public:
  Gate(int64_t width, int64_t allowed, const GateConfig& config);
  at::Tensor forward(const at::Tensor& tokens) const;  // [..., width] -> [..., allowed]
  struct Decision {
    at::Tensor logits;  // [..., allowed], in the type of the parameters
    at::Tensor choice;  // int64 [...]: `least` + the best class
  };
  Decision decide(const at::Tensor& tokens, int64_t least) const;
  int64_t macs_per_token() const;
  const GateConfig& config() const { return config_; }
  std::vector<at::Tensor> layer_parameters() const;  // weight [out, in] and bias [out] of each layer, in order
  // Of a gate of two layers, its second with the bias last: [allowed, hidden + 1].
  at::Tensor second_layer() const;
  at::Tensor last_bias() const { return biases_.back(); }  // [allowed]: added to the logits last
  // Uniform in +-1/sqrt(fan-in), each parameter from its own stream.
  void initialise(StreamKey key);

 private:
  bool kernel_applies(const at::Tensor& tokens) const;
  // Logits, and where `choice` is given, least + the best class of each token.
  at::Tensor by_kernel(const at::Tensor& tokens, int64_t least, int64_t* choice) const;

  std::vector<at::Tensor> weights_, biases_;  // [out, in], [out]
  GateConfig config_;
  mutable KeptTensors for_gpu_;
};

at::Tensor gumbel_noise(const at::Tensor& uniform);  // -log(-log u)
// Hard Gumbel-softmax: exactly one-hot at argmax(logits + noise) going forward, softmax((logits + noise) / temperature)
// going backward.
at::Tensor straight_through_choice(const at::Tensor& logits, const at::Tensor& noise, double temperature);
// `least` + the class of the largest logit, the lowest among equals; int64 without the last axis.
at::Tensor best_class(const at::Tensor& logits, int64_t least = 0);
int64_t largest(const float* logits, int64_t classes);  // the same of one token

}  // namespace acm
