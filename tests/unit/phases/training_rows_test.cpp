#include "phases/training_rows.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <mutex>
#include <numeric>
#include <set>

#include "phases/estimate.h"
#include "train/trainer.h"
#include "unit/core/scratch.h"
#include "unit/phases/small_run.h"

namespace acm::phases {
namespace {

// Steps of 16 rows over epochs of 40 and 10: they begin and end inside groups, and cross into others.
constexpr int64_t kBatch = 16, kSteps = 8;
const StreamKey kKey(5);

// One rank's way through the rows of some sites, as a phase goes it.
class Walk {
 public:
  Walk(const Run& run, int64_t micro_batches, std::vector<std::string> sites)
      : run_(run),
        micro_batches_(micro_batches),
        sites_(std::move(sites)),
        capture_(run),
        reader_(capture_, run.log),
        rows_(reader_, sites_, kKey, run.groups.control, {kBatch, micro_batches, run.ranks()}) {}

  void load(int64_t step) {
    const int64_t before = capture_.cache().bytes_read();
    rows_.load(step);
    bytes_read_by_load += capture_.cache().bytes_read() - before;
  }
  void read_ahead_until(int64_t end) { rows_.read_ahead_until(end); }
  int64_t bytes_read_by_load = 0;  // on the thread that calls it
  void load(int64_t step, int64_t end) { rows_.load(step, end); }
  const io::ActivationCache& cache() { return capture_.cache(); }

  void expect_rows_of(int64_t step) {
    for (const auto& slice : train::slices_of_rank(run_.groups.control, micro_batches_, 1, step)) {
      for (const auto& site : sites_) {
        const auto found = rows_.of(site, slice), expected = looked_up(site, slice);
        EXPECT_TRUE(found.input.equal(expected.input)) << site << ", step " << step << ", slice " << slice.index;
        EXPECT_TRUE(found.output.equal(expected.output)) << site << ", step " << step << ", slice " << slice.index;
      }
    }
  }

 private:
  // From whole segments, one row after another.
  CacheReader::Rows looked_up(const std::string& site, const data::Slice& slice) {
    const auto& need = capture_.need();
    const auto range = data::cut(kBatch, slice);
    const int64_t first = slice.step * kBatch, rows_of_segment = need.layout.segment_samples * need.tokens;
    const RowOrder order(need.rows_per_segment(), need.shuffle_segments, kKey);
    std::vector<at::Tensor> inputs, outputs;
    for (const auto& part : order.at(first + range.begin, first + range.end)) {
      for (const int64_t row : part.rows) {
        const int64_t segment = part.group * need.shuffle_segments + row / rows_of_segment +
                                (need.fresh_views ? part.epoch * need.layout.segments() : 0);
        const auto take = [&](const at::Tensor& values) { return values.narrow(0, row % rows_of_segment, 1); };
        inputs.push_back(take(capture_.cache().read_input(segment, site)));
        outputs.push_back(take(capture_.cache().read_output(segment, site)));
      }
    }
    return {at::cat(inputs), at::cat(outputs)};
  }

  const Run& run_;
  int64_t micro_batches_;
  std::vector<std::string> sites_;
  Capture capture_;
  CacheReader reader_;
  TrainingRows rows_;
};

const std::vector<std::string> kSites = {"blocks.0.q", "blocks.0.k", "blocks.1.ffn"};

// `work` on every rank, over a cache that is filled.
void walk(int ranks, const std::filesystem::path& folder, const SmallRun::Adjust& adjust,
          const std::function<void(const Run&)>& work) {
  run_small_group(ranks, folder, adjust, save_dense_model, [&](const Run& run) {
    Capture capture(run);
    std::vector<int64_t> segments(run.settings.cache.fresh_views ? 9 : 3);
    std::iota(segments.begin(), segments.end(), 0);
    EXPECT_TRUE(capture.fill(segments));
    work(run);
  });
}

TEST(TrainingRows, AreThoseOfTheOrderOnAnyNumberOfRanks) {
  const Scratch scratch;
  for (const int ranks : {1, 2, 3, 5}) {
    for (const bool anew : {false, true}) {
      walk(
          ranks, scratch / (std::to_string(ranks) + (anew ? "-anew" : "")),
          [&](Settings& s) {
            s.cache.fresh_views = anew;
            s.cache.dtype = "float16";
          },
          [&](const auto& run) {
            Walk all(run, 2, kSites);
            for (int64_t step = 0; step < kSteps; ++step) {
              all.load(step);
              all.expect_rows_of(step);
            }
            all.load(1);  // as from a checkpoint
            all.expect_rows_of(1);
            all.load(6);  // steps may be left out
            all.expect_rows_of(6);
          });
    }
  }
}

// What a thread has read is what would have been read, and is read by nobody else.
TEST(TrainingRows, AreTheSameWhereAThreadReadsAhead) {
  const Scratch scratch;
  for (const int ranks : {1, 3}) {
    walk(ranks, scratch / std::to_string(ranks), {}, [&](const auto& run) {
      Walk ahead(run, 2, kSites), plain(run, 2, kSites);
      ahead.read_ahead_until(kSteps * kBatch);
      for (int64_t step = 0; step < kSteps; ++step) {
        for (Walk* each : {&ahead, &plain}) each->load(step);
        ahead.expect_rows_of(step);
      }
      EXPECT_LT(ahead.bytes_read_by_load, plain.bytes_read_by_load / 2);
      ahead.load(1);
      ahead.expect_rows_of(1);
    });
  }
}

TEST(TrainingRows, ASegmentThatCannotBeReadAheadIsMendedWhenItsRowsAreDue) {
  const Scratch scratch;
  walk(1, scratch / "run", {}, [&](const auto& run) {
    Walk rows(run, 1, kSites);
    const auto second_group = rows.cache().path_of(2);
    std::filesystem::resize_file(second_group, std::filesystem::file_size(second_group) / 2);
    rows.read_ahead_until(kSteps * kBatch);
    for (int64_t step = 0; step < kSteps; ++step) rows.load(step);
    EXPECT_FALSE(rows.cache().fault_of(2).has_value());
  });
}

// The bytes of the cache are shared out, and the estimate tells them.
TEST(TrainingRows, TheMoreRanksTheLessEachReads) {
  const Scratch scratch;
  std::map<int, std::vector<int64_t>> read;
  for (const int ranks : {1, 2, 4}) {
    std::mutex writing;
    walk(
        ranks, scratch / std::to_string(ranks), [](Settings& s) { s.gating.steps = kSteps; },
        [&](const auto& run) {
          std::vector<std::string> sites;
          const Capture capture(run);
          for (const auto& site : capture.need().layout.sites) sites.push_back(site.name);
          Walk all(run, 1, sites);
          for (int64_t step = 0; step < kSteps; ++step) all.load(step);
          const auto estimate = RunEstimate(run, machine_named("cpu")).of(PhaseId::kGating, ranks);
          const int64_t mine = all.cache().bytes_read(),
                        sum = comm::all_reduce_number(run.groups.control, mine, comm::ReduceOp::kSum);
          EXPECT_EQ(sum, estimate.read_bytes);
          const std::lock_guard lock(writing);
          read[ranks].push_back(mine);
        });
  }
  const auto most = [&](int ranks) { return static_cast<double>(*std::ranges::max_element(read[ranks])); };
  EXPECT_NEAR(most(2) / most(1), 0.5, 0.02);
  EXPECT_NEAR(most(4) / most(1), 0.25, 0.02);
}

// The rows of a step that crosses into the next window outlive their segments.
TEST(TrainingRows, WhatIsLoadedOutlivesItsSegments) {
  const Scratch scratch;
  walk(2, scratch / "run", {}, [&](const auto& run) {
    Walk all(run, 1, kSites);
    all.load(1);
    all.load(2, 40);  // the first group ends there
    run.groups.control.barrier();
    const auto away = scratch / "away.h5", first = all.cache().path_of(0);
    if (run.is_root()) std::filesystem::rename(first, away);
    run.groups.control.barrier();
    all.load(2);
    run.groups.control.barrier();
    EXPECT_FALSE(std::filesystem::exists(first));  // nobody captured it again
    run.groups.control.barrier();
    if (run.is_root()) std::filesystem::rename(away, first);
    run.groups.control.barrier();
    all.expect_rows_of(2);
  });
}

// One rank reads the dataset, names it and captures its segment again; the others know nothing of it.
TEST(TrainingRows, DamageIsNamedOnceAndMended) {
  const Scratch scratch;
  std::mutex writing;
  int named = 0;
  std::map<std::string, std::string> before;
  walk(4, scratch / "run", {}, [&](const auto& run) {
    if (run.is_root()) {
      before = digests_in(run.folder.cache());
      Capture whole(run);
      spoil(whole.cache().path_of(1), whole.cache().read_output(1, "blocks.0.k"));
    }
    run.groups.control.barrier();
    Walk all(run, 1, kSites);
    all.load(0);
    all.expect_rows_of(0);
    const auto log = read_file(scratch / "run" / ("rank-" + std::to_string(run.rank()) + ".log"));
    const std::lock_guard lock(writing);
    named += log.find("segment-00001.h5: it is changed: the values of /blocks.0.k/output") != std::string::npos;
  });
  EXPECT_EQ(named, 1);
  EXPECT_EQ(digests_in(scratch / "run" / "cache"), before);
}

TEST(TrainingRows, WhereOneRankCannotReadAllEndWithItsSentence) {
  const Scratch scratch;
  std::mutex writing;
  std::set<std::string> messages;
  walk(3, scratch / "run", {}, [&](const auto& run) {
    if (run.is_root()) {  // no file can take the place of a folder
      const auto path = Capture(run).cache().path_of(1);
      std::filesystem::remove(path);
      make_folder(path / "in the way");
    }
    run.groups.control.barrier();
    Walk all(run, 1, {"blocks.0.o"});
    try {
      all.load(0);
      ADD_FAILURE() << "rank " << run.rank() << " goes on";
    } catch (const Error& error) {
      EXPECT_TRUE(error.shared());
      const std::lock_guard lock(writing);
      messages.insert(error.what());
    }
  });
  ASSERT_EQ(messages.size(), 1);
  EXPECT_NE(messages.begin()->find("segment-00001.h5"), std::string::npos) << *messages.begin();
}

}  // namespace
}  // namespace acm::phases
