#include "io/gzip.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <limits>

#include "core/file.h"
#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"

namespace acm::io {
namespace {

std::string gzipped(const std::filesystem::path& path, const std::string& content) {
  const gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, content.data(), static_cast<unsigned>(content.size()));
  gzclose(file);
  return read_file(path);
}

constexpr int64_t kAll = std::numeric_limits<int64_t>::max();

std::string long_text() {
  std::string text;
  for (int i = 0; i < 600'000; ++i) text += std::to_string(i % 977);
  return text;
}

TEST(Gzip, InflatesAndPassesPlainFilesOn) {
  const Scratch scratch;
  const std::string text = long_text();  // several pieces of output
  gzipped(scratch / "a", text);
  EXPECT_EQ(read_maybe_gzip(scratch / "a", kAll), text);
  replace_file(scratch / "plain", "not compressed");
  EXPECT_EQ(read_maybe_gzip(scratch / "plain", kAll), "not compressed");
  gzipped(scratch / "nothing", "");
  EXPECT_EQ(read_maybe_gzip(scratch / "nothing", kAll), "");
}

TEST(Gzip, InflatesNoMoreThanIsWanted) {
  const Scratch scratch;
  const std::string bomb = gzipped(scratch / "bomb", std::string(200 << 20, 'x'));
  ASSERT_LT(bomb.size(), 250'000u);
  const std::string beginning = read_maybe_gzip(scratch / "bomb", 1000);
  EXPECT_EQ(beginning, std::string(1000, 'x'));
  EXPECT_LT(beginning.capacity(), 10'000u);
  replace_file(scratch / "plain", "not compressed");
  EXPECT_EQ(read_maybe_gzip(scratch / "plain", 3), "not");
  EXPECT_EQ(read_maybe_gzip(scratch / "plain", 100), "not compressed");
}

TEST(Gzip, JoinsSeveralStreams) {
  const Scratch scratch;
  const std::string both = gzipped(scratch / "a", "one, ") + gzipped(scratch / "b", "two");
  replace_file(scratch / "both", both);
  EXPECT_EQ(read_maybe_gzip(scratch / "both", kAll), "one, two");
}

TEST(Gzip, NamesTruncatedDamagedAndMissingFiles) {
  const Scratch scratch;
  const std::string whole = gzipped(scratch / "a", long_text());
  const auto read = [&] { read_maybe_gzip(scratch / "b", kAll); };
  for (const size_t size : {size_t{2}, size_t{9}, whole.size() / 2, whole.size() - 1}) {
    replace_file(scratch / "b", whole.substr(0, size));
    expect_error(Fault::kData, "truncated", read);
  }
  std::string changed = whole;
  changed[changed.size() - 6] ^= 1;  // in the check sum
  replace_file(scratch / "b", changed);
  expect_error(Fault::kData, "damaged", read);
  replace_file(scratch / "b", whole + "tail");
  expect_error(Fault::kData, "4 bytes of something else", read);
  expect_error(Fault::kData, "missing", [&] { read_maybe_gzip(scratch / "missing", kAll); });
}

}  // namespace
}  // namespace acm::io
