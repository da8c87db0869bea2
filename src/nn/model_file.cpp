#include "nn/model_file.h"

#include <ATen/core/grad_mode.h>

#include <sstream>
#include <vector>

#include "core/digest.h"
#include "core/error.h"

namespace acm::nn {
namespace {

void check_format(const Json& description, const std::string& what) {
  const Json* format = description.is_object() ? description.find("format") : nullptr;
  if (format == nullptr || !format->is_integer()) {
    throw Error(Fault::kData, "cannot read " + what + ": its description states no format");
  }
  if (format->as_int() < 1 || format->as_int() > kModelFormat) {
    throw Error(Fault::kData, "cannot read " + what + ": its format is " + std::to_string(format->as_int()) +
                                  ", and this program reads formats up to " + std::to_string(kModelFormat) +
                                  "; use the version that wrote it or a newer one");
  }
}

Json description_in(const io::SafetensorsFile& file) {
  const std::string what = "the model file " + file.path().string();
  const auto found = file.metadata().find(kModelMetadata);
  if (found == file.metadata().end()) {
    throw Error(Fault::kData, "cannot read " + what + ": it is a safetensors file without the metadata '" +
                                  kModelMetadata +
                                  "', so it holds weights of another program and not one of our models");
  }
  const Json description = Json::parse(found->second, "the description in " + what);
  check_format(description, what);
  return description;
}

std::string outline(const at::Tensor& tensor) {
  std::ostringstream text;
  text << tensor.scalar_type() << " " << tensor.sizes();
  return text.str();
}

// "; missing: a, b", or nothing.
std::string listed(const std::string& title, const std::vector<std::string>& items) {
  std::string text;
  for (const auto& item : items) text += (text.empty() ? "; " + title + ": " : ", ") + item;
  return text;
}

}  // namespace

ModelFile read_model_file(const std::filesystem::path& path) {
  const io::SafetensorsFile file(path);
  return {.description = description_in(file),
          .tensors = file.read_all(io::SelfCheck::kYes),
          .digest = digest_of_file(path)};
}

Json read_description(const std::filesystem::path& path) { return description_in(io::SafetensorsFile(path)); }

void replace_description(const std::filesystem::path& path, const Json& description) {
  const io::SafetensorsFile file(path);
  auto metadata = file.metadata();
  metadata[kModelMetadata] = description.dump();
  io::write_safetensors(path, file.read_all(io::SelfCheck::kYes), metadata, io::SelfCheck::kYes);
}

void write_model_file(const std::filesystem::path& path, const Json& description, const io::NamedTensors& tensors) {
  Json stamped = description;
  stamped["format"] = kModelFormat;
  io::write_safetensors(path, tensors, {{kModelMetadata, stamped.dump()}}, io::SelfCheck::kYes);
}

void write_model_file(const std::filesystem::path& path, const Json& description, const torch::nn::Module& model) {
  write_model_file(path, description, named_parameters(model));
}

void load_parameters(torch::nn::Module& model, const io::NamedTensors& tensors, const std::string& what) {
  std::vector<std::string> missing, unexpected, different;
  const auto parameters = model.named_parameters();
  for (const auto& parameter : parameters) {
    const auto found = tensors.find(parameter.key());
    if (found == tensors.end()) {
      missing.push_back(parameter.key());
    } else if (outline(found->second) != outline(parameter.value())) {
      different.push_back(parameter.key() + " (" + outline(found->second) + " in the file, " +
                          outline(parameter.value()) + " in the model)");
    }
  }
  for (const auto& [name, tensor] : tensors) {
    if (!parameters.contains(name)) unexpected.push_back(name);
  }
  const std::string faults =
      listed("missing", missing) + listed("unexpected", unexpected) + listed("of another dtype or shape", different);
  if (!faults.empty()) {
    throw Error(Fault::kData, "cannot load " + what + ": its tensors are not those of this model" + faults);
  }
  const at::NoGradGuard no_grad;
  for (const auto& parameter : parameters) {
    at::Tensor target = parameter.value();
    target.copy_(tensors.at(parameter.key()));
  }
}

io::NamedTensors named_parameters(const torch::nn::Module& model) {
  io::NamedTensors tensors;
  for (const auto& parameter : model.named_parameters()) {
    tensors.emplace(parameter.key(), parameter.value().detach().cpu().contiguous());
  }
  return tensors;
}

}  // namespace acm::nn
