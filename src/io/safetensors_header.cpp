#include "io/safetensors_header.h"

#include <c10/core/ScalarType.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/json.h"

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

// Whether the bytes begin a pickle of protocol 2 to 5 and no safetensors header.
bool is_pickle(std::string_view head) {
  return head.size() > kLengthBytes && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5 && head[kLengthBytes] != '{';
}

// A pickle runs code while it is read, so this program never reads one.
std::string conversion_recipe(const std::filesystem::path& path) {
  const std::string file = Json(path.filename().string()).dump();
  return "convert it to safetensors with these two lines of Python:\n"
         "  import torch, safetensors.torch as s; w = torch.load(" +
         file +
         ", map_location=\"cpu\", weights_only=True); w = w.get(\"model\", w.get(\"state_dict\", w))\n"
         "  s.save_file({k: v.contiguous().clone() for k, v in w.items()}, \"model.safetensors\")";
}

// What stands in the file instead of safetensors, where its first bytes tell; otherwise nothing.
std::string impostor(const std::filesystem::path& path, std::string_view head, int64_t size) {
  if (head.starts_with("version https://git-lfs")) {
    return "it is a Git-LFS pointer (" + std::to_string(size) + " bytes), not the file; fetch it with 'git lfs pull'";
  }
  if (head.starts_with("PK\x03\x04")) return "it is a zip file, as torch.save writes; " + conversion_recipe(path);
  if (is_pickle(head)) return "it is a pickle, as torch.save writes; " + conversion_recipe(path);
  const size_t text = head.find_first_not_of(" \t\r\n");
  std::string start(head.substr(std::min(text, head.size()), 9));
  for (char& c : start) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (start.starts_with("<!doctype") || start.starts_with("<html")) {
    return "it is an HTML page, not the file; download it again and look at the address";
  }
  return {};
}

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& why) {
  throw Error(Fault::kData, "cannot open " + path.string() + ": " + why);
}

// The header's text; checks everything that can be wrong before it is read.
std::string read_header(const std::filesystem::path& path, const FileHandle& file) {
  const int64_t size = file.size();
  std::string head(static_cast<size_t>(std::min<int64_t>(size, 512)), '\0');
  file.read(head.data(), static_cast<int64_t>(head.size()), 0);
  if (const std::string what = impostor(path, head, size); !what.empty()) refuse(path, what);
  if (head.size() <= kLengthBytes) {
    refuse(path, "it has " + std::to_string(size) + " bytes and no safetensors header; fetch it again");
  }
  uint64_t length = 0;
  std::memcpy(&length, head.data(), kLengthBytes);
  if (length > kHeaderLimit || head[kLengthBytes] != '{') {
    refuse(path, "it is not a safetensors file (no header stands at its start)");
  }
  if (length > static_cast<uint64_t>(size) - kLengthBytes) {
    refuse(path, "it is truncated: its header alone needs " + std::to_string(length + kLengthBytes) + " bytes, " +
                     std::to_string(size) + " are there; fetch it again");
  }
  std::string header(length, '\0');
  file.read(header.data(), static_cast<int64_t>(length), kLengthBytes);
  return header;
}

at::ScalarType dtype_named(const std::string& name) {
  for (const DtypeName& known : kDtypes) {
    if (known.name == name) return known.dtype;
  }
  throw Error(Fault::kData, "its dtype " + name + " is none of F64 F32 F16 BF16 I64 I32 U8 BOOL");
}

// Bytes of a tensor of this shape, or an Error where the shape is none or its size overflows.
int64_t bytes_of(at::ScalarType dtype, const std::vector<int64_t>& shape) {
  int64_t bytes = static_cast<int64_t>(c10::elementSize(dtype));
  for (const int64_t extent : shape) {
    if (extent < 0 || __builtin_mul_overflow(bytes, extent, &bytes)) {
      throw Error(Fault::kData, "its shape is negative or too large");
    }
  }
  return bytes;
}

// `data_begin`: where the header's offsets count from.
SafetensorsFile::Entry parse_entry(const Json& json, int64_t data_begin) {
  SafetensorsFile::Entry entry;
  entry.dtype = dtype_named(json.at("dtype").as_string());
  for (const Json& extent : json.at("shape").as_array()) entry.shape.push_back(extent.as_int());
  const Json::Array& offsets = json.at("data_offsets").as_array();
  if (offsets.size() != 2) throw Error(Fault::kData, "its data_offsets are not a pair");
  const int64_t begin = offsets[0].as_int(), end = offsets[1].as_int();
  const int64_t bytes = bytes_of(entry.dtype, entry.shape);
  if (begin < 0 || end < begin || end > std::numeric_limits<int64_t>::max() - data_begin || end - begin != bytes) {
    throw Error(Fault::kData, "its shape and dtype need " + std::to_string(bytes) + " bytes, its data_offsets are [" +
                                  std::to_string(begin) + ", " + std::to_string(end) + ")");
  }
  entry.begin = data_begin + begin;
  entry.end = data_begin + end;
  return entry;
}

// Tensors must cover the data exactly, once: this also finds names that stand twice in the header.
void check_coverage(const std::filesystem::path& path, const std::map<std::string, SafetensorsFile::Entry>& entries,
                    int64_t data_begin, int64_t size) {
  std::vector<std::pair<std::pair<int64_t, int64_t>, const std::string*>> ranges;
  for (const auto& [name, entry] : entries) ranges.push_back({{entry.begin, entry.end}, &name});
  std::sort(ranges.begin(), ranges.end());
  int64_t reached = data_begin;
  for (const auto& [range, name] : ranges) {
    if (range.first != reached) {
      refuse(path, "its header is damaged: the bytes of " + *name +
                       (range.first < reached ? " overlap" : " leave a gap after") + " those before them");
    }
    reached = range.second;
  }
  if (reached > size) {
    refuse(path, "it is truncated: " + std::to_string(size) + " of " + std::to_string(reached) +
                     " bytes are there; fetch it again");
  }
  if (reached < size) refuse(path, "it has " + std::to_string(size - reached) + " bytes that belong to no tensor");
}

}  // namespace

std::string_view safetensors_dtype(at::ScalarType dtype) {
  for (const DtypeName& known : kDtypes) {
    if (known.dtype == dtype) return known.name;
  }
  TORCH_CHECK(false, "safetensors cannot hold tensors of ", c10::toString(dtype));
}

SafetensorsHeader read_safetensors_header(const std::filesystem::path& path, const FileHandle& file) {
  const std::string text = read_header(path, file);
  const Json json = Json::parse(text, "the header of " + path.string());
  const int64_t data_begin = static_cast<int64_t>(kLengthBytes + text.size());
  SafetensorsHeader header;
  for (const auto& [name, member] : json.as_object()) {
    try {
      if (name == kMetadataKey) {
        for (const auto& [key, value] : member.as_object()) header.metadata[key] = value.as_string();
      } else {
        header.entries[name] = parse_entry(member, data_begin);
      }
    } catch (const Error& error) {
      refuse(path, "its header is damaged at " + name + ": " + error.what());
    }
  }
  check_coverage(path, header.entries, data_begin, file.size());
  return header;
}

}  // namespace acm::io
