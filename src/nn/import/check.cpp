// The one error that lists everything wrong with a library's tensors.
#include <torch/nn/module.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "config/spelling.h"
#include "core/error.h"
#include "nn/import/inventory.h"

namespace acm::nn {
namespace {

// Names that differ in the number of their block alone, with what is to be said of all of them.
using Groups = std::map<std::pair<std::string, std::string>, std::vector<int64_t>>;

// " (# = 0 to 3, 5)".
std::string blocks_text(std::vector<int64_t> blocks) {
  std::ranges::sort(blocks);
  std::string text;
  for (size_t i = 0; i < blocks.size();) {
    size_t last = i;
    while (last + 1 < blocks.size() && blocks[last + 1] == blocks[last] + 1) ++last;
    text += (text.empty() ? "" : ", ") + std::to_string(blocks[i]);
    if (last > i) text += (last == i + 1 ? ", " : " to ") + std::to_string(blocks[last]);
    i = last + 1;
  }
  return " (# = " + text + ")";
}

// Every # in the text replaced by the number.
std::string with_number(std::string text, int64_t number) {
  for (size_t place = text.find('#'); place != std::string::npos; place = text.find('#', place)) {
    text.replace(place, 1, std::to_string(number));
  }
  return text;
}

std::string listed(const std::string& title, const Groups& groups) {
  std::string text;
  for (const auto& [key, blocks] : groups) {
    const auto& [name, detail] = key;
    const bool numbered = name.find('#') != std::string::npos;
    std::string item = name + (numbered && blocks.size() > 1 ? blocks_text(blocks) : "") + detail;
    if (numbered && blocks.size() == 1) item = with_number(item, blocks.front());
    text += (text.empty() ? "; " + title + ": " : ", ") + item;
  }
  return text;
}

std::string outline(at::ScalarType dtype, c10::IntArrayRef shape) {
  std::ostringstream text;
  text << c10::toString(dtype) << " " << shape;
  return text.str();
}

using Shapes = std::map<std::string, std::vector<int64_t>>;

Shapes shapes_of(const VitConfig& config) {
  Shapes shapes;
  for (const auto& parameter : make_vit(config)->named_parameters()) {
    shapes[parameter.key()] = parameter.value().sizes().vec();
  }
  return shapes;
}

bool is_head(const std::string& ours) { return ours.starts_with("head.") || ours.starts_with("distillation_head."); }

// A shape of theirs in which these of ours stand one below the other; empty where the model has none of them.
std::vector<int64_t> joined_shape(const Shapes& shapes, const std::vector<std::string>& ours) {
  const auto found = shapes.find(ours.front());
  if (found == shapes.end()) return {};
  auto shape = found->second;
  shape[0] *= static_cast<int64_t>(ours.size());
  return shape;
}

}  // namespace

void Inventory::check_against(const VitConfig& config, bool without_head, const std::vector<std::string>& more) const {
  const Shapes shapes = shapes_of(config);
  const auto group = [this](Groups& groups, const std::string& name, const std::string& detail) {
    groups[{without_number(name), detail}].push_back(number_of_block(name));
  };
  Groups missing, unexpected, different;
  std::set<std::string> known;
  for (const TensorPlace& place : written_places(*scheme_, config)) {
    if (!shapes.contains(place.ours.front())) continue;
    known.insert(without_number(place.theirs));
    const bool there = std::ranges::all_of(place.ours, [&](const std::string& ours) { return has(ours); });
    if (!there && !(without_head && is_head(place.ours.front()))) group(missing, place.theirs, "");
  }
  const std::vector<std::string> known_names(known.begin(), known.end());
  const auto unknown = [&](const std::string& name, const std::string& what) {
    const std::string nearest = config::nearest_name(without_number(name), known_names);
    group(unexpected, name,
          !what.empty()     ? " (" + what + ")"
          : nearest.empty() ? ""
                            : " (the nearest known name is " + nearest + ")");
  };
  for (const auto& [name, what] : strangers_) unknown(name, what);
  for (const auto& [name, ours] : places_) {
    const auto expected = joined_shape(shapes, ours);
    const auto& entry = files_.entry(name);
    if (expected.empty()) {
      unknown(name, "");
    } else if (!c10::isFloatingType(entry.dtype) || entry.shape != expected) {
      group(different, name,
            " (" + outline(entry.dtype, entry.shape) + ", expected Float " + outline(at::kFloat, expected).substr(6) +
                ")");
    }
  }
  std::string faults;
  for (const std::string& sentence : more) faults += "; " + sentence;
  faults += listed("missing", missing) + listed("unexpected", unexpected) + listed("of another shape", different);
  if (faults.empty()) return;
  std::ostringstream what;
  what << "its tensors have names of " << scheme_->name << " and do not make a Vision Transformer of " << config.depth
       << " blocks of width " << config.width << faults;
  throw Error(Fault::kData, what.str());
}

}  // namespace acm::nn
