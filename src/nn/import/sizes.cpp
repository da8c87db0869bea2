#include "nn/import/sizes.h"

#include <array>
#include <cmath>

#include "core/error.h"

namespace acm::nn {
namespace {

// Side of the square grid of so many patches; 0 where they are none.
int64_t square_side(int64_t patches) {
  const auto side = static_cast<int64_t>(std::sqrt(static_cast<double>(patches)));
  return patches > 0 && side * side == patches ? side : 0;
}

// Published models of these widths have 16 heads (ViT-H; ViT-g and ViT-G), all others heads of 64. 0: nobody knows.
int64_t published_heads(int64_t width) {
  if (width == 1280 || width == 1408 || width == 1664) return 16;
  return width % 64 == 0 ? width / 64 : 0;
}

void set_heads_and_eps(const Inventory& inventory, const ImportOptions& options, const LibraryConfig& told,
                       FoundSizes& found) {
  VitConfig& config = found.config;
  config.eps = told.eps.value_or(inventory.scheme().eps);
  const std::string width = std::to_string(config.width);
  config.heads = options.heads > 0 ? options.heads : told.heads.value_or(published_heads(config.width));
  const bool guessed = options.heads <= 0 && !told.heads;
  if (config.heads < 1 || config.width % config.heads != 0) {
    found.faults.push_back(guessed ? "no config.json tells the attention heads, and width " + width +
                                         " is no multiple of 64: say how many there are (import --heads)"
                                   : std::to_string(config.heads) + " attention heads do not divide width " + width);
    config.heads = 1;
  } else if (guessed) {
    found.notes.push_back("attention heads are taken to be " + std::to_string(config.heads) + ", as models of width " +
                          width + " have, and LayerNorm's eps " + Json(config.eps).dump() +
                          ": no config.json tells them");
  }
}

// Whether a grid of patches and the tokens before them make up the positions, with or without positions of those.
bool set_image(VitConfig& config, int64_t rows, int64_t columns, int64_t positions) {
  for (const bool with_prefix : {true, false}) {
    config.prefix_positions = with_prefix;
    config.height = rows * config.patch;
    config.width_pixels = columns * config.patch;
    if (rows > 0 && columns > 0 && config.positions() == positions) return true;
  }
  return false;
}

std::string grid_fault(const VitConfig& config, int64_t positions) {
  const int64_t prefix = config.prefix_tokens();
  std::string text = "its " + std::to_string(positions) + " position embeddings are no square grid of patches and " +
                     std::to_string(prefix) + (prefix == 1 ? " token" : " tokens") + " before them";
  for (int64_t other = 0; other <= 8; ++other) {
    const int64_t side = square_side(positions - other);
    if (side > 0)
      return text + ", but " + std::to_string(side) + " x " + std::to_string(side) + " patches and " +
             std::to_string(other);
  }
  return text + ", and no config.json tells the image's height and width";
}

void set_positions(const Inventory& inventory, const LibraryConfig& told, FoundSizes& found) {
  VitConfig& config = found.config;
  const int64_t positions = inventory.extent("pos_embed", 1);
  if (told.image && set_image(config, told.image->first / config.patch, told.image->second / config.patch, positions)) {
    return;
  }
  for (const int64_t prefix : {config.prefix_tokens(), int64_t{0}}) {
    const int64_t side = square_side(positions - prefix);
    if (set_image(config, side, side, positions)) return;
  }
  config.prefix_positions = true;
  config.height = config.width_pixels = config.patch;
  if (positions > 0) found.faults.push_back(grid_fault(config, positions));
}

void compare_with_config(const VitConfig& config, const LibraryConfig& told) {
  const Json shapes = description_of(config);
  for (const auto& [name, size] : told.sizes) {
    if (shapes.at(name).as_int() == size) continue;
    throw Error(Fault::kData, "its config.json is of another model: it says " + name + " " + std::to_string(size) +
                                  ", and the tensors say " + shapes.at(name).dump());
  }
}

// A shape is bounded by the file's size, products of shapes are not: nothing is built that this file could never fill.
void check_plausible(const Inventory& inventory, const VitConfig& config) {
  double there = 0;
  for (const std::string& name : inventory.files().names()) {
    const auto& entry = inventory.files().entry(name);
    there += static_cast<double>(entry.end - entry.begin);
  }
  const auto width = static_cast<double>(config.width), hidden = static_cast<double>(config.hidden);
  const double needed = static_cast<double>(config.depth) * (4 * width * width + 2 * width * hidden);
  if (needed > 1e6 + 64 * there) {
    throw Error(Fault::kData, "its tensors cannot be a Vision Transformer of " + std::to_string(config.depth) +
                                  " blocks, width " + std::to_string(config.width) + " and " +
                                  std::to_string(config.hidden) + " hidden units: there are far too few numbers");
  }
}

}  // namespace

FoundSizes find_sizes(const Inventory& inventory, const ImportOptions& options) {
  FoundSizes found;
  VitConfig& config = found.config;
  const auto extent = [&](const char* ours, size_t axis, int64_t otherwise) {
    const int64_t size = inventory.extent(ours, axis);
    return size > 0 ? size : otherwise;
  };
  config.width = extent("patch_embed.weight", 0, 1);
  config.channels = extent("patch_embed.weight", 1, 3);
  config.patch = extent("patch_embed.weight", 2, 1);
  config.depth = std::max<int64_t>(inventory.depth(), 1);
  config.hidden = 4 * config.width;
  config.qkv_bias = false;
  for (int64_t i = config.depth - 1; i >= 0; --i) {
    const std::string block = "blocks." + std::to_string(i) + ".";
    config.hidden = extent((block + "ffn.fc1.weight").c_str(), 0, config.hidden);
    config.layer_scale |= inventory.has(block + "scale1") || inventory.has(block + "scale2");
    for (const char* site : {"q", "k", "v"}) config.qkv_bias |= inventory.has(block + site + ".bias");
  }
  config.classes = extent("head.weight", 0, std::max<int64_t>(options.classes, 1));
  config.distillation_token = inventory.has("distillation_token");
  config.distillation_head = config.distillation_token && inventory.has("distillation_head.weight");
  const Scheme& scheme = inventory.scheme();
  const Json& json = inventory.files().config();
  if (scheme.complete != nullptr) scheme.complete(config, inventory.files().names(), json);
  const LibraryConfig told = scheme.read_config(json);
  compare_with_config(config, told);
  check_plausible(inventory, config);
  set_heads_and_eps(inventory, options, told, found);
  set_positions(inventory, told, found);
  return found;
}

}  // namespace acm::nn
