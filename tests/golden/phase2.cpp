#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/stack.h>
#include <gtest/gtest.h>

#include "acm/gate_labels.h"
#include "golden/gradients.h"
#include "golden/kinds.h"
#include "golden/modules.h"
#include "golden/tokens.h"

namespace golden {

namespace {

const char* const kRules[] = {"marginal", "reference"};

// One site's gate and the distances that its learners leave.
struct GateSite {
  int64_t min_k;
  std::shared_ptr<acm::Gate> gate;
  at::Tensor distances;  // [rows, N + 1]
  at::Tensor logits;     // [samples, tokens, allowed]
  at::Tensor rows;       // [rows, allowed]: logits of the valid tokens
};

GateSite load_site(const Case& golden, size_t index) {
  const std::string prefix = "site" + std::to_string(index) + ".";
  const at::Tensor input = golden.tensor(prefix + "input");
  const at::Tensor valid = valid_tokens(golden, input.size(1));

  GateSite site;
  site.min_k = golden.config().at("min_k").as_array().at(index).as_int();
  const auto layer = load_layer(golden, prefix, site.min_k);
  site.distances =
      acm::prefix_distances(*layer, rows_of(input, valid), rows_of(golden.tensor(prefix + "teacher_output"), valid));
  site.gate = load_gate(golden, prefix + "gate.", input.size(-1), layer->shape().allowed(), golden.config().at("gate"));
  site.logits = site.gate->forward(input);
  site.rows = rows_of(site.logits, valid);
  return site;
}

// Rows back in the shape the case lists them in: unpadded ones as [samples, tokens, ...].
at::Tensor as_listed(const Case& golden, const std::string& name, const at::Tensor& rows) {
  return golden.has("lengths") ? rows : rows.view(golden.tensor(name).sizes());
}

void test_rule(Case& golden, const std::string& rule, const std::vector<GateSite>& sites) {
  SCOPED_TRACE(rule);
  const double tau = golden.config().at("tau").as_double();
  std::vector<at::Tensor> losses;
  acm::io::NamedTensors leaves;
  for (size_t i = 0; i < sites.size(); ++i) {
    const GateSite& site = sites[i];
    const std::string prefix = "site" + std::to_string(i) + ".", label_name = prefix + rule + ".label";
    const at::Tensor labels = acm::gate_labels(site.distances, acm::label_rule_from(rule), site.min_k, tau);
    golden.expect(label_name, as_listed(golden, label_name, labels));
    losses.push_back(at::cross_entropy_loss(site.rows, labels - site.min_k));
    leaves.merge(parameters(*site.gate, prefix + "gate."));
    leaves[prefix + "logits"] = site.logits;
  }
  const at::Tensor site_losses = at::stack(losses), loss = site_losses.mean();
  golden.expect(rule + ".site_loss", site_losses);
  golden.expect(rule + ".loss", loss);
  golden.expect_all(rule + ".grad.", gradients(loss, leaves));
}

}  // namespace

void test_phase2(Case& golden) {
  std::vector<GateSite> sites;
  for (size_t i = 0; i < golden.config().at("min_k").as_array().size(); ++i) {
    sites.push_back(load_site(golden, i));
    const std::string prefix = "site" + std::to_string(i) + ".";
    golden.expect(prefix + "distances", as_listed(golden, prefix + "distances", sites[i].distances));
    golden.expect(prefix + "logits", as_listed(golden, prefix + "logits", sites[i].rows));
  }
  for (const char* rule : kRules) test_rule(golden, rule, sites);
}

// Names are [one_learner.]RULE.label[.min_k_K].
void test_phase2_labels(Case& golden) {
  const double tau = golden.config().at("tau").as_double();
  for (const std::string& name : golden.expected()) {
    const size_t label = name.find(".label"), min_k = name.find(".min_k_");
    const std::string set = name.starts_with("one_learner.") ? "one_learner." : "";
    const auto rule = acm::label_rule_from(name.substr(set.size(), label - set.size()));
    const int64_t least = min_k == std::string::npos ? 0 : std::stoll(name.substr(min_k + 7));
    golden.expect(name, acm::gate_labels(golden.tensor(set + "distances"), rule, least, tau));
  }
}

}  // namespace golden
