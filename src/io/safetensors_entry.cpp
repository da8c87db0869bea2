#include "io/safetensors_entry.h"

#include <c10/core/ScalarType.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <array>
#include <vector>

#include "core/error.h"

namespace acm::io {
namespace {

struct DtypeName {
  at::ScalarType dtype;
  std::string_view name;
};
constexpr std::array<DtypeName, 8> kDtypes = {{{at::kDouble, "F64"},
                                               {at::kFloat, "F32"},
                                               {at::kHalf, "F16"},
                                               {at::kBFloat16, "BF16"},
                                               {at::kLong, "I64"},
                                               {at::kInt, "I32"},
                                               {at::kByte, "U8"},
                                               {at::kBool, "BOOL"}}};

[[noreturn]] void damaged(const std::string& what) { throw Error(Fault::kData, what); }

std::string range_text(int64_t begin, int64_t end) {
  return "[" + std::to_string(begin) + ", " + std::to_string(end) + ")";
}

at::ScalarType dtype_named(const std::string& name) {
  for (const DtypeName& known : kDtypes) {
    if (known.name == name) return known.dtype;
  }
  damaged("its dtype " + shown(name) + " is none of F64 F32 F16 BF16 I64 I32 U8 BOOL");
}

[[noreturn]] void must_be(const std::string& what, const std::string& expected, const Json& found) {
  damaged(what + " must be " + expected + " and is " +
          (found.is_object()  ? "an object"
           : found.is_array() ? "an array"
                              : shown(found.dump())));
}

int64_t whole_number(const Json& json, const std::string& what) {
  if (!json.is_integer()) must_be(what, "a whole number", json);
  return json.as_int();
}

const Json::Array& array_at(const Json& json, const std::string& key) {
  const Json& member = json.at(key);
  if (!member.is_array()) must_be("its " + key, "an array", member);
  return member.as_array();
}

std::vector<int64_t> parse_shape(const Json::Array& extents) {
  constexpr size_t kMostExtents = 64;  // of LibTorch's kernels
  if (extents.size() > kMostExtents) {
    damaged("its shape has " + std::to_string(extents.size()) + " extents, and " + std::to_string(kMostExtents) +
            " is the most");
  }
  std::vector<int64_t> shape;
  for (const Json& extent : extents) {
    const std::string what = "extent " + std::to_string(shape.size()) + " of its shape";
    shape.push_back(whole_number(extent, what));
    if (shape.back() < 0) damaged(what + " is negative: " + std::to_string(shape.back()));
  }
  return shape;
}

// Bytes of a tensor of this shape. An extent of 0 does not excuse others whose product overflows: strides are products
// too.
int64_t bytes_of(at::ScalarType dtype, const std::vector<int64_t>& shape) {
  int64_t bytes = static_cast<int64_t>(c10::elementSize(dtype));
  for (const int64_t extent : shape) {
    if (__builtin_mul_overflow(bytes, std::max<int64_t>(extent, 1), &bytes)) {
      damaged("its shape " + shown(Json::array(shape).dump()) + " is larger than any memory");
    }
  }
  return std::ranges::find(shape, 0) == shape.end() ? bytes : 0;
}

}  // namespace

std::string_view safetensors_dtype(at::ScalarType dtype) {
  for (const DtypeName& known : kDtypes) {
    if (known.dtype == dtype) return known.name;
  }
  TORCH_CHECK(false, "safetensors cannot hold tensors of ", c10::toString(dtype));
}

std::string shown(const std::string& name) {
  constexpr size_t kMost = 100;
  return name.size() <= kMost ? name : name.substr(0, kMost) + "... (" + std::to_string(name.size()) + " bytes)";
}

SafetensorsFile::Entry parse_entry(const Json& json, int64_t data_begin) {
  if (!json.is_object()) must_be("its description", "an object", json);
  const Json& dtype = json.at("dtype");
  if (!dtype.is_string()) must_be("its dtype", "a string", dtype);
  SafetensorsFile::Entry entry;
  entry.dtype = dtype_named(dtype.as_string());
  entry.shape = parse_shape(array_at(json, "shape"));
  const Json::Array& offsets = array_at(json, "data_offsets");
  if (offsets.size() != 2) {
    damaged("its data_offsets are not a pair: there are " + std::to_string(offsets.size()));
  }
  const int64_t begin = whole_number(offsets[0], "the first of its data_offsets"),
                end = whole_number(offsets[1], "the second of its data_offsets");
  const int64_t bytes = bytes_of(entry.dtype, entry.shape);
  if (begin < 0) damaged("its data_offsets are " + range_text(begin, end) + ", and begin before the data");
  if (end < begin) damaged("its data_offsets are " + range_text(begin, end) + ", and end before they begin");
  if (end - begin != bytes) {
    damaged("its shape " + shown(Json::array(entry.shape).dump()) + " and dtype " + dtype.as_string() + " need " +
            std::to_string(bytes) + " bytes, its data_offsets are " + range_text(begin, end) + ", " +
            std::to_string(end - begin) + " bytes");
  }
  if (__builtin_add_overflow(data_begin, begin, &entry.begin) || __builtin_add_overflow(data_begin, end, &entry.end)) {
    damaged("its data_offsets are " + range_text(begin, end) + ", and end beyond any file");
  }
  return entry;
}

Metadata parse_metadata(const Json& json) {
  if (!json.is_object()) must_be("it", "an object", json);
  Metadata metadata;
  for (const auto& [key, value] : json.as_object()) {
    if (!value.is_string()) must_be("its value of " + Json(shown(key)).dump(), "a string", value);
    metadata[key] = value.as_string();
  }
  return metadata;
}

}  // namespace acm::io
