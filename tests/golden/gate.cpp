#include <ATen/ops/softmax.h>
#include <gtest/gtest.h>

#include "acm/gate.h"
#include "golden/gradients.h"
#include "golden/kinds.h"
#include "golden/modules.h"

namespace golden {

void test_gate(Case& golden) {
  const acm::Json& config = golden.config();
  const int64_t min_k = config.at("min_k").as_int();
  const double temperature = config.at("temperature").as_double();
  const at::Tensor input = golden.tensor("input").requires_grad_();
  const auto gate = load_gate(golden, "gate.", input.size(-1), config.at("allowed").as_int(), config);

  const at::Tensor logits = gate->forward(input);
  golden.expect("logits", logits);
  golden.expect("choice", acm::best_class(logits) + min_k);
  golden.expect("tied_choice", acm::best_class(golden.tensor("tied_logits")) + min_k);

  const at::Tensor noise = acm::gumbel_noise(golden.tensor("uniform"));
  golden.expect("gumbel_noise", noise);
  golden.expect("sampled_choice", acm::best_class(logits + noise) + min_k);
  // What the backward pass differentiates; its Jacobian is seen in the gradients below.
  golden.expect("sampled_soft", at::softmax((logits + noise) / temperature, -1));

  const at::Tensor onehot = acm::straight_through_choice(logits, noise, temperature);
  golden.expect_equal("sampled_onehot", onehot);
  acm::io::NamedTensors leaves = parameters(*gate, "gate.");
  leaves["input"] = input;
  leaves["logits"] = logits;
  golden.expect_all("grad.", gradients((golden.tensor("upstream") * onehot).sum(), leaves));
}

}  // namespace golden
