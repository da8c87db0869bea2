#include "nn/import/inventory.h"

#include <algorithm>
#include <charconv>

#include "core/error.h"

namespace acm::nn {
namespace {

constexpr int64_t kMostBlocks = 1000;

// `name` with each of the scheme's prefixes in place of its @.
std::vector<std::string> spellings(const Scheme& scheme, const std::string& name) {
  if (!name.starts_with('@')) return {name};
  std::vector<std::string> out;
  for (const std::string& prefix : scheme.prefixes) out.push_back(prefix + name.substr(1));
  return out;
}

bool is_among(const std::vector<std::string>& sorted, const std::string& name) {
  return std::ranges::binary_search(sorted, name);
}

const Scheme* recognised(const std::vector<std::string>& names) {
  for (const Scheme* scheme : {&timm_scheme(), &huggingface_scheme(), &torchvision_scheme()}) {
    for (const std::string& marker : spellings(*scheme, scheme->marker)) {
      if (is_among(names, marker)) return scheme;
    }
  }
  std::string some;
  for (size_t i = 0; i < std::min<size_t>(names.size(), 5); ++i) some += (i == 0 ? "" : ", ") + names[i];
  throw Error(Fault::kData,
              "its names are of no library that this program reads (timm has patch_embed.proj.weight, Hugging Face "
              "vit.embeddings.patch_embeddings.projection.weight, torchvision conv_proj.weight); it has " +
                  (some.empty() ? "no tensors" : some + (names.size() > 5 ? ", ..." : "")));
}

bool starts_with_any(const Scheme& scheme, const std::string& name, const std::string& beginning) {
  return std::ranges::any_of(spellings(scheme, beginning),
                             [&](const std::string& spelled) { return name.starts_with(spelled); });
}

// What else has a name like this, or nothing.
std::string stranger(const Scheme& scheme, const std::string& name) {
  for (const ForeignPart& foreign : scheme.foreign) {
    if (name.find(foreign.part) != std::string::npos) return foreign.what;
  }
  return "";
}

}  // namespace

Inventory::Inventory(const WeightFiles& files) : files_(files), scheme_(recognised(files.names())) {
  for (const TensorRow& row : scheme_->rows) {
    if (row.ours.front() != "blocks.#.norm1.*") continue;
    block_beginnings_ = spellings(*scheme_, row.theirs.substr(0, row.theirs.find('#')));
  }
  for (const std::string& name : files.names()) depth_ = std::max(depth_, number_of_block(name) + 1);
  const auto known = read_places(*scheme_, depth_);
  for (const std::string& name : files.names()) {
    if (const auto place = known.find(name); place != known.end()) {
      places_.insert(*place);
      const auto parts = static_cast<int64_t>(place->second.size());
      for (int64_t part = 0; part < parts; ++part) {
        const auto [found, added] = parts_.emplace(place->second[static_cast<size_t>(part)], Part{name, part, parts});
        if (!added) throw Error(Fault::kData, "its tensors " + found->second.theirs + " and " + name + " are one");
      }
    } else if (std::ranges::any_of(scheme_->ignored, [&](const std::string& beginning) {
                 return starts_with_any(*scheme_, name, beginning);
               })) {
      ignored_.push_back(name);
    } else {
      strangers_.emplace(name, stranger(*scheme_, name));
    }
  }
}

int64_t Inventory::number_of_block(const std::string& name) const {
  for (const std::string& beginning : block_beginnings_) {
    if (!name.starts_with(beginning)) continue;
    int64_t number = -1;
    const char *first = name.data() + beginning.size(), *last = name.data() + name.size();
    const auto [end, error] = std::from_chars(first, last, number);
    if (error == std::errc() && end != last && *end == '.' && number >= 0 && number < kMostBlocks) return number;
  }
  return -1;
}

std::string Inventory::without_number(const std::string& name) const {
  const int64_t number = number_of_block(name);
  if (number < 0) return name;
  const std::string digits = std::to_string(number);
  for (const std::string& beginning : block_beginnings_) {
    if (name.starts_with(beginning + digits + ".")) {
      return beginning + "#" + name.substr(beginning.size() + digits.size());
    }
  }
  return name;
}

const Inventory::Part* Inventory::find(const std::string& ours) const {
  const auto found = parts_.find(ours);
  return found == parts_.end() ? nullptr : &found->second;
}

int64_t Inventory::extent(const std::string& ours, size_t axis) const {
  const Part* part = find(ours);
  if (part == nullptr) return 0;
  const auto& shape = files_.entry(part->theirs).shape;
  if (axis >= shape.size()) return 0;
  return axis == 0 ? shape[0] / part->parts : shape[axis];
}

}  // namespace acm::nn
