#include "acm/batch_losses.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cmath>

#include "acm/gate.h"
#include "unit/acm/random_layer.h"

namespace acm {
namespace {

using test::random_tensor;
using test::relative_difference;

constexpr int64_t kLearners = 3, kSamples = 6, kTokens = 7;
const SiteCosts kCosts{kLearners, {0, 1, 3}, {60, 40, 50}};

at::Tensor lengths() { return at::tensor({7, 3, 6, 6, 1, 4}, at::kLong); }

// The straight-through choices of random logits, as leaves, for samples [begin, end) padded to `tokens`.
std::vector<at::Tensor> mixtures(int64_t begin, int64_t end, int64_t tokens) {
  std::vector<at::Tensor> sites;
  for (size_t site = 0; site < kCosts.min_k.size(); ++site) {
    const int64_t allowed = kLearners + 1 - kCosts.min_k[site];
    const at::Tensor logits = random_tensor({kSamples, kTokens, allowed}, at::kDouble, 10 + site);
    const at::Tensor choice = straight_through_choice(logits, at::zeros_like(logits), 0.8);
    sites.push_back(choice.narrow(0, begin, end - begin).narrow(1, 0, tokens).clone().requires_grad_());
  }
  return sites;
}

at::Tensor counts_of(const std::vector<at::Tensor>& sites, int64_t begin, int64_t tokens) {
  const at::Tensor valid =
      at::arange(tokens, at::kLong).unsqueeze(0).lt(lengths().narrow(0, begin, sites[0].size(0)).unsqueeze(1));
  std::vector<at::Tensor> counts;
  for (size_t site = 0; site < sites.size(); ++site) {
    counts.push_back(choice_counts(sites[site], valid, kCosts.min_k[site], kLearners).unsqueeze(1));
  }
  return at::cat(counts, 1);
}

at::Tensor total(const BatchTerms& terms) { return terms.budget + terms.entropy * 0.5 + terms.diversity * 0.25; }

TEST(ChoiceCounts, CountTheValidTokensOfEachSample) {
  const auto sites = mixtures(0, kSamples, kTokens);
  const at::Tensor counts = counts_of(sites, 0, kTokens);
  ASSERT_EQ(counts.sizes(), at::IntArrayRef({kSamples, 3, kLearners + 1}));
  EXPECT_EQ(counts.scalar_type(), at::kDouble);
  EXPECT_TRUE(at::equal(counts.sum(-1), lengths().to(at::kDouble).unsqueeze(1).expand({kSamples, 3})));
  EXPECT_TRUE(counts.select(1, 1).select(1, 0).eq(0).all().item<bool>());
  EXPECT_TRUE(at::equal(counts, counts.round()));
}

TEST(BatchTerms, FollowTheirFormulas) {
  const at::Tensor counts = counts_of(mixtures(0, kSamples, kTokens), 0, kTokens).detach();
  const BatchTerms terms = batch_terms(counts, lengths(), kCosts, 0.4);
  const auto count = counts.accessor<double, 3>();
  const auto length = lengths();
  double cost = 0, tokens = 0, entropy = 0;
  std::vector<double> shares(kSamples, 0);
  for (int64_t i = 0; i < kSamples; ++i) {
    const double valid = static_cast<double>(length[i].item<int64_t>());
    tokens += valid;
    for (int64_t l = 0; l < 3; ++l) {
      const int64_t allowed = kLearners + 1 - kCosts.min_k[l];
      for (int64_t k = 0; k <= kLearners; ++k) {
        cost += kCosts.learner_costs[l] * k * count[i][l][k];
        shares[i] += k * count[i][l][k] / (valid * kLearners * 3);
        const double a = count[i][l][k] / valid;
        if (a > 0 && allowed > 1) entropy += a * std::log(a) / std::log(allowed) / (kSamples * 3);
      }
    }
  }
  double difference = 0;
  for (const double u : shares) {
    for (const double other : shares) difference += std::abs(u - other) / (kSamples * kSamples);
  }
  const double share = cost / (tokens * kLearners * 150);
  EXPECT_NEAR(terms.share.item<double>(), share, 1e-14);
  EXPECT_NEAR(terms.budget.item<double>(), std::abs(share - 0.4), 1e-14);
  EXPECT_NEAR(terms.entropy.item<double>(), entropy, 1e-14);
  EXPECT_NEAR(terms.diversity.item<double>(), -difference, 1e-14);
  for (int64_t i = 0; i < kSamples; ++i) EXPECT_NEAR(terms.sample_shares[i].item<double>(), shares[i], 1e-14);
}

// What several ranks do: each knows the gathered counts, and sends the slope of the global loss into its own.
TEST(BatchTerms, PartsOfABatchGetTheGradientOfTheWhole) {
  const auto whole = mixtures(0, kSamples, kTokens);
  const at::Tensor counts = counts_of(whole, 0, kTokens);
  const at::Tensor loss = total(batch_terms(counts, lengths(), kCosts, 0.4));
  loss.backward();

  struct Part {
    int64_t begin, end, tokens;  // trimmed to its own longest sample
  };
  for (const Part& part : {Part{0, 3, 7}, Part{3, 4, 6}, Part{4, 6, 4}}) {
    const auto mine = mixtures(part.begin, part.end, part.tokens);
    const at::Tensor my_counts = counts_of(mine, part.begin, part.tokens);
    const at::Tensor gathered = counts.detach().clone().requires_grad_();
    const at::Tensor same_loss = total(batch_terms(gathered, lengths(), kCosts, 0.4));
    EXPECT_EQ(same_loss.item<double>(), loss.item<double>());
    same_loss.backward();
    my_counts.backward(gathered.grad().narrow(0, part.begin, part.end - part.begin));
    for (size_t site = 0; site < whole.size(); ++site) {
      const at::Tensor expected =
          whole[site].grad().narrow(0, part.begin, part.end - part.begin).narrow(1, 0, part.tokens);
      EXPECT_LT(relative_difference(mine[site].grad(), expected), 1e-14);
    }
  }
}

TEST(BatchTerms, EqualSharesHaveNoSlopeAndEmptyBinsAFiniteOne) {
  // Two samples with the same share of their tokens, at exactly the budget.
  const SiteCosts costs{2, {0}, {10}};
  const at::Tensor counts = at::tensor({0.0, 3.0, 0.0, 0.0, 6.0, 0.0}).to(at::kDouble).view({2, 1, 3}).requires_grad_();
  const at::Tensor tokens = at::tensor({3, 6}, at::kLong);
  const BatchTerms terms = batch_terms(counts, tokens, costs, 0.5);
  (terms.budget + terms.diversity).backward();
  EXPECT_TRUE(counts.grad().eq(0).all().item<bool>());
  counts.mutable_grad() = at::Tensor();
  batch_terms(counts, tokens, costs, 0.5).entropy.backward();
  EXPECT_NEAR(counts.grad()[0][0][0].item<double>(), std::log(1e-20) / (2 * std::log(3.0) * 3), 1e-12);
}

TEST(BatchTerms, ReferenceBinsCountAllCountsEverywhere) {
  const SiteCosts costs{2, {1}, {10}};
  const at::Tensor counts = at::tensor({0.0, 2.0, 2.0}).to(at::kDouble).view({1, 1, 3});
  const at::Tensor tokens = at::tensor({4}, at::kLong);
  EXPECT_NEAR(batch_terms(counts, tokens, costs, 0.5).entropy.item<double>(), -1, 1e-14);
  EXPECT_NEAR(batch_terms(counts, tokens, costs, 0.5, EntropyBins::kAll).entropy.item<double>(),
              -std::log(2.0) / std::log(3.0), 1e-14);
}

}  // namespace
}  // namespace acm
