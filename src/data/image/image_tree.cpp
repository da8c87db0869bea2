#include "data/image/image_tree.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <system_error>

#include "core/error.h"
#include "data/parallel_for.h"

namespace acm::data {
namespace {

namespace fs = std::filesystem;

// Deeper than any data set; a link that leads back to a folder above would never end.
constexpr int kMostLevels = 16;

constexpr std::array<std::string_view, 4> kReadEndings = {".jpg", ".jpeg", ".jpe", ".png"};
constexpr std::array<std::string_view, 10> kOtherEndings = {".bmp", ".gif", ".webp", ".tif",  ".tiff",
                                                            ".ppm", ".pgm", ".avif", ".heic", ".jp2"};

std::string lower_ending(const std::string& name) {
  std::string ending = fs::path(name).extension().string();
  std::ranges::transform(ending, ending.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return ending;
}

// One folder: its images as an index, and its folders.
struct Listing {
  ImageIndex index;
  std::vector<std::string> folders;
};

struct File {
  std::string name;
  int64_t bytes = 0;
};

// Calls visit(name, entry) for what is not hidden.
template <typename Visit>
void for_each_entry(const fs::path& folder, Visit visit) {
  std::error_code failure;
  fs::directory_iterator entries(folder, failure);
  if (failure) throw errno_error("cannot list the folder " + folder.string(), failure.value());
  for (; entries != fs::directory_iterator(); entries.increment(failure)) {
    const std::string name = entries->path().filename().string();
    if (!name.starts_with('.')) visit(name, *entries);
    if (failure) break;
  }
  if (failure) throw errno_error("cannot list the folder " + folder.string(), failure.value());
}

Listing list_one(const fs::path& root, const std::string& name) {
  Listing out;
  std::vector<File> files;
  // Before the listing: what is added while it runs makes the stamp old.
  out.index.stamps.push_back(stamp_of(root, name));
  for_each_entry(root / name, [&](const std::string& entry_name, const fs::directory_entry& entry) {
    const std::string ending = lower_ending(entry_name);
    std::error_code failure;
    if (std::ranges::find(kReadEndings, ending) != kReadEndings.end()) {
      const auto bytes = entry.file_size(failure);
      if (failure) throw errno_error("cannot look at the image " + entry.path().string(), failure.value());
      files.push_back({entry_name, static_cast<int64_t>(bytes)});
    } else if (std::ranges::find(kOtherEndings, ending) != kOtherEndings.end()) {
      throw Error(Fault::kData, "cannot use the image " + entry.path().string() + ": it is a " + ending +
                                    " file, and only JPEG and PNG images are read; convert it or remove it");
    } else if (entry.is_directory(failure)) {
      out.folders.push_back(name + "/" + entry_name);
    }
  });
  std::ranges::sort(files, {}, &File::name);
  out.index.containers.push_back(name);
  for (const File& file : files) {
    ImageEntry entry;
    entry.name = out.index.add_name(file.name);
    entry.bytes = file.bytes;
    out.index.entries.push_back(entry);
  }
  return out;
}

}  // namespace

ImageIndex list_image_tree(const fs::path& root, const std::string& top) {
  std::vector<Listing> all;
  std::vector<std::string> level = {top};
  for (int depth = 0; !level.empty(); ++depth) {
    if (depth == kMostLevels) {
      throw Error(Fault::kData, "cannot list the folder " + (root / top).string() + ": " + level.front() +
                                    " lies more than " + std::to_string(kMostLevels) +
                                    " levels deep; does a link lead back to a folder above?");
    }
    std::vector<Listing> found(level.size());
    parallel_for(static_cast<int64_t>(level.size()),
                 [&](int64_t i) { found[static_cast<size_t>(i)] = list_one(root, level[static_cast<size_t>(i)]); });
    level.clear();
    for (Listing& listing : found) {
      level.insert(level.end(), listing.folders.begin(), listing.folders.end());
      all.push_back(std::move(listing));
    }
  }
  std::ranges::sort(all, {}, [](const Listing& listing) { return listing.index.containers.front(); });
  ImageIndex index;
  for (Listing& listing : all) {
    index.append(listing.index);
    listing = {};
  }
  return index;
}

std::vector<std::string> folder_names(const fs::path& folder) {
  std::vector<std::string> names;
  for_each_entry(folder, [&](const std::string& name, const fs::directory_entry& entry) {
    std::error_code failure;
    if (entry.is_directory(failure)) names.push_back(name);
  });
  std::ranges::sort(names);
  return names;
}

std::string_view below(std::string_view container, std::string_view top) {
  if (container == top) return {};
  return container.substr(top.size() + 1);
}

}  // namespace acm::data
