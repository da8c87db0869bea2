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

  std::vector<at::Tensor> everything(CacheReader& reader) const {
    std::vector<at::Tensor> all;
    for (int64_t segment = 0; segment < 3; ++segment) {
      for (const auto& site : capture_->cache().layout().sites) {
        all.push_back(reader.read(segment, site.input_of, CacheReader::Side::kInput));
        all.push_back(reader.read(segment, site.name, CacheReader::Side::kOutput));
      }
    }
    return all;
  }

  const Scratch scratch_;
  const std::unique_ptr<comm::Communicator> solo_ = comm::make_solo_communicator();
  SmallRun small_{scratch_.folder(), *solo_};
  const phases::Run run_ = small_.run(*solo_);
  std::unique_ptr<Capture> capture_;
};

// k reads what q reads, stored under q.
TEST_F(CacheReaderTest, ReadsWhatASegmentHoldsOfASite) {
  CacheReader reader(*capture_, small_.log);
  auto& cache = capture_->cache();
  EXPECT_EQ(reader.owner_of_input("blocks.1.k"), "blocks.1.q");
  EXPECT_EQ(reader.width("blocks.1.k", CacheReader::Side::kInput), 8);
  EXPECT_TRUE(reader.read(2, "blocks.1.q", CacheReader::Side::kInput).equal(cache.read_input(2, "blocks.1.k")));
  EXPECT_TRUE(reader.read(1, "blocks.1.k", CacheReader::Side::kOutput).equal(cache.read_output(1, "blocks.1.k")));
}

TEST_F(CacheReaderTest, ADamagedSegmentIsCapturedAgainAndRead) {
  CacheReader whole(*capture_, small_.log);
  const auto expected = everything(whole);
  const auto before = digests_in(run_.folder.cache());

  const auto path = capture_->cache().path_of(1);
  spoil(path, capture_->cache().read_output(1, "blocks.1.ffn"));
  Capture fresh(run_);  // has read nothing yet
  CacheReader reader(fresh, small_.log);
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
  CacheReader reader(fresh, small_.log);
  reader.read(0, "blocks.0.q", CacheReader::Side::kInput);
  EXPECT_EQ(digests_in(run_.folder.cache()), before);
}

// On the disk or not: the same rows, and nothing is written.
TEST_F(CacheReaderTest, GivesTheFirstSamplesWhateverIsOnTheDisk) {
  const auto first = [&](CacheReader& reader, const std::string& site) {
    const auto rows = reader.rows(site, reader.first_samples(9));
    return at::cat({rows.input, rows.output});
  };
  CacheReader whole(*capture_, small_.log);
  const auto expected = first(whole, "blocks.1.k");
  EXPECT_EQ(expected.size(0), 2 * 45);
  EXPECT_TRUE(expected.narrow(0, 20, 20).equal(capture_->cache().read_input(1, "blocks.1.q")));

  capture_->cache().remove_all_but({0, 1});
  CacheReader part(*capture_, small_.log, {"blocks.1.k"});
  EXPECT_TRUE(first(part, "blocks.1.k").equal(expected));
  capture_->cache().remove_all_but({});
  part.forget_first_samples();
  EXPECT_TRUE(first(part, "blocks.1.k").equal(expected));
  EXPECT_TRUE(digests_in(run_.folder.cache()).empty());
}

TEST_F(CacheReaderTest, WidensWhatIsStoredInFewerBits) {
  small_.settings.cache.dtype = "bfloat16";
  small_.settings.cache.dir = (scratch_ / "narrow").string();
  Capture narrow(run_);
  ASSERT_TRUE(narrow.fill());
  CacheReader reader(narrow, small_.log);
  const auto rows = reader.rows("blocks.0.v", {{0, 5}, {1, 2}});
  EXPECT_EQ(rows.input.scalar_type(), at::kDouble);
  const auto stored = [&](int64_t segment, int64_t rows) {
    return narrow.cache().read_output(segment, "blocks.0.v").narrow(0, 0, rows);
  };
  EXPECT_TRUE(rows.output.equal(at::cat({stored(0, 5), stored(1, 2)}).to(at::kDouble)));
}

TEST_F(CacheReaderTest, ASiteOfOtherSettingsIsRefused) {
  CacheReader reader(*capture_, small_.log);
  expect_error(Fault::kUsage, "site blocks.9.q of the model is not in the activation cache", [&] {
    reader.rows("blocks.9.q", {{0, 1}});
  });
}

}  // namespace
}  // namespace acm::phases
