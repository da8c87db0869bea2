// What ranks do together, on as many of them as large runs have: each rank is a thread of this process, and everything
// but the network is the program's own.
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "comm/communicator.h"
#include "phases/teams.h"
#include "train/checkpoint.h"
#include "train/checkpoint_files.h"
#include "train/gradient_reducer.h"
#include "train/trainer.h"
#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"
#include "unit/train/toy_phase.h"

namespace acm::phases {
namespace {

class VirtualRanks : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(, VirtualRanks, testing::Values(64, 256));

// How often each of `items` was named by a rank of the group.
at::Tensor times_named(comm::Communicator& group, int64_t items, const std::vector<int64_t>& named) {
  auto times = at::full({items}, 0, at::kLong);
  for (const int64_t item : named) times.mutable_data_ptr<int64_t>()[item] += 1;
  group.all_reduce(times, comm::ReduceOp::kSum)->wait();
  return times;
}

struct Batch {
  int64_t size;
  int micro_batches, unit;
};

// 1001 samples, so that no batch divides an epoch. The samples of two epochs are each drawn twice.
TEST_P(VirtualRanks, DrawEachSampleOnceAnEpochWhateverTheBatch) {
  constexpr int64_t kSamples = 1001, kEpochs = 2;
  for (const auto& batch :
       {Batch{256, 1, 1}, Batch{300, 1, 1}, Batch{1023, 1, 1}, Batch{777, 3, 1}, Batch{514, 1, 2}}) {
    if (batch.size < GetParam() * batch.micro_batches * batch.unit) continue;
    const data::Schedule schedule(kSamples, batch.size, StreamKey(7).with("schedule"));
    comm::run_local_group(GetParam(), [&](comm::Communicator& group) {
      std::vector<int64_t> positions, samples, shares(static_cast<size_t>(group.size()), 0);
      const int64_t steps = (kEpochs * kSamples + batch.size - 1) / batch.size;
      for (int64_t step = 0; step < steps; ++step)
        for (const auto& slice : train::slices_of_rank(group, batch.micro_batches, batch.unit, step))
          for (const int64_t position : schedule.positions(slice)) {
            positions.push_back(position);
            if (position < kEpochs * kSamples) samples.push_back(schedule.index_at(position));
          }
      EXPECT_TRUE(times_named(group, steps * batch.size, positions).eq(1).all().item<bool>()) << batch.size;
      EXPECT_TRUE(times_named(group, kSamples, samples).eq(kEpochs).all().item<bool>()) << batch.size;
      // By no more than one unit in a slice does a rank have more to do than another.
      const auto mine = static_cast<int64_t>(positions.size());
      const int64_t most = comm::all_reduce_number(group, mine, comm::ReduceOp::kMax),
                    least = comm::all_reduce_number(group, mine, comm::ReduceOp::kMin);
      EXPECT_LE(most - least, steps * batch.micro_batches * batch.unit);
    });
  }
}

TEST_P(VirtualRanks, ABatchThatIsTooSmallForThemIsRefusedByAll) {
  expect_error(Fault::kUsage, "into " + std::to_string(GetParam()) + " slices: there are more slices than samples",
               [&] {
                 comm::run_local_group(GetParam(), [](comm::Communicator& group) {
                   comm::together(group, [&] { data::cut(group.size() - 1, train::slices_of_rank(group, 1, 1)[0]); });
                 });
               });
}

// ViT-B's sites: 12 x (q, k, v, o and an FFN of eight times their cost).
TEST_P(VirtualRanks, TrainEachSiteInOneTeamThatMeetsByItself) {
  std::vector<int64_t> costs;
  for (int block = 0; block < 12; ++block)
    for (const int64_t cost : {1, 1, 1, 1, 8}) costs.push_back(cost);
  const auto sites = static_cast<int64_t>(costs.size());
  for (const int64_t slices : {1, 4, 64}) {
    comm::run_local_group(GetParam(), [&](comm::Communicator& group) {
      const auto plan = plan_teams(costs, group.size(), slices);
      const int team = plan.team_of_rank(group.rank());
      EXPECT_GE(team, 0);  // the numbers of ranks are powers of two
      const auto part = group.split(team);
      EXPECT_EQ(part->size(), plan.size);
      EXPECT_EQ(part->rank(), group.rank() % plan.size);
      std::vector<int64_t> mine;
      double load = 0;
      for (int64_t site = 0; site < sites; ++site) {
        if (plan.team_of_site[static_cast<size_t>(site)] != team) continue;
        mine.push_back(site);
        load += static_cast<double>(costs[static_cast<size_t>(site)]) / part->size();
      }
      EXPECT_EQ(load, plan.load_of_rank[static_cast<size_t>(group.rank())]);
      EXPECT_TRUE(times_named(*part, sites, mine).remainder(part->size()).eq(0).all().item<bool>());
      EXPECT_TRUE(times_named(group, sites, mine).eq(part->size()).all().item<bool>());
      // Teams halve the load of the busiest rank as long as there are more ranks than dear sites.
      EXPECT_EQ(comm::all_reduce_number(group, load, comm::ReduceOp::kMax), plan.greatest_load());
      if (slices == 64) {
        EXPECT_LE(plan.imbalance(), 4.0 / 3);  // 144 shared by twelve teams of equal size, or by more
      }
    });
  }
}

// Three parameters in as many buckets; the gradient of a slice is a tensor of random numbers of its own.
constexpr int kSlices = 256;
const std::vector<std::vector<int64_t>> kShapes = {{40, 7}, {11}, {5, 3, 2}};

at::Tensor gradient_of(int slice, size_t parameter) {
  return train::normal_tensor(StreamKey(static_cast<uint64_t>(slice)).with(parameter), kShapes[parameter]);
}

std::vector<at::Tensor> reduced(comm::Communicator& group, train::SumOrder order) {
  std::vector<at::Tensor> parameters;
  for (const auto& shape : kShapes) parameters.push_back(at::ones(shape, at::kDouble).set_requires_grad(true));
  train::GradientReducer reducer(parameters, group, 256, order);
  EXPECT_EQ(reducer.buckets(), kShapes.size());
  reducer.zero();
  const int own = kSlices / group.size();
  for (int i = 0; i < own; ++i) {
    at::Tensor loss;
    for (size_t p = 0; p < parameters.size(); ++p) {
      const auto term = (parameters[p] * gradient_of(group.rank() * own + i, p)).sum();
      loss = loss.defined() ? loss + term : term;
    }
    if (i + 1 == own) reducer.arm();
    loss.backward();
    reducer.end_slice();
  }
  reducer.finish();
  std::vector<at::Tensor> gradients;
  for (const auto& parameter : parameters) gradients.push_back(parameter.grad().clone());
  return gradients;
}

TEST_P(VirtualRanks, ReduceGradientsToTheirSum) {
  std::vector<at::Tensor> direct;
  for (size_t p = 0; p < kShapes.size(); ++p) {
    direct.push_back(gradient_of(0, p));
    for (int slice = 1; slice < kSlices; ++slice) direct[p].add_(gradient_of(slice, p));
  }
  const auto solo = comm::make_solo_communicator();
  const auto alone = reduced(*solo, train::SumOrder::kTree);
  comm::run_local_group(GetParam(), [&](comm::Communicator& group) {
    const auto as_they_come = reduced(group, train::SumOrder::kAsTheyCome),
               tree = reduced(group, train::SumOrder::kTree);
    for (size_t p = 0; p < kShapes.size(); ++p) {
      // Sums of 256 numbers of size 1.
      EXPECT_LT((as_they_come[p] - direct[p]).abs().max().item<double>(), 1e-12);
      EXPECT_LT((tree[p] - direct[p]).abs().max().item<double>(), 1e-12);
      EXPECT_TRUE(tree[p].equal(alone[p]));  // the bits of one rank
    }
  });
}

// As many tensors as a small ViT has, so that each of 256 ranks has some to write.
class ManyTensors final : public train::Stateful {
 public:
  explicit ManyTensors(uint64_t seed) {
    for (uint64_t i = 0; i < 300; ++i)
      tensors_.push_back(train::normal_tensor(StreamKey(seed).with(i), {static_cast<int64_t>(i) % 17 + 1, 3}));
  }
  void visit_state(train::StateVisitor& visitor) override {
    for (size_t i = 0; i < tensors_.size(); ++i) visitor.tensor("tensor " + std::to_string(i), tensors_[i]);
    visitor.scalar("steps", steps);
  }
  bool operator==(const ManyTensors& other) const {
    return steps == other.steps && std::ranges::equal(tensors_, other.tensors_, [](const auto& a, const auto& b) {
             return std::memcmp(a.const_data_ptr(), b.const_data_ptr(), a.nbytes()) == 0;
           });
  }
  int64_t steps = 0;

 private:
  std::vector<at::Tensor> tensors_;
};

int64_t shards_in(const std::filesystem::path& folder) {
  return std::ranges::count_if(std::filesystem::directory_iterator(folder),
                               [](const auto& entry) { return entry.path().extension() == ".safetensors"; });
}

// Saved on 256 ranks, loaded on 64 and saved there again, loaded on 1 and saved again, loaded on 256.
TEST(VirtualRanksCheckpoint, MovesBetweenNumbersOfRanks) {
  const Scratch scratch;
  const auto folder = scratch / "phase3";
  const ManyTensors state(1);
  Log log({}, false);
  int64_t step = 0;
  for (const int ranks : {256, 64, 1, 256}) {
    comm::run_local_group(ranks, [&](comm::Communicator& group) {
      train::CheckpointStore store(folder, group, log);
      ManyTensors mine(step == 0 ? 1 : 2);
      if (step > 0) {
        EXPECT_EQ(store.load_latest({{"toy", &mine}}), step);
        EXPECT_EQ(mine.steps, step);
        mine.steps = 0;
        EXPECT_TRUE(mine == state);
      }
      mine.steps = step + 1;
      group.barrier();  // all have looked at `step`
      store.save(mine.steps, {{"toy", &mine}});
    });
    ++step;
    EXPECT_EQ(shards_in(folder / train::step_name(step)), ranks);
  }
}

}  // namespace
}  // namespace acm::phases
