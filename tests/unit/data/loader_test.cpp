#include "data/loader.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <set>
#include <stdexcept>
#include <thread>

#include "core/error.h"
#include "core/file.h"
#include "core/stopwatch.h"
#include "data/stack.h"
#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"

namespace acm::data {
namespace {

// Inputs are functions of index and key; samples of `bad` cannot be read, sample `bug` throws something else.
class CountingSource final : public DataSource {
 public:
  int64_t size() const override { return 23; }
  Sample get(int64_t index, StreamKey augmentation) const override {
    ++fetched;
    if (in_get) in_get();
    if (bad.contains(index)) throw Error(Fault::kData, "the file is damaged");
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

  std::set<int64_t> bad;
  int64_t bug = -1;
  std::function<void()> in_get;
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
    Loader loader(source, example_schedule(), kAugmentation, {{0, 2, 4}, {0, 3, 4}}, {.threads = threads});
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
  Loader loader(source, example_schedule(), kAugmentation, {{0, 0, 2}, {0, 1, 2}}, {.threads = 2});
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
  Loader loader(source, example_schedule(), kAugmentation, {{0, 0, 1}});
  for (int64_t step = 0; step < 5; ++step) loader.get({step, 0, 1});
  const int64_t ahead = (5 + 2) * 8;
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
  const int64_t bad = schedule.index_at(19);  // of step 2
  source.bad = {bad};
  Loader loader(source, schedule, kAugmentation, {{0, 0, 1}}, {.threads = 2});
  EXPECT_EQ(loader.get({0, 0, 1}).samples(), 8);
  EXPECT_EQ(loader.get({1, 0, 1}).samples(), 8);
  const std::string message = expect_error(Fault::kData, "the file is damaged", [&] { loader.get({2, 0, 1}); });
  EXPECT_NE(message.find("sample " + std::to_string(bad) + " (position 19)"), std::string::npos) << message;
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
  { const Loader unused(source, example_schedule(), kAugmentation, {{0, 0, 1}}, {.threads = 4}); }
  EXPECT_TRUE(comes_down_to(before));
  {
    Loader used(source, example_schedule(), kAugmentation, {{0, 0, 1}}, {.threads = 4});
    EXPECT_EQ(threads_of_process(), before + 4);
    used.get({0, 0, 1});
  }
  EXPECT_TRUE(comes_down_to(before));
}

TEST(Loader, TellsHowLongGetWaited) {
  const CountingSource source;
  Loader loader(source, example_schedule(), kAugmentation, {{0, 0, 1}});
  EXPECT_EQ(loader.take_figures().waited_seconds, 0);
  loader.get({0, 0, 1});
  EXPECT_GT(loader.take_figures().waited_seconds, 0);
  EXPECT_EQ(loader.take_figures().waited_seconds, 0);
}

TEST(Loader, AllThreadsWorkOnOneBatch) {
  CountingSource source;
  std::atomic<int> inside = 0;
  std::atomic<bool> met = false;
  source.in_get = [&] {
    ++inside;
    const Stopwatch waiting;
    while (!met && inside < 3 && waiting.seconds() < 10) std::this_thread::yield();
    met = true;
  };
  Loader loader(source, example_schedule(), kAugmentation, {{0, 0, 2}}, {.threads = 3});
  loader.get({0, 0, 2});
  EXPECT_GE(inside, 3);
}

TEST(Loader, SamplesUnderWayDoNotGrowOverAnEpoch) {
  // Counts the samples that are alive, each of which owns a tensor.
  class BigSource final : public DataSource {
   public:
    int64_t size() const override { return 5000; }
    Sample get(int64_t index, StreamKey) const override {
      most = std::max<int64_t>(most, ++alive);
      auto* value = new float(static_cast<float>(index));
      return {at::from_blob(
                  value, {1},
                  [this](void* memory) {
                    delete static_cast<float*>(memory);
                    --alive;
                  },
                  at::kFloat),
              0, index, 0};
    }
    Batch collate(std::span<const Sample> samples) const override {
      Batch batch;
      batch.positions = at::full({static_cast<int64_t>(samples.size())}, samples.front().position, at::kLong);
      return batch;
    }
    int64_t classes() const override { return 1; }
    std::array<int64_t, 3> input_shape() const override { return {1, 1, 1}; }
    Json identity() const override { return {}; }
    Json preprocessing() const override { return {}; }
    mutable std::atomic<int64_t> alive = 0, most = 0;
  } source;
  {
    Loader loader(source, Schedule(5000, 50, StreamKey(5)), kAugmentation, {{0, 0, 1}}, {.threads = 3});
    for (int64_t step = 0; step < 100; ++step) loader.get({step, 0, 1});
  }
  EXPECT_EQ(source.alive, 0);
  EXPECT_LE(source.most, 2 * 50);
}

// Of the mixed batch of a step, whatever slices and threads it came by.
TEST(Loader, PixelsAreTheSameForAnyThreadsAndSlices) {
  class Pictures final : public DataSource {
   public:
    int64_t size() const override { return 30; }
    Sample get(int64_t index, StreamKey key) const override {
      return {at::full({2, 4, 4}, static_cast<double>(index) + random_uniform(key, 0), at::kFloat), index % 3, index,
              0};
    }
    Batch collate(std::span<const Sample> samples) const override { return stack(samples); }
    int64_t classes() const override { return 3; }
    std::array<int64_t, 3> input_shape() const override { return {2, 4, 4}; }
    Json identity() const override { return {}; }
    Json preprocessing() const override { return {}; }
  } source;
  AugmentConfig config;
  config.mixup = 0.8;
  config.cutmix = 1;
  const Views views(kAugmentation, Mixing(config, 3, StreamKey(4)));
  const Schedule schedule(30, 10, StreamKey(5));
  for (int64_t step = 0; step < 6; ++step) {
    const Batch whole = load_positions(source, schedule, views, schedule.positions({step, 0, 1}));
    ASSERT_TRUE(whole.targets.defined());
    for (const int threads : {1, 2, 3}) {
      for (const int slices : {1, 2, 3, 5}) {
        std::vector<Slice> order;
        for (int index = 0; index < slices; ++index) order.push_back({0, index, slices, 2});
        Loader loader(source, schedule, views, order, {.threads = threads});
        std::vector<at::Tensor> inputs, targets;
        for (Slice slice : order) {
          slice.step = step;
          const Batch part = loader.get(slice);
          inputs.push_back(part.inputs);
          targets.push_back(part.targets);
        }
        EXPECT_TRUE(at::equal(at::cat(inputs), whole.inputs)) << threads << " " << slices;
        EXPECT_TRUE(at::equal(at::cat(targets), whole.targets)) << threads << " " << slices;
      }
    }
  }
}

class SkippingLoader : public testing::Test {
 protected:
  std::string logged() {
    log_.flush();
    return read_file(scratch_ / "log");
  }

  Scratch scratch_;
  Log log_{scratch_ / "log", false};
  BadSamples bad_samples_{log_};
  CountingSource source_;
  Schedule in_order_{23, 8, StreamKey(), false};
};

TEST_F(SkippingLoader, PutsTheNextInThePlaceOfABadSampleAndNamesItOnce) {
  source_.bad = {3, 4, 22};
  Loader loader(source_, in_order_, kAugmentation, {{0, 0, 1}}, {.threads = 2, .bad_samples = &bad_samples_});
  std::vector<int64_t> labels;
  for (int64_t step = 0; step < 6; ++step) {  // positions 0 to 47: two epochs and two samples
    const Batch batch = loader.get({step, 0, 1});
    for (int64_t i = 0; i < 8; ++i) labels.push_back(static_cast<int64_t>(batch.inputs[i][0].item<double>()));
  }
  EXPECT_EQ(labels[2], 2);
  EXPECT_EQ(labels[3], 5);
  EXPECT_EQ(labels[4], 5);
  EXPECT_EQ(labels[22], 0) << "after the last comes the first";
  EXPECT_EQ(labels[23 + 3], 5);
  EXPECT_EQ(loader.take_figures().replaced, 2 * 3);
  EXPECT_EQ(loader.take_figures().replaced, 0);
  EXPECT_EQ(bad_samples_.replaced(), 2 * 3);
  const std::string text = logged();
  for (const std::string name : {"sample 3 ", "sample 4 ", "sample 22 "}) {
    const size_t at = text.find(name + "cannot be read, the next stands in for it: the file is damaged");
    EXPECT_NE(at, std::string::npos) << name << " in " << text;
    EXPECT_EQ(text.find(name, at + 1), std::string::npos) << name << " twice in " << text;
  }
}

TEST_F(SkippingLoader, CountsNothingThatWasOnlyPrefetched) {
  source_.bad = {9};  // of the second batch
  RangeLoader loader(source_, in_order_, kAugmentation, ranges_of(23, 8), {.threads = 2, .bad_samples = &bad_samples_});
  loader.next();
  const Stopwatch waiting;
  while (source_.fetched < 17 && waiting.seconds() < 10) std::this_thread::yield();
  EXPECT_EQ(bad_samples_.replaced(), 0);
  EXPECT_EQ(loader.figures().replaced, 0);
  loader.next();
  EXPECT_EQ(loader.figures().replaced, 1);
}

TEST_F(SkippingLoader, EndsWhereNothingCanBeRead) {
  for (int64_t i = 0; i < 23; ++i) source_.bad.insert(i);
  Loader loader(source_, in_order_, kAugmentation, {{0, 0, 1}}, {.bad_samples = &bad_samples_});
  expect_error(Fault::kData, "100 samples in a row cannot be read", [&] { loader.get({0, 0, 1}); });
  expect_error(Fault::kData, "100 samples in a row cannot be read",
               [&] { load_positions(source_, in_order_, kAugmentation, {5}, &bad_samples_); });
}

TEST(RangeLoader, ServesRangesOneAfterAnother) {
  const CountingSource source;
  const Schedule in_order(23, 8, StreamKey(), false);
  for (const int threads : {1, 3, 30}) {
    RangeLoader loader(source, in_order, kAugmentation, ranges_of(23, 8), {.threads = threads});
    for (const auto& [begin, size] : {std::pair<int64_t, int64_t>{0, 8}, {8, 8}, {16, 7}}) {
      const Batch batch = loader.next();
      ASSERT_EQ(batch.samples(), size);
      for (int64_t i = 0; i < size; ++i) {
        EXPECT_EQ(batch.positions[i].item<int64_t>(), begin + i);
        EXPECT_EQ(static_cast<int64_t>(batch.inputs[i][0].item<double>()), begin + i);
      }
    }
    EXPECT_THROW(loader.next(), c10::Error);
  }
}

TEST(RangesOf, ShareOutTheBatches) {
  const auto begins = [](const std::vector<Range>& ranges) {
    std::vector<int64_t> found;
    for (const Range& range : ranges) found.push_back(range.begin);
    return found;
  };
  EXPECT_EQ(begins(ranges_of(25, 10)), (std::vector<int64_t>{0, 10, 20}));
  EXPECT_EQ(ranges_of(25, 10).back().end, 25);
  EXPECT_EQ(begins(ranges_of(25, 10, 1, 2)), (std::vector<int64_t>{10}));
  EXPECT_TRUE(ranges_of(25, 10, 3, 4).empty());
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
