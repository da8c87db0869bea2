#include "golden/phase3_toy.h"

#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/ctc_loss.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>

#include "golden/modules.h"
#include "golden/tokens.h"

namespace golden {

Toy::Toy(const Case& golden)
    : temperature_(golden.config().at("temperature").as_double()),
      input_(golden.tensor("input").requires_grad_()),
      head_weight_(golden.tensor("head.weight").requires_grad_()),
      head_bias_(golden.tensor("head.bias").requires_grad_()) {
  leaves_ = {{"input", input_}, {"head.weight", head_weight_}, {"head.bias", head_bias_}};
  if (golden.has("labels")) {
    labels_ = golden.tensor("labels");
  } else {
    lengths_ = golden.tensor("lengths");
    valid_ = valid_tokens(golden, input_.size(1));
    targets_ = golden.tensor("targets");
    target_lengths_ = golden.tensor("target_lengths");
  }
  costs_.learners = golden.config().at("learners").as_int();
  for (size_t i = 0; i < golden.config().at("min_k").as_array().size(); ++i) add_site(golden, i);
}

void Toy::add_site(const Case& golden, size_t index) {
  const acm::Json& config = golden.config();
  const std::string prefix = "site" + std::to_string(index) + ".";
  const int64_t min_k = config.at("min_k").as_array().at(index).as_int();
  costs_.min_k.push_back(min_k);
  costs_.learner_costs.push_back(config.at("learner_cost").as_array().at(index).as_double());

  ToySite site;
  site.layer = load_layer(golden, prefix, min_k);
  site.noise = golden.tensor(prefix + "gumbel_noise");
  site.residual = config.at("residual").as_array().at(index).as_bool();
  leaves_.merge(parameters(*site.layer, prefix));
  if (config.at("gates").is_object()) {
    const acm::AcmShape& shape = site.layer->shape();
    site.gate = load_gate(golden, prefix + "gate.", shape.width, shape.allowed(), config.at("gates"));
    leaves_.merge(parameters(*site.gate, prefix + "gate."));
  } else {
    site.logits = golden.tensor(prefix + "logits").requires_grad_();
    leaves_[prefix + "logits"] = site.logits;
  }
  sites_.push_back(std::move(site));
}

Toy::Pass Toy::run(const Part& part) const {
  const int64_t samples = part.end - part.begin;
  int64_t tokens = input_.size(1);
  if (part.trimmed && lengths_.defined()) tokens = lengths_.slice(0, part.begin, part.end).max().item<int64_t>();
  const auto mine = [&](const at::Tensor& t) { return t.slice(0, part.begin, part.end).slice(1, 0, tokens); };
  const at::Tensor valid = valid_.defined() ? mine(valid_) : at::Tensor();

  Pass pass;
  pass.token_counts = valid.defined() ? valid.sum(1) : at::full({samples}, tokens, at::kLong);
  std::vector<at::Tensor> counts;
  at::Tensor y = mine(input_);
  for (const ToySite& site : sites_) {
    const acm::AcmShape& shape = site.layer->shape();
    const at::Tensor logits = site.gate ? site.gate->forward(y) : mine(site.logits);
    const at::Tensor mixture = acm::straight_through_choice(logits, mine(site.noise), temperature_);
    const at::Tensor out = site.layer->mixed(y, part.gate_task_gradient ? mixture : mixture.detach());
    y = site.residual ? y + out : out;
    counts.push_back(acm::choice_counts(mixture, valid, shape.min_k, shape.learners));
    const at::Tensor choice = acm::best_class(mixture) + shape.min_k;
    pass.choices.push_back(valid.defined() ? at::where(valid, choice, -1) : choice);
  }
  pass.counts = at::stack(counts, 1);
  pass.task = (labels_.defined() ? cross_entropy(part, y) : ctc(part, y)) / static_cast<double>(this->samples());
  return pass;
}

at::Tensor Toy::cross_entropy(const Part& part, const at::Tensor& y) const {
  const at::Tensor logits = at::linear(y.mean(1), head_weight_, head_bias_);
  return at::cross_entropy_loss(logits, labels_.slice(0, part.begin, part.end), {}, at::Reduction::Sum);
}

at::Tensor Toy::ctc(const Part& part, const at::Tensor& y) const {
  const int64_t first = target_lengths_.slice(0, 0, part.begin).sum().item<int64_t>();
  const int64_t last = target_lengths_.slice(0, 0, part.end).sum().item<int64_t>();
  const at::Tensor target_lengths = target_lengths_.slice(0, part.begin, part.end);
  const at::Tensor log_probabilities = at::linear(y, head_weight_, head_bias_).log_softmax(-1).transpose(0, 1);
  const at::Tensor losses =
      at::ctc_loss(log_probabilities, targets_.slice(0, first, last), lengths_.slice(0, part.begin, part.end),
                   target_lengths, /*blank=*/0, at::Reduction::None);
  return (losses / target_lengths).sum();
}

}  // namespace golden
