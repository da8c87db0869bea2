#include "phases/cache_reader.h"

#include <ATen/ops/cat.h>
#include <gtest/gtest.h>

#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"
#include "unit/phases/small_run.h"

namespace acm::phases {
namespace {

class CacheReaderTest : public testing::Test {
 protected:
  void SetUp() override {
    save_dense_model(run_);
    capture_ = std::make_unique<Capture>(run_);
    ASSERT_TRUE(capture_->fill());
  }

  // Rows [0, 60) of an endless walk over the 50 rows, so that both groups are read and the first one again.
  std::vector<RowOrder::Part> parts(CacheReader& reader) const {
    return RowOrder(reader.rows_per_segment(), 2, StreamKey(1)).at(0, 60);
  }
  std::vector<at::Tensor> everything(CacheReader& reader) const {
    std::vector<at::Tensor> all;
    for (const auto& site : capture_->cache().layout().sites) {
      const auto rows = reader.rows(site.name, parts(reader));
      all.push_back(rows.input);
      all.push_back(rows.output);
    }
    return all;
  }
  // Changes the first byte of a tensor's values in a segment's file.
  void spoil(const std::filesystem::path& path, const at::Tensor& values) const {
    auto bytes = read_file(path);
    const std::string stored(static_cast<const char*>(values.const_data_ptr()), values.nbytes());
    bytes.at(bytes.find(stored)) ^= 1;
    replace_file(path, bytes);
  }

  const Scratch scratch_;
  const std::unique_ptr<comm::Communicator> solo_ = comm::make_solo_communicator();
  SmallRun small_{scratch_.folder(), *solo_};
  const phases::Run run_ = small_.run(*solo_);
  std::unique_ptr<Capture> capture_;
};

TEST_F(CacheReaderTest, GivesTheRowsThatTheOrderNames) {
  CacheReader reader(*capture_, small_.log, 2);
  EXPECT_EQ(reader.rows_per_segment(), (std::vector<int64_t>{20, 20, 10}));
  auto& cache = capture_->cache();
  // k reads what q reads, stored under q.
  const std::vector<RowOrder::Part> wanted = {{0, {39, 0}}, {1, {7}}, {0, {21}}};
  const auto rows = reader.rows("blocks.1.k", wanted);
  const auto picked = [&](const auto& read) {
    return at::cat(
        {read(1).narrow(0, 19, 1), read(0).narrow(0, 0, 1), read(2).narrow(0, 7, 1), read(1).narrow(0, 1, 1)});
  };
  EXPECT_TRUE(rows.input.equal(picked([&](int64_t segment) { return cache.read_input(segment, "blocks.1.q"); })));
  EXPECT_TRUE(rows.output.equal(picked([&](int64_t segment) { return cache.read_output(segment, "blocks.1.k"); })));
  EXPECT_TRUE(reader.rows("blocks.1.k", {{1, {7}}}).output.equal(rows.output.narrow(0, 2, 1)));
}

TEST_F(CacheReaderTest, LettingGoChangesNothing) {
  CacheReader reader(*capture_, small_.log, 2);
  const auto before = reader.rows("blocks.0.o", {{0, {1, 2}}});
  reader.clear();
  EXPECT_TRUE(reader.rows("blocks.0.o", {{0, {1, 2}}}).output.equal(before.output));
}

TEST_F(CacheReaderTest, ADamagedSegmentIsCapturedAgainAndRead) {
  CacheReader whole(*capture_, small_.log, 2);
  const auto expected = everything(whole);
  const auto before = digests_in(run_.folder.cache());

  const auto path = capture_->cache().path_of(1);
  spoil(path, capture_->cache().read_output(1, "blocks.1.ffn"));
  Capture fresh(run_);  // has read nothing yet
  CacheReader reader(fresh, small_.log, 2);
  const auto found = everything(reader);
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_TRUE(found[i].equal(expected[i])) << i;
  EXPECT_EQ(digests_in(run_.folder.cache()), before);
  const auto log = read_file(scratch_ / "rank-0.log");
  EXPECT_NE(log.find(path.string() + ": it is changed: the values of /blocks.1.ffn/output"), std::string::npos) << log;
  EXPECT_NE(log.find("the segment is captured again"), std::string::npos) << log;
}

TEST_F(CacheReaderTest, AMissingSegmentIsCapturedAndRead) {
  const auto before = digests_in(run_.folder.cache());
  std::filesystem::remove(capture_->cache().path_of(0));
  Capture fresh(run_);
  CacheReader reader(fresh, small_.log, 2);
  EXPECT_EQ(reader.rows_per_segment(), (std::vector<int64_t>{20, 20, 10}));  // known without it
  reader.rows("blocks.0.q", {{0, {3}}});
  EXPECT_EQ(digests_in(run_.folder.cache()), before);
}

// On the disk or not: the same rows, and nothing is written.
TEST_F(CacheReaderTest, GivesTheFirstSamplesWhateverIsOnTheDisk) {
  const auto first = [&](CacheReader& reader, const std::string& site) {
    const auto rows = reader.rows(site, reader.first_samples(9));
    return at::cat({rows.input, rows.output});
  };
  CacheReader whole(*capture_, small_.log, 2);
  const auto expected = first(whole, "blocks.1.k");
  EXPECT_EQ(expected.size(0), 2 * 45);
  EXPECT_TRUE(expected.narrow(0, 20, 20).equal(capture_->cache().read_input(1, "blocks.1.q")));

  capture_->cache().remove_all_but({0, 1});
  CacheReader part(*capture_, small_.log, 2, {"blocks.1.k"});
  EXPECT_TRUE(first(part, "blocks.1.k").equal(expected));
  capture_->cache().remove_all_but({});
  part.forget_first_samples();
  part.clear();
  EXPECT_TRUE(first(part, "blocks.1.k").equal(expected));
  EXPECT_TRUE(digests_in(run_.folder.cache()).empty());
}

TEST_F(CacheReaderTest, WidensWhatIsStoredInFewerBits) {
  small_.settings.cache.dtype = "bfloat16";
  small_.settings.cache.dir = (scratch_ / "narrow").string();
  Capture narrow(run_);
  ASSERT_TRUE(narrow.fill());
  CacheReader reader(narrow, small_.log, 2);
  const auto rows = reader.rows("blocks.0.v", {{0, {4, 2}}});
  EXPECT_EQ(rows.input.scalar_type(), at::kDouble);
  EXPECT_TRUE(
      rows.output.narrow(0, 0, 1).equal(narrow.cache().read_output(0, "blocks.0.v").narrow(0, 4, 1).to(at::kDouble)));
}

TEST_F(CacheReaderTest, ASiteOfOtherSettingsIsRefused) {
  CacheReader reader(*capture_, small_.log, 2);
  expect_error(Fault::kUsage, "site blocks.9.q of the model is not in the activation cache", [&] {
    reader.rows("blocks.9.q", {{0, {0}}});
  });
}

}  // namespace
}  // namespace acm::phases
