// Gated execution by the kernels for GPUs: on a GPU, or on the CPU where they are built without CUDA (emulated/).
#include "acm/gated_on_gpu.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <numeric>
#include <set>
#include <span>

#include "acm/cuda/gated_products.h"
#include "acm/cuda/token_rows.h"
#include "core/random.h"
#include "device/nothing_is_zero_by_chance.h"
#include "device/test_device.h"
#include "nn/autocast.h"
#include "nn/cuda/stream.h"
#include "unit/acm/masked_reference.h"
#include "unit/acm/random_layer.h"

namespace acm {
namespace {

using test::random_tensor;
using test::relative_difference;

constexpr int64_t kLearners = 4;

void* stream() { return nn::OnGpu(test_device()).stream(); }

TEST(TokensOnAGpu, AreOrderedByFallingCountAndStay) {
  for (const int64_t rows : {1, 5, 1024, 1025, 2100}) {
    const at::Tensor choice = test::random_choice(rows, kLearners, 1), there = choice.to(test_device());
    const at::Tensor order = at::full_like(there, -1), sizes = at::full({kLearners + 2}, -1, there.options());
    const at::Tensor counts = at::full({order_segments(rows), kLearners + 2}, -1, there.options());
    ASSERT_EQ(order_on_gpu(there.const_data_ptr<int64_t>(), rows, kLearners, counts.mutable_data_ptr<int64_t>(),
                           order.mutable_data_ptr<int64_t>(), sizes.mutable_data_ptr<int64_t>(), stream()),
              nullptr);
    const int64_t* count = choice.const_data_ptr<int64_t>();
    std::vector<int64_t> expected(static_cast<size_t>(rows));
    std::iota(expected.begin(), expected.end(), 0);
    std::ranges::stable_sort(expected, [&](int64_t a, int64_t b) { return count[a] > count[b]; });
    const at::Tensor found = order.cpu(), counted = sizes.cpu();
    EXPECT_TRUE(std::ranges::equal(expected, std::span(found.const_data_ptr<int64_t>(), expected.size()))) << rows;
    for (int64_t k = 0; k <= kLearners; ++k) EXPECT_EQ(counted[k].item<int64_t>(), choice.eq(k).sum().item<int64_t>());
  }
}

// Rows of 16, 8, 4, 2 and 1 bytes times something, and one of more bytes than threads move at once.
TEST(TokensOnAGpu, AreGatheredAndScatteredInRowsOfAnyLength) {
  const int64_t rows = 9, filled = 6;
  const at::Tensor order = at::tensor({4, 0, 8, 2, 6, 1, 3, 5, 7}, at::kLong), order_there = order.to(test_device());
  for (const int64_t bytes : {32, 24, 20, 6, 5, 4096}) {
    const at::Tensor from = random_tensor({rows, bytes}, at::kDouble, 1).mul(50).to(at::kChar);
    const at::Tensor there = from.to(test_device()), to = at::full_like(there, 77);
    ASSERT_EQ(gather_on_gpu(there.const_data_ptr(), order_there.const_data_ptr<int64_t>(), filled, bytes,
                            to.mutable_data_ptr(), stream()),
              nullptr);
    EXPECT_TRUE(to.cpu().narrow(0, 0, filled).equal(from.index_select(0, order.narrow(0, 0, filled)))) << bytes;
    EXPECT_TRUE(to.cpu().narrow(0, filled, rows - filled).eq(77).all().item<bool>());
    const at::Tensor back = at::full_like(there, 77);
    ASSERT_EQ(scatter_on_gpu(to.const_data_ptr(), order_there.const_data_ptr<int64_t>(), filled, rows, bytes,
                             back.mutable_data_ptr(), stream()),
              nullptr);
    at::Tensor expected = from.clone();
    expected.index_fill_(0, order.narrow(0, filled, rows - filled), 0);
    EXPECT_TRUE(back.cpu().equal(expected)) << bytes;
  }
}

// 0 and impossible counts, too.
TEST(TokensOnAGpu, StandInTilesOfThoseThatRunEquallyMany) {
  constexpr int64_t kWidth = 288;
  for (const int64_t tokens : {1, 31, 32, 700, 2100}) {
    SCOPED_TRACE(tokens);
    const at::Tensor choice = test::random_choice(tokens, kLearners + 2, 1).sub(1), there = choice.to(test_device());
    const at::Tensor from = random_tensor({tokens, kWidth}, at::kFloat, 2).to(at::kBFloat16);
    const auto as_numbers = there.options().dtype(at::kInt);
    const int64_t rows = tiled_rows(tokens, kLearners);
    const at::Tensor numbers = at::zeros({tile_numbers(tokens, kLearners)}, as_numbers),
                     places = at::full({rows}, -2, as_numbers), from_there = from.to(test_device()),
                     tiles = at::full({rows, kWidth}, 7, from_there.options()), output = at::full_like(from_there, 7);
    ASSERT_EQ(place_tokens_on_gpu(from_there.const_data_ptr(), kWidth, there.const_data_ptr<int64_t>(), nullptr,
                                  {tokens, kLearners, numbers.mutable_data_ptr<int32_t>(),
                                   places.mutable_data_ptr<int32_t>(), tiles.mutable_data_ptr()},
                                  output.mutable_data_ptr(), stream()),
              nullptr);
    const at::Tensor found_numbers = numbers.cpu(), found_places = places.cpu(), found_tiles = tiles.cpu();
    const auto number = [&](int64_t i) { return int64_t{found_numbers.const_data_ptr<int32_t>()[i]}; };
    std::vector<int> seen(static_cast<size_t>(tokens));
    std::set<int64_t> used;
    for (int64_t count = 1; count <= kLearners; ++count) {
      ASSERT_EQ(number(count), choice.eq(count).sum().item<int64_t>());
      for (int64_t i = 0; i < number(count); ++i) {
        const int64_t tile = number(1 + kLearners + (count - 1) * most_tiles(tokens) + i / kTileTokens) - 1;
        ASSERT_TRUE(tile >= 0 && tile < number(0)) << tile;
        used.insert(tile * kLearners + count);  // a tile has one count
        const int64_t row = tile * kTileTokens + i % kTileTokens, token = found_places[row].item<int64_t>();
        ASSERT_TRUE(token >= 0 && token < tokens);
        EXPECT_EQ(choice[token].item<int64_t>(), count);
        EXPECT_TRUE(found_tiles[row].equal(from[token]));
        ++seen[static_cast<size_t>(token)];
      }
    }
    EXPECT_EQ(static_cast<int64_t>(used.size()), number(0));
    EXPECT_LE(number(0) * kTileTokens, rows);
    for (int64_t token = 0; token < tokens; ++token) {
      const int64_t count = choice[token].item<int64_t>();
      const bool tiled = count > 0 && count <= kLearners;
      EXPECT_EQ(seen[static_cast<size_t>(token)], tiled ? 1 : 0);
      const at::Tensor row = output[token].cpu();
      EXPECT_TRUE(tiled        ? row.eq(7).all().item<bool>()
                  : count == 0 ? row.eq(0).all().item<bool>()
                               : row.isnan().all().item<bool>());
    }
  }
}

struct GatedCase {
  int64_t learner_width;
  bool output_bias;
  at::ScalarType type;
  int64_t width = 16, learners = kLearners;
  friend std::ostream& operator<<(std::ostream& to, const GatedCase& c) {
    return to << c.learner_width << " units, " << (c.output_bias ? "bias, " : "") << c.type << ", width " << c.width
              << ", " << c.learners << " learners";
  }
};

class GatedOnAGpu : public testing::TestWithParam<GatedCase> {};
INSTANTIATE_TEST_SUITE_P(
    Shapes, GatedOnAGpu,
    testing::Values(GatedCase{3, false, at::kFloat}, GatedCase{3, true, at::kFloat}, GatedCase{40, false, at::kFloat},
                    GatedCase{40, true, at::kFloat}, GatedCase{3, true, at::kBFloat16},
                    GatedCase{8, true, at::kBFloat16, 32}, GatedCase{24, false, at::kBFloat16, 32},
                    GatedCase{264, true, at::kBFloat16, 32}, GatedCase{72, true, at::kBFloat16, 608},
                    GatedCase{24, true, at::kBFloat16, 96, kMostOrdered}, GatedCase{96, false, at::kBFloat16, 96, 1}));

TEST_P(GatedOnAGpu, EqualsTheMaskedReference) {
  const at::NoGradGuard no_grad;
  const NothingIsZeroByChance nan;
  const GatedCase shape = GetParam();
  const int64_t rows = test_device().is_cpu() ? 300 : 9000;  // a block of a large GPU then gets several tiles
  for (const Activation activation : {Activation::kGelu, Activation::kIdentity}) {
    const auto layer = test::random_layer(
        {shape.width, shape.learners, shape.learner_width, 0, activation, shape.output_bias}, at::kDouble);
    const at::Tensor tokens = random_tensor({rows, shape.width}, at::kFloat, 2);
    for (const at::Tensor& choice :
         {test::random_choice(rows, shape.learners, 1), test::random_choice(rows, shape.learners, 2).clamp_max(2),
          at::full({rows}, 0, at::kLong), at::full({rows}, std::min(shape.learners, int64_t{3}), at::kLong)}) {
      layer->to(at::kCPU, at::kDouble);
      const at::Tensor expected = test::masked_reference(*layer, tokens.to(at::kDouble), choice);
      layer->to(test_device(), at::kFloat);
      KeptTensors kept;
      const nn::Autocast autocast(test_device(), shape.type == at::kBFloat16);
      const auto run = [&] {
        return run_chosen_learners_on_gpu(tokens.to(test_device()), choice.to(test_device()), layer->weights(), kept);
      };
      const at::Tensor found = run();
      EXPECT_EQ(found.scalar_type(), shape.type);
      EXPECT_LE(relative_difference(found.cpu().to(at::kDouble), expected), shape.type == at::kFloat ? 1e-6 : 1e-2);
      EXPECT_TRUE(run().equal(found));  // in whichever order blocks come
    }
  }
}

TEST(GatedOnAGpu, RefusesMoreLearnersThanThereAre) {
  const at::NoGradGuard no_grad;
  const auto layer = test::random_layer({16, kLearners, 40, 0, Activation::kGelu, false}, at::kFloat);
  layer->to(test_device());
  const at::Tensor tokens = random_tensor({2, 16}, at::kFloat, 2).to(test_device());
  const at::Tensor choice = at::full({2}, kLearners + 1, tokens.options().dtype(at::kLong));
  KeptTensors kept;
  EXPECT_THROW(run_chosen_learners_on_gpu(tokens, choice, layer->weights(), kept), c10::Error);
}

// Where the host does not see the counts; of any GPU others do (Refuses...).
TEST(GatedOnAGpu, GivesNoNumbersForImpossibleCounts) {
  const at::NoGradGuard no_grad;
  const auto layer = test::random_layer({32, kLearners, 40, 0, Activation::kGelu, true}, at::kFloat);
  layer->to(test_device());
  const nn::OnGpu gpu(test_device());
  if (!has_gated_products({32, kLearners, 40})) GTEST_SKIP() << "a GPU of another compute capability than 9.0";
  const at::Tensor tokens = random_tensor({3, 32}, at::kFloat, 2).to(test_device(), at::kBFloat16);
  const at::Tensor choice = at::tensor({2, static_cast<int>(kLearners) + 1, 0}, at::kLong).to(test_device());
  KeptTensors kept;
  const at::Tensor found = run_chosen_learners_on_gpu(tokens, choice, layer->weights(), kept).cpu();
  EXPECT_TRUE(found[1].isnan().all().item<bool>());
  EXPECT_TRUE(found[0].isfinite().all().item<bool>());
  EXPECT_TRUE(found[2].eq(0).all().item<bool>());
}

struct GateCase {
  int64_t units, width, learners, least = 1, depth = 2;
  bool gelu = true;
  at::ScalarType type = at::kBFloat16;
  bool is_one_kernel() const { return units <= 32 && width % 32 == 0 && depth == 2 && type == at::kBFloat16; }
  friend std::ostream& operator<<(std::ostream& to, const GateCase& c) {
    return to << c.units << " units, width " << c.width << ", " << c.learners << " learners, depth " << c.depth;
  }
};

// By one kernel, or where the gate does not fit, or the type is another, one after the other.
class GateOnAGpu : public testing::TestWithParam<GateCase> {};
INSTANTIATE_TEST_SUITE_P(Shapes, GateOnAGpu,
                         testing::Values(GateCase{1, 32, 2}, GateCase{5, 160, 8, 0}, GateCase{8, 96, 4, 1, 2, false},
                                         GateCase{16, 768, 16, 0}, GateCase{19, 64, 3}, GateCase{32, 224, 5},
                                         GateCase{32, 3072, 3}, GateCase{33, 64, 5}, GateCase{5, 40, 5},
                                         GateCase{5, 64, 5, 1, 1}, GateCase{5, 64, 5, 1, 3},
                                         GateCase{5, 64, 5, 1, 2, true, at::kFloat}));

TEST_P(GateOnAGpu, RunsWhatItSaysOrWhatIsGiven) {
  const at::NoGradGuard no_grad;
  const NothingIsZeroByChance nan;
  constexpr int64_t kSamples = 3, kTokens = 50;
  const GateCase& c = GetParam();
  const auto layer = test::random_layer({c.width, c.learners, 32, c.least, Activation::kGelu, true}, at::kFloat);
  const GateConfig config{
      .hidden = c.units, .depth = c.depth, .activation = c.gelu ? Activation::kGelu : Activation::kIdentity};
  Gate gate(c.width, c.learners + 1 - c.least, config);
  gate.initialise(StreamKey(3));
  gate.layer_parameters()[0].copy_(gate.layer_parameters()[0].to(at::kBFloat16));  // as the kernel reads it
  const at::Tensor tokens = random_tensor({kSamples, kTokens, c.width}, at::kFloat, 2).to(at::kBFloat16).to(at::kFloat),
                   logits = gate.forward(tokens),
                   given = test::random_choice(kSamples * kTokens, c.learners, 7).view({kSamples, kTokens});
  const auto there = std::make_shared<AcmLayer>(layer->shape());
  for (const auto& [name, value] : layer->named_parameters().pairs()) there->named_parameters()[name].copy_(value);
  there->to(test_device());
  gate.to(test_device());
  KeptSite kept;
  for (const bool gives : {false, true}) {
    const nn::Autocast autocast(test_device(), c.type == at::kBFloat16);
    const GatedPass pass = run_gated_on_gpu(tokens.to(test_device()), {there->weights(), gate, c.least}, kept,
                                            gives ? given.to(test_device()) : at::Tensor());
    const at::Tensor found = pass.logits.cpu(), choice = pass.choice.cpu(), ran = gives ? given : choice;
    EXPECT_EQ(pass.output.scalar_type(), c.type);
    EXPECT_LT(relative_difference(found, logits), c.is_one_kernel() ? 2e-6 : 1e-2);
    EXPECT_TRUE(choice.equal(best_class(found, c.least)));
    const at::Tensor expected = test::masked_reference(*layer, tokens.view({-1, c.width}), ran.reshape({-1}));
    EXPECT_LT(relative_difference(pass.output.cpu().to(at::kFloat), expected.view(tokens.sizes())),
              c.type == at::kFloat ? 2e-6 : 1e-2);
  }
}

// A layer of so many units that its tokens are ordered.
TEST(GatedOnAGpu, IsWhatALayerRuns) {
  const at::NoGradGuard no_grad;
  constexpr int64_t kWidth = 32;
  const auto layer = test::random_layer({kWidth, kLearners, 256, 1, Activation::kGelu, true}, at::kFloat);
  const at::Tensor tokens = random_tensor({3, 50, kWidth}, at::kFloat, 2),
                   given = test::random_choice(150, kLearners, 7).view({3, 50});
  layer->add_gate({.hidden = 5});
  layer->gate()->initialise(StreamKey(3));
  const at::Tensor logits = layer->gate()->forward(tokens);
  const auto expected = [&](const at::Tensor& choice) {
    return test::masked_reference(*layer, tokens.view({-1, kWidth}), choice.reshape({-1})).view(tokens.sizes());
  };
  for (const bool gives : {false, true}) {
    layer->to(test_device());
    AcmLayer* const alone = layer.get();
    nn::SiteRecord record;
    nn::SiteRecord* const records = &record;
    const nn::Autocast autocast(test_device(), true);
    const at::Tensor output = AcmLayer::gated({&alone, 1}, tokens.to(test_device()), {&records, 1},
                                              gives ? std::vector{given.to(test_device())} : std::vector<at::Tensor>())
                                  .front()
                                  .cpu();
    layer->to(at::kCPU);
    const at::Tensor choice = record.choice.cpu();
    EXPECT_LT(relative_difference(record.logits.cpu().to(at::kFloat), logits), 1e-2);
    EXPECT_TRUE(choice.equal(best_class(record.logits.cpu(), 1)));
    EXPECT_LT(relative_difference(output.to(at::kFloat), expected(gives ? given : choice)), 1e-2);
  }
}

TEST(GateOnAGpu, ChoosesTheFirstOfTheLargestAndWhatIsNoNumber) {
  const at::NoGradGuard no_grad;
  constexpr int64_t kWidth = 32;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor tokens = random_tensor({1, 3, kWidth}, at::kFloat, 2).to(test_device(), at::kBFloat16);
  const auto layer = test::random_layer({kWidth, 16, 32, 0, Activation::kGelu, true}, at::kFloat);
  layer->to(test_device());
  for (const auto& [logits, best] :
       std::vector<std::pair<std::map<size_t, float>, int64_t>>{{{}, 0},
                                                                {{{1, 2}, {3, 2}}, 1},
                                                                {{{1, 9}, {2, nan}, {4, nan}}, 2},
                                                                {{{16, 1}}, 16},
                                                                {{{0, 1}, {16, 1}}, 0},
                                                                {{{0, 1}, {16, nan}}, 16},
                                                                {{{0, nan}, {16, nan}}, 0}}) {
    Gate gate(kWidth, 17, {});  // zeros: the logits are the last bias
    for (const auto& [at, logit] : logits) gate.layer_parameters()[3].mutable_data_ptr<float>()[at] = logit;
    gate.to(test_device());
    KeptSite kept;
    const nn::Autocast autocast(test_device(), true);
    const GatedPass pass = run_gated_on_gpu(tokens, {layer->weights(), gate, 0}, kept);
    EXPECT_TRUE(pass.choice.cpu().eq(best).all().item<bool>()) << best;
  }
}

}  // namespace
}  // namespace acm
