#include "core/digest.h"

#include <gtest/gtest.h>

#include "core/file.h"
#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"

namespace acm {
namespace {

// XXH3-64 of nothing, as its specification gives it.
TEST(Digest, OfNothingIsTheKnownOne) { EXPECT_EQ(digest_of(""), "2d06800538d394c2"); }

TEST(Digest, PiecesDoNotMatter) {
  std::string bytes;
  for (int i = 0; i < 5000; ++i) bytes += static_cast<char>(i * 31);
  Digest pieces;
  for (size_t at = 0; at < bytes.size(); at += 700) pieces.update(std::string_view(bytes).substr(at, 700));
  EXPECT_EQ(pieces.hex(), digest_of(bytes));
  EXPECT_EQ(pieces.hex(), pieces.hex());
}

TEST(Digest, EveryByteMatters) {
  std::string bytes(1000, 'a');
  const std::string before = digest_of(bytes);
  bytes[999] = 'b';
  EXPECT_NE(digest_of(bytes), before);
  EXPECT_NE(digest_of(bytes.substr(0, 999)), before);
}

TEST(Digest, OfAFileIsThatOfItsBytes) {
  const Scratch scratch;
  const std::string bytes(3'000'001, 'x');  // several pieces and a rest
  replace_file(scratch / "a.bin", bytes);
  EXPECT_EQ(digest_of_file(scratch / "a.bin"), digest_of(bytes));
  replace_file(scratch / "empty", "");
  EXPECT_EQ(digest_of_file(scratch / "empty"), digest_of(""));
  expect_error(Fault::kData, "missing.bin", [&] { digest_of_file(scratch / "missing.bin"); });
}

}  // namespace
}  // namespace acm
