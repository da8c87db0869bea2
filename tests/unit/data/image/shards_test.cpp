#include <gtest/gtest.h>

#include "data/image/shard_names.h"
#include "unit/core/expect_error.h"
#include "unit/data/image/image_folder.h"
#include "unit/io/tar_file.h"

namespace acm::data {
namespace {

using io::TarText;

DataConfig shards(const Scratch& scratch) {
  TarText first, second;
  first.add("0001.png", numbered(1)).add("0001.cls", "5\n").add("0001.pkl", "never read");
  first.add("d/0002.PNG", numbered(2)).add("d/0002.seg.png", "a mask").add("d/0002.json", R"({"label": 3, "x": []})");
  first.add("README", "no sample");
  second.add("0003.cls", "0").add("0003.png", numbered(3)).add("0003.json", R"({"cls": 9})");
  replace_file(scratch / "s-0.tar", first.finish());
  replace_file(scratch / "s-1.tar", second.finish());
  DataConfig config = image_config(scratch, "shards");
  config.train = config.test = {"s-{0..1}.tar"};
  return config;
}

void expect_refused(const std::string& tar, const std::string& part) {
  const Scratch scratch;
  replace_file(scratch / "s-0.tar", tar);
  DataConfig config = image_config(scratch, "shards");
  config.test = {"s-0.tar"};
  const std::string message = expect_error(Fault::kData, part, [&] { open_source(config, Split::kTest); });
  EXPECT_NE(message.find("s-0.tar"), std::string::npos) << message;
}

TEST(Shards, SamplesKeepTheirOrder) {
  const Scratch scratch;
  DataConfig config = shards(scratch);
  const auto source = open_source(config, Split::kTrain);
  EXPECT_EQ(contents(*source), (Contents{"1:5", "2:3", "3:0"}));
  EXPECT_EQ(source->classes(), 6);
  config.train = {"*.tar"};
  EXPECT_EQ(open_source(config, Split::kTrain)->identity(), source->identity());
}

TEST(Shards, LabelsMayBeNames) {
  const Scratch scratch;
  replace_file(scratch / "s.tar", TarText().add("a.png", numbered(1)).add("a.cls", "fox").finish());
  DataConfig config = image_config(scratch, "shards");
  config.test = {"s.tar"};
  expect_error(Fault::kData, "'fox' is not a number; list the classes in a file",
               [&] { open_source(config, Split::kTest); });
  replace_file(scratch / "names", "bee\nfox\n");
  config.class_names = "names";
  EXPECT_EQ(contents(*open_source(config, Split::kTest)), (Contents{"1:1"}));
}

TEST(Shards, ABadMemberIsNamed) {
  const Scratch scratch;
  DataConfig config = image_config(scratch, "shards");
  replace_file(scratch / "s.tar", TarText().add("a.png", "<html>").add("a.cls", "1").finish());
  config.test = {"s.tar"};
  const auto source = open_source(config, Split::kTest);
  expect_error(Fault::kData, "cannot use the image " + (scratch / "s.tar").string() + "!a.png: it is an HTML",
               [&] { source->get(0, StreamKey()); });
}

TEST(Shards, RefusesSamplesThatAreNotWhole) {
  expect_refused(TarText().add("a.png", "x").finish(), "!a: it has an image and no label");
  expect_refused(TarText().add("a.cls", "1").add("b.png", "").add("b.cls", "1").finish(),
                 "!a: it has a label and no image");
  expect_refused(TarText().add("a.png", "x").add("a.png", "y").add("a.cls", "1").finish(),
                 "!a: it has two members .png");
  expect_refused(TarText().add("a.png", "x").add("a.jpg", "y").add("a.cls", "1").finish(),
                 "it has two images, a.png and a.jpg");
  expect_refused(TarText().add("a.jpg", "x").add("a.json", "{").finish(), "a.json");
  expect_refused(TarText().add("a.jpg", "x").add("a.cls", std::string(2 << 20, '1')).finish(), "it is no label");
  expect_refused(TarText().add("a.jpg", "", '2').finish(), "is a link, a device");
}

TEST(ShardNames, BracesAndStars) {
  const Scratch scratch;
  for (const char* name : {"x-008.tar", "x-009.tar", "x-010.tar", "y.tar", ".hidden.tar"})
    replace_file(scratch / name, "");
  const auto names = [&](std::vector<std::string> patterns) { return shard_names(scratch.folder(), patterns); };
  EXPECT_EQ(names({"x-{008..010}.tar"}), (std::vector<std::string>{"x-008.tar", "x-009.tar", "x-010.tar"}));
  EXPECT_EQ(names({"*.tar", "y.tar"}), (std::vector<std::string>{"x-008.tar", "x-009.tar", "x-010.tar", "y.tar"}));
  EXPECT_EQ(names({"{1..2}-{0..1}"}), (std::vector<std::string>{"1-0", "1-1", "2-0", "2-1"}));
  expect_error(Fault::kData, "no file in", [&] { names({"z*.tar"}); });
  expect_error(Fault::kUsage, "braces hold two numbers", [&] { names({"x-{a,b}.tar"}); });
  expect_error(Fault::kUsage, "braces hold two numbers", [&] { names({"x-{5..1}.tar"}); });
  expect_error(Fault::kUsage, "commands are not run", [&] { names({"pipe:cat x.tar"}); });
  expect_error(Fault::kUsage, "addresses not fetched", [&] { names({"https://example.org/x.tar"}); });
}

}  // namespace
}  // namespace acm::data
