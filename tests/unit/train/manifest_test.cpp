#include "train/manifest.h"

#include <gtest/gtest.h>

#include "core/digest.h"
#include "core/file.h"
#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"

namespace acm::train {
namespace {

// A manifest whose digest is right, as whoever wants to harm makes one.
void write_content(const Scratch& scratch, const std::string& content) {
  Json whole = Json::object({{"content", Json::parse(content, "content")}});
  whole["digest"] = digest_of(whole.at("content").dump());
  replace_file(scratch / "manifest.json", whole.dump(1) + "\n");
}

std::string placing(const std::string& file) {
  return R"({"format":1,"scalars":{},"tensors":{"w":{"file":")" + file + R"(","digest":"0"}}})";
}

TEST(Manifest, ReadsWhatWasWritten) {
  const Scratch scratch;
  write_manifest(scratch.folder(), {.scalars = {{"step", 3}}, .tensors = {{"w", {"rank-00000.safetensors", "12ab"}}}});
  const Manifest manifest = read_manifest(scratch.folder());
  EXPECT_EQ(manifest.scalars.at("step"), 3);
  EXPECT_EQ(manifest.tensors.at("w").file, "rank-00000.safetensors");
  EXPECT_EQ(manifest.tensors.at("w").digest, "12ab");
}

TEST(Manifest, NamesShardsOfItsOwnFolderOnly) {
  const Scratch scratch;
  write_content(scratch, placing("a.safetensors"));
  EXPECT_EQ(read_manifest(scratch.folder()).tensors.at("w").file, "a.safetensors");
  for (const char* file : {"../a.safetensors", "/etc/passwd", "a/b", "..", ".", "", "a\\u0000b", "..\\\\a"}) {
    SCOPED_TRACE(file);
    write_content(scratch, placing(file));
    const std::string message = expect_error(
        Fault::kData, "it places w in \"" + std::string(file) + "\", and a shard must be a plain file name",
        [&] { read_manifest(scratch.folder()); });
    EXPECT_TRUE(message.starts_with("cannot read " + (scratch / "manifest.json").string())) << message;
  }
}

TEST(Manifest, SaysWhatIsWrongWithIt) {
  const Scratch scratch;
  const auto read = [&] { read_manifest(scratch.folder()); };
  write_content(scratch, R"({"format":2,"scalars":{},"tensors":{}})");
  expect_error(Fault::kUsage, "manifest.json: it has format 2, and this program reads 1", read);
  write_content(scratch, R"({"format":1,"scalars":{"a":"x"},"tensors":{}})");
  expect_error(Fault::kData, "manifest.json: expected an integer in JSON, found \"x\"", read);
  write_content(scratch, R"({"format":1,"scalars":{}})");
  expect_error(Fault::kData, "manifest.json: expected the key \"tensors\"", read);
  replace_file(scratch / "manifest.json", R"({"content":{},"digest":"0123456789abcdef"})");
  expect_error(Fault::kData, "manifest.json: it is damaged: its content has the digest", read);
}

}  // namespace
}  // namespace acm::train
