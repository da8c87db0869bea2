// Files that are nearly safetensors, each refused with the sentence that says what is wrong with it.
#include <gtest/gtest.h>

#include <cctype>
#include <cstring>
#include <set>

#include "core/file.h"
#include "io/safetensors.h"
#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"

namespace acm::io {
namespace {

// A literal that may hold zero bytes.
template <size_t N>
std::string bytes(const char (&text)[N]) {
  return {text, N - 1};
}

std::string with_length(uint64_t length, const std::string& rest) {
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + rest;
}

std::string file(const std::string& header, size_t data_bytes) {
  return with_length(header.size(), header + std::string(data_bytes, '\1'));
}

// A file of one tensor, w.
std::string one(const std::string& description, size_t data_bytes) {
  return file("{\"w\":" + description + "}", data_bytes);
}

std::string repeated(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

std::string nested_objects(int levels) { return repeated("{\"a\":", levels) + "1" + repeated("}", levels); }

struct Malformed {
  std::string content;
  std::string sentence;  // FILE stands for the path
};

std::vector<Malformed> malformed_files() {
  return {
      // The beginning of the file
      {"",
       "?"},
      {"\1",
       "?"},
      {bytes("\1\0\0\0\0\0\0"),
       "?"},
      {bytes("\2\0\0\0\0\0\0\0"),
       "?"},
      {with_length(0x7fffffffffffffff, "{}"),
       "?"},
      {with_length(0xffffffffffffffff, "{}"),
       "?"},
      {with_length(100'000'001, "{}"),
       "?"},
      {with_length(0x0200000000000000, "{}"),
       "?"},
      {with_length(0, "{}"),
       "?"},
      {with_length(1, "{}"),
       "?"},
      {with_length(3, "{}"),
       "?"},
      {with_length(100'000'000, "{}"),
       "?"},
      {file("[]", 0),
       "?"},
      {file(" {}", 0),
       "?"},
      {file("\"a\"", 0),
       "?"},
      {file("null", 0),
       "?"},
      {file("\xff", 0),
       "?"},
      {file(bytes("\0"), 0),
       "?"},
      {file("\xef\xbb\xbf{}", 0),
       "?"},
      {file("\x1b[2J", 0),
       "?"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:0123\n",
       "?"},
      {"<!DOCTYPE html><html>",
       "?"},
      {"  <html lang=de>",
       "?"},
      {"GGUF\3 and more",
       "?"},
      {"\x89HDF\r\n\x1a\n",
       "?"},
      {"\x93NUMPY\1",
       "?"},
      {"\x1f\x8b\b",
       "?"},
      {"\x08\x07\x12\x07pytorch",
       "?"},
      // Headers that are not JSON
      {file(R"({"w":{"dtype":"F32"})", 0),
       "?"},
      {file(R"({"w":})", 0),
       "?"},
      {file(R"({"w" 1})", 0),
       "?"},
      {file(R"({w:1})", 0),
       "?"},
      {file(R"({'w':1})", 0),
       "?"},
      {file(R"({"w":1,})", 0),
       "?"},
      {file(R"({"w":1}{})", 0),
       "?"},
      {file(R"({"w":1} x)", 0),
       "?"},
      {file(R"({"w":NaN})", 0),
       "?"},
      {file(R"({"w":Infinity})", 0),
       "?"},
      {file(R"({"w":tru})", 0),
       "?"},
      {file(R"({"w":01})", 0),
       "?"},
      {file(R"({"w":+1})", 0),
       "?"},
      {file(R"({"w":.5})", 0),
       "?"},
      {file(R"({"w":1.})", 0),
       "?"},
      {file(R"({"w":1e})", 0),
       "?"},
      {file(R"({"w":-})", 0),
       "?"},
      {file(R"({"w":1e999})", 0),
       "?"},
      {file(R"({"w":"a)", 0),
       "?"},
      {file(R"({"w":1/*two*/})", 0),
       "?"},
      {file(R"({,})", 0),
       "?"},
      {file(R"({"w")", 0),
       "?"},
      {file(R"({"a":1 "b":2})", 0),
       "?"},
      {file(R"({"w":[1,2})", 0),
       "?"},
      {file(R"({"\x":1})", 0),
       "?"},
      {file(R"({"\u12":1})", 0),
       "?"},
      {file(R"({"\ud800":1})", 0),
       "?"},
      {file(R"({"\udc00\ud800":1})", 0),
       "?"},
      {file(R"({"w":18446744073709551615})", 0),
       "?"},
      {file(R"({"w":9223372036854775808})", 0),
       "?"},
      {file("{\"a\nb\":1}", 0),
       "?"},
      {file("{\"a\tb\":1}", 0),
       "?"},
      {file(bytes("{\"a\0b\":1}"), 0),
       "?"},
      {file("{\"\xff\":1}", 0),
       "?"},
      {file("{\"\xc0\x80\":1}", 0),
       "?"},
      {file("{\"\xed\xa0\x80\":1}", 0),
       "?"},
      {file("{\"\xf5\":1}", 0),
       "?"},
      {file(bytes("{}\0\0"), 0),
       "?"},
      {file("{\"a\":" + std::string(300, '[') + std::string(300, ']') + "}", 0),
       "?"},
      {file(nested_objects(300), 0),
       "?"},
      // What stands twice
      {file(R"({"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 4),
       "?"},
      {file(R"({"v":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"v":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})", 8),
       "?"},
      {file(R"({"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"\u0077":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}} )", 4),
       "?"},
      {one(R"({"dtype":"F32","dtype":"F16","shape":[2],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[2],"shape":[3],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"data_offsets":[0,4]})", 8),
       "?"},
      {file(R"({"__metadata__":{},"__metadata__":{}})", 0),
       "?"},
      {file(R"({"__metadata__":{"format":"pt","format":"np"}})", 0),
       "?"},
      // Names and descriptions
      {one(R"(3)", 8),
       "?"},
      {one(R"(null)", 8),
       "?"},
      {one(R"("F32")", 8),
       "?"},
      {one(R"([])", 8),
       "?"},
      {one(R"({})", 8),
       "?"},
      {one(R"(true)", 8),
       "?"},
      {one(R"(-0.5)", 8),
       "?"},
      {one(R"({"shape":[2],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[2]})", 8),
       "?"},
      {one(R"({"DTYPE":"F32","Shape":[2],"offsets":[0,8]})", 8),
       "?"},
      {file(R"({"":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8),
       "?"},
      {file(R"({"a\u001b[2J":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8),
       "?"},
      {file(R"({"a\nb":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8),
       "?"},
      {file(R"({"\u007f":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8),
       "?"},
      {file(R"({"a\u0000b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8),
       "?"},
      {file(R"({"\t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8),
       "?"},
      {file("{\"" + std::string(5000, 'n') + "\":3}", 0),
       "?"},
      // Dtypes
      {one(R"({"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"f32","shape":[2],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"","shape":[2],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"I16","shape":[2],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"U64","shape":[2],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"C64","shape":[2],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32 ","shape":[2],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32\u0000","shape":[2],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"float32","shape":[2],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":32,"shape":[2],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":null,"shape":[2],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":["F32"],"shape":[2],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":{"F32":1},"shape":[2],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":true,"shape":[2],"data_offsets":[0,8]})", 8),
       "?"},
      {file(R"({"w":{"dtype":")" + std::string(500, 'F') + R"(","shape":[2],"data_offsets":[0,8]}})", 8),
       "?"},
      // Shapes
      {one(R"({"dtype":"F32","shape":null,"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":2,"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":"2","data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":{},"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":["2"],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[2.5],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[2.0],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[2,null],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[true],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[[2]],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[2,{}],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[2,-2],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[-9223372036854775808],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[9223372036854775807],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[0,9223372036854775807,9],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[1e3],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":["\u001b[2J"],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[0],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[2,2],"data_offsets":[0,8]})", 8),
       "?"},
      {file(R"({"w":{"dtype":"F32","shape":[1)" + repeated(",1", 64) + R"(],"data_offsets":[0,4]}})", 4),
       "?"},
      // Offsets
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":null})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":8})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":"0,8"})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":{}})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8,16]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":["0",8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8.0]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,null]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[false,8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,[8]]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[-8,0]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,-8]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,7]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,9]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[9223372036854775799,9223372036854775807]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,9223372036854775808]})", 8),
       "?"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[-9223372036854775808,-9223372036854775800]})", 8),
       "?"},
      {one(R"({"dtype":"F16","shape":[2],"data_offsets":[0,8]})", 8),
       "?"},
      {one(R"({"dtype":"F64","shape":[2],"data_offsets":[0,8]})", 8),
       "?"},
      // What covers the data
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[4,12]})", 12),
       "?"},
      {file(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[5,9]}})", 9),
       "?"},
      {file(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[8,12]}})", 12),
       "?"},
      {file(R"({"late":{"dtype":"U8","shape":[4],"data_offsets":[5,9]},"early":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 9),
       "?"},
      {file(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})", 6),
       "?"},
      {file(R"({"v":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 4),
       "?"},
      {file(R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})", 8),
       "?"},
      {file(R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[0],"data_offsets":[4,4]}})", 8),
       "?"},
      {file(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})", 12),
       "?"},
      {file(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})", 7),
       "?"},
      {file(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})", 0),
       "?"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})", 0),
       "?"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})", 7),
       "?"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})", 9),
       "?"},
      {file(R"({})", 1),
       "?"},
      {file(R"({"__metadata__":{"a":"b"}})", 100),
       "?"},
      {file(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"large":{"dtype":"U8","shape":[1000000000000],"data_offsets":[4,1000000000004]}})", 8),
       "?"},
      {file(R"({"w":{"dtype":"U8","shape":[4611686018427387904],"data_offsets":[0,4611686018427387904]}})", 8),
       "?"},
      // Metadata
      {file(R"({"__metadata__":[]})", 0),
       "?"},
      {file(R"({"__metadata__":"pt"})", 0),
       "?"},
      {file(R"({"__metadata__":null})", 0),
       "?"},
      {file(R"({"__metadata__":1})", 0),
       "?"},
      {file(R"({"__metadata__":{"format":1}})", 0),
       "?"},
      {file(R"({"__metadata__":{"format":null}})", 0),
       "?"},
      {file(R"({"__metadata__":{"a":"b","c":{}}})", 0),
       "?"},
      {file(R"({"__metadata__":{"a":["b"]}})", 0),
       "?"},
      {file(R"({"__metadata__":{"a":true}})", 0),
       "?"},
      {file(R"({"__metadata__":{"a\u001b":2}})", 0),
       "?"},
      {file(R"({"__metadata__":{"":1.5}})", 0),
       "?"},
  };
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size()) text.replace(at, from.size(), to);
  return text;
}

// Two sentences that differ only in their numbers are of one kind.
std::string kind_of(const std::string& sentence) {
  std::string out;
  for (const char c : sentence) {
    const char shown = std::isdigit(static_cast<unsigned char>(c)) ? '#' : c;
    if (shown != '#' || !out.ends_with('#')) out += shown;
  }
  return out;
}

TEST(MalformedSafetensors, EachFileIsRefusedWithItsOwnSentence) {
  const Scratch scratch;
  const auto path = scratch / "a";
  std::set<std::string> sentences, kinds;
  int number = 0;
  for (const auto& [content, sentence] : malformed_files()) {
    SCOPED_TRACE("file " + std::to_string(number++));
    replace_file(path, content);
    const std::string message = expect_error(Fault::kData, "", [&] { SafetensorsFile file(path); });
    EXPECT_EQ(replaced(message, path.string(), "FILE"), sentence);
    EXPECT_TRUE(sentences.insert(sentence).second) << "not the first file with the sentence: " << sentence;
    kinds.insert(kind_of(sentence));
  }
  EXPECT_GE(sentences.size(), 150u);
  EXPECT_GE(kinds.size(), 100u);
}

}  // namespace
}  // namespace acm::io
