#include "train/trainer.h"

#include <gtest/gtest.h>

#include <limits>
#include <sstream>

#include "core/file.h"
#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"
#include "unit/train/toy_phase.h"

namespace acm::train {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kAll = std::numeric_limits<int64_t>::max();

// One start of a run: what a rank brings to a Trainer.
struct Start {
  fs::path folder;
  TrainerConfig config = {
      .micro_batches = 1, .learning_rate = 0.05, .warmup_steps = 2, .save_every = 4, .log_every = 3};
  std::function<void(int64_t step)> on_step = {};
  int64_t until_step = kAll;

  Outcome run(ToyPhase& phase, comm::Communicator& group, std::stop_token stop = {}) const {
    Log log({}, false);
    SilentProgress progress;
    std::optional<MetricsFile> metrics;
    if (group.is_root()) metrics.emplace(folder / "metrics.jsonl");
    Trainer trainer(
        phase, config, {.data = group, .control = group}, folder / "phase3",
        {.log = log, .progress = progress, .metrics_file = metrics ? &*metrics : nullptr, .on_step = on_step});
    return trainer.run(stop, until_step);
  }
};

std::vector<Json> rows_of(const fs::path& folder) {
  std::vector<Json> rows;
  std::istringstream lines(read_file(folder / "metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) rows.push_back(Json::parse(line, "metrics.jsonl"));
  return rows;
}

// Trains from nothing to the end on `ranks` ranks and gives the phase of rank 0.
std::unique_ptr<ToyPhase> train(const Start& start, int ranks) {
  auto result = std::make_unique<ToyPhase>();
  comm::run_local_group(ranks, [&](comm::Communicator& group) {
    ToyPhase other;
    ToyPhase& phase = group.is_root() ? *result : other;
    EXPECT_EQ(start.run(phase, group), Outcome::kFinished);
    EXPECT_EQ(phase.finished, 1);
  });
  return result;
}

TEST(Trainer, LearnsTheSameForAnyCutOfTheBatch) {
  const Scratch scratch;
  std::vector<std::unique_ptr<ToyPhase>> phases;
  std::vector<std::vector<Json>> rows;
  for (const int ranks : {1, 2, 4}) {
    Start start{.folder = scratch / std::to_string(ranks)};
    start.config.micro_batches = 4 / ranks;
    phases.push_back(train(start, ranks));
    rows.push_back(rows_of(start.folder));
  }
  EXPECT_GT(distance(*phases[0], ToyPhase()), 0.1);
  EXPECT_LT(distance(*phases[0], *phases[1]), 1e-12);
  EXPECT_LT(distance(*phases[0], *phases[2]), 1e-12);
  ASSERT_EQ(rows[0].size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(rows[0][i].at("loss").as_double(), rows[1][i].at("loss").as_double(), 1e-12);
    EXPECT_NEAR(rows[0][i].at("loss").as_double(), rows[2][i].at("loss").as_double(), 1e-12);
  }
}

TEST(Trainer, WritesRowsOfNumbers) {
  const Scratch scratch;
  const auto solo = comm::make_solo_communicator();
  Start start{.folder = scratch.folder()};
  start.config.log_every = 5;
  start.config.evaluate_every = 8;
  ToyPhase phase;
  phase.site_name = "blocks.3.ffn";
  start.run(phase, *solo);
  const std::vector<Json> rows = rows_of(scratch.folder());
  ASSERT_EQ(rows.size(), 4u);  // steps 5, 8 (evaluation), 10 and 12, the last
  EXPECT_EQ(rows[0].at("step").as_int(), 5);
  EXPECT_EQ(rows[0].at("phase").as_string(), "finetune");
  EXPECT_EQ(rows[0].at("site").as_string(), "blocks.3.ffn");
  EXPECT_EQ(rows[0].at("samples").as_double(), 8);
  EXPECT_GT(rows[0].at("samples_per_second").as_double(), 0);
  EXPECT_GT(rows[0].at("gradient_norm").as_double(), 0);
  EXPECT_DOUBLE_EQ(rows[0].at("learning_rate").as_double(),
                   (LearningRate{.peak = 0.05, .warmup_steps = 2, .steps = 12}.at(4)));
  EXPECT_TRUE(rows[1].at("evaluation").as_bool());
  EXPECT_EQ(rows[1].at("held_out").as_double(), 8);
  EXPECT_EQ(rows[3].at("step").as_int(), 12);
}

TEST(Trainer, RowsTellTheShareOfTimeSpentWaitingForDataAndTheReplacedSamples) {
  const Scratch scratch;
  Start start{.folder = scratch.folder()};
  start.config.log_every = 6;
  comm::run_local_group(2, [&](comm::Communicator& group) {
    ToyPhase phase;
    // A minute a step on rank 0, which a step of the toy never takes, and three samples in all.
    phase.fetch_figures = {.waited_seconds = group.is_root() ? 60.0 : 0.0, .replaced = group.is_root() ? 1 : 2};
    start.run(phase, group);
  });
  const std::vector<Json> rows = rows_of(scratch.folder());
  ASSERT_EQ(rows.size(), 2u);
  for (const Json& row : rows) {
    const double seconds = 6 * ToyPhase::kBatch / row.at("samples_per_second").as_double();
    EXPECT_NEAR(row.at("data_wait").as_double(), 6 * 60 / (2 * seconds), 1e-9 * 360 / seconds);
    EXPECT_DOUBLE_EQ(row.at("replaced_samples").as_double(), 6 * 3);
  }
  ToyPhase quiet;
  const auto solo = comm::make_solo_communicator();
  start.folder = scratch / "quiet";
  start.run(quiet, *solo);
  EXPECT_EQ(rows_of(start.folder)[0].find("data_wait"), nullptr);
  ToyPhase clean;
  clean.fetch_figures = data::FetchFigures{};
  start.folder = scratch / "clean";
  start.run(clean, *solo);
  EXPECT_EQ(rows_of(start.folder)[0].at("data_wait").as_double(), 0);
  EXPECT_EQ(rows_of(start.folder)[0].find("replaced_samples"), nullptr);
}

TEST(SlicesOfRank, StandSideBySide) {
  comm::run_local_group(3, [](comm::Communicator& group) {
    const auto slices = slices_of_rank(group, 2, 2, 5);
    ASSERT_EQ(slices.size(), 2u);
    for (int i = 0; i < 2; ++i) {
      const data::Slice& slice = slices[static_cast<size_t>(i)];
      EXPECT_EQ(slice.step, 5);
      EXPECT_EQ(slice.index, 2 * group.rank() + i);
      EXPECT_EQ(slice.count, 6);
      EXPECT_EQ(slice.unit, 2);
    }
  });
}

TEST(Trainer, StopsOnAllRanksAndResumesWithTheSameBits) {
  const Scratch scratch;
  const auto straight = train({.folder = scratch / "straight"}, 2);
  comm::run_local_group(2, [&](comm::Communicator& group) {
    std::stop_source stop;
    Start start{.folder = scratch / "stopped"};
    start.on_step = [&](int64_t step) {
      if (step == 6 && group.rank() == 1) stop.request_stop();  // between two saves, on one rank alone
    };
    ToyPhase phase;
    EXPECT_EQ(start.run(phase, group, stop.get_token()), Outcome::kStopped);
    EXPECT_EQ(phase.finished, 0);
  });
  EXPECT_TRUE(fs::exists(scratch / "stopped/phase3/step-00000007/manifest.json"));
  fs::copy(scratch / "stopped", scratch / "other ranks", fs::copy_options::recursive);
  EXPECT_EQ(distance(*straight, *train({.folder = scratch / "stopped"}, 2)), 0);
  EXPECT_LT(distance(*straight, *train({.folder = scratch / "other ranks"}, 1)), 1e-12);
}

TEST(Trainer, PausesAtAStepAndGoesOn) {
  const Scratch scratch;
  const auto solo = comm::make_solo_communicator();
  const auto straight = train({.folder = scratch / "straight"}, 1);
  for (const int64_t step : {3, 5, 12}) {
    ToyPhase phase;
    EXPECT_EQ((Start{.folder = scratch / "paused", .until_step = step}.run(phase, *solo)), Outcome::kFinished);
    EXPECT_EQ(phase.finished, step == 12);
    EXPECT_EQ(distance(*straight, phase) == 0, step == 12);
  }
}

TEST(Trainer, NamesPhaseAndStepOfANumberThatIsNotFiniteAndKeepsTheCheckpoint) {
  const Scratch scratch;
  const std::string message = expect_error(Fault::kInternal, "phase finetune, step 7: ", [&] {
    comm::run_local_group(2, [&](comm::Communicator& group) {
      ToyPhase phase;
      phase.before_loss = [](const data::Slice& slice) { return slice.step == 6 && slice.index == 1 ? NAN : 1.0; };
      try {
        Start{.folder = scratch.folder()}.run(phase, group);
        ADD_FAILURE() << "no error";
      } catch (const Error& error) {
        EXPECT_TRUE(error.shared());
        EXPECT_LT(distance(phase, ToyPhase()), 10);  // the parameters were not touched
        throw;
      }
    });
  });
  for (const std::string part :
       {"not finite (loss nan, gradient norm nan)", "the checkpoint of step 4 was kept", "finetune.learning_rate"}) {
    EXPECT_NE(message.find(part), std::string::npos) << part << " in " << message;
  }
  const auto straight = train({.folder = scratch / "straight"}, 2);
  EXPECT_EQ(distance(*straight, *train({.folder = scratch.folder()}, 2)), 0);
}

// A toy whose step 7 gives numbers that are not finite, on the last of the slices.
void break_step_seven(ToyPhase& phase) {
  phase.before_loss = [](const data::Slice& slice) {
    return slice.step == 6 && slice.index + 1 == slice.count ? INFINITY : 1.0;
  };
}

TEST(Trainer, NamesRankAndTensorOfANumberThatIsNotFinite) {
  const Scratch scratch;
  const std::string message = expect_error(Fault::kInternal, "phase finetune, step 7: ", [&] {
    comm::run_local_group(2, [&](comm::Communicator& group) {
      ToyPhase phase;
      break_step_seven(phase);
      Start{.folder = scratch.folder()}.run(phase, group);
    });
  });
  EXPECT_NE(message.find("first in the loss on rank 1; "), std::string::npos) << message;
  const auto solo = comm::make_solo_communicator();
  ToyPhase poisoned;
  poisoned.hidden.detach()[0][0] = NAN;
  expect_error(Fault::kInternal, "phase finetune, step 1: ", [&] {
    try {
      Start{.folder = scratch / "poisoned"}.run(poisoned, *solo);
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("first in hidden on every rank"), std::string::npos) << error.what();
      throw;
    }
  });
}

TEST(Trainer, GoesBackToTheCheckpointAndLeavesTheStepOut) {
  const Scratch scratch;
  const auto run_broken = [&](const std::string& name, int ranks) {
    auto result = std::make_unique<ToyPhase>();
    comm::run_local_group(ranks, [&](comm::Communicator& group) {
      ToyPhase other;
      ToyPhase& phase = group.is_root() ? *result : other;
      break_step_seven(phase);
      Start start{.folder = scratch / name};
      start.config.rollbacks = 1;
      start.config.log_every = 1;
      EXPECT_EQ(start.run(phase, group), Outcome::kFinished);
    });
    return result;
  };
  const auto once = run_broken("once", 1), twice = run_broken("twice", 2);
  EXPECT_LT(distance(*once, *twice), 1e-12);
  EXPECT_GT(distance(*once, *train({.folder = scratch / "straight"}, 1)), 0);
  std::vector<int64_t> steps;
  for (const Json& row : rows_of(scratch / "once")) steps.push_back(row.at("step").as_int());
  EXPECT_EQ(steps,
            (std::vector<int64_t>{1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12}));  // none twice, none of the step left out
}

TEST(Trainer, GoesBackOnlySoOften) {
  const Scratch scratch;
  const auto solo = comm::make_solo_communicator();
  ToyPhase phase;
  phase.before_loss = [](const data::Slice& slice) { return slice.step >= 6 ? NAN : 1.0; };
  Start start{.folder = scratch.folder()};
  start.config.rollbacks = 2;
  const auto message = expect_error(Fault::kInternal, "phase finetune, step 9: ", [&] { start.run(phase, *solo); });
  EXPECT_NE(message.find("after 2 returns to a checkpoint; the checkpoint of step "), std::string::npos) << message;
}

TEST(Trainer, SavesWhileStepsGoOnAndNeverWhatWouldChangeTheResult) {
  const Scratch scratch;
  Start often{.folder = scratch / "often"}, never{.folder = scratch / "never"};
  often.config.save_every = 1;
  never.config.save_every = 0;
  EXPECT_EQ(distance(*train(often, 2), *train(never, 2)), 0);
  EXPECT_FALSE(fs::exists(scratch / "never/phase3"));
  EXPECT_TRUE(fs::exists(scratch / "often/phase3/step-00000011/manifest.json"));
  bool told = false;
  for (const Json& row : rows_of(scratch / "often")) told |= row.find("save_seconds") != nullptr;
  EXPECT_TRUE(told);
}

TEST(Trainer, SavesByTheClock) {
  const Scratch scratch;
  const auto solo = comm::make_solo_communicator();
  Start start{.folder = scratch.folder()};
  start.config.save_every = 0;
  start.config.save_minutes = 1e-9;
  ToyPhase phase;
  start.run(phase, *solo);
  EXPECT_TRUE(fs::exists(scratch / "phase3/step-00000011/manifest.json"));
}

TEST(Trainer, AFailedSaveEndsTheRunOrIsPassedOver) {
  const Scratch scratch;
  const auto run_beside_a_file = [&](bool go_on) {
    const fs::path folder = scratch / (go_on ? "goes on" : "ends");
    Start start{.folder = folder};
    start.config.go_on_unsaved = go_on;
    start.on_step = [&](int64_t step) {
      if (step == 1) replace_file(folder / "phase3", "not a folder");
    };
    const auto solo = comm::make_solo_communicator();
    ToyPhase phase;
    return start.run(phase, *solo);
  };
  expect_error(Fault::kUsage, "phase finetune, step 4: cannot make the folder", [&] { run_beside_a_file(false); });
  EXPECT_EQ(run_beside_a_file(true), Outcome::kFinished);
}

TEST(Trainer, MakesTheRowsAfterTheLoadedStepAgain) {
  const Scratch scratch;
  const auto solo = comm::make_solo_communicator();
  Start start{.folder = scratch.folder()};
  start.config.log_every = 1;
  ToyPhase broken;
  broken.before_loss = [](const data::Slice& slice) {
    if (slice.step == 6) throw Error(Fault::kData, "a sample is missing");
    return 1.0;
  };
  expect_error(Fault::kData, "a sample is missing", [&] { start.run(broken, *solo); });
  EXPECT_EQ(rows_of(scratch.folder()).size(), 6u);
  ToyPhase phase;
  start.run(phase, *solo);
  const std::vector<Json> rows = rows_of(scratch.folder());
  ASSERT_EQ(rows.size(), 12u);
  for (size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(rows[i].at("step").as_int(), static_cast<int64_t>(i) + 1);
}

TEST(Trainer, ReportsProgress) {
  struct Sink final : Progress {
    void report(const ProgressReport& report) override { last = report; }
    void finish(std::string_view phase) override { finished = phase; }
    ProgressReport last;
    std::string finished;
  } sink;
  const Scratch scratch;
  const auto solo = comm::make_solo_communicator();
  Log log(scratch / "log", false);
  ToyPhase phase;
  Trainer trainer(phase, {}, {.data = *solo, .control = *solo}, scratch / "phase3", {.log = log, .progress = sink});
  trainer.run({}, kAll);
  log.flush();
  EXPECT_NE(read_file(scratch / "log").find("phase finetune: starting at step 0 of 12 (no checkpoint"),
            std::string::npos);
  EXPECT_EQ(sink.last.done, 12);
  EXPECT_EQ(sink.last.total, 12);
  EXPECT_TRUE(sink.last.has_loss);
  EXPECT_GT(sink.last.rate, 0);
  EXPECT_EQ(sink.finished, "finetune");
}

}  // namespace
}  // namespace acm::train
