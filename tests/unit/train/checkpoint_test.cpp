#include "train/checkpoint.h"

#include <gtest/gtest.h>

#include "core/file.h"
#include "train/checkpoint_files.h"
#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"
#include "unit/train/toy_phase.h"

namespace acm::train {
namespace {

namespace fs = std::filesystem;

// A state of several dtypes and sizes, all of it a function of one number.
class Holder final : public Stateful {
 public:
  explicit Holder(int64_t number = 0, int64_t width = 4) : count(number) {
    const auto value = [&](std::string_view name, at::IntArrayRef shape) {
      return normal_tensor(StreamKey(static_cast<uint64_t>(number)).with(name), shape);
    };
    large = value("large", {50, width}).to(at::kFloat).set_requires_grad(true);
    small = value("small", {3});
    whole = value("whole", {2, 2}).mul(1000).to(at::kLong);
  }
  void visit_state(StateVisitor& visitor) override {
    visitor.tensor("large", large);
    visitor.tensor("small", small);
    visitor.tensor("whole", whole);
    visitor.scalar("count", count);
  }
  bool operator==(const Holder& other) const {
    return large.detach().equal(other.large.detach()) && small.equal(other.small) && whole.equal(other.whole) &&
           count == other.count;
  }

  at::Tensor large, small, whole;
  int64_t count;
};

// Checkpoints of one group of one rank, and what its log says.
class CheckpointTest : public testing::Test {
 protected:
  void save(int64_t step) {
    Holder holder(step);
    store().save(step, {{"toy", &holder}});
  }
  std::optional<int64_t> load(Holder& into) { return store().load_latest({{"toy", &into}}); }
  CheckpointStore store() { return {folder(), *solo_, log_}; }
  fs::path folder() const { return scratch_ / "phase3"; }
  fs::path step_folder(int64_t step) const { return folder() / ("step-0000000" + std::to_string(step)); }
  std::string logged() {
    log_.flush();
    return read_file(scratch_ / "log");
  }
  // The newest step of {1, 2} was disturbed: the one before is loaded, whole.
  void expect_fallback() {
    Holder holder;
    EXPECT_EQ(load(holder), 1);
    EXPECT_TRUE(holder == Holder(1));
  }

  Scratch scratch_;
  Log log_{scratch_ / "log", false};
  std::unique_ptr<comm::Communicator> solo_ = comm::make_solo_communicator();
};

void flip_byte(const fs::path& path, size_t offset) {
  std::string bytes = read_file(path);
  bytes.at(offset) ^= 0x04;
  replace_file(path, bytes);
}

TEST_F(CheckpointTest, LoadsWhatWasSaved) {
  Holder holder;
  EXPECT_EQ(load(holder), std::nullopt);
  save(5);
  const at::Tensor parameter = holder.large;
  EXPECT_EQ(load(holder), 5);
  EXPECT_TRUE(holder == Holder(5));
  EXPECT_TRUE(holder.large.is_same(parameter) && parameter.requires_grad());  // in place
}

TEST_F(CheckpointTest, KeepsTheTwoNewest) {
  for (const int64_t step : {1, 2, 3, 4}) save(step);
  EXPECT_FALSE(fs::exists(step_folder(2)));
  EXPECT_TRUE(fs::exists(step_folder(3)));
  EXPECT_TRUE(fs::exists(step_folder(4)));
}

TEST_F(CheckpointTest, AStepWithoutAManifestDoesNotExistAndIsRemoved) {
  save(1);
  save(2);
  fs::remove(step_folder(2) / "manifest.json");
  expect_fallback();
  save(3);
  EXPECT_FALSE(fs::exists(step_folder(2)));
  EXPECT_TRUE(fs::exists(step_folder(1)));
}

TEST_F(CheckpointTest, PassesOverAStepWithAFlippedByte) {
  for (const std::string name : {"rank-00000.safetensors", "manifest.json"}) {
    save(1);
    save(2);
    const size_t size = read_file(step_folder(2) / name).size();
    for (const size_t offset : {size_t{0}, size_t{9}, size / 4, size / 2, size * 3 / 4, size - 2}) {
      flip_byte(step_folder(2) / name, offset);
      expect_fallback();
      flip_byte(step_folder(2) / name, offset);
    }
    Holder holder;
    EXPECT_EQ(load(holder), 2);
  }
}

TEST_F(CheckpointTest, NamesShardTensorAndDigestsOfTheDamage) {
  save(1);
  save(2);
  const fs::path shard = step_folder(2) / "rank-00000.safetensors";
  flip_byte(shard, read_file(shard).size() - 1);
  expect_fallback();
  for (const std::string part : {"passing over the checkpoint of step 2", "step-00000002/rank-00000.safetensors",
                                 "toy.large has the digest", ", expected "}) {
    EXPECT_NE(logged().find(part), std::string::npos) << part << " in " << logged();
  }
}

TEST_F(CheckpointTest, PassesOverAMissingShardAndATruncatedManifest) {
  save(1);
  save(2);
  const fs::path shard = step_folder(2) / "rank-00000.safetensors", manifest = step_folder(2) / "manifest.json";
  const std::string shard_bytes = read_file(shard), manifest_bytes = read_file(manifest);
  fs::remove(shard);
  expect_fallback();
  replace_file(shard, shard_bytes.substr(0, shard_bytes.size() / 2));
  expect_fallback();
  replace_file(shard, shard_bytes);
  replace_file(manifest, manifest_bytes.substr(0, manifest_bytes.size() / 2));
  expect_fallback();
}

TEST_F(CheckpointTest, ADamagedStepGivesWayToTheNextSave) {
  save(1);
  save(3);
  flip_byte(step_folder(3) / "manifest.json", 20);
  save(2);  // training went on from step 1
  Holder holder;
  EXPECT_EQ(load(holder), 2);
  EXPECT_FALSE(fs::exists(step_folder(3)));
  EXPECT_TRUE(fs::exists(step_folder(1)));
}

TEST_F(CheckpointTest, RefusesAnotherModelAndTouchesNothing) {
  save(1);
  Holder other(9, 5);
  expect_error(Fault::kUsage, "toy.large is Float [50, 4] in it and Float [50, 5] here", [&] { load(other); });
  EXPECT_TRUE(other == Holder(9, 5));
  Holder again(9);
  const auto load_as = [&](std::string_view name) { store().load_latest({{name, &again}}); };
  expect_error(Fault::kUsage, "it lacks elsewhere.large", [&] { load_as("elsewhere"); });
  expect_error(Fault::kUsage, "it holds toy.", [&] { store().load_latest({}); });
  EXPECT_TRUE(again == Holder(9));
}

TEST_F(CheckpointTest, AnyNumberOfRanksLoads) {
  comm::run_local_group(2, [&](comm::Communicator& group) {
    Holder holder(7);
    CheckpointStore(folder(), group, log_).save(7, {{"toy", &holder}});
  });
  EXPECT_TRUE(fs::exists(step_folder(7) / "rank-00001.safetensors"));
  for (const int size : {1, 3, 5}) {
    comm::run_local_group(size, [&](comm::Communicator& group) {
      Holder holder;
      CheckpointStore store(folder(), group, log_);
      EXPECT_EQ(store.load_latest({{"toy", &holder}}), 7);
      EXPECT_TRUE(holder == Holder(7));
      store.save(8, {{"toy", &holder}});  // more ranks than tensors among them
      EXPECT_EQ(store.load_latest({{"toy", &holder}}), 8);
    });
    fs::remove_all(step_folder(8));
  }
}

TEST_F(CheckpointTest, AllRanksFailWhereOneDoes) {
  replace_file(folder(), "not a folder");
  std::atomic<int> failures = 0;
  comm::run_local_group(3, [&](comm::Communicator& group) {
    Holder holder(1);
    try {
      CheckpointStore(folder(), group, log_).save(1, {{"toy", &holder}});
    } catch (const Error& error) {
      failures += error.shared();
    }
  });
  EXPECT_EQ(failures, 3);
}

TEST_F(CheckpointTest, KeepsAsManyAsAskedAndTheBest) {
  CheckpointStore store(folder(), *solo_, log_, {.keep_last = 3, .keep_best = true});
  const std::map<int64_t, double> losses = {{1, 0.5}, {2, 0.1}, {3, 0.3}, {4, 0.4}, {5, 0.2}, {6, 0.6}};
  for (const auto& [step, loss] : losses) {
    Holder holder(step);
    store.save(step, {{"toy", &holder}}, loss);
  }
  for (const auto& [step, loss] : losses) EXPECT_EQ(fs::exists(step_folder(step)), step == 2 || step >= 4) << step;
  Holder holder;
  store.save(7, {{"toy", &holder}}, 0.05);  // the new one is the best itself
  EXPECT_FALSE(fs::exists(step_folder(2)));
}

// What a trainer does with a save in the background, without steps between.
std::optional<CheckpointStore::Saved> end_of(CheckpointStore& store) {
  std::optional<CheckpointStore::Saved> saved;
  while (store.is_saving() && !saved)
    if (store.outcome() == CheckpointStore::Outcome::kDone) saved = store.advance();
  return saved;
}

TEST_F(CheckpointTest, ASaveInTheBackgroundHoldsWhatStoodWhenItBegan) {
  Holder holder(1);
  CheckpointStore store = this->store();
  store.begin(1, {{"toy", &holder}});
  EXPECT_TRUE(store.is_saving());
  holder.large.detach().zero_();
  holder.count = 99;
  const auto saved = end_of(store);
  ASSERT_TRUE(saved);
  EXPECT_EQ(saved->step, 1);
  EXPECT_GT(saved->seconds, 0);
  EXPECT_EQ(load(holder), 1);
  EXPECT_TRUE(holder == Holder(1));
}

TEST_F(CheckpointTest, AStepExistsOnlyOnceItsManifestDoes) {
  Holder holder(2);
  save(1);
  CheckpointStore store = this->store();
  store.begin(2, {{"toy", &holder}});
  while (store.outcome() != CheckpointStore::Outcome::kDone) {
  }
  expect_fallback();  // every shard stands, and no manifest
  store.finish();
  Holder loaded;
  EXPECT_EQ(load(loaded), 2);
}

TEST_F(CheckpointTest, AFailedSaveIsToldOnEveryRankAndTheNextOneWorks) {
  std::atomic<int> failures = 0;
  comm::run_local_group(2, [&](comm::Communicator& group) {
    Holder holder(1);
    CheckpointStore store(folder(), group, log_);
    store.save(1, {{"toy", &holder}});
    holder.large.detach()[0][0] = NAN;  // in the share of one of the two
    store.begin(2, {{"toy", &holder}});
    try {
      store.finish();
    } catch (const Error& error) {
      failures += error.shared() && std::string(error.what()).starts_with("rank ");
    }
    holder = Holder(3);
    store.save(3, {{"toy", &holder}});
  });
  EXPECT_EQ(failures, 2);
  Holder holder;
  EXPECT_EQ(load(holder), 3);
  EXPECT_FALSE(fs::exists(step_folder(2)));
}

TEST_F(CheckpointTest, ANumberThatIsNotFiniteIsNeverSaved) {
  save(1);
  Holder holder(2);
  holder.small[1] = INFINITY;
  CheckpointStore store = this->store();
  store.begin(2, {{"toy", &holder}});
  expect_error(Fault::kInternal, "cannot save the checkpoint of step 2: toy.small holds a number that is not finite",
               [&] { store.finish(); });
  EXPECT_FALSE(store.is_saving());
  expect_fallback();
  holder.small[1] = 1;
  store.save(2, {{"toy", &holder}});
  EXPECT_FALSE(fs::exists(step_folder(2) / "rank-00000.safetensors.partial"));
}

TEST_F(CheckpointTest, BytesThatDoNotFitAreForeseen) {
  save(1);
  const auto message = expect_error(Fault::kResource, "cannot save the checkpoint of step 2 in",
                                    [&] { prepare_step(folder(), 2, int64_t{1} << 62); });
  EXPECT_NE(message.find("it takes 4611686018427387904 bytes, and "), std::string::npos) << message;
  EXPECT_FALSE(fs::exists(step_folder(2)));
  Holder holder;
  EXPECT_EQ(load(holder), 1);
}

}  // namespace
}  // namespace acm::train
