#include "train/manifest.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "core/digest.h"
#include "core/error.h"
#include "core/file.h"

namespace acm::train {
namespace {

namespace fs = std::filesystem;

constexpr int kFormat = 1;
constexpr std::string_view kStepPrefix = "step-";

fs::path manifest_path(const fs::path& step_folder) { return step_folder / "manifest.json"; }

std::string text_of(const Json& whole) { return whole.dump(1) + "\n"; }

Manifest manifest_from(const Json& whole, const std::string& text) {
  const Json& content = whole.at("content");
  const std::string& expected = whole.at("digest").as_string();
  const std::string found = digest_of(content.dump());
  if (found != expected) {
    throw Error(Fault::kData, "it is damaged: its content has the digest " + found + ", expected " + expected);
  }
  // The digest does not cover spaces.
  if (text_of(whole) != text) throw Error(Fault::kData, "it is damaged: it is not spaced as it was written");
  if (const int64_t format = content.at("format").as_int(); format != kFormat) {
    throw Error(Fault::kUsage,
                "it has format " + std::to_string(format) + ", and this program reads " + std::to_string(kFormat));
  }
  Manifest manifest{.scalars = {}, .tensors = records_from(content.at("tensors"))};
  for (const auto& [name, value] : content.at("scalars").as_object()) manifest.scalars[name] = value.as_int();
  if (const Json* loss = content.find("loss")) manifest.loss = loss->as_double();
  return manifest;
}

}  // namespace

Json to_json(const TensorRecords& records) {
  Json json = Json::object();
  for (const auto& [name, record] : records) {
    json[name] = Json::object({{"file", record.file}, {"digest", record.digest}});
  }
  return json;
}

TensorRecords records_from(const Json& json) {
  TensorRecords records;
  for (const auto& [name, record] : json.as_object()) {
    const std::string& file = record.at("file").as_string();
    if (!is_plain_name(file)) {
      throw Error(Fault::kData, "it places " + name + " in " + record.at("file").dump() +
                                    ", and a shard must be a plain file name beside the manifest");
    }
    records[name] = {file, record.at("digest").as_string()};
  }
  return records;
}

bool has_manifest(const fs::path& step_folder) { return fs::exists(manifest_path(step_folder)); }

void write_manifest(const fs::path& step_folder, const Manifest& manifest) {
  Json scalars = Json::object();
  for (const auto& [name, value] : manifest.scalars) scalars[name] = value;
  Json content = Json::object({{"format", kFormat}, {"scalars", scalars}, {"tensors", to_json(manifest.tensors)}});
  if (manifest.loss) content["loss"] = *manifest.loss;
  const Json whole = Json::object({{"content", content}, {"digest", digest_of(content.dump())}});
  replace_file(manifest_path(step_folder), text_of(whole));
}

Manifest read_manifest(const fs::path& step_folder) {
  const std::string path = manifest_path(step_folder).string(), text = read_file(path);
  const Json whole = Json::parse(text, path);
  try {
    return manifest_from(whole, text);
  } catch (const Error& error) {
    throw Error(error.fault(), "cannot read " + path + ": " + error.what());
  }
}

std::optional<double> loss_of_step(const fs::path& step_folder) {
  try {
    return read_manifest(step_folder).loss;
  } catch (const Error&) {  // a damaged step is no candidate
    return std::nullopt;
  }
}

std::string step_name(int64_t step) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%08lld", static_cast<long long>(step));
  return std::string(kStepPrefix) + digits;
}

std::vector<int64_t> steps_in(const fs::path& folder) {
  std::vector<int64_t> steps;
  if (!fs::exists(folder)) return steps;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kStepPrefix)) continue;
    int64_t step = 0;
    std::from_chars(name.data() + kStepPrefix.size(), name.data() + name.size(), step);
    if (name == step_name(step)) steps.push_back(step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

}  // namespace acm::train
