#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/json.h"
#include "nn/vit/vit.h"

namespace acm::nn {

// Where some of our tensors stand in a library's files. `#` in a name is the number of a block, `*` at its end weight
// and bias, `@` at its beginning the scheme's prefix.
struct TensorRow {
  std::vector<std::string> ours;  // one, or several that stand in one tensor of theirs, one below the other
  std::string theirs;
  bool (*written)(const VitConfig&) = nullptr;  // null: wherever we have the tensors; else a spelling among several
};

// A tensor name that another kind of model has, and what it belongs to.
struct ForeignPart {
  std::string part;  // of the name
  std::string what;
};

// What a config.json tells beside the tensors.
struct LibraryConfig {
  std::optional<int64_t> heads;
  std::optional<double> eps;
  std::optional<std::pair<int64_t, int64_t>> image;         // height and width
  std::vector<std::pair<std::string, int64_t>> sizes = {};  // by the members of our description; shapes must agree
};

// How a library names the tensors of a Vision Transformer. Import and export read the same table.
struct Scheme {
  std::string name;    // as the command line says it
  std::string marker;  // name of the patch embedding, which tells the schemes apart
  double eps;          // of every LayerNorm where no config.json tells
  std::vector<TensorRow> rows;
  std::vector<std::string> prefixes;                  // that @ may stand for, none among them last
  std::string (*prefix)(const VitConfig&) = nullptr;  // the one that is written
  std::vector<std::string> ignored;                   // beginnings of names whose tensors no classifier needs
  std::vector<ForeignPart> foreign;
  // Sets what names tell and shapes do not. `names` are the file's.
  void (*complete)(VitConfig&, const std::vector<std::string>& names, const Json& config) = nullptr;
  LibraryConfig (*read_config)(const Json& config);  // Error(kData) where it describes another model
  Json (*write_config)(const VitConfig&);
  std::string (*obstacle)(const VitConfig&);  // why the library cannot hold such a model; empty where it can
};

const Scheme& timm_scheme();
const Scheme& huggingface_scheme();
const Scheme& torchvision_scheme();

// Error(kUsage) for another name.
const Scheme& scheme_named(const std::string& name);

// A tensor of theirs and those of ours that stand in it, all names written out.
struct TensorPlace {
  std::string theirs;
  std::vector<std::string> ours;
};
// Every tensor that a model of this shape may have under this scheme's names, spelled as it is written.
std::vector<TensorPlace> written_places(const Scheme& scheme, const VitConfig& config);
// Every spelling that is read, for models of `depth` blocks: theirs to ours.
std::map<std::string, std::vector<std::string>> read_places(const Scheme& scheme, int64_t depth);

// The member as an integer, where it is there and not null.
std::optional<int64_t> optional_int(const Json& object, const char* name);
// Error(kData): "config.json describes another model: WHY".
[[noreturn]] void refuse_config(const std::string& why);

}  // namespace acm::nn
