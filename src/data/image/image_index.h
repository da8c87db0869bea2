#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace acm::data {

// One image of a data set: a file, or a member of a tar file.
struct ImageEntry {
  int64_t name = 0;       // where its name begins in ImageIndex::names
  int64_t offset = -1;    // of its bytes in the tar file; -1: a file of its own
  int64_t bytes = 0;      // its size
  int32_t container = 0;  // the folder or tar file that holds it
  int32_t label = -1;     // into ImageIndex::labels, where the listing knows labels; later its class
};

// A folder that was listed or a file that was read, and how it was recognised.
struct Stamp {
  std::string name;  // relative to the root
  int64_t bytes = 0, modified_ns = 0;
  friend bool operator==(const Stamp&, const Stamp&) = default;
};

// What lies in a data set, found once and kept as a file: 32 bytes and a name for each image, so that 1.3 million take
// 70 MB. Entries are sorted by container and, in folders, by name; in tar files they keep their order.
struct ImageIndex {
  std::vector<std::string> containers;  // relative to the root, sorted
  std::vector<std::string> labels;      // texts
  std::vector<Stamp> stamps;
  std::string names;  // each ends with a zero byte
  std::vector<ImageEntry> entries;

  std::string_view name(const ImageEntry& entry) const { return names.c_str() + entry.name; }
  // "train/n01440764/n01440764_10026.JPEG", "train-0003.tar!000123.jpg"
  std::string path(const ImageEntry& entry) const;
  // Adds the images of another listing. Its containers and labels keep their texts; stamps are added.
  void append(const ImageIndex& other);
  int64_t add_name(std::string_view name);
};

// The stamp of `root / name`. Error(kData) where it is not there.
Stamp stamp_of(const std::filesystem::path& root, const std::string& name);

// The index that `build` makes, or what an earlier call kept of it in `folder` (empty: nowhere) under the same `key`,
// if every stamp still holds. `say` hears of an index that is made again.
ImageIndex kept_index(const std::filesystem::path& folder, const Json& key, const std::filesystem::path& root,
                      const std::function<ImageIndex()>& build, const std::function<void(const std::string&)>& say);

}  // namespace acm::data
