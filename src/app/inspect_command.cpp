#include "app/inspect_command.h"

#include <algorithm>
#include <functional>
#include <iostream>

#include "core/error.h"
#include "core/file.h"
#include "io/segment_table.h"
#include "nn/model_file.h"
#include "phases/cache_plan.h"
#include "train/checkpoint_files.h"

namespace acm::app {
namespace {

namespace fs = std::filesystem;

// What was found at one place. `state` is "whole", "unfinished" or "damaged".
struct Finding {
  std::string kind, path, state = "whole", text = {};
};

std::string tensors_text(const io::NamedTensors& tensors) {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : tensors) bytes += static_cast<int64_t>(tensor.nbytes());
  return std::to_string(tensors.size()) + " tensors, " + phases::bytes_text(bytes);
}

std::string first_not_finite(const io::NamedTensors& tensors) {
  for (const auto& [name, tensor] : tensors)
    if (tensor.is_floating_point() && !tensor.isfinite().all().item<bool>())
      return "; " + name + " holds numbers that are not finite";
  return {};
}

// A look at a place that may find it damaged.
Finding look_at(const char* kind, const fs::path& path, const std::function<std::string()>& look) {
  Finding finding{.kind = kind, .path = path.string()};
  try {
    finding.text = look();
  } catch (const Error& error) {
    finding.state = "damaged";
    finding.text = error.what();
  }
  return finding;
}

Finding inspect_step(const fs::path& folder) {
  if (!train::has_manifest(folder))
    return {"checkpoint", folder.string(), "unfinished", "it has no manifest: the next save removes it"};
  return look_at("checkpoint", folder, [&] {
    const auto state = train::read_step(folder);
    const auto loss = train::loss_of_step(folder);
    const auto shards = std::count_if(fs::directory_iterator(folder), fs::directory_iterator(),
                                      [](const auto& entry) { return entry.path().extension() == ".safetensors"; });
    return tensors_text({state.tensors.begin(), state.tensors.end()}) + " in " + std::to_string(shards) + " shards" +
           (loss ? ", loss " + Json(*loss).dump() : "") +
           first_not_finite({state.tensors.begin(), state.tensors.end()});
  });
}

Finding inspect_segment(const fs::path& path) {
  return look_at("cache segment", path, [&] {
    const auto table = io::verified_segment(path);
    return std::to_string(table.samples) + " samples from number " + std::to_string(table.first_sample) + ", " +
           std::to_string(table.rows) + " rows of " + std::to_string(table.key.at("sites").as_array().size()) +
           " sites, " + phases::bytes_text(static_cast<int64_t>(fs::file_size(path)));
  });
}

std::string model_text(const Json& description) {
  const auto sites = description.at("sites").as_array().size();
  std::string text = sites == 0 ? "dense model" : "ACM model with " + std::to_string(sites) + " sites";
  if (sites > 0 && description.at("gate").is_null()) text += " without gates";
  return text + " of phase " + description.at("phase").as_string();
}

Finding inspect_tensors(const fs::path& path) {
  return look_at("model file", path, [&] {
    const io::SafetensorsFile file(path);
    const auto tensors = file.read_all();
    const bool ours = file.metadata().contains(nn::kModelMetadata);
    return (ours ? model_text(nn::read_description(path)) : std::string("safetensors")) + ", " + tensors_text(tensors) +
           first_not_finite(tensors);
  });
}

bool is_step(const fs::path& path) { return fs::is_directory(path) && path.filename().string().starts_with("step-"); }

void inspect(const fs::path& path, std::vector<Finding>& findings) {
  if (is_step(path)) {
    findings.push_back(inspect_step(path));
  } else if (fs::is_directory(path)) {
    std::vector<fs::path> inside(fs::directory_iterator(path), {});
    std::ranges::sort(inside);
    for (const auto& entry : inside)
      if (!fs::is_symlink(entry)) inspect(entry, findings);
  } else if (path.extension() == ".h5") {
    findings.push_back(inspect_segment(path));
  } else if (path.extension() == ".safetensors") {
    findings.push_back(inspect_tensors(path));
  }
}

void print(const std::vector<Finding>& findings, bool as_json) {
  Json list = Json::Array();
  for (const auto& [kind, path, state, text] : findings) {
    if (as_json)
      list.push_back(Json::object({{"kind", kind}, {"path", path}, {"state", state}, {"text", text}}));
    else
      std::cout << path << ": " << kind << ", " << state << ": " << text << "\n";
  }
  if (as_json) std::cout << list.dump(1) << "\n";
  std::cout << std::flush;
}

}  // namespace

int inspect_command(const Options& options, comm::Communicator& group) {
  int64_t code = 0;
  comm::together(group, [&] {
    if (!group.is_root()) return;
    if (!fs::exists(options.inspected))
      throw Error(Fault::kUsage, "cannot inspect " + options.inspected.string() + ": it does not exist");
    std::vector<Finding> findings;
    inspect(options.inspected, findings);
    if (findings.empty())
      throw Error(Fault::kUsage, "cannot inspect " + options.inspected.string() +
                                     ": it is no checkpoint, cache segment (.h5) or model file (.safetensors), and has "
                                     "none below it");
    print(findings, options.json);
    if (std::ranges::any_of(findings, [](const Finding& finding) { return finding.state == "damaged"; }))
      code = static_cast<int64_t>(Fault::kData);
  });
  return static_cast<int>(comm::all_reduce_number(group, code, comm::ReduceOp::kMax));
}

}  // namespace acm::app
