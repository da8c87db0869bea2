#pragma once

#include <memory>
#include <string>
#include <vector>

#include "acm/acm_layer.h"
#include "acm/batch_losses.h"
#include "golden/case.h"

namespace golden {

// The small model of the phase 3 cases: y = input; at each site y = y + out where it is residual, else y = out, with
// out the mixture of the site's prefixes by the straight-through choice; then a head and cross-entropy of the mean
// token (vision) or CTC of the frames (speech). The choice comes from a gate of y, or from logits that the case gives.
class Toy {
 public:
  explicit Toy(const Case& golden);

  // Samples [begin, end) as one rank holds them.
  struct Part {
    int64_t begin, end;
    bool trimmed;             // padding cut off behind the longest of these samples
    bool gate_task_gradient;  // whether the task's gradient reaches the choice
  };
  struct Pass {
    at::Tensor task;                  // its part of the mean over ALL samples
    at::Tensor counts;                // [samples, sites, N + 1]
    at::Tensor token_counts;          // int64 [samples]
    std::vector<at::Tensor> choices;  // by site, int64 [samples, tokens], -1 at padding
  };
  Pass run(const Part& part) const;

  int64_t samples() const { return input_.size(0); }
  const acm::SiteCosts& costs() const { return costs_; }
  // Everything whose gradient the case lists: input, head, learners, and gates or logits.
  const acm::io::NamedTensors& leaves() const { return leaves_; }

 private:
  struct ToySite {
    std::shared_ptr<acm::AcmLayer> layer;
    std::shared_ptr<acm::Gate> gate;  // or
    at::Tensor logits;                // [samples, tokens, allowed]
    at::Tensor noise;                 // [samples, tokens, allowed]
    bool residual;
  };

  void add_site(const Case& golden, size_t index);
  at::Tensor cross_entropy(const Part& part, const at::Tensor& y) const;  // summed over the part's samples
  at::Tensor ctc(const Part& part, const at::Tensor& y) const;            // summed over the part's samples

  std::vector<ToySite> sites_;
  double temperature_;
  acm::SiteCosts costs_;
  at::Tensor input_, head_weight_, head_bias_;
  at::Tensor labels_;                                      // vision
  at::Tensor lengths_, valid_, targets_, target_lengths_;  // speech; undefined in vision
  acm::io::NamedTensors leaves_;
};

}  // namespace golden
