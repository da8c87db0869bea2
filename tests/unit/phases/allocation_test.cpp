#include "phases/allocation.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <mutex>

#include "acm/cost.h"
#include "acm/gate.h"
#include "acm/gate_labels.h"
#include "acm/teacher_start.h"
#include "nn/dense.h"
#include "phases/model_fit.h"
#include "phases/site_weights.h"
#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"
#include "unit/phases/small_run.h"

namespace acm::phases {
namespace {

constexpr int64_t kTokens = 5;  // of a small sample

// Learners cut from the dense modules, so that more of them are better; one number off, so that all of them err.
void save_inputs(const Run& run) {
  save_dense_model(run);
  const auto teacher = load_teacher(run);
  const auto backbone = load_teacher(run).backbone;
  convert_sites(*backbone, run.settings.surgery(), StreamKey(1));
  backbone->to(at::kDouble);
  for (const auto& [index, site, layer] : acm_sites(*backbone)) {
    auto tokens = at::empty({200, site->width}, at::kDouble);
    nn::fill_uniform(tokens, StreamKey(2), -2, 2);
    auto& dense = teacher.backbone->at(*site);
    if (auto* feed_forward = dynamic_cast<nn::DenseFeedForward*>(&dense))
      start_from(*layer, *feed_forward, hidden_energy(*feed_forward, tokens));
    else
      start_from(*layer, dynamic_cast<nn::DenseProjection&>(dense), input_moment(tokens));
    const at::NoGradGuard no_grad;
    layer->b1[0] += 0.01;
  }
  save_model(run.folder.model(PhaseId::kDistill), *backbone, "distill", run.train_data.preprocessing(), teacher.digest);
}

class Found final : public train::StateVisitor {
 public:
  explicit Found(Allocation& allocation) { allocation.visit_state(*this); }
  void tensor(std::string_view name, at::Tensor& value) override {
    (name == "allocation.price" ? price : weights) = value.clone();
  }
  void scalar(std::string_view, int64_t&) override {}
  at::Tensor weights, price;
};

// Solves on so many ranks, and gives what rank 0 found.
struct Solved {
  at::Tensor weights, price;
  double share;  // that the labels of the first samples spend
};
Solved solved(int ranks, const std::filesystem::path& folder, const SmallRun::Adjust& adjust) {
  Solved result;
  std::mutex writing;
  run_small_group(ranks, folder, adjust, save_inputs, [&](const Run& run) {
    Capture capture(run);
    ASSERT_TRUE(capture.fill());
    CacheReader reader(capture, run.log);
    const auto model = load_model(run.folder.model(PhaseId::kDistill));
    const auto sites = acm_sites(*model.backbone);
    Allocation allocation(sites);
    allocation.solve(run, reader);

    double spent = 0, whole = 0;
    for (size_t i = 0; i < sites.size(); ++i) {
      const auto rows = reader.rows(sites[i].site->name, reader.first_samples(run.settings.gating.label_samples));
      const at::NoGradGuard no_grad;
      const auto labels = allocation.labels(i, prefix_distances(*sites[i].layer, rows.input, rows.output));
      const auto cost = static_cast<double>(learner_macs_per_token(sites[i].layer->shape()));
      spent += cost * labels.sum().item<double>();
      whole += cost * static_cast<double>(labels.numel() * sites[i].layer->shape().learners);
    }
    const Found found(allocation);
    const std::lock_guard lock(writing);
    if (run.is_root()) result = {found.weights, found.price, spent / whole};
  });
  return result;
}

SmallRun::Adjust with_samples(int64_t samples, double budget = 0.6) {
  return [=](Settings& s) {
    s.gating.label_samples = samples;
    s.acm.budget = budget;
    s.acm.learners = 4;
    s.cache.samples = 20;
    s.cache.segment_samples = 8;
    s.backbone.width = 16;
    s.backbone.hidden = 24;
  };
}

TEST(Allocation, IsTheSameForAnyNumberOfRanks) {
  const Scratch scratch;
  const auto alone = solved(1, scratch / "1", with_samples(18));
  EXPECT_GT(alone.weights.min().item<double>(), 0);
  for (const int ranks : {2, 3}) {
    const auto shared = solved(ranks, scratch / std::to_string(ranks), with_samples(18));
    EXPECT_TRUE(shared.weights.equal(alone.weights)) << ranks;
    EXPECT_TRUE(shared.price.equal(alone.price)) << ranks;
  }
}

TEST(Allocation, LabelsSpendTheirShareOfTheBudget) {
  const Scratch scratch;
  double last_price = INFINITY;
  const std::pair<double, double> budgets_and_shares[] = {{0.4, 1}, {0.6, 0.8}, {0.6, 1}, {0.75, 1}};
  for (const auto& [budget, share] : budgets_and_shares) {
    const auto found = solved(1, scratch / std::to_string(budget * share), [&](Settings& s) {
      with_samples(20, budget)(s);
      s.gating.label_share = share;
    });
    EXPECT_NEAR(found.share, budget * share, 2e-3) << budget;  // a label more or less is 1/1000 of the whole here
    EXPECT_LT(found.price.item<double>(), last_price);
    last_price = found.price.item<double>();
  }
}

// What the gates of a model choose on the first samples, as a share of the learners' cost.
double share_of_gates(const Run& run, CacheReader& reader, const std::vector<AcmSite>& sites) {
  double spent = 0, whole = 0;
  for (const auto& site : sites) {
    const auto rows = reader.rows(site.site->name, reader.first_samples(run.settings.gating.label_samples));
    const auto choices = best_class(site.layer->gate()->forward(rows.input)) + site.layer->shape().min_k;
    const auto cost = static_cast<double>(learner_macs_per_token(site.layer->shape()));
    spent += cost * choices.sum().item<double>();
    whole += cost * static_cast<double>(choices.numel() * site.layer->shape().learners);
  }
  return spent / whole;
}

TEST(Allocation, GatesAreShiftedToTheBudgetAlikeOnAnyNumberOfRanks) {
  const Scratch scratch;
  std::vector<at::Tensor> biases;
  for (const int ranks : {1, 3}) {
    run_small_group(ranks, scratch / std::to_string(ranks), with_samples(20, 0.7), save_inputs, [&](const auto& run) {
      Capture capture(run);
      ASSERT_TRUE(capture.fill());
      CacheReader reader(capture, run.log);
      const auto model = load_model(run.folder.model(PhaseId::kDistill));
      add_gates(*model.backbone, run.settings.gate_config(), run.key());
      model.backbone->to(run.settings.dtype());
      const auto sites = acm_sites(*model.backbone);
      const at::NoGradGuard no_grad;
      const double before = share_of_gates(run, reader, sites);
      Allocation(sites).meet_budget(run, reader, *model.backbone);
      EXPECT_GT(std::abs(before - 0.7), 0.02);
      EXPECT_NEAR(share_of_gates(run, reader, sites), 0.7, 3e-3);
      if (run.is_root()) biases.push_back(sites[2].layer->gate()->last_bias().clone());
    });
  }
  ASSERT_EQ(biases.size(), 2u);
  EXPECT_TRUE(biases[0].equal(biases[1]));
}

TEST(Allocation, UnitWeightsAreOne) {
  const Scratch scratch;
  const auto found = solved(1, scratch / "run", [](Settings& s) {
    with_samples(20)(s);
    s.acm.sites = {"ffn", "o"};
    s.gating.site_weights = "unit";
  });
  EXPECT_EQ(found.weights.numel(), 4);
  EXPECT_TRUE(found.weights.eq(1).all().item<bool>());
}

// The definition, step by step, with whole models and without a probe.
TEST(SiteWeights, AreTheDivergenceOfTheTeacherForAnErrorOfOneSite) {
  const Scratch scratch;
  const std::unique_ptr<comm::Communicator> solo = comm::make_solo_communicator();
  SmallRun small(scratch.folder(), *solo, with_samples(18));
  const auto run = small.run(*solo);
  save_inputs(run);
  const at::NoGradGuard no_grad;
  const auto learners = load_model(run.folder.model(PhaseId::kDistill));
  const auto sites = acm_sites(*learners.backbone);
  const auto weights = measure_site_weights(run, sites, 18);

  std::vector<int64_t> positions(18);
  std::iota(positions.begin(), positions.end(), 0);
  const data::Schedule schedule(run.train_data.size(), 2, run.key().with("capture"));
  const auto batch = data::load_positions(run.train_data, schedule, run.key().with("augmentation"), positions);
  const auto outputs_of = [&](nn::Backbone& backbone, nn::Recorder& recorder) {
    nn::TokenContext context;
    context.choice = 2;
    context.recorder = &recorder;
    return backbone.forward(batch, context).log_softmax(-1);
  };
  for (size_t i = 0; i < sites.size(); ++i) {
    const auto teacher = load_teacher(run), other = load_teacher(run);
    other.backbone->replace(*sites[i].site, std::dynamic_pointer_cast<nn::TokenModule>(
                                                learners.backbone->at(*sites[i].site).shared_from_this()));
    nn::Recorder before(10, nn::Recorder::Keep::kActivations), after(10, nn::Recorder::Keep::kActivations);
    const auto expected = outputs_of(*teacher.backbone, before), found = outputs_of(*other.backbone, after);
    const double divergence = (expected.exp() * (expected - found)).sum().item<double>() / 18;
    const double error =
        (after.at(sites[i].index).output - before.at(sites[i].index).output).square().sum().item<double>() /
        (18 * kTokens);
    EXPECT_NEAR(weights[static_cast<int64_t>(i)].item<double>() / (divergence / error), 1, 1e-9) << sites[i].site->name;
  }
}

// The second site's learners are the dense module itself: its error is nothing, and says nothing about its weight.
TEST(SiteWeights, ASiteWithoutErrorTakesTheSmallestWeight) {
  const Scratch scratch;
  const std::unique_ptr<comm::Communicator> solo = comm::make_solo_communicator();
  SmallRun small(scratch.folder(), *solo, [](Settings& s) {
    s.acm.learners = 1;
    s.acm.sites = {"ffn"};
    s.acm.output_bias = true;
  });
  const auto run = small.run(*solo);
  save_inputs(run);
  const at::NoGradGuard no_grad;
  const auto learners = load_model(run.folder.model(PhaseId::kDistill));
  const auto teacher = load_teacher(run);
  const auto sites = acm_sites(*learners.backbone);
  const auto& dense = dynamic_cast<nn::DenseFeedForward&>(teacher.backbone->at(*sites[1].site));
  sites[1].layer->w1.copy_(dense.fc1->weight.t());
  sites[1].layer->b1.copy_(dense.fc1->bias);
  sites[1].layer->w2.copy_(dense.fc2->weight.t());
  sites[1].layer->b2[0].copy_(dense.fc2->bias);
  const auto weights = measure_site_weights(run, sites, 10);
  EXPECT_GT(weights[0].item<double>(), 0);
  EXPECT_GT(weights[1].item<double>(), 0);
}

TEST(SiteWeights, OutputsThatAreNotFiniteAreAnError) {
  const Scratch scratch;
  const std::unique_ptr<comm::Communicator> solo = comm::make_solo_communicator();
  SmallRun small(scratch.folder(), *solo);
  const auto run = small.run(*solo);
  save_inputs(run);
  const at::NoGradGuard no_grad;
  const auto learners = load_model(run.folder.model(PhaseId::kDistill));
  const auto sites = acm_sites(*learners.backbone);
  sites[3].layer->w2.fill_(INFINITY);
  expect_error(Fault::kInternal, "cannot weigh the site blocks.0.o", [&] { measure_site_weights(run, sites, 4); });
}

}  // namespace
}  // namespace acm::phases
