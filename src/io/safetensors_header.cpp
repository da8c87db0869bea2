#include "io/safetensors_header.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/json.h"
#include "io/safetensors_entry.h"

namespace acm::io {
namespace {

// What else may carry weights, by how it begins.
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kOthers = {{{"GGUF", "a GGUF file"},
                                                                                   {"\x89HDF", "an HDF5 file"},
                                                                                   {"\x93NUMPY", "a NumPy array"},
                                                                                   {"\x1f\x8b", "a gzip file"},
                                                                                   {"\x08\x07\x12", "an ONNX model"}}};

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
  const bool may_be_header = head.size() > kLengthBytes && head[kLengthBytes] == '{';  // of a length with those bytes
  for (const auto& [beginning, name] : kOthers) {
    if (head.starts_with(beginning) && !may_be_header) return "it is " + std::string(name) + ", not a safetensors file";
  }
  const size_t text = head.find_first_not_of(" \t\r\n");
  std::string start(head.substr(std::min(text, head.size()), 9));
  for (char& c : start) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (start.starts_with("<!doctype") || start.starts_with("<html")) {
    return "it is an HTML page, not the file; download it again and look at the address";
  }
  return {};
}

// "'x'", or "the byte 0xff".
std::string byte_text(char byte) {
  char text[24];
  const bool is_letter = byte > ' ' && byte < 0x7f;
  std::snprintf(text, sizeof text, is_letter ? "'%c'" : "the byte 0x%02x", static_cast<unsigned char>(byte));
  return text;
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
  if (length > kHeaderLimit) {
    refuse(path, "it is not a safetensors file: its first 8 bytes promise a header of " + std::to_string(length) +
                     " bytes, and " + std::to_string(kHeaderLimit) + " is the most");
  }
  if (head[kLengthBytes] != '{') {
    refuse(path, "it is not a safetensors file: its header must begin with '{' and begins with " +
                     byte_text(head[kLengthBytes]));
  }
  if (length > static_cast<uint64_t>(size) - kLengthBytes) {
    refuse(path, "it is truncated: its header alone needs " + std::to_string(length + kLengthBytes) + " bytes, " +
                     std::to_string(size) + " are there; fetch it again");
  }
  std::string header(length, '\0');
  file.read(header.data(), static_cast<int64_t>(length), kLengthBytes);
  return header;
}

// Names become parts of messages, logs and other files.
void check_name(const std::filesystem::path& path, const std::string& name) {
  if (name.empty()) refuse(path, "its header is damaged: a tensor has no name");
  if (std::ranges::any_of(name, [](unsigned char byte) { return byte < ' ' || byte == 0x7f; })) {
    refuse(path, "its header is damaged: the name " + Json(shown(name)).dump() + " has a control character");
  }
}

// Tensors must cover the data exactly, once.
void check_coverage(const std::filesystem::path& path, const std::map<std::string, SafetensorsFile::Entry>& entries,
                    int64_t data_begin, int64_t size) {
  std::vector<const std::pair<const std::string, SafetensorsFile::Entry>*> order;
  for (const auto& entry : entries) order.push_back(&entry);
  std::ranges::stable_sort(order, {},
                           [](const auto* entry) { return std::pair(entry->second.begin, entry->second.end); });
  int64_t reached = data_begin;
  std::string before = "the header";
  for (const auto* named : order) {
    const auto& [name, entry] = *named;
    if (entry.begin < reached) {
      refuse(path, "its header is damaged: the bytes of " + shown(name) + " begin at " +
                       std::to_string(entry.begin - data_begin) + " and overlap those of " + before +
                       ", which end at " + std::to_string(reached - data_begin));
    }
    if (entry.begin > reached) {
      refuse(path, "its header is damaged: the bytes of " + shown(name) + " begin at " +
                       std::to_string(entry.begin - data_begin) + " and leave a gap of " +
                       std::to_string(entry.begin - reached) + " after " + before);
    }
    reached = entry.end;
    before = shown(name);
  }
  if (reached > size) {
    refuse(path, "it is truncated: " + std::to_string(size) + " of " + std::to_string(reached) +
                     " bytes are there; fetch it again");
  }
  if (reached < size) refuse(path, "it has " + std::to_string(size - reached) + " bytes that belong to no tensor");
}

}  // namespace

SafetensorsHeader read_safetensors_header(const std::filesystem::path& path, const FileHandle& file) {
  const std::string text = read_header(path, file);
  const Json json = Json::parse(text, "the header of " + path.string());
  const int64_t data_begin = static_cast<int64_t>(kLengthBytes + text.size());
  SafetensorsHeader header;
  for (const auto& [name, member] : json.as_object()) {
    check_name(path, name);
    try {
      if (name == kMetadataKey) {
        header.metadata = parse_metadata(member);
      } else {
        header.entries[name] = parse_entry(member, data_begin);
      }
    } catch (const Error& error) {
      refuse(path, "its header is damaged at " + shown(name) + ": " + error.what());
    }
  }
  check_coverage(path, header.entries, data_begin, file.size());
  return header;
}

}  // namespace acm::io
