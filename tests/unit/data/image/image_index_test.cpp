#include "data/image/image_index.h"

#include <gtest/gtest.h>

#include "core/digest.h"
#include "unit/core/expect_error.h"
#include "unit/data/image/image_folder.h"
#include "unit/io/tar_file.h"

namespace acm::data {
namespace {

// How often the images are listed shows in what is said, and in the time of the index file.
struct Opener {
  DataConfig config;
  std::filesystem::path folder;
  std::vector<std::string> said;
  std::unique_ptr<DataSource> open() {
    return open_source(config, Split::kTrain, folder, [this](const std::string& line) { said.push_back(line); });
  }
};

std::filesystem::path only_file(const std::filesystem::path& folder) {
  return std::filesystem::directory_iterator(folder)->path();
}

TEST(ImageIndex, IsKeptAndReadAgain) {
  const Scratch scratch;
  write_image(scratch, "train/cat/a.png", 1);
  write_image(scratch, "train/dog/b.png", 2);
  Opener opener = {image_config(scratch, "folder"), scratch / "index", {}};
  const Json identity = opener.open()->identity();
  const auto written = std::filesystem::last_write_time(only_file(opener.folder));
  const auto again = opener.open();
  EXPECT_EQ(again->identity(), identity);
  EXPECT_EQ(contents(*again), (Contents{"1:0", "2:1"}));
  EXPECT_EQ(std::filesystem::last_write_time(only_file(opener.folder)), written);
  EXPECT_TRUE(opener.said.empty());
}

TEST(ImageIndex, IsMadeAgainWhereFoldersChanged) {
  const Scratch scratch;
  write_image(scratch, "train/cat/a.png", 1);
  write_image(scratch, "train/dog/b.png", 2);
  Opener opener = {image_config(scratch, "folder"), scratch / "index", {}};
  opener.open();
  write_image(scratch, "train/dog/c.png", 3);
  EXPECT_EQ(contents(*opener.open()), (Contents{"1:0", "2:1", "3:1"}));
  ASSERT_EQ(opener.said.size(), 1U);
  EXPECT_NE(opener.said[0].find("is made again: train/dog has changed"), std::string::npos) << opener.said[0];
  std::filesystem::remove_all(scratch / "train/cat");
  EXPECT_EQ(contents(*opener.open()), (Contents{"2:0", "3:0"}));
  EXPECT_EQ(opener.said.size(), 2U);
}

TEST(ImageIndex, IsMadeAgainWhereATarFileChanged) {
  const Scratch scratch;
  const auto write = [&](const std::string& label) {
    replace_file(scratch / "s.tar", io::TarText().add("a.png", numbered(1)).add("a.cls", label).finish());
  };
  write("1");
  Opener opener = {image_config(scratch, "shards"), scratch / "index", {}};
  opener.config.train = {"s.tar"};
  EXPECT_EQ(contents(*opener.open()), (Contents{"1:1"}));
  write("2");
  EXPECT_EQ(contents(*opener.open()), (Contents{"1:2"}));
  EXPECT_EQ(opener.said.size(), 1U);
}

TEST(ImageIndex, ADamagedFileIsMadeAgain) {
  const Scratch scratch;
  write_image(scratch, "train/cat/a.png", 1);
  Opener opener = {image_config(scratch, "folder"), scratch / "index", {}};
  opener.open();
  const auto file = only_file(opener.folder);
  const std::string whole = read_file(file);
  for (const size_t at : {size_t{0}, whole.size() / 2, whole.size() - 1}) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    replace_file(file, damaged);
    EXPECT_EQ(contents(*opener.open()), (Contents{"1:0"}));
    EXPECT_EQ(read_file(file), whole);
  }
  replace_file(file, "");
  EXPECT_EQ(contents(*opener.open()), (Contents{"1:0"}));
  EXPECT_EQ(opener.said.size(), 4U);
}

// Its digest is right, as whoever wants to harm makes it, and it refers to what is not there.
TEST(ImageIndex, AFileThatRefersToNothingIsMadeAgain) {
  const Scratch scratch;
  write_image(scratch, "train/cat/a.png", 1);
  Opener opener = {image_config(scratch, "folder"), scratch / "index", {}};
  opener.open();
  const auto file = only_file(opener.folder);
  const std::string whole = read_file(file), content = whole.substr(0, whole.size() - 16);
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string other = content;
    other.replace(other.rfind(from), from.size(), to);
    return other;
  };
  std::string lost = content, unended = content;
  lost[content.size() - sizeof(ImageEntry)] = 100;         // where the entry's name begins
  unended[content.size() - sizeof(ImageEntry) - 1] = 'x';  // the end of the last name
  for (const std::string& bad : {with("\"entries\":1", "\"entries\":9"), with("\"entries\":1", "\"entries\":-1"),
                                 with("\"names\":6", "\"names\":9"), with("\"stamps\":[[", "\"stamps\":[[],["), lost,
                                 unended, content.substr(0, content.size() - 1)}) {
    replace_file(file, bad + digest_of(bad));
    EXPECT_EQ(contents(*opener.open()), (Contents{"1:0"}));
    EXPECT_EQ(read_file(file), whole);
  }
  EXPECT_EQ(opener.said.size(), 7U);
}

}  // namespace
}  // namespace acm::data
