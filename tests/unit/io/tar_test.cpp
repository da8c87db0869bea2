#include "io/tar.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "core/file.h"
#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"
#include "unit/io/tar_file.h"

namespace acm::io {
namespace {

std::map<std::string, std::string> members(const std::filesystem::path& path) {
  std::map<std::string, std::string> out;
  TarReader reader(path);
  reader.for_each([&](const TarMember& member) {
    out[member.name] = reader.read(member);
    std::string again(static_cast<size_t>(member.bytes), '\0');
    FileHandle(path, FileHandle::Mode::kRead).read(again.data(), member.bytes, member.offset);
    EXPECT_EQ(again, out[member.name]);
  });
  return out;
}

void expect_refused(const std::string& content, const std::string& part) {
  const Scratch scratch;
  replace_file(scratch / "a.tar", content);
  const std::string message = expect_error(Fault::kData, part, [&] { members(scratch / "a.tar"); });
  EXPECT_NE(message.find("a.tar"), std::string::npos);
}

TEST(TarReader, GivesTheFilesOfAnArchive) {
  const Scratch scratch;
  const std::string large(20000, 'x'), name(150, 'n'), other(300, 'o');
  TarText tar;
  tar.add("./one.txt", "1").add("folder/", "", '5').add("folder/two", large).gnu_long_name(name).add("short", "long");
  tar.pax("path", other).add("short", "pax").pax("comment", "none", 'g').add("empty", "");
  replace_file(scratch / "a.tar", tar.finish());
  const std::map<std::string, std::string> expected = {
      {"one.txt", "1"}, {"folder/two", large}, {name, "long"}, {other, "pax"}, {"empty", ""}};
  EXPECT_EQ(members(scratch / "a.tar"), expected);
}

TEST(TarReader, ReadsWhatTarWrites) {
  const Scratch scratch;
  const std::string deep = std::string(90, 'a') + "/" + std::string(90, 'b');
  make_folder(scratch / "in" / deep);
  replace_file(scratch / "in" / deep / "file", "content");
  replace_file(scratch / "in" / "plain", std::string(513, 'p'));
  for (const std::string format : {"ustar", "gnu", "posix"}) {
    const auto archive = scratch / (format + ".tar");
    const std::string command =
        "tar -C " + (scratch / "in").string() + " --format=" + format + " -cf " + archive.string() + " .";
    ASSERT_EQ(std::system(command.c_str()), 0);
    const auto found = members(archive);
    EXPECT_EQ(found.size(), 2U) << format;
    EXPECT_EQ(found.at(deep + "/file"), "content") << format;
  }
}

TEST(TarReader, AnArchiveMayFollowAnother) {
  const Scratch scratch;
  replace_file(scratch / "a.tar", TarText().add("a", "1").finish() + TarText().add("b", "2").finish());
  EXPECT_EQ(members(scratch / "a.tar").size(), 2U);
}

TEST(TarReader, RefusesWhatIsNoArchive) {
  expect_refused("", "no end mark: it is empty or cut short");
  expect_refused("<html>", "ends inside a header");
  expect_refused(std::string(600, 'x'), "it is not a tar file");
  expect_refused("\x1f\x8b" + std::string(600, 'x'), "it is compressed, and shards are read in place");
}

TEST(TarReader, RefusesDamage) {
  const std::string whole = TarText().add("a", std::string(3000, 'a')).add("b", "2").finish();
  expect_refused(whole.substr(0, 1500), "cut short");
  expect_refused(whole.substr(0, 512 + 3072), "no end mark");
  expect_refused(whole.substr(0, 512 + 3072 + 100), "ends inside a header");
  std::string flipped = whole;
  flipped[512 + 3072 + 1] = 'x';
  expect_refused(flipped, "the header at byte 3584 has a bad checksum");
  expect_refused(TarText().add("x", "99 path=a\n", 'x').add("a", "").finish(), "a pax header is damaged");
  expect_refused(TarText().pax("size", "99999999999").add("a", "").finish(), "cut short");
  expect_refused(TarText().pax("size", "-5").add("a", "").finish(), "a pax header is damaged");
}

TEST(TarReader, RefusesLinksDevicesAndNamesThatLeadOut) {
  expect_refused(TarText().add("link", "", '2').finish(),
                 "'link' is a link, a device or of another special kind (type 2)");
  expect_refused(TarText().add("hard", "", '1').finish(), "'hard' is a link");
  expect_refused(TarText().add("null", "", '3').finish(), "'null' is a link, a device");
  expect_refused(TarText().add("../up.jpg", "").finish(), "'../up.jpg' has a name that leads out");
  expect_refused(TarText().add("a/../../up", "").finish(), "leads out");
  expect_refused(TarText().add("/etc/passwd", "").finish(), "leads out");
  expect_refused(TarText().pax("path", "/etc/passwd").add("a", "").finish(), "leads out");
}

}  // namespace
}  // namespace acm::io
