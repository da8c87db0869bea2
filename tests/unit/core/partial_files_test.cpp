#include "core/partial_files.h"

#include <gtest/gtest.h>

#include "core/file.h"
#include "unit/core/scratch.h"

namespace acm {
namespace {

TEST(PartialFilesTest, OnlyWhatAnAtomicFileLeftIsRemoved) {
  const Scratch scratch;
  make_folder(scratch / "below");
  const AtomicFile left(scratch / "model.safetensors"), left_below(scratch / "below" / "a");
  replace_file(scratch / "model.safetensors.part", "kept");
  replace_file(scratch / "b", "kept");
  remove_partial_files(scratch.folder());
  EXPECT_FALSE(std::filesystem::exists(left.partial()));
  EXPECT_TRUE(std::filesystem::exists(left_below.partial()));
  EXPECT_EQ(read_file(scratch / "model.safetensors.part"), "kept");
  EXPECT_EQ(read_file(scratch / "b"), "kept");
}

TEST(PartialFilesTest, AFolderThatIsNotThereIsLeftAlone) {
  const Scratch scratch;
  remove_partial_files(scratch / "nothing");
  EXPECT_FALSE(std::filesystem::exists(scratch / "nothing"));
}

}  // namespace
}  // namespace acm
