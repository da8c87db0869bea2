#include "nn/import/files.h"

#include <algorithm>
#include <set>

#include "core/digest.h"
#include "core/error.h"
#include "core/file.h"

namespace acm::nn {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFile = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";
constexpr const char* kConfig = "config.json";

bool is_index(const fs::path& path) { return path.filename().string().ends_with(".index.json"); }

// The file to open in a folder. Where there are only pickles, that is one of them: opening it says what to do.
fs::path main_file(const fs::path& folder) {
  for (const char* name : {kFile, kIndex}) {
    if (fs::exists(folder / name)) return folder / name;
  }
  std::set<fs::path> pickles;
  std::set<std::string> others;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string extension = entry.path().extension().string();
    if (extension == ".bin" || extension == ".pth" || extension == ".pt" || extension == ".ckpt")
      pickles.insert(entry.path());
    if (extension == ".safetensors") others.insert(entry.path().filename().string());
  }
  if (others.empty() && !pickles.empty()) return *pickles.begin();
  std::string listed;
  for (const std::string& name : others) listed += (listed.empty() ? "; name one of its files instead: " : ", ") + name;
  throw Error(Fault::kData, "cannot read weights from the folder " + folder.string() + ": it has neither " + kFile +
                                " nor " + kIndex + listed);
}

}  // namespace

WeightFiles::WeightFiles(const fs::path& path) {
  const fs::path file = fs::is_directory(path) ? main_file(path) : path;
  folder_ = file.parent_path();
  if (is_index(file)) {
    open_shards(file);
  } else {
    take(file);
  }
  for (const auto& [name, place] : places_) names_.push_back(name);
  read_config();
}

const io::SafetensorsFile::Entry& WeightFiles::entry(const std::string& name) const {
  return files_.at(places_.at(name)).entries().at(name);
}

void WeightFiles::take(const fs::path& file) {
  files_.emplace_back(file);
  for (const auto& [name, entry] : files_.back().entries()) {
    const auto [place, added] = places_.emplace(name, files_.size() - 1);
    if (!added) {
      throw Error(Fault::kData, "cannot read " + file.string() + ": its tensor " + name + " is also in " +
                                    files_[place->second].path().filename().string());
    }
  }
}

void WeightFiles::open_shards(const fs::path& index) {
  const Json json = Json::parse(read_file(index), index.string());
  std::set<std::string> shards;
  const auto& map = json.at("weight_map").as_object();
  for (const auto& [name, file] : map) {
    if (!is_plain_name(file.as_string())) {
      throw Error(Fault::kData, "cannot read " + index.string() + ": it places " + name + " in " + file.dump() +
                                    ", and shards must be plain file names beside it");
    }
    shards.insert(file.as_string());
  }
  for (const std::string& shard : shards) take(folder_ / shard);
  for (const auto& [name, file] : map) {
    const auto place = places_.find(name);
    if (place != places_.end() && files_[place->second].path().filename() == file.as_string()) continue;
    throw Error(Fault::kData, "cannot read " + index.string() + ": it places " + name + " in " + file.as_string() +
                                  ", which does not hold it; fetch both again");
  }
}

void WeightFiles::read_config() {
  const fs::path path = folder_ / kConfig;
  has_config_ = fs::exists(path);
  if (!has_config_) return;
  config_ = Json::parse(read_file(path), path.string());
  if (!config_.is_object()) throw Error(Fault::kData, "cannot read " + path.string() + ": it is no JSON object");
}

std::string WeightFiles::digest() const {
  Digest digest;
  for (const io::SafetensorsFile& file : files_) digest.update(digest_of_file(file.path()));
  if (has_config_) digest.update(kConfig).update(digest_of_file(folder_ / kConfig));
  return digest.hex();
}

}  // namespace acm::nn
