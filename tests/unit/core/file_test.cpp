#include "core/file.h"

#include <gtest/gtest.h>

#include <fstream>
#include <stdexcept>

#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"

namespace acm {
namespace {

using std::filesystem::exists;

TEST(FileHandle, ReadsAndWritesInPlace) {
  const Scratch scratch;
  replace_file(scratch / "a", "0123456789");
  const FileHandle file(scratch / "a", FileHandle::Mode::kWrite);
  file.write("xyz", 3, 4);
  file.write("end", 3, 10);
  file.sync();
  EXPECT_EQ(file.size(), 13);
  char piece[4] = {};
  FileHandle moved = FileHandle(scratch / "a", FileHandle::Mode::kRead);
  const FileHandle reader(std::move(moved));
  reader.read(piece, 3, 4);
  EXPECT_STREQ(piece, "xyz");
  EXPECT_EQ(read_file(scratch / "a"), "0123xyz789end");
}

TEST(FileHandle, AShortFileIsNamed) {
  const Scratch scratch;
  replace_file(scratch / "a", "0123");
  const FileHandle file(scratch / "a", FileHandle::Mode::kRead);
  char piece[8];
  const auto message = expect_error(Fault::kData, "cannot read 8 bytes at offset 1", [&] { file.read(piece, 8, 1); });
  EXPECT_NE(message.find((scratch / "a").string() + ": the file ends at 4"), std::string::npos) << message;
}

TEST(FileHandle, AFullDiskIsResource) {
  if (!exists("/dev/full")) GTEST_SKIP() << "needs /dev/full";
  const FileHandle file("/dev/full", FileHandle::Mode::kWrite);
  expect_error(Fault::kResource, "cannot write 3 bytes at offset 0 of /dev/full: No space left",
               [&] { file.write("abc", 3, 0); });
}

TEST(FileHandle, DoesNotWriteThroughALink) {
  const Scratch scratch;
  replace_file(scratch / "real", "keep");
  std::filesystem::create_symlink(scratch / "real", scratch / "link");
  expect_error(Fault::kData, "cannot open", [&] { FileHandle(scratch / "link", FileHandle::Mode::kWrite); });
  EXPECT_EQ(read_file(scratch / "link"), "keep");
}

TEST(AtomicFile, AppearsOnlyAtCommit) {
  const Scratch scratch;
  AtomicFile file(scratch / "a");
  EXPECT_TRUE(exists(file.partial()));
  EXPECT_NE(file.partial().string().find(host_name()), std::string::npos);
  std::ofstream(file.partial()) << "whole";
  EXPECT_FALSE(exists(scratch / "a"));
  file.commit();
  EXPECT_EQ(read_file(scratch / "a"), "whole");
  EXPECT_EQ(scratch.entries(), 1);
}

TEST(AtomicFile, LeavesNothingWithoutCommit) {
  const Scratch scratch;
  replace_file(scratch / "a", "old");
  { AtomicFile file(scratch / "a"); }
  EXPECT_EQ(read_file(scratch / "a"), "old");
  EXPECT_EQ(scratch.entries(), 1);
}

TEST(AtomicFile, ReplacesALeftoverAndNeverFollowsIt) {
  const Scratch scratch;
  replace_file(scratch / "victim", "keep");
  std::filesystem::path partial;
  {
    AtomicFile file(scratch / "a");
    partial = file.partial();
  }
  std::filesystem::create_symlink(scratch / "victim", partial);
  replace_file(scratch / "a", "new");
  EXPECT_EQ(read_file(scratch / "victim"), "keep");
  EXPECT_EQ(read_file(scratch / "a"), "new");
  EXPECT_FALSE(std::filesystem::is_symlink(scratch / "a"));
}

// Between making the partial file and renaming it somebody puts a link in its place: neither is written through.
TEST(AtomicFile, ALinkInPlaceOfThePartialIsRefused) {
  const Scratch scratch;
  replace_file(scratch / "victim", "keep");
  AtomicFile file(scratch / "a");
  std::filesystem::remove(file.partial());
  std::filesystem::create_symlink(scratch / "victim", file.partial());
  expect_error(Fault::kData, "Too many levels of symbolic links",
               [&] { FileHandle(file.partial(), FileHandle::Mode::kWrite); });
  expect_error(Fault::kData, "Too many levels of symbolic links", [&] { file.commit(); });
  EXPECT_EQ(read_file(scratch / "victim"), "keep");
  EXPECT_FALSE(exists(scratch / "a"));
}

TEST(AtomicFile, AFolderInPlaceOfThePartialIsNamed) {
  const Scratch scratch;
  std::filesystem::path partial;
  {
    AtomicFile file(scratch / "a");
    partial = file.partial();
  }
  make_folder(partial);
  expect_error(Fault::kUsage, "cannot write " + (scratch / "a").string(), [&] { AtomicFile file(scratch / "a"); });
}

TEST(IsPlainName, LeadsNowhereElse) {
  for (const char* name : {"a", "rank-00000.safetensors", ".hidden", "..."}) EXPECT_TRUE(is_plain_name(name)) << name;
  for (const char* name : {"", ".", "..", "a/b", "/a", "a/", "..\\a"}) EXPECT_FALSE(is_plain_name(name)) << name;
  EXPECT_FALSE(is_plain_name(std::string("a\0b", 3)));
}

TEST(AtomicFile, AMissingFolderIsUsage) {
  const Scratch scratch;
  expect_error(Fault::kUsage, "No such file or directory", [&] { AtomicFile file(scratch / "none/a"); });
}

TEST(ReplaceFile, WorksInTheCurrentFolder) {
  const Scratch scratch;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(scratch.folder());
  replace_file("plain", "text");
  std::filesystem::current_path(before);
  EXPECT_EQ(read_file(scratch / "plain"), "text");
}

TEST(ReadFile, NamesWhatIsMissing) {
  const Scratch scratch;
  expect_error(Fault::kData, "cannot open " + (scratch / "none").string() + ": No such file or directory",
               [&] { read_file(scratch / "none"); });
  expect_error(Fault::kData, "Is a directory", [&] { read_file(scratch.folder()); });
}

TEST(MakeFolder, MakesParentsAndAcceptsWhatIsThere) {
  const Scratch scratch;
  make_folder(scratch / "a/b/c");
  make_folder(scratch / "a/b/c");
  EXPECT_TRUE(std::filesystem::is_directory(scratch / "a/b/c"));
  replace_file(scratch / "file", "");
  expect_error(Fault::kUsage, "cannot make the folder " + (scratch / "file").string(),
               [&] { make_folder(scratch / "file"); });
  expect_error(Fault::kUsage, "cannot make the folder", [&] { make_folder(scratch / "file/below"); });
}

TEST(FreeBytes, LooksAtTheNearestParent) {
  const Scratch scratch;
  EXPECT_GT(free_bytes(scratch.folder()), 0);
  EXPECT_GT(free_bytes(scratch / "not/yet/there"), 0);
}

}  // namespace
}  // namespace acm
