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

struct Malformed {
  std::string content;
  std::string sentence;  // FILE stands for the path
};

std::vector<Malformed> malformed_files() {
  return {
      // The beginning of the file
      {"", "cannot open FILE: it has 0 bytes and no safetensors header; fetch it again"},
      {"\1", "cannot open FILE: it has 1 bytes and no safetensors header; fetch it again"},
      {bytes("\1\0\0\0\0\0\0"), "cannot open FILE: it has 7 bytes and no safetensors header; fetch it again"},
      {bytes("\2\0\0\0\0\0\0\0"), "cannot open FILE: it has 8 bytes and no safetensors header; fetch it again"},
      {with_length(0x7fffffffffffffff, "{}"),
       "cannot open FILE: it is not a safetensors file: its first 8 bytes promise a header of 9223372036854775807 "
       "bytes, and 100000000 is the most"},
      {with_length(0xffffffffffffffff, "{}"),
       "cannot open FILE: it is not a safetensors file: its first 8 bytes promise a header of 18446744073709551615 "
       "bytes, and 100000000 is the most"},
      {with_length(100'000'001, "{}"),
       "cannot open FILE: it is not a safetensors file: its first 8 bytes promise a header of 100000001 bytes, and "
       "100000000 is the most"},
      {with_length(0x0200000000000000, "{}"),
       "cannot open FILE: it is not a safetensors file: its first 8 bytes promise a header of 144115188075855872 "
       "bytes, and 100000000 is the most"},
      {with_length(0, "{}"),
       "cannot read the header of FILE as JSON: malformed at line 1, column 1 (unexpected end of input; expected '[', "
       "'{', or a literal); it is damaged or was edited wrongly"},
      {with_length(1, "{}"),
       "cannot read the header of FILE as JSON: malformed at line 1, column 2 (unexpected end of input; expected "
       "string literal); it is damaged or was edited wrongly"},
      {with_length(3, "{}"),
       "cannot open FILE: it is truncated: its header alone needs 11 bytes, 10 are there; fetch it again"},
      {with_length(100'000'000, "{}"),
       "cannot open FILE: it is truncated: its header alone needs 100000008 bytes, 10 are there; fetch it again"},
      {file("[]", 0),
       "cannot open FILE: it is not a safetensors file: its header must begin with '{' and begins with '['"},
      {file(" {}", 0),
       "cannot open FILE: it is not a safetensors file: its header must begin with '{' and begins with the byte 0x20"},
      {file("\"a\"", 0),
       R"(cannot open FILE: it is not a safetensors file: its header must begin with '{' and begins with '"')"},
      {file("null", 0),
       "cannot open FILE: it is not a safetensors file: its header must begin with '{' and begins with 'n'"},
      {file("\xff", 0),
       "cannot open FILE: it is not a safetensors file: its header must begin with '{' and begins with the byte 0xff"},
      {file(bytes("\0"), 0),
       "cannot open FILE: it is not a safetensors file: its header must begin with '{' and begins with the byte 0x00"},
      {file("\xef\xbb\xbf{}", 0),
       "cannot open FILE: it is not a safetensors file: its header must begin with '{' and begins with the byte 0xef"},
      {file("\x1b[2J", 0),
       "cannot open FILE: it is not a safetensors file: its header must begin with '{' and begins with the byte 0x1b"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:0123\n",
       "cannot open FILE: it is a Git-LFS pointer (59 bytes), not the file; fetch it with 'git lfs pull'"},
      {"<!DOCTYPE html><html>",
       "cannot open FILE: it is an HTML page, not the file; download it again and look at the address"},
      {"GGUF\3 and more", "cannot open FILE: it is a GGUF file, not a safetensors file"},
      {"\x89HDF\r\n\x1a\n", "cannot open FILE: it is an HDF5 file, not a safetensors file"},
      {"\x93NUMPY\1", "cannot open FILE: it is a NumPy array, not a safetensors file"},
      {"\x1f\x8b\b", "cannot open FILE: it is a gzip file, not a safetensors file"},
      {"\x08\x07\x12\x07pytorch", "cannot open FILE: it is an ONNX model, not a safetensors file"},
      // Headers that are not JSON
      {file(R"({"w":{"dtype":"F32"})", 0),
       "cannot read the header of FILE as JSON: malformed at line 1, column 21 (unexpected end of input; expected "
       "'}'); it is damaged or was edited wrongly"},
      {file(R"({"w":})", 0),
       "cannot read the header of FILE as JSON: malformed at line 1, column 6 (unexpected '}'; expected '[', '{', or a "
       "literal); it is damaged or was edited wrongly"},
      {file(R"({"w" 1})", 0),
       "cannot read the header of FILE as JSON: malformed at line 1, column 6 (unexpected number literal; expected "
       "':'); it is damaged or was edited wrongly"},
      {file(R"({w:1})", 0),
       "cannot read the header of FILE as JSON: malformed at line 1, column 2 (invalid literal; last read: '{w'; "
       "expected string literal); it is damaged or was edited wrongly"},
      {file(R"({'w':1})", 0),
       "cannot read the header of FILE as JSON: malformed at line 1, column 2 (invalid literal; last read: '{''; "
       "expected string literal); it is damaged or was edited wrongly"},
      {file(R"({"w":1,})", 0),
       "cannot read the header of FILE as JSON: malformed at line 1, column 8 (unexpected '}'; expected string "
       "literal); it is damaged or was edited wrongly"},
      {file(R"({"w":1}{})", 0),
       "cannot read the header of FILE as JSON: malformed at line 1, column 8 (unexpected '{'; expected end of input); "
       "it is damaged or was edited wrongly"},
      {file(R"({"w":1} x)", 0),
       "cannot read the header of FILE as JSON: malformed at line 1, column 9 (invalid literal; last read: '1} x'; "
       "expected end of input); it is damaged or was edited wrongly"},
      {file(R"({"w":NaN})", 0),
       R"(cannot read the header of FILE as JSON: malformed at line 1, column 6 (invalid literal; last read: '"w":N'); it is damaged or was edited wrongly)"},
      {file(R"({"w":Infinity})", 0),
       R"(cannot read the header of FILE as JSON: malformed at line 1, column 6 (invalid literal; last read: '"w":I'); it is damaged or was edited wrongly)"},
      {file(R"({"w":tru})", 0),
       R"(cannot read the header of FILE as JSON: malformed at line 1, column 9 (invalid literal; last read: '"w":tru}'); it is damaged or was edited wrongly)"},
      {file(R"({"w":01})", 0),
       "cannot read the header of FILE as JSON: malformed at line 1, column 7 (unexpected number literal; expected "
       "'}'); it is damaged or was edited wrongly"},
      {file(R"({"w":+1})", 0),
       R"(cannot read the header of FILE as JSON: malformed at line 1, column 6 (invalid literal; last read: '"w":+'); it is damaged or was edited wrongly)"},
      {file(R"({"w":.5})", 0),
       R"(cannot read the header of FILE as JSON: malformed at line 1, column 6 (invalid literal; last read: '"w":.'); it is damaged or was edited wrongly)"},
      {file(R"({"w":1.})", 0),
       "cannot read the header of FILE as JSON: malformed at line 1, column 8 (invalid number; expected digit after "
       "'.'; last read: '1.}'); it is damaged or was edited wrongly"},
      {file(R"({"w":1e})", 0),
       "cannot read the header of FILE as JSON: malformed at line 1, column 8 (invalid number; expected '+', '-', or "
       "digit after exponent; last read: '1e}'); it is damaged or was edited wrongly"},
      {file(R"({"w":-})", 0),
       "cannot read the header of FILE as JSON: malformed at line 1, column 7 (invalid number; expected digit after "
       "'-'; last read: '-}'); it is damaged or was edited wrongly"},
      {file(R"({"w":1e999})", 0), "cannot read the header of FILE as JSON: number overflow parsing '1e999'"},
      {file(R"({"w":"a)", 0),
       R"(cannot read the header of FILE as JSON: malformed at line 1, column 8 (invalid string: missing closing quote; last read: '"a'); it is damaged or was edited wrongly)"},
      {file(R"({"w":1/*two*/})", 0),
       "cannot read the header of FILE as JSON: malformed at line 1, column 7 (invalid literal; last read: '1/'; "
       "expected '}'); it is damaged or was edited wrongly"},
      {file(R"({,})", 0),
       "cannot read the header of FILE as JSON: malformed at line 1, column 2 (unexpected ','; expected string "
       "literal); it is damaged or was edited wrongly"},
      {file(R"({"w")", 0),
       "cannot read the header of FILE as JSON: malformed at line 1, column 5 (unexpected end of input; expected ':'); "
       "it is damaged or was edited wrongly"},
      {file(R"({"a":1 "b":2})", 0),
       "cannot read the header of FILE as JSON: malformed at line 1, column 10 (unexpected string literal; expected "
       "'}'); it is damaged or was edited wrongly"},
      {file(R"({"w":[1,2})", 0),
       "cannot read the header of FILE as JSON: malformed at line 1, column 10 (unexpected '}'; expected ']'); it is "
       "damaged or was edited wrongly"},
      {file(R"({"\x":1})", 0),
       R"(cannot read the header of FILE as JSON: malformed at line 1, column 4 (invalid string: forbidden character after backslash; last read: '"\x'; expected string literal); it is damaged or was edited wrongly)"},
      {file(R"({"\u12":1})", 0),
       R"(cannot read the header of FILE as JSON: malformed at line 1, column 7 (invalid string: '\u' must be followed by 4 hex digits; last read: '"\u12"'; expected string literal); it is damaged or was edited wrongly)"},
      {file(R"({"\ud800":1})", 0),
       R"(cannot read the header of FILE as JSON: malformed at line 1, column 9 (invalid string: surrogate U+D800..U+DBFF must be followed by U+DC00..U+DFFF; last read: '"\ud800"'; expected string lite...); it is damaged or was edited wrongly)"},
      {file(R"({"\udc00\ud800":1})", 0),
       R"(cannot read the header of FILE as JSON: malformed at line 1, column 8 (invalid string: surrogate U+DC00..U+DFFF must follow U+D800..U+DBFF; last read: '"\udc00'; expected string literal); it is damaged or was edited wrongly)"},
      {file(R"({"w":18446744073709551615})", 0),
       "cannot read the header of FILE as JSON: the integer 18446744073709551615 does not fit 64 bits with a sign"},
      {file(R"({"w":9223372036854775809})", 0),
       "cannot read the header of FILE as JSON: the integer 9223372036854775809 does not fit 64 bits with a sign"},
      {file("{\"a\nb\":1}", 0),
       R"(cannot read the header of FILE as JSON: malformed at line 1, column 4 (invalid string: control character U+000A (LF) must be escaped to \u000A or \n; last read: '"a<U+000A>'; expected string ...); it is damaged or was edited wrongly)"},
      {file("{\"a\tb\":1}", 0),
       R"(cannot read the header of FILE as JSON: malformed at line 1, column 4 (invalid string: control character U+0009 (HT) must be escaped to \u0009 or \t; last read: '"a<U+0009>'; expected string ...); it is damaged or was edited wrongly)"},
      {file(bytes("{\"a\0b\":1}"), 0),
       "cannot read the header of FILE as JSON: malformed at line 1, column 4 (a zero byte); it is damaged or was "
       "edited wrongly"},
      {file("{\"\xff\":1}", 0),
       R"(cannot read the header of FILE as JSON: malformed at line 1, column 3 (invalid string: ill-formed UTF-8 byte; last read: '"\xff'; expected string literal); it is damaged or was edited wrongly)"},
      {file("{\"\xc0\x80\":1}", 0),
       R"(cannot read the header of FILE as JSON: malformed at line 1, column 3 (invalid string: ill-formed UTF-8 byte; last read: '"\xc0'; expected string literal); it is damaged or was edited wrongly)"},
      {file("{\"\xed\xa0\x80\":1}", 0),
       R"(cannot read the header of FILE as JSON: malformed at line 1, column 4 (invalid string: ill-formed UTF-8 byte; last read: '"\xed\xa0'; expected string literal); it is damaged or was edited wrongly)"},
      {file("{\"\xf5\":1}", 0),
       R"(cannot read the header of FILE as JSON: malformed at line 1, column 3 (invalid string: ill-formed UTF-8 byte; last read: '"\xf5'; expected string literal); it is damaged or was edited wrongly)"},
      {file(bytes("{}\0\0"), 0),
       "cannot read the header of FILE as JSON: malformed at line 1, column 3 (a zero byte); it is damaged or was "
       "edited wrongly"},
      {file("{\"a\":" + std::string(300, '[') + std::string(300, ']') + "}", 0),
       "cannot read the header of FILE as JSON: more than 200 levels of nesting"},
      // What stands twice
      {file(
           R"({"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
           4),
       R"(cannot read the header of FILE as JSON: the key "w" stands twice in an object)"},
      {file(
           R"({"v":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"v":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
           8),
       R"(cannot read the header of FILE as JSON: the key "v" stands twice in an object)"},
      {file(
           R"({"z":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"\u007a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}} )",
           4),
       R"(cannot read the header of FILE as JSON: the key "z" stands twice in an object)"},
      {one(R"({"dtype":"F32","dtype":"F16","shape":[2],"data_offsets":[0,8]})", 8),
       R"(cannot read the header of FILE as JSON: the key "dtype" stands twice in an object)"},
      {one(R"({"dtype":"F32","shape":[2],"shape":[3],"data_offsets":[0,8]})", 8),
       R"(cannot read the header of FILE as JSON: the key "shape" stands twice in an object)"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"data_offsets":[0,4]})", 8),
       R"(cannot read the header of FILE as JSON: the key "data_offsets" stands twice in an object)"},
      {file(R"({"__metadata__":{},"__metadata__":{}})", 0),
       R"(cannot read the header of FILE as JSON: the key "__metadata__" stands twice in an object)"},
      {file(R"({"__metadata__":{"format":"pt","format":"np"}})", 0),
       R"(cannot read the header of FILE as JSON: the key "format" stands twice in an object)"},
      // Names and descriptions
      {one(R"(3)", 8), "cannot open FILE: its header is damaged at w: its description must be an object and is 3"},
      {one(R"(null)", 8),
       "cannot open FILE: its header is damaged at w: its description must be an object and is null"},
      {one(R"("F32")", 8),
       R"(cannot open FILE: its header is damaged at w: its description must be an object and is "F32")"},
      {one(R"([])", 8),
       "cannot open FILE: its header is damaged at w: its description must be an object and is an array"},
      {one(R"({})", 8),
       R"(cannot open FILE: its header is damaged at w: expected the key "dtype" in a JSON object, found none)"},
      {one(R"(true)", 8),
       "cannot open FILE: its header is damaged at w: its description must be an object and is true"},
      {one(R"(-0.5)", 8),
       "cannot open FILE: its header is damaged at w: its description must be an object and is -0.5"},
      {one(R"({"shape":[2],"data_offsets":[0,8]})", 8),
       R"(cannot open FILE: its header is damaged at w: expected the key "dtype" in a JSON object, found data_offsets, shape)"},
      {one(R"({"dtype":"F32","data_offsets":[0,8]})", 8),
       R"(cannot open FILE: its header is damaged at w: expected the key "shape" in a JSON object, found data_offsets, dtype)"},
      {one(R"({"dtype":"F32","shape":[2]})", 8),
       R"(cannot open FILE: its header is damaged at w: expected the key "data_offsets" in a JSON object, found dtype, shape)"},
      {one(R"({"DTYPE":"F32","Shape":[2],"offsets":[0,8]})", 8),
       R"(cannot open FILE: its header is damaged at w: expected the key "dtype" in a JSON object, found DTYPE, Shape, offsets)"},
      {file(R"({"":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8),
       "cannot open FILE: its header is damaged: a tensor has no name"},
      {file(R"({"a\u001b[2J":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8),
       R"(cannot open FILE: its header is damaged: the name "a\u001b[2J" has a control character)"},
      {file(R"({"a\nb":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8),
       R"(cannot open FILE: its header is damaged: the name "a\nb" has a control character)"},
      {file(R"({"\u007f":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8),
       R"(cannot open FILE: its header is damaged: the name "\x7f" has a control character)"},
      {file(R"({"a\u0000b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8),
       R"(cannot open FILE: its header is damaged: the name "a\u0000b" has a control character)"},
      {file(R"({"\t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8),
       R"(cannot open FILE: its header is damaged: the name "\t" has a control character)"},
      {file("{\"" + std::string(5000, 'n') + "\":3}", 0),
       "cannot open FILE: its header is damaged at "
       "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn... (5000 "
       "bytes): its description must be an object and is 3"},
      // Dtypes
      {one(R"({"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: its dtype F8_E4M3 is none of F64 F32 F16 BF16 I64 I32 U8 BOOL"},
      {one(R"({"dtype":"f32","shape":[2],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: its dtype f32 is none of F64 F32 F16 BF16 I64 I32 U8 BOOL"},
      {one(R"({"dtype":"","shape":[2],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: its dtype  is none of F64 F32 F16 BF16 I64 I32 U8 BOOL"},
      {one(R"({"dtype":"I16","shape":[2],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: its dtype I16 is none of F64 F32 F16 BF16 I64 I32 U8 BOOL"},
      {one(R"({"dtype":"U64","shape":[2],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: its dtype U64 is none of F64 F32 F16 BF16 I64 I32 U8 BOOL"},
      {one(R"({"dtype":"C64","shape":[2],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: its dtype C64 is none of F64 F32 F16 BF16 I64 I32 U8 BOOL"},
      {one(R"({"dtype":"F32 ","shape":[2],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: its dtype F32  is none of F64 F32 F16 BF16 I64 I32 U8 BOOL"},
      {one(R"({"dtype":"F32\u0000","shape":[2],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: its dtype F32\\x00 is none of F64 F32 F16 BF16 I64 I32 U8 BOOL"},
      {one(R"({"dtype":"float32","shape":[2],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: its dtype float32 is none of F64 F32 F16 BF16 I64 I32 U8 BOOL"},
      {one(R"({"dtype":32,"shape":[2],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: its dtype must be a string and is 32"},
      {one(R"({"dtype":null,"shape":[2],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: its dtype must be a string and is null"},
      {one(R"({"dtype":["F32"],"shape":[2],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: its dtype must be a string and is an array"},
      {one(R"({"dtype":{"F32":1},"shape":[2],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: its dtype must be a string and is an object"},
      {one(R"({"dtype":true,"shape":[2],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: its dtype must be a string and is true"},
      {file(R"({"w":{"dtype":")" + std::string(500, 'F') + R"(","shape":[2],"data_offsets":[0,8]}})", 8),
       "cannot open FILE: its header is damaged at w: its dtype "
       "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF... (500 "
       "bytes) is none of F64 F32 F16 BF16 I64 I32 U8 BOOL"},
      // Shapes
      {one(R"({"dtype":"F32","shape":null,"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: its shape must be an array and is null"},
      {one(R"({"dtype":"F32","shape":2,"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: its shape must be an array and is 2"},
      {one(R"({"dtype":"F32","shape":"2","data_offsets":[0,8]})", 8),
       R"(cannot open FILE: its header is damaged at w: its shape must be an array and is "2")"},
      {one(R"({"dtype":"F32","shape":{},"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: its shape must be an array and is an object"},
      {one(R"({"dtype":"F32","shape":["2"],"data_offsets":[0,8]})", 8),
       R"(cannot open FILE: its header is damaged at w: extent 0 of its shape must be a whole number and is "2")"},
      {one(R"({"dtype":"F32","shape":[2.5],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: extent 0 of its shape must be a whole number and is 2.5"},
      {one(R"({"dtype":"F32","shape":[2.0],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: extent 0 of its shape must be a whole number and is 2.0"},
      {one(R"({"dtype":"F32","shape":[2,null],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: extent 1 of its shape must be a whole number and is null"},
      {one(R"({"dtype":"F32","shape":[true],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: extent 0 of its shape must be a whole number and is true"},
      {one(R"({"dtype":"F32","shape":[[2]],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: extent 0 of its shape must be a whole number and is an array"},
      {one(R"({"dtype":"F32","shape":[2,{}],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: extent 1 of its shape must be a whole number and is an object"},
      {one(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: extent 0 of its shape is negative: -1"},
      {one(R"({"dtype":"F32","shape":[2,-2],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: extent 1 of its shape is negative: -2"},
      {one(R"({"dtype":"F32","shape":[-9223372036854775808],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: extent 0 of its shape is negative: -9223372036854775808"},
      {one(R"({"dtype":"F32","shape":[9223372036854775807],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: its shape [9223372036854775807] is larger than any memory"},
      {one(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: its shape [4294967296,4294967296] is larger than any memory"},
      {one(R"({"dtype":"F32","shape":[0,9223372036854775807,9],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: its shape [0,9223372036854775807,9] is larger than any memory"},
      {one(R"({"dtype":"F32","shape":[1e3],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: extent 0 of its shape must be a whole number and is 1000.0"},
      {one(R"({"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: extent 0 of its shape must be a whole number and is "
       "18446744073709551616.0"},
      {one(R"({"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,8]})", 8),
       "cannot read the header of FILE as JSON: the integer 9223372036854775808 does not fit 64 bits with a sign"},
      {one(R"({"dtype":"F32","shape":["\u001b[2J"],"data_offsets":[0,8]})", 8),
       R"(cannot open FILE: its header is damaged at w: extent 0 of its shape must be a whole number and is "\u001b[2J")"},
      {one(R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: its shape [3] and dtype F32 need 12 bytes, its data_offsets are "
       "[0, 8), 8 bytes"},
      {one(R"({"dtype":"F32","shape":[],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: its shape [] and dtype F32 need 4 bytes, its data_offsets are "
       "[0, 8), 8 bytes"},
      {one(R"({"dtype":"F32","shape":[0],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: its shape [0] and dtype F32 need 0 bytes, its data_offsets are "
       "[0, 8), 8 bytes"},
      {one(R"({"dtype":"F32","shape":[2,2],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: its shape [2,2] and dtype F32 need 16 bytes, its data_offsets "
       "are [0, 8), 8 bytes"},
      {file(R"({"w":{"dtype":"F32","shape":[1)" + repeated(",1", 64) + R"(],"data_offsets":[0,4]}})", 4),
       "cannot open FILE: its header is damaged at w: its shape has 65 extents, and 64 is the most"},
      // Offsets
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":null})", 8),
       "cannot open FILE: its header is damaged at w: its data_offsets must be an array and is null"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":8})", 8),
       "cannot open FILE: its header is damaged at w: its data_offsets must be an array and is 8"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":"0,8"})", 8),
       R"(cannot open FILE: its header is damaged at w: its data_offsets must be an array and is "0,8")"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":{}})", 8),
       "cannot open FILE: its header is damaged at w: its data_offsets must be an array and is an object"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[]})", 8),
       "cannot open FILE: its header is damaged at w: its data_offsets are not a pair: there are 0"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0]})", 8),
       "cannot open FILE: its header is damaged at w: its data_offsets are not a pair: there are 1"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8,16]})", 8),
       "cannot open FILE: its header is damaged at w: its data_offsets are not a pair: there are 3"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":["0",8]})", 8),
       R"(cannot open FILE: its header is damaged at w: the first of its data_offsets must be a whole number and is "0")"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8.0]})", 8),
       "cannot open FILE: its header is damaged at w: the second of its data_offsets must be a whole number and is "
       "8.0"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,null]})", 8),
       "cannot open FILE: its header is damaged at w: the second of its data_offsets must be a whole number and is "
       "null"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[false,8]})", 8),
       "cannot open FILE: its header is damaged at w: the first of its data_offsets must be a whole number and is "
       "false"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,[8]]})", 8),
       "cannot open FILE: its header is damaged at w: the second of its data_offsets must be a whole number and is an "
       "array"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[-8,0]})", 8),
       "cannot open FILE: its header is damaged at w: its data_offsets are [-8, 0), and begin before the data"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})", 8),
       "cannot open FILE: its header is damaged at w: its data_offsets are [8, 0), and end before they begin"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,-8]})", 8),
       "cannot open FILE: its header is damaged at w: its data_offsets are [0, -8), and end before they begin"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,7]})", 8),
       "cannot open FILE: its header is damaged at w: its shape [2] and dtype F32 need 8 bytes, its data_offsets are "
       "[0, 7), 7 bytes"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,9]})", 8),
       "cannot open FILE: its header is damaged at w: its shape [2] and dtype F32 need 8 bytes, its data_offsets are "
       "[0, 9), 9 bytes"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[9223372036854775799,9223372036854775807]})", 8),
       "cannot open FILE: its header is damaged at w: its data_offsets are [9223372036854775799, 9223372036854775807), "
       "and end beyond any file"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,9223372036854775810]})", 8),
       "cannot read the header of FILE as JSON: the integer 9223372036854775810 does not fit 64 bits with a sign"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[-9223372036854775808,-9223372036854775800]})", 8),
       "cannot open FILE: its header is damaged at w: its data_offsets are [-9223372036854775808, "
       "-9223372036854775800), and begin before the data"},
      {one(R"({"dtype":"F16","shape":[2],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: its shape [2] and dtype F16 need 4 bytes, its data_offsets are "
       "[0, 8), 8 bytes"},
      {one(R"({"dtype":"F64","shape":[2],"data_offsets":[0,8]})", 8),
       "cannot open FILE: its header is damaged at w: its shape [2] and dtype F64 need 16 bytes, its data_offsets are "
       "[0, 8), 8 bytes"},
      // What covers the data
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[4,12]})", 12),
       "cannot open FILE: its header is damaged: the bytes of w begin at 4 and leave a gap of 4 after the header"},
      {file(
           R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[5,9]}})",
           9),
       "cannot open FILE: its header is damaged: the bytes of b begin at 5 and leave a gap of 1 after a"},
      {file(
           R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[8,12]}})",
           12),
       "cannot open FILE: its header is damaged: the bytes of b begin at 8 and leave a gap of 4 after a"},
      {file(
           R"({"late":{"dtype":"U8","shape":[4],"data_offsets":[5,9]},"early":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
           9),
       "cannot open FILE: its header is damaged: the bytes of late begin at 5 and leave a gap of 1 after early"},
      {file(
           R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
           6),
       "cannot open FILE: its header is damaged: the bytes of b begin at 2 and overlap those of a, which end at 4"},
      {file(
           R"({"v":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
           4),
       "cannot open FILE: its header is damaged: the bytes of w begin at 0 and overlap those of v, which end at 4"},
      {file(
           R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
           8),
       "cannot open FILE: its header is damaged: the bytes of b begin at 2 and overlap those of a, which end at 8"},
      {file(
           R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[0],"data_offsets":[4,4]}})",
           8),
       "cannot open FILE: its header is damaged: the bytes of b begin at 4 and overlap those of a, which end at 8"},
      {file(
           R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
           12),
       "cannot open FILE: it has 4 bytes that belong to no tensor"},
      {file(
           R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
           7),
       "cannot open FILE: it is truncated: 120 of 121 bytes are there; fetch it again"},
      {file(
           R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
           0),
       "cannot open FILE: it is truncated: 113 of 121 bytes are there; fetch it again"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})", 0),
       "cannot open FILE: it is truncated: 62 of 70 bytes are there; fetch it again"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})", 7),
       "cannot open FILE: it is truncated: 69 of 70 bytes are there; fetch it again"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})", 9),
       "cannot open FILE: it has 1 bytes that belong to no tensor"},
      {file(R"({})", 2), "cannot open FILE: it has 2 bytes that belong to no tensor"},
      {file(R"({"__metadata__":{"a":"b"}})", 100), "cannot open FILE: it has 100 bytes that belong to no tensor"},
      {file(
           R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"large":{"dtype":"U8","shape":[1000000000000],"data_offsets":[4,1000000000004]}})",
           8),
       "cannot open FILE: it is truncated: 149 of 1000000000145 bytes are there; fetch it again"},
      {file(R"({"w":{"dtype":"U8","shape":[4611686018427387904],"data_offsets":[0,4611686018427387904]}})", 8),
       "cannot open FILE: it is truncated: 105 of 4611686018427388001 bytes are there; fetch it again"},
      // Metadata
      {file(R"({"__metadata__":[]})", 0),
       "cannot open FILE: its header is damaged at __metadata__: it must be an object and is an array"},
      {file(R"({"__metadata__":"pt"})", 0),
       R"(cannot open FILE: its header is damaged at __metadata__: it must be an object and is "pt")"},
      {file(R"({"__metadata__":null})", 0),
       "cannot open FILE: its header is damaged at __metadata__: it must be an object and is null"},
      {file(R"({"__metadata__":1})", 0),
       "cannot open FILE: its header is damaged at __metadata__: it must be an object and is 1"},
      {file(R"({"__metadata__":{"format":1}})", 0),
       R"(cannot open FILE: its header is damaged at __metadata__: its value of "format" must be a string and is 1)"},
      {file(R"({"__metadata__":{"format":null}})", 0),
       R"(cannot open FILE: its header is damaged at __metadata__: its value of "format" must be a string and is null)"},
      {file(R"({"__metadata__":{"a":"b","c":{}}})", 0),
       R"(cannot open FILE: its header is damaged at __metadata__: its value of "c" must be a string and is an object)"},
      {file(R"({"__metadata__":{"a":["b"]}})", 0),
       R"(cannot open FILE: its header is damaged at __metadata__: its value of "a" must be a string and is an array)"},
      {file(R"({"__metadata__":{"a":true}})", 0),
       R"(cannot open FILE: its header is damaged at __metadata__: its value of "a" must be a string and is true)"},
      {file(R"({"__metadata__":{"a\u001b":2}})", 0),
       R"(cannot open FILE: its header is damaged at __metadata__: its value of "a\u001b" must be a string and is 2)"},
      {file(R"({"__metadata__":{"":1.5}})", 0),
       R"(cannot open FILE: its header is damaged at __metadata__: its value of "" must be a string and is 1.5)"},
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
