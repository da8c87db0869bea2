#include <ATen/ops/full_like.h>
#include <ATen/ops/one_hot.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include "acm/gated_execution.h"
#include "golden/gradients.h"
#include "golden/kinds.h"
#include "golden/modules.h"

namespace golden {

namespace {

// Output and gradients of <upstream, output> where every token runs the counts of `choice`, by each route that promises
// it.
void test_choice(Case& golden, const acm::AcmLayer& layer, const at::Tensor& input,
                 const acm::io::NamedTensors& leaves) {
  const at::Tensor choice = golden.tensor("choice"), upstream = golden.tensor("upstream");
  {
    SCOPED_TRACE("AcmLayer::chosen");
    const at::Tensor output = layer.chosen(input, choice);
    golden.expect("choice_output", output);
    golden.expect_all("choice_grad.", gradients((upstream * output).sum(), leaves));
    golden.expect("choice_zero_output", layer.chosen(input, at::zeros_like(choice)));
    golden.expect("choice_full_output", layer.chosen(input, at::full_like(choice, layer.shape().learners)));
  }
  {
    SCOPED_TRACE("AcmLayer::mixed by one-hot choices");
    const at::Tensor onehot = at::one_hot(choice, layer.shape().learners + 1).to(input.dtype());
    const at::Tensor output = layer.mixed(input, onehot);
    golden.expect("choice_output", output);
    golden.expect_all("choice_grad.", gradients((upstream * output).sum(), leaves));
  }
  {
    SCOPED_TRACE("run_chosen_learners");
    const acm::LearnerWeights weights{
        layer.w1, layer.b1, layer.w2, layer.b2, layer.shape().learners, layer.shape().activation};
    const at::Tensor rows = acm::run_chosen_learners(input.flatten(0, 1), choice.flatten(), weights);
    golden.expect("choice_output", rows.view_as(input));
  }
}

}  // namespace

void test_acm_layer(Case& golden) {
  const auto layer = load_layer(golden, "");
  const at::Tensor input = golden.tensor("input").requires_grad_();
  acm::io::NamedTensors leaves = parameters(*layer);
  leaves["input"] = input;

  golden.expect("prefix_outputs", layer->prefixes(input));
  test_choice(golden, *layer, input, leaves);

  const at::Tensor mixture = golden.tensor("mixture").requires_grad_();
  leaves["mixture"] = mixture;
  const at::Tensor output = layer->mixed(input, mixture);
  golden.expect("mixture_output", output);
  golden.expect_all("mixture_grad.", gradients((golden.tensor("upstream") * output).sum(), leaves));
}

}  // namespace golden
