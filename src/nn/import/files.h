#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/json.h"
#include "io/safetensors.h"

namespace acm::nn {

// The safetensors files of one model, opened, and the config.json beside them. Error(kData) where a file or folder is
// none, or an index names what is not there.
class WeightFiles {
 public:
  explicit WeightFiles(const std::filesystem::path& path);

  const std::vector<std::string>& names() const { return names_; }  // of all tensors, sorted
  const io::SafetensorsFile::Entry& entry(const std::string& name) const;
  at::Tensor read(const std::string& name) const { return files_.at(places_.at(name)).read(name); }
  const Json& config() const { return config_; }  // an empty object where there is no config.json
  bool has_config() const { return has_config_; }
  std::string digest() const;  // XXH3 over all of these files, whatever their path

 private:
  void open_shards(const std::filesystem::path& index);
  void take(const std::filesystem::path& file);
  void read_config();

  std::filesystem::path folder_;
  std::vector<io::SafetensorsFile> files_;
  std::map<std::string, size_t> places_;  // of each tensor: number of its file
  std::vector<std::string> names_;
  Json config_ = Json::object();
  bool has_config_ = false;
};

}  // namespace acm::nn
