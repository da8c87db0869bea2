#include "nn/import.h"

#include <set>

#include "core/digest.h"
#include "core/error.h"
#include "nn/import/adapt.h"
#include "nn/import/inventory.h"
#include "nn/import/sizes.h"

namespace acm::nn {
namespace {

namespace fs = std::filesystem;

// The description of our model files also stands under this key in an exported ACM model.
bool is_ours(const fs::path& file) { return io::SafetensorsFile(file).metadata().contains(kModelMetadata); }

// What the model computes in: float64 where any tensor needs it.
at::ScalarType model_dtype(const WeightFiles& files) {
  for (const std::string& name : files.names()) {
    if (files.entry(name).dtype == at::kDouble) return at::kDouble;
  }
  return at::kFloat;
}

// Each tensor is read once; what stands fused in it are views of its rows.
io::NamedTensors read_tensors(const Inventory& inventory, const VitConfig& config, at::ScalarType dtype) {
  std::map<std::string, at::Tensor> whole;
  io::NamedTensors tensors;
  for (const TensorPlace& place : written_places(inventory.scheme(), config)) {
    for (const std::string& ours : place.ours) {
      const Inventory::Part* part = inventory.find(ours);
      if (part == nullptr || tensors.contains(ours)) continue;
      at::Tensor& values = whole[part->theirs];
      if (!values.defined()) values = inventory.files().read(part->theirs).to(dtype);
      const int64_t rows = values.size(0) / part->parts;
      tensors.emplace(ours, part->parts == 1 ? values : values.narrow(0, part->part * rows, rows));
    }
  }
  return tensors;
}

void note_widening(const WeightFiles& files, at::ScalarType dtype, std::vector<std::string>& notes) {
  std::set<std::string> narrow;
  for (const std::string& name : files.names()) {
    const at::ScalarType found = files.entry(name).dtype;
    if (c10::isFloatingType(found) && found != dtype) {
      narrow.insert(found == at::kHalf ? "float16" : found == at::kBFloat16 ? "bfloat16" : "float32");
    }
  }
  for (const std::string& name : narrow) {
    notes.push_back("its " + name + " tensors were widened to " + (dtype == at::kDouble ? "float64" : "float32"));
  }
}

Imported import_opened(const WeightFiles& files, const ImportOptions& options) {
  const Inventory inventory(files);
  auto [config, notes, faults] = find_sizes(inventory, options);
  inventory.check_against(config, !inventory.has("head.weight"), faults);

  Imported imported{.file = {}, .scheme = inventory.scheme().name, .notes = std::move(notes)};
  const at::ScalarType dtype = model_dtype(files);
  imported.file.tensors = read_tensors(inventory, config, dtype);
  note_widening(files, dtype, imported.notes);
  for (const std::string& name : inventory.ignored()) {
    imported.notes.push_back("its " + name + " was left out: the classifier does not use it");
  }
  adapt_positions(config, options.image_size, imported);
  adapt_head(config, options, imported);
  imported.file.digest = files.digest();
  imported.file.description = Json::object({{"format", kModelFormat},
                                            {"phase", "import"},
                                            {"dtype", dtype == at::kDouble ? "float64" : "float32"},
                                            {"backbone", description_of(config)},
                                            {"preprocessing", nullptr},
                                            {"sites", Json::Array{}},
                                            {"gate", nullptr},
                                            {"parent", imported.file.digest}});
  return imported;
}

}  // namespace

bool is_foreign(const fs::path& path) {
  if (fs::is_directory(path)) return !fs::exists(path / "model.safetensors") || !is_ours(path / "model.safetensors");
  return path.filename().string().ends_with(".index.json") || !is_ours(path);
}

fs::path model_file_in(const fs::path& path) { return fs::is_directory(path) ? path / "model.safetensors" : path; }

std::string digest_of_weights(const fs::path& path) {
  return is_foreign(path) ? WeightFiles(path).digest() : digest_of_file(model_file_in(path));
}

Imported import_weights(const fs::path& path, const ImportOptions& options) {
  const WeightFiles files(path);
  try {
    return import_opened(files, options);
  } catch (const Error& error) {
    throw Error(error.fault(), "cannot import " + path.string() + ": " + error.what(), error.where());
  }
}

}  // namespace acm::nn
