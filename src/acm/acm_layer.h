#pragma once

#include <memory>
#include <span>
#include <vector>

#include "acm/activation.h"
#include "acm/gate.h"
#include "acm/gated_execution.h"
#include "acm/kept_tensors.h"
#include "nn/token_module.h"

namespace acm {

// Sizes of the learners at one site.
struct AcmShape {
  int64_t width = 0;          // D
  int64_t learners = 0;       // N
  int64_t learner_width = 0;  // b
  int64_t min_k = 0;          // fewest learners the gate may choose
  Activation activation = Activation::kGelu;
  bool output_bias = false;
  int64_t allowed() const { return learners + 1 - min_k; }
  int64_t hidden() const { return learners * learner_width; }
  bool operator==(const AcmShape&) const = default;
};

enum class RandomStart { kPaper, kReference };

// Learners whose outputs add up, h(z, k) = s_1(z) + ... + s_k(z), and a gate that chooses k for each token (method.md
// 1, 2). Learner n owns columns [(n-1)b, nb) of w1 and rows of w2. Without a gate (after phase 1) only a fixed choice
// runs.
class AcmLayer final : public nn::TokenModule {
 public:
  explicit AcmLayer(const AcmShape& shape);

  // Training: all learners, mixed by the straight-through choice. Evaluation: only the chosen learners run.
  // context.choice: exactly that many.
  at::Tensor forward(const at::Tensor& tokens, nn::TokenContext& context) override;
  // Layers with gates and of equal shapes by one pass on a GPU, where all their learners run there.
  std::vector<at::Tensor> forward_together(std::span<nn::TokenModule* const> modules, const at::Tensor& tokens,
                                           nn::TokenContext& context) override;
  int64_t macs_per_token() const override;

  // What forward_together does in evaluation, of such layers, each with its record. choices, of each int64 [samples,
  // tokens]: what is run in place of what the gates say.
  static std::vector<at::Tensor> gated(std::span<AcmLayer* const> layers, const at::Tensor& tokens,
                                       std::span<nn::SiteRecord* const> records,
                                       const std::vector<at::Tensor>& choices = {});
  at::Tensor prefixes(const at::Tensor& tokens) const;  // [..., learners + 1, width], h(z, 0) first
  at::Tensor mixed(const at::Tensor& tokens,
                   const at::Tensor& mixture) const;  // mixture [..., allowed] over counts min_k .. N
  at::Tensor chosen(const at::Tensor& tokens, const at::Tensor& choice) const;  // choice int64 [...]: runs only those
  at::Tensor hidden(const at::Tensor& tokens) const;                            // [..., N b]: act(z w1 + b1)

  void add_gate(const GateConfig& config);
  Gate* gate() { return gate_.get(); }
  const Gate* gate() const { return gate_.get(); }
  const AcmShape& shape() const { return shape_; }
  LearnerWeights weights() const;
  // Random learners, uniform (method.md 1). kPaper: w1 and b1 in +-1/sqrt(D), w2 in +-1/sqrt(N b); kReference (the
  // authors' code, whose fan-ins are transposed): w1 in +-1/sqrt(N b), b1 in +-1/sqrt(b), w2 in +-1/sqrt(D). b2 zero.
  void initialise(StreamKey key, RandomStart start = RandomStart::kPaper);

  at::Tensor w1, b1, w2, b2;  // [D, N b], [N b], [N b, D], [N, D] (undefined without output bias)

 private:
  at::Tensor run_fixed(const at::Tensor& tokens, int64_t count, nn::SiteRecord& record) const;
  at::Tensor run_gated(const at::Tensor& tokens, nn::SiteRecord& record, const at::Tensor& choice) const;
  // What forward_together does in training.
  static std::vector<at::Tensor> run_mixtures(std::span<AcmLayer* const> layers, const at::Tensor& tokens,
                                              const nn::TokenContext& context,
                                              std::span<nn::SiteRecord* const> records);
  static std::vector<at::Tensor> run_by_gates(std::span<AcmLayer* const> layers, const at::Tensor& tokens,
                                              const nn::TokenContext& context);
  at::Tensor run_mixture(const at::Tensor& tokens, const nn::TokenContext& context, size_t site,
                         nn::SiteRecord& record) const;

  AcmShape shape_;
  std::shared_ptr<Gate> gate_;
  mutable KeptSite for_gpu_;
};

}  // namespace acm
