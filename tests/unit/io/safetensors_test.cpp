#include "io/safetensors.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include "core/digest.h"
#include "core/file.h"
#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"

namespace acm::io {
namespace {

constexpr at::ScalarType kAll[] = {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16,
                                   at::kLong,   at::kInt,   at::kByte, at::kBool};

NamedTensors examples() {
  NamedTensors tensors;
  for (const auto dtype : kAll) {
    tensors[std::string("t.") + c10::toString(dtype)] = at::arange(15, at::kLong).fmod(2).to(dtype).view({3, 5});
  }
  tensors["scalar"] = at::full({}, 2.5, at::kDouble);
  tensors["none"] = at::empty({0, 4}, at::kFloat);
  tensors["transposed"] = at::arange(6, at::kFloat).view({2, 3}).t();
  return tensors;
}

// A file of this header and so many bytes of data.
void write_raw(const std::filesystem::path& path, const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::string bytes(reinterpret_cast<const char*>(&length), sizeof length);
  replace_file(path, bytes + header + std::string(data_bytes, '\1'));
}

TEST(Safetensors, ReadsWhatItWrote) {
  const Scratch scratch;
  const NamedTensors written = examples();
  write_safetensors(scratch / "a", written, {{"acm_dist", "{\"phase\": 1}"}, {"other", "ü"}});
  const SafetensorsFile file(scratch / "a");
  EXPECT_EQ(file.metadata().at("acm_dist"), "{\"phase\": 1}");
  EXPECT_EQ(file.metadata().at("other"), "ü");
  const NamedTensors read = file.read_all();
  ASSERT_EQ(read.size(), written.size());
  for (const auto& [name, tensor] : written) {
    EXPECT_EQ(read.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(at::equal(read.at(name), tensor)) << name;
    EXPECT_TRUE(at::equal(file.read(name), tensor)) << name;
    EXPECT_EQ(file.entries().at(name).begin % tensor.element_size(), 0) << name;
  }
  EXPECT_TRUE(file.contains("scalar"));
  EXPECT_FALSE(file.contains("scalars"));
  expect_error(Fault::kData, "holds no tensor named x", [&] { file.read("x"); });
}

TEST(Safetensors, BytesAreAFunctionOfContent) {
  const Scratch scratch;
  write_safetensors(scratch / "a", examples(), {{"b", "2"}, {"a", "1"}});
  write_safetensors(scratch / "b", examples(), {{"a", "1"}, {"b", "2"}});
  const std::string bytes = read_file(scratch / "a");
  EXPECT_EQ(bytes, read_file(scratch / "b"));
  EXPECT_EQ(static_cast<unsigned char>(bytes[0]) % 8, 0);
  EXPECT_EQ(scratch.entries(), 2);
}

TEST(Safetensors, HoldsNoTensorsAtAll) {
  const Scratch scratch;
  write_safetensors(scratch / "a", {});
  EXPECT_TRUE(SafetensorsFile(scratch / "a").read_all().empty());
}

TEST(Safetensors, EveryTruncationIsFound) {
  const Scratch scratch;
  write_safetensors(scratch / "a", {{"w", at::ones({3})}}, {{"k", "v"}});
  const std::string whole = read_file(scratch / "a");
  for (size_t size = whole.size(); size-- > 0;) {
    std::filesystem::resize_file(scratch / "a", size);
    expect_error(Fault::kData, "fetch it again", [&] { SafetensorsFile file(scratch / "a"); });
  }
  replace_file(scratch / "b", whole + "x");
  expect_error(Fault::kData, "1 bytes that belong to no tensor", [&] { SafetensorsFile file(scratch / "b"); });
}

TEST(Safetensors, SaysWhatTheFileIsInstead) {
  const Scratch scratch;
  const auto opening = [&](const std::string& bytes) {
    replace_file(scratch / "a", bytes);
    return [&] { SafetensorsFile file(scratch / "a"); };
  };
  expect_error(Fault::kData, "it is a Git-LFS pointer (69 bytes), not the file; fetch it with 'git lfs pull'",
               opening("version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 1234\n"));
  expect_error(Fault::kData, "HTML page", opening("\n <!DOCTYPE html><html>...</html>"));
  expect_error(Fault::kData, "torch.save", opening("PK\x03\x04 and so on, for a while"));
  expect_error(Fault::kData, "not a safetensors file", opening("any other text of some length"));
  expect_error(Fault::kData, "no safetensors header", opening("short"));
  expect_error(Fault::kData, "not a safetensors file", opening(std::string("\x01\xe1\xf5\x05\0\0\0\0{}", 10)));
  expect_error(Fault::kData, "none", [&] { SafetensorsFile file(scratch / "none"); });
}

struct BadHeader {
  const char* header;
  size_t data_bytes;
  const char* part;
};

TEST(Safetensors, BadHeadersAreRefused) {
  const BadHeader cases[] = {
      {R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})", 8, "header"},
      {R"({"w":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}})", 8, "its dtype F8_E4M3 is none of"},
      {R"({"w":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8, "need 12 bytes"},
      {R"({"w":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8, "extent 0 of its shape is negative: -2"},
      {R"({"w":{"dtype":"F32","shape":[4611686018427387904,8],"data_offsets":[0,0]}})", 0, "larger than any memory"},
      {R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8, "data_offsets are [8, 0)"},
      {R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[9223372036854775800,9223372036854775808]}})", 8,
       "does not fit"},
      {R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}})", 8, "data_offsets are [-8, 0)"},
      {R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0]}})", 8, "not a pair"},
      {R"({"w":{"dtype":"F32","shape":[2]}})", 8, "damaged at w"},
      {R"({"w":{"dtype":"F32","shape":["2"],"data_offsets":[0,8]}})", 8, "damaged at w"},
      {R"({"w":3})", 8, "damaged at w"},
      {R"({"__metadata__":{"a":1}})", 0, "damaged at __metadata__"},
      {R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 12, "gap"},
      {R"({"v":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"w":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
       12, "the bytes of w begin at 4 and overlap those of v, which end at 8"},
      {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
       8, "stands twice"},
  };
  const Scratch scratch;
  for (const BadHeader& bad : cases) {
    SCOPED_TRACE(bad.header);
    write_raw(scratch / "a", bad.header, bad.data_bytes);
    expect_error(Fault::kData, bad.part, [&] { SafetensorsFile file(scratch / "a"); });
  }
}

TEST(Safetensors, ABoolIsZeroOrOne) {
  const Scratch scratch;
  write_raw(scratch / "a", R"({"w":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})", 2);
  EXPECT_TRUE(at::equal(SafetensorsFile(scratch / "a").read("w"), at::ones({2}, at::kBool)));
  std::string bytes = read_file(scratch / "a");
  bytes.back() = 2;
  replace_file(scratch / "a", bytes);
  expect_error(Fault::kData, "neither 0 nor 1", [&] { SafetensorsFile(scratch / "a").read("w"); });
}

TEST(Safetensors, RefusesWhatTheFormatCannotHold) {
  const Scratch scratch;
  EXPECT_THROW(write_safetensors(scratch / "a", {{"x", at::ones({2}, at::kShort)}}), c10::Error);
  EXPECT_THROW(write_safetensors(scratch / "a", {{"__metadata__", at::ones({2})}}), c10::Error);
  EXPECT_EQ(scratch.entries(), 0);
}

TEST(Safetensors, DigestSeesValuesDtypeAndShapeButNotStrides) {
  const at::Tensor tensor = at::arange(6, at::kInt).view({2, 3});
  const std::string digest = digest_of_tensor(tensor);
  EXPECT_EQ(digest, digest_of_tensor(tensor.t().contiguous().t()));
  EXPECT_NE(digest, digest_of_tensor(tensor.view({3, 2})));
  EXPECT_NE(digest, digest_of_tensor(tensor.t()));
  EXPECT_NE(digest, digest_of_tensor(tensor.view(at::kFloat)));
  EXPECT_NE(digest, digest_of_tensor(tensor.add(1)));
}

TEST(Safetensors, AFileThatChecksItselfFindsEveryChangedByte) {
  const Scratch scratch;
  const auto path = scratch / "a";
  write_safetensors(path, {{"w", at::arange(6, at::kFloat)}, {"b", at::ones({2})}}, {{"k", "value"}}, SelfCheck::kYes);
  const std::string whole = read_file(path);
  EXPECT_EQ(SafetensorsFile(path).read_all(SelfCheck::kYes).size(), 2u);
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string changed = whole;
    changed[i] ^= 0x01;
    replace_file(path, changed);
    EXPECT_THROW(SafetensorsFile(path).read_all(SelfCheck::kYes), Error) << "byte " << i;
  }
}

}  // namespace
}  // namespace acm::io
