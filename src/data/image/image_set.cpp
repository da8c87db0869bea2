#include "data/image/image_set.h"

#include "core/error.h"
#include "data/image/image_tree.h"

namespace acm::data {

const std::vector<std::string>& Search::names_of(Split which) const {
  const DataConfig defaults;
  const auto& names = which == Split::kTrain ? config.train : config.test;
  if (names == (which == Split::kTrain ? defaults.train : defaults.test)) {
    const std::string key = which == Split::kTrain ? "data.train" : "data.test";
    throw Error(Fault::kUsage, "cannot find the images of " + config.path + ": set " + key +
                                   ", which for data.kind = \"" + config.kind + "\" names what lies below data.path");
  }
  return names;
}

ImageIndex Search::tree(const std::string& top) const {
  return kept_index(
      index_folder, Json::object({{"root", std::filesystem::absolute(root()).string()}, {"tree", top}}), root(),
      [&] { return list_image_tree(root(), top); }, say);
}

}  // namespace acm::data
