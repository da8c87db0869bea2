#include "nn/import/scheme.h"

#include "core/error.h"

namespace acm::nn {
namespace {

// A name with the number of its block, with or without one of the two endings of `*`.
std::string written_out(std::string name, int64_t block, const std::string& ending) {
  if (name.ends_with('*')) name = name.substr(0, name.size() - 1) + ending;
  if (const size_t place = name.find('#'); place != std::string::npos) name.replace(place, 1, std::to_string(block));
  return name;
}

// Calls place(theirs, ours) for each tensor of the row in a model of `depth` blocks.
template <typename Place>
void for_each_place(const TensorRow& row, int64_t depth, const std::string& prefix, Place place) {
  const std::string theirs = row.theirs.starts_with('@') ? prefix + row.theirs.substr(1) : row.theirs;
  const bool pair = theirs.ends_with('*'), in_blocks = theirs.find('#') != std::string::npos;
  for (int64_t block = 0; block < (in_blocks ? depth : 1); ++block) {
    for (const std::string ending : {"weight", "bias"}) {
      std::vector<std::string> ours;
      for (const std::string& name : row.ours) ours.push_back(written_out(name, block, ending));
      place(written_out(theirs, block, ending), ours);
      if (!pair) break;
    }
  }
}

}  // namespace

const Scheme& scheme_named(const std::string& name) {
  for (const Scheme* scheme : {&timm_scheme(), &huggingface_scheme(), &torchvision_scheme()}) {
    if (scheme->name == name) return *scheme;
  }
  throw Error(Fault::kUsage,
              "cannot write names of '" + name + "': this program knows timm, huggingface, torchvision and acm");
}

std::vector<TensorPlace> written_places(const Scheme& scheme, const VitConfig& config) {
  const std::string prefix = scheme.prefix != nullptr ? scheme.prefix(config) : "";
  std::vector<TensorPlace> places;
  for (const TensorRow& row : scheme.rows) {
    if (row.written != nullptr && !row.written(config)) continue;
    for_each_place(row, config.depth, prefix, [&](const std::string& theirs, const std::vector<std::string>& ours) {
      places.push_back({theirs, ours});
    });
  }
  return places;
}

std::map<std::string, std::vector<std::string>> read_places(const Scheme& scheme, int64_t depth) {
  std::map<std::string, std::vector<std::string>> places;
  for (const std::string& prefix : scheme.prefixes) {
    for (const TensorRow& row : scheme.rows) {
      for_each_place(row, depth, prefix, [&](const std::string& theirs, const std::vector<std::string>& ours) {
        places.emplace(theirs, ours);
      });
    }
  }
  return places;
}

std::optional<int64_t> optional_int(const Json& object, const char* name) {
  const Json* found = object.find(name);
  if (found == nullptr || found->is_null()) return std::nullopt;
  return found->as_int();
}

void refuse_config(const std::string& why) {
  throw Error(Fault::kData, "its config.json describes a model that this program does not know: " + why);
}

}  // namespace acm::nn
