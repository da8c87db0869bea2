#include "data/loader.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include "core/error.h"
#include "core/stopwatch.h"
#include "unit/core/expect_error.h"

namespace acm::data {
namespace {

// Inputs are functions of index and key; sample `bad` cannot be read, sample `bug` throws something else.
class CountingSource final : public DataSource {
 public:
  int64_t size() const override { return 23; }
  Sample get(int64_t index, StreamKey augmentation) const override {
    ++fetched;
    if (index == bad) throw Error(Fault::kData, "the file is damaged");
    if (index == bug) throw std::logic_error("a bug");
    return {at::full({2}, static_cast<double>(index) + random_uniform(augmentation, 0), at::kDouble), index % 10, index,
            0};
  }
  Batch collate(std::span<const Sample> samples) const override {
    Batch batch;
    const auto count = static_cast<int64_t>(samples.size());
    batch.inputs = at::empty({count, 2}, at::kDouble);
    batch.labels = at::empty({count}, at::kLong);
    batch.positions = at::empty({count}, at::kLong);
    for (int64_t i = 0; i < count; ++i) {
      const Sample& sample = samples[static_cast<size_t>(i)];
      batch.inputs[i].copy_(sample.input);
      batch.labels[i].fill_(sample.label);
      batch.positions[i].fill_(sample.position);
    }
    return batch;
  }
  int64_t classes() const override { return 10; }
  std::array<int64_t, 3> input_shape() const override { return {1, 1, 2}; }
  Json identity() const override { return {}; }
  Json preprocessing() const override { return {}; }

  int64_t bad = -1, bug = -1;
  mutable std::atomic<int64_t> fetched = 0;
};

const StreamKey kAugmentation(99);

Schedule example_schedule() { return Schedule(23, 8, StreamKey(5)); }

bool equals_direct(const DataSource& source, const Batch& batch, const Slice& slice) {
  const Schedule schedule = example_schedule();
  const Batch direct = load_positions(source, schedule, kAugmentation, schedule.positions(slice));
  return at::equal(batch.inputs, direct.inputs) && at::equal(batch.labels, direct.labels) &&
         at::equal(batch.positions, direct.positions);
}

int64_t threads_of_process() {
  const auto all = std::filesystem::directory_iterator("/proc/self/task");
  return std::distance(begin(all), end(all));
}

// A joined thread leaves the process's list a moment after join() returns.
bool comes_down_to(int64_t threads) {
  const Stopwatch waiting;
  while (threads_of_process() != threads && waiting.seconds() < 10) std::this_thread::yield();
  return threads_of_process() == threads;
}

TEST(Loader, ServesTheOrderAsLoadedDirectly) {
  const CountingSource source;
  for (const int threads : {1, 3}) {
    Loader loader(source, example_schedule(), kAugmentation, {{0, 2, 4}, {0, 3, 4}}, threads);
    for (int64_t step = 0; step < 12; ++step) {
      for (const int index : {2, 3}) {
        const Slice slice{step, index, 4};
        const Batch batch = loader.get(slice);
        EXPECT_EQ(batch.samples(), 2);
        EXPECT_EQ(batch.positions[0].item<int64_t>(), step * 8 + index * 2);
        EXPECT_TRUE(equals_direct(source, batch, slice)) << step << " " << index;
      }
    }
  }
}

TEST(Loader, SeeksAnywhereAndServesForeignSlices) {
  const CountingSource source;
  Loader loader(source, example_schedule(), kAugmentation, {{0, 0, 2}, {0, 1, 2}}, 2);
  // resumed late, back, twice the same, a slice of another split, the middle of a step, far ahead
  const Slice asked[] = {{1000, 0, 2}, {1000, 1, 2}, {3, 0, 2}, {3, 0, 2}, {4, 2, 4}, {3, 1, 2},
                         {4, 0, 2},    {7, 1, 2},    {8, 0, 2}, {0, 1, 2}, {1, 0, 2}, {50, 0, 2}};
  for (const Slice& slice : asked) EXPECT_TRUE(equals_direct(source, loader.get(slice), slice)) << slice.step;
}

TEST(Loader, AnOrderMayAskTwiceInAStep) {
  const CountingSource source;
  Loader loader(source, example_schedule(), kAugmentation, {{0, 0, 2}, {0, 1, 2}, {0, 0, 2}, {0, 1, 2}});
  for (int64_t step = 0; step < 4; ++step) {
    for (const int index : {0, 1, 0, 1})
      EXPECT_TRUE(equals_direct(source, loader.get({step, index, 2}), {step, index, 2}));
  }
}

TEST(Loader, FetchesAheadButNotWithoutBound) {
  const CountingSource source;
  Loader loader(source, example_schedule(), kAugmentation, {{0, 0, 1}}, 1);
  for (int64_t step = 0; step < 5; ++step) loader.get({step, 0, 1});
  const int64_t ahead = (5 + 2) * 8;  // two batches a thread
  const Stopwatch waiting;
  while (source.fetched < ahead && waiting.seconds() < 10) std::this_thread::yield();
  EXPECT_EQ(source.fetched, ahead);
  // Turns enough for the thread to run on if nothing held it.
  for (int turn = 0; turn < 2000; ++turn) std::this_thread::yield();
  EXPECT_EQ(source.fetched, ahead);
}

TEST(Loader, CarriesErrorsToTheCallerWithTheSample) {
  CountingSource source;
  const Schedule schedule = example_schedule();
  source.bad = schedule.index_at(19);  // of step 2
  Loader loader(source, schedule, kAugmentation, {{0, 0, 1}}, 2);
  EXPECT_EQ(loader.get({0, 0, 1}).samples(), 8);
  EXPECT_EQ(loader.get({1, 0, 1}).samples(), 8);
  const std::string message = expect_error(Fault::kData, "the file is damaged", [&] { loader.get({2, 0, 1}); });
  EXPECT_NE(message.find("sample " + std::to_string(source.bad) + " (position 19)"), std::string::npos) << message;
  expect_error(Fault::kData, "the file is damaged", [&] { loader.get({2, 0, 1}); });
  expect_error(Fault::kUsage, "more slices than samples", [&] { loader.get({0, 0, 9}); });
}

TEST(Loader, CarriesBugsAsTheyAre) {
  CountingSource source;
  source.bug = example_schedule().index_at(0);
  Loader loader(source, example_schedule(), kAugmentation, {{0, 0, 1}});
  EXPECT_THROW(loader.get({0, 0, 1}), std::logic_error);
}

TEST(Loader, ThreadsEndWithIt) {
  const CountingSource source;
  const int64_t before = threads_of_process();
  { const Loader unused(source, example_schedule(), kAugmentation, {{0, 0, 1}}, 4); }
  EXPECT_TRUE(comes_down_to(before));
  {
    Loader used(source, example_schedule(), kAugmentation, {{0, 0, 1}}, 4);
    EXPECT_EQ(threads_of_process(), before + 4);
    used.get({0, 0, 1});
  }
  EXPECT_TRUE(comes_down_to(before));
}

TEST(Loader, TellsHowLongGetWaited) {
  const CountingSource source;
  Loader loader(source, example_schedule(), kAugmentation, {{0, 0, 1}});
  EXPECT_EQ(loader.take_waited_seconds(), 0);
  loader.get({0, 0, 1});
  EXPECT_GT(loader.take_waited_seconds(), 0);
  EXPECT_EQ(loader.take_waited_seconds(), 0);
}

TEST(LoadPositions, RandomnessBelongsToThePosition) {
  const CountingSource source;
  const Schedule schedule = example_schedule();
  const Batch together = load_positions(source, schedule, kAugmentation, {4, 9, 30});
  const Batch alone = load_positions(source, schedule, kAugmentation, {30});
  EXPECT_TRUE(at::equal(together.inputs[2], alone.inputs[0]));
  EXPECT_FALSE(at::equal(load_positions(source, schedule, StreamKey(98), {30}).inputs, alone.inputs));
}

}  // namespace
}  // namespace acm::data
