#include "phases/batch_statistics.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include "core/random.h"
#include "nn/random_tensor.h"
#include "unit/core/scratch.h"
#include "unit/phases/small_run.h"

namespace acm::phases {
namespace {

constexpr int64_t kSites = 3, kLearners = 2;
constexpr double kBeta = 0.3;
constexpr std::array<double, 3> kWeights = {0.7, 0.5, 2.0};

SiteCosts costs() { return {.learners = kLearners, .min_k = {0, 1, 1}, .learner_costs = {40, 16, 16}}; }

// A batch whose samples differ in length and in what they chose.
SliceStatistics batch_of(int64_t samples) {
  at::Tensor counts = at::empty({samples, kSites, kLearners + 1}, at::kDouble);
  at::Tensor tokens = at::empty({samples}, at::kLong);
  for (int64_t i = 0; i < samples; ++i) {
    const auto count = static_cast<double>(4 + i % 3);
    tokens[i] = count;
    at::Tensor mine = counts[i];
    nn::fill_uniform(mine, StreamKey(9).with(static_cast<uint64_t>(i)), 0.1 + 0.2 * static_cast<double>(i), 3);
    mine.mul_(count / mine.sum(-1, true));
  }
  return {counts, tokens};
}

SliceStatistics part_of(const SliceStatistics& batch, const data::Slice& slice) {
  const auto range = data::cut(batch.counts.size(0), slice);
  return {batch.counts.narrow(0, range.begin, range.size()).clone().set_requires_grad(true),
          batch.token_counts.narrow(0, range.begin, range.size())};
}

struct Expected {
  BatchTerms terms;
  double weighted;
  at::Tensor gradient;
};

Expected of_one_rank(const SliceStatistics& batch, EntropyBins bins) {
  auto counts = batch.counts.detach().clone().set_requires_grad(true);
  const auto terms = batch_terms(counts, batch.token_counts, costs(), kBeta, bins);
  const auto total = kWeights[0] * terms.budget + kWeights[1] * terms.entropy + kWeights[2] * terms.diversity;
  total.backward();
  return {terms, total.item<double>(), counts.grad()};
}

void expect_equal(const at::Tensor& found, const at::Tensor& expected) {
  EXPECT_LT(found.sub(expected).abs().max().item<double>(), 1e-12);
}

struct Cut {
  int ranks, slices;
  int64_t batch;
  int unit = 1;
};
void PrintTo(const Cut& cut, std::ostream* out) {
  *out << cut.ranks << " ranks x " << cut.slices << " of " << cut.batch << ", units of " << cut.unit;
}

class BatchStatisticsCut : public testing::TestWithParam<Cut> {};

TEST_P(BatchStatisticsCut, GivesWhatOneRankWithTheWholeBatchHas) {
  const auto [ranks, slices, batch_size, unit] = GetParam();
  const auto batch = batch_of(batch_size);
  for (const auto bins : {EntropyBins::kAllowed, EntropyBins::kAll}) {
    const auto expected = of_one_rank(batch, bins);
    comm::run_local_group(ranks, [&](comm::Communicator& group) {
      BatchStatistics statistics(costs(), kBeta, bins, kWeights, batch_size, group, unit);
      std::vector<SliceStatistics> mine;
      const auto slice = [&](int i) {
        return data::Slice{.index = group.rank() * slices + i, .count = ranks * slices, .unit = unit};
      };
      for (int i = 0; i < slices; ++i) mine.push_back(part_of(batch, slice(i)));
      statistics.gather(mine);

      expect_equal(statistics.terms().budget, expected.terms.budget);
      expect_equal(statistics.terms().entropy, expected.terms.entropy);
      expect_equal(statistics.terms().diversity, expected.terms.diversity);
      expect_equal(statistics.terms().share, expected.terms.share);
      EXPECT_NEAR(statistics.weighted().item<double>(), expected.weighted, 1e-12);
      for (int i = 0; i < slices; ++i) {
        statistics.surrogate(slice(i), mine[static_cast<size_t>(i)].counts).backward();
        const auto range = data::cut(batch_size, slice(i));
        expect_equal(mine[static_cast<size_t>(i)].counts.grad(),
                     expected.gradient.narrow(0, range.begin, range.size()));
      }
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Cuts, BatchStatisticsCut,
                         testing::Values(Cut{1, 1, 7}, Cut{1, 2, 7}, Cut{2, 1, 7}, Cut{2, 2, 7}, Cut{3, 1, 7},
                                         Cut{3, 2, 7}, Cut{3, 2, 11}, Cut{3, 2, 6}, Cut{2, 2, 4}, Cut{2, 1, 6, 2},
                                         Cut{2, 2, 10, 2}));

// What averaging the terms of ranks would give is something else: the test above could not pass by it.
TEST(BatchStatistics, AreNotTheMeanOfTheRanks) {
  const auto batch = batch_of(7);
  const auto expected = of_one_rank(batch, EntropyBins::kAllowed);
  double budget = 0, entropy = 0, diversity = 0;
  for (int rank = 0; rank < 2; ++rank) {
    const auto part = of_one_rank(part_of(batch, {.index = rank, .count = 2}), EntropyBins::kAllowed);
    budget += part.terms.budget.item<double>() / 2;
    entropy += part.terms.entropy.item<double>() / 2;
    diversity += part.terms.diversity.item<double>() / 2;
  }
  EXPECT_GT(std::abs(budget - expected.terms.budget.item<double>()), 1e-4);
  EXPECT_GT(std::abs(entropy - expected.terms.entropy.item<double>()), 1e-4);
  EXPECT_GT(std::abs(diversity - expected.terms.diversity.item<double>()), 1e-3);
}

// Phase 3 gathers between a pass without gradients and one with them.
TEST(BatchStatistics, GatherWhereGradientsAreOff) {
  const auto batch = batch_of(5);
  const auto expected = of_one_rank(batch, EntropyBins::kAllowed);
  const auto solo = comm::make_solo_communicator();
  BatchStatistics statistics(costs(), kBeta, EntropyBins::kAllowed, kWeights, 5, *solo);
  auto mine = part_of(batch, {});
  {
    at::NoGradGuard no_grad;
    statistics.gather({&mine, 1});
  }
  statistics.surrogate({}, mine.counts).backward();
  expect_equal(mine.counts.grad(), expected.gradient);
}

TEST(StatisticsOf, CountsTheTokensOfEachChoice) {
  const Scratch scratch;
  const auto solo = comm::make_solo_communicator();
  SmallRun small(scratch.folder(), *solo);
  const auto run = small.run(*solo);
  save_acm_model(run, PhaseId::kGating);
  const auto model = load_model(run.folder.model(PhaseId::kGating));
  const auto sites = acm_sites(*model.backbone);

  const std::vector<data::Sample> samples = {run.train_data.get(0, StreamKey()), run.train_data.get(1, StreamKey())};
  const auto batch = run.train_data.collate(samples);
  nn::Recorder recorder(model.backbone->sites().size(), nn::Recorder::Keep::kChoices);
  nn::TokenContext context;
  context.positions = batch.positions;
  context.training = true;
  context.recorder = &recorder;
  model.backbone->forward(batch, context);
  const auto found = statistics_of(recorder, sites, context.valid, model.backbone->token_counts(batch));
  ASSERT_EQ(found.counts.sizes(), (std::vector<int64_t>{2, 10, 3}));
  EXPECT_TRUE(found.counts.requires_grad());
  for (size_t site = 0; site < sites.size(); ++site)
    for (int64_t sample = 0; sample < 2; ++sample)
      for (int64_t k = 0; k <= 2; ++k)
        EXPECT_EQ(found.counts[sample][static_cast<int64_t>(site)][k].item<double>(),
                  recorder.at(sites[site].index).choice[sample].eq(k).sum().item<double>());
}

}  // namespace
}  // namespace acm::phases
