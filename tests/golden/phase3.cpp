#include <ATen/ops/cat.h>
#include <gtest/gtest.h>

#include "golden/gradients.h"
#include "golden/kinds.h"
#include "golden/phase3_toy.h"

namespace golden {

namespace {

// The terms of one step by name, and the weighted sum of the auxiliary ones.
struct Terms {
  acm::io::NamedTensors by_name;
  at::Tensor weighted;
};

Terms terms_of(const Case& golden, const acm::BatchTerms& terms) {
  const acm::Json& weights = golden.config().at("weights");
  Terms out;
  out.by_name = {{"budget", terms.budget}, {"entropy", terms.entropy}, {"diversity", terms.diversity}};
  out.weighted = weights.at("budget").as_double() * terms.budget + weights.at("entropy").as_double() * terms.entropy +
                 weights.at("diversity").as_double() * terms.diversity;
  return out;
}

std::string gradient_prefix(bool gate_task_gradient) {
  return gate_task_gradient ? "gate_gradient.grad." : "no_gate_gradient.grad.";
}

// The gradients of single terms that a case lists: those for given logits.
void test_term_gradients(Case& golden, const Toy& toy, const acm::io::NamedTensors& terms) {
  acm::io::NamedTensors logits;
  for (const auto& [name, leaf] : toy.leaves()) {
    if (name.ends_with(".logits")) logits[name] = leaf;
  }
  if (logits.empty()) return;
  for (const auto& [name, term] : terms) golden.expect_all(name + ".grad.", gradients(term, logits));
}

// One rank holds every sample.
void test_whole(Case& golden, const Toy& toy, bool gate_task_gradient) {
  const double beta = golden.config().at("beta").as_double();
  const Toy::Pass pass = toy.run({0, toy.samples(), /*trimmed=*/false, gate_task_gradient});
  const acm::BatchTerms batch = acm::batch_terms(pass.counts, pass.token_counts, toy.costs(), beta);
  Terms terms = terms_of(golden, batch);
  const at::Tensor total = pass.task + terms.weighted;
  terms.by_name["task"] = pass.task;

  golden.expect_all("", terms.by_name);
  golden.expect("total", total);
  golden.expect("share", batch.share);
  golden.expect("sample_share", batch.sample_shares);
  const auto all_bins = acm::batch_terms(pass.counts, pass.token_counts, toy.costs(), beta, acm::EntropyBins::kAll);
  golden.expect("entropy_reference_bins", all_bins.entropy);
  for (size_t i = 0; i < pass.choices.size(); ++i) {
    golden.expect("site" + std::to_string(i) + ".choice", pass.choices[i]);
  }
  golden.expect_all(gradient_prefix(gate_task_gradient), gradients(total, toy.leaves()));
  if (gate_task_gradient) test_term_gradients(golden, toy, terms.by_name);
}

// Ranks hold the samples between the cuts. Each gathers the others' counts, takes the terms of the whole batch, and
// carries back the slope of its own counts; gradients add up over the ranks.
void test_split(Case& golden, const Toy& toy, const acm::Json::Array& cuts, bool gate_task_gradient) {
  std::vector<Toy::Pass> passes;
  std::vector<at::Tensor> counts, token_counts;
  for (size_t rank = 0; rank + 1 < cuts.size(); ++rank) {
    passes.push_back(toy.run({cuts[rank].as_int(), cuts[rank + 1].as_int(), /*trimmed=*/true, gate_task_gradient}));
    counts.push_back(passes.back().counts.detach());
    token_counts.push_back(passes.back().token_counts);
  }
  const at::Tensor gathered = at::cat(counts).requires_grad_();
  Terms terms = terms_of(
      golden, acm::batch_terms(gathered, at::cat(token_counts), toy.costs(), golden.config().at("beta").as_double()));
  const at::Tensor slope = gradients(terms.weighted, {{"counts", gathered}}).at("counts");

  at::Tensor task;
  acm::io::NamedTensors summed;
  for (size_t rank = 0; rank < passes.size(); ++rank) {
    const Toy::Pass& pass = passes[rank];
    task = task.defined() ? task + pass.task : pass.task;
    const at::Tensor mine = slope.slice(0, cuts[rank].as_int(), cuts[rank + 1].as_int());
    for (const auto& [name, gradient] : gradients(pass.task + (mine * pass.counts).sum(), toy.leaves())) {
      summed[name] = summed.contains(name) ? summed[name] + gradient : gradient;
    }
  }
  golden.expect_all(gradient_prefix(gate_task_gradient), summed);
  terms.by_name["total"] = task + terms.weighted;
  const std::string ranks = std::to_string(passes.size()) + "_ranks";
  for (const auto& [name, term] : terms.by_name) golden.expect_not("naive." + name + "." + ranks, name, term);
  terms.by_name["task"] = task;
  golden.expect_all("", terms.by_name);
}

}  // namespace

void test_phase3(Case& golden) {
  ASSERT_EQ(golden.config().at("entropy_epsilon").as_double(), 1e-20);  // the library has no other
  const Toy toy(golden);
  for (const bool gate_task_gradient : {true, false}) {
    SCOPED_TRACE(gate_task_gradient ? "task gradient to the gates" : "no task gradient to the gates");
    test_whole(golden, toy, gate_task_gradient);
    for (const auto& [ranks, cuts] : golden.config().at("splits").as_object()) {
      SCOPED_TRACE("split over " + ranks + " ranks");
      test_split(golden, toy, cuts.as_array(), gate_task_gradient);
    }
  }
}

}  // namespace golden
