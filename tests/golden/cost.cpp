#include "acm/cost.h"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cmath>
#include <iostream>

#include "acm/model.h"
#include "golden/kinds.h"
#include "nn/vit/vit.h"

namespace golden {

namespace {

using acm::nn::SiteKind;

constexpr double kRelative = 1e-12;  // of the numbers that are not whole; the JSON says it in words

// A row of the table: one model with its learners.
struct Table {
  const acm::Json& model;
  const acm::Json& row;
  int64_t learners;

  int64_t of_model(const char* key) const { return model.at(key).as_int(); }
  int64_t of_row(const char* key) const { return row.at(key).as_int(); }
};

// The sites of a block: the FFN and, where the table lists a width for them, the projections.
std::vector<SiteKind> kinds_of(const Table& table) {
  if (table.row.find("attention_learner_width") == nullptr) return {SiteKind::kFeedForward};
  return {SiteKind::kFeedForward, SiteKind::kQuery, SiteKind::kKey, SiteKind::kValue, SiteKind::kOutput};
}

acm::AcmShape shape_of(const Table& table, SiteKind kind) {
  const int64_t hidden = kind == SiteKind::kFeedForward ? table.of_model("ffn") : 0;
  acm::AcmShape shape;
  shape.width = table.of_model("width");
  shape.learners = table.learners;
  shape.learner_width = acm::learner_width(kind, shape.width, hidden, shape.learners);
  shape.min_k = acm::nn::min_learners(kind);
  return shape;
}

// Cost of the gates of all sites for one sample. "default" and "reference" are the gates of the table's notes.
int64_t gates_cost(const Table& table, const std::string& name) {
  acm::GateConfig gate;
  gate.hidden = 16;
  gate.depth = name == "reference" ? 3 : 2;
  int64_t per_token = 0;
  for (const SiteKind kind : kinds_of(table)) {
    const acm::AcmShape shape = shape_of(table, kind);
    per_token += acm::gate_macs_per_token(shape.width, shape.allowed(), gate);
  }
  return per_token * table.of_model("blocks") * table.of_model("tokens");
}

// Learner cost of one sample at k = N, and its least share where every gate chooses as few as it may.
struct LearnerCost {
  int64_t full = 0, ffn = 0, least = 0;
};

LearnerCost learner_cost(const Table& table) {
  LearnerCost cost;
  for (const SiteKind kind : kinds_of(table)) {
    const acm::AcmShape shape = shape_of(table, kind);
    const int64_t tokens = table.of_model("blocks") * table.of_model("tokens");
    const int64_t one = acm::learner_macs_per_token(shape) * tokens;
    cost.full += one * shape.learners;
    cost.least += one * shape.min_k;
    if (kind == SiteKind::kFeedForward) cost.ffn = one * shape.learners;
    const std::string name = kind == SiteKind::kFeedForward ? "ffn" : "attention";
    EXPECT_EQ(shape.learner_width, table.of_row((name + "_learner_width").c_str()));
    EXPECT_EQ(acm::learner_macs_per_token(shape), table.of_row((name + "_learner_cost").c_str()));
  }
  return cost;
}

void expect_near(double actual, const acm::Json& expected) {
  EXPECT_NEAR(actual, expected.as_double(), kRelative * std::abs(expected.as_double()));
}

void test_row(const Table& table) {
  const LearnerCost cost = learner_cost(table);
  EXPECT_EQ(cost.full, table.of_row("learners_at_full"));
  expect_near(static_cast<double>(cost.ffn) / cost.full, table.row.at("ffn_share"));
  expect_near(static_cast<double>(cost.least) / cost.full, table.row.at("least_share"));
  for (const auto& [name, expected] : table.row.at("gates").as_object()) {
    EXPECT_EQ(gates_cost(table, name), expected.as_int()) << name;
  }
  for (const char* list : {"at_share", "at_beta"}) {
    const acm::Json* totals = table.row.find(list);
    if (totals == nullptr) continue;
    for (const auto& [share, total] : totals->as_object()) {
      SCOPED_TRACE(std::string(list) + " " + share);
      const double without = table.of_model("static") + std::stod(share) * cost.full;
      expect_near(without, total.at("without_gates"));
      for (const char* gates : {"default", "reference"}) {
        expect_near(without + gates_cost(table, gates), total.at(std::string("with_gates_") + gates));
      }
    }
  }
}

acm::nn::VitConfig vit_config(const acm::Json& model) {
  acm::nn::VitConfig config;
  config.channels = 3;
  config.height = config.width_pixels = model.at("image").as_int();
  config.patch = model.at("patch").as_int();
  config.width = model.at("width").as_int();
  config.depth = model.at("blocks").as_int();
  config.heads = 1;  // the count does not depend on it
  config.hidden = model.at("ffn").as_int();
  config.classes = model.at("classes").as_int();
  return config;
}

// Static and dense cost of a Vision Transformer by its backbone.
void test_vit(const acm::Json& model) {
  const auto backbone = acm::nn::make_vit(vit_config(model));
  const int64_t tokens = model.at("tokens").as_int();
  const int64_t static_part = backbone->static_macs(at::full({1}, tokens, at::kLong)).item<int64_t>();
  const int64_t sites = acm::nn::dense_site_macs_per_token(*backbone) * tokens;
  int64_t parts = 0;
  for (const auto& [name, part] : model.at("static_parts").as_object()) parts += part.as_int();
  EXPECT_EQ(static_part, parts);
  EXPECT_EQ(static_part, model.at("static").as_int());
  EXPECT_EQ(sites, model.at("dense_sites").as_int());
  EXPECT_EQ(static_part + sites, model.at("dense").as_int());
}

// The cost of a sample as evaluation counts it: a backbone with learners and gates at every site.
void test_converted_vit(const Table& table) {
  const auto backbone = acm::nn::make_vit(vit_config(table.model));
  acm::SurgeryConfig surgery;
  surgery.learners = table.learners;
  for (const auto& site : backbone->sites()) {
    const auto layer = std::make_shared<acm::AcmLayer>(acm::shape_of(site, surgery));
    layer->add_gate({.hidden = 16});
    backbone->replace(site, layer);
  }
  const acm::CostModel model = acm::cost_model(*backbone);
  const int64_t tokens = table.of_model("tokens");
  const at::Tensor token_counts = at::full({1}, tokens, at::kLong);
  const auto sites = static_cast<int64_t>(model.sites.size());
  const at::Tensor full = at::full({1, sites}, tokens * table.learners, at::kLong);
  const auto total = [&](const at::Tensor& chosen) {
    return acm::sample_macs(model, chosen, token_counts, backbone->static_macs(token_counts)).item<int64_t>();
  };
  const int64_t gates = table.row.at("gates").at("default").as_int();
  EXPECT_EQ(total(full), table.of_model("static") + table.of_row("learners_at_full") + gates);
  EXPECT_EQ(total(at::zeros_like(full)), table.of_model("static") + gates);
  EXPECT_EQ(acm::learner_share(model, full[0], tokens), 1);
  expect_near(acm::least_learner_share(model), table.row.at("least_share"));
}

}  // namespace

void test_cost_tables(Case& golden) {
  for (const auto& [name, model] : golden.json().at("models").as_object()) {
    SCOPED_TRACE(name);
    if (model.find("image") != nullptr) {
      test_vit(model);
    } else {
      std::cout << "not compared: the static part of " << name << ", which has no backbone yet\n";
    }
    for (const auto& [learners, row] : model.at("learners").as_object()) {
      SCOPED_TRACE(learners + " learners");
      const Table table{model, row, std::stoll(learners)};
      test_row(table);
      if (model.find("image") != nullptr) test_converted_vit(table);
    }
  }
}

void test_cost_choices(Case& golden) {
  const at::Tensor choice = golden.tensor("choice"), lengths = golden.tensor("lengths");
  const at::Tensor valid = (at::full({choice.size(0), choice.size(1)}, 1, at::kLong).cumsum(1) <= lengths.unsqueeze(1));
  const at::Tensor chosen = (choice * valid.unsqueeze(-1)).sum(1);  // [samples, sites]
  const auto numbers = [&](const char* name) {
    const at::Tensor values = golden.tensor(name);
    return std::vector<int64_t>(values.const_data_ptr<int64_t>(), values.const_data_ptr<int64_t>() + values.numel());
  };
  acm::CostModel model;
  model.learners = golden.config().at("learners").as_int();
  for (int64_t site = 0; site < choice.size(2); ++site) model.sites.push_back(site);
  model.learner_costs = numbers("learner_cost");
  model.gate_costs = numbers("gate_cost");

  const at::Tensor total = acm::sample_macs(model, chosen, lengths, golden.tensor("static"));
  golden.expect("total", total);
  golden.expect("batch_mean", total.to(at::kDouble).mean());

  const at::Tensor nothing = at::zeros_like(lengths);
  golden.expect("gate_part", acm::sample_macs(model, at::zeros_like(chosen), lengths, nothing));
  model.gate_costs.assign(model.gate_costs.size(), 0);
  const at::Tensor learner_part = acm::sample_macs(model, chosen, lengths, nothing);
  golden.expect("learner_part", learner_part);

  const at::Tensor full = (lengths * model.learners).unsqueeze(1).expand_as(chosen);
  const at::Tensor most = acm::sample_macs(model, full, lengths, nothing).sum();
  golden.expect("share", learner_part.sum().to(at::kDouble) / most.to(at::kDouble));
}

}  // namespace golden
