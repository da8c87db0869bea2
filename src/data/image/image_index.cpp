#include "data/image/image_index.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>

#include "core/digest.h"
#include "core/error.h"
#include "core/file.h"

namespace acm::data {
namespace {

constexpr std::string_view kMagic = "acm image index 1\n";
constexpr size_t kDigest = 16, kCount = sizeof(int64_t);

Json stamp_json(const Stamp& stamp) { return Json(Json::Array{stamp.name, stamp.bytes, stamp.modified_ns}); }

Stamp stamp_from(const Json& json) {
  const auto& fields = json.as_array();
  if (fields.size() != 3) throw Error(Fault::kData, "a stamp is not a name and two numbers");
  return {fields[0].as_string(), fields[1].as_int(), fields[2].as_int()};
}

// Magic, the length of a JSON text, the text (key, containers, labels, stamps, counts), names, entries, digest of all.
std::string packed(const ImageIndex& index, const Json& key) {
  Json stamps = Json::Array{};
  for (const Stamp& stamp : index.stamps) stamps.push_back(stamp_json(stamp));
  const std::string text = Json::object({{"key", key},
                                         {"containers", Json::array(index.containers)},
                                         {"labels", Json::array(index.labels)},
                                         {"stamps", std::move(stamps)},
                                         {"names", static_cast<int64_t>(index.names.size())},
                                         {"entries", static_cast<int64_t>(index.entries.size())}})
                               .dump();
  const size_t entry_bytes = index.entries.size() * sizeof(ImageEntry);
  std::string out;
  out.reserve(kMagic.size() + kCount + text.size() + index.names.size() + entry_bytes + kDigest);
  out += kMagic;
  const auto length = static_cast<int64_t>(text.size());
  out.append(reinterpret_cast<const char*>(&length), kCount);
  out += text;
  out += index.names;
  out.append(reinterpret_cast<const char*>(index.entries.data()), entry_bytes);
  out += digest_of(out);
  return out;
}

// Takes `bytes` from the beginning of what is left of a file.
std::string_view take(std::string_view& rest, int64_t bytes) {
  if (bytes < 0 || static_cast<uint64_t>(bytes) > rest.size())
    throw Error(Fault::kData, "a part is longer than the file");
  const std::string_view part = rest.substr(0, static_cast<size_t>(bytes));
  rest.remove_prefix(part.size());
  return part;
}

bool refers_to(const ImageIndex& index, const ImageEntry& entry) {
  const auto is_in = [](int64_t place, size_t size) { return place >= 0 && static_cast<uint64_t>(place) < size; };
  return is_in(entry.name, index.names.size()) && is_in(entry.container, index.containers.size()) && entry.bytes >= 0 &&
         entry.offset >= -1 && (entry.label == -1 || is_in(entry.label, index.labels.size()));
}

// The index in a file's text and in what follows it.
ImageIndex index_from(const Json& json, std::string_view rest) {
  ImageIndex index;
  for (const Json& name : json.at("containers").as_array()) index.containers.push_back(name.as_string());
  for (const Json& text : json.at("labels").as_array()) index.labels.push_back(text.as_string());
  for (const Json& stamp : json.at("stamps").as_array()) index.stamps.push_back(stamp_from(stamp));
  index.names = take(rest, json.at("names").as_int());
  index.entries.resize(rest.size() / sizeof(ImageEntry));
  if (json.at("entries") != Json(static_cast<int64_t>(index.entries.size())) || rest.size() % sizeof(ImageEntry) != 0) {
    throw Error(Fault::kData, "its entries are not as many as it says");
  }
  if (!rest.empty()) std::memcpy(index.entries.data(), rest.data(), rest.size());
  if (!index.names.empty() && index.names.back() != '\0') throw Error(Fault::kData, "its last name has no end");
  if (!std::ranges::all_of(index.entries, [&](const ImageEntry& entry) { return refers_to(index, entry); })) {
    throw Error(Fault::kData, "an entry refers to what is not there");
  }
  return index;
}

// Nothing where the file is of another version, of another key or damaged: it is only a memory of what can be found
// again. Damage that the digest does not show was made on purpose, and is found too.
std::optional<ImageIndex> unpacked(std::string_view bytes, const Json& key, const std::string& source) {
  if (!bytes.starts_with(kMagic) || bytes.size() < kMagic.size() + kCount + kDigest) return std::nullopt;
  const std::string_view content = bytes.substr(0, bytes.size() - kDigest);
  if (digest_of(content) != bytes.substr(content.size())) return std::nullopt;
  std::string_view rest = content.substr(kMagic.size());
  int64_t length = 0;
  std::memcpy(&length, take(rest, kCount).data(), kCount);
  try {
    const Json json = Json::parse(take(rest, length), source);
    if (json.at("key") != key) return std::nullopt;
    return index_from(json, rest);
  } catch (const Error&) {
    return std::nullopt;  // whoever asked is told that the index is made again
  }
}

// The first thing that is no longer as it was, or nothing.
std::optional<std::string> changed(const ImageIndex& index, const std::filesystem::path& root) {
  for (const Stamp& stamp : index.stamps) {
    std::error_code missing;
    if (!std::filesystem::exists(root / stamp.name, missing)) return stamp.name + " is gone";
    if (stamp_of(root, stamp.name) != stamp) return stamp.name + " has changed";
  }
  return std::nullopt;
}

}  // namespace

std::string ImageIndex::path(const ImageEntry& entry) const {
  const std::string& container = containers[static_cast<size_t>(entry.container)];
  return container + (entry.offset < 0 ? "/" : "!") + std::string(name(entry));
}

int64_t ImageIndex::add_name(std::string_view name) {
  const auto at = static_cast<int64_t>(names.size());
  names += name;
  names += '\0';
  return at;
}

void ImageIndex::append(const ImageIndex& other) {
  std::map<std::string, int32_t> known;
  for (const std::string& text : labels) known.emplace(text, static_cast<int32_t>(known.size()));
  std::vector<int32_t> label_here;
  for (const std::string& text : other.labels) {
    const auto [place, is_new] = known.emplace(text, static_cast<int32_t>(labels.size()));
    if (is_new) labels.push_back(text);
    label_here.push_back(place->second);
  }
  const auto first_container = static_cast<int32_t>(containers.size());
  const auto first_name = static_cast<int64_t>(names.size());
  containers.insert(containers.end(), other.containers.begin(), other.containers.end());
  stamps.insert(stamps.end(), other.stamps.begin(), other.stamps.end());
  names += other.names;
  for (ImageEntry entry : other.entries) {
    entry.name += first_name;
    entry.container += first_container;
    if (entry.label >= 0) entry.label = label_here[static_cast<size_t>(entry.label)];
    entries.push_back(entry);
  }
}

Stamp stamp_of(const std::filesystem::path& root, const std::string& name) {
  const std::filesystem::path path = root / name;
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) throw errno_error("cannot look at " + path.string(), errno);
  constexpr int64_t kNanoseconds = 1'000'000'000;
  // The size of a folder says nothing, and differs between file systems.
  const int64_t bytes = S_ISDIR(status.st_mode) ? 0 : static_cast<int64_t>(status.st_size);
  return {name, bytes, status.st_mtim.tv_sec * kNanoseconds + status.st_mtim.tv_nsec};
}

ImageIndex kept_index(const std::filesystem::path& folder, const Json& key, const std::filesystem::path& root,
                      const std::function<ImageIndex()>& build, const std::function<void(const std::string&)>& say) {
  if (folder.empty()) return build();
  const std::filesystem::path file = folder / ("images-" + digest_of(key.dump()) + ".index");
  if (std::filesystem::exists(file)) {
    auto kept = unpacked(read_file(file), key, file.string());
    const auto difference =
        kept ? changed(*kept, root) : std::optional<std::string>("it is damaged or of another version");
    if (!difference) return std::move(*kept);
    if (say) say("the index of images " + file.filename().string() + " is made again: " + *difference);
  }
  ImageIndex index = build();
  make_folder(folder);
  replace_file(file, packed(index, key));
  return index;
}

}  // namespace acm::data
