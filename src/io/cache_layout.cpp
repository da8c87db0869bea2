#include "io/cache_layout.h"

#include <c10/core/ScalarType.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <set>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "core/partial_files.h"
#include "io/segment_file.h"

namespace acm::io {
namespace {

constexpr std::string_view kPrefix = "segment-", kSuffix = ".h5";

}  // namespace

std::optional<int64_t> segment_number(const std::string& file_name) {
  if (!file_name.starts_with(kPrefix) || !file_name.ends_with(kSuffix)) return std::nullopt;
  if (file_name.size() <= kPrefix.size() + kSuffix.size()) return std::nullopt;
  const char *begin = file_name.data() + kPrefix.size(), *end = file_name.data() + file_name.size() - kSuffix.size();
  int64_t number = 0;
  const auto [stop, failure] = std::from_chars(begin, end, number);
  if (failure != std::errc() || stop != end || *begin == '-') return std::nullopt;
  return number;
}

std::optional<int64_t> partial_segment_number(const std::string& file_name) {
  const size_t at = file_name.find(kPartialMark);
  return at == std::string::npos ? std::nullopt : segment_number(file_name.substr(0, at));
}

std::string input_path(const std::string& site) { return "/" + site + "/input"; }
std::string output_path(const std::string& site) { return "/" + site + "/output"; }

std::filesystem::path segment_path(const std::filesystem::path& folder, int64_t segment) {
  char number[24];
  std::snprintf(number, sizeof number, "%05lld", static_cast<long long>(segment));
  return folder / (std::string(kPrefix) + number + std::string(kSuffix));
}

std::vector<std::filesystem::path> segment_files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  std::error_code failure;
  for (std::filesystem::directory_iterator entry(folder, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    if (segment_number(entry->path().filename().string())) files.push_back(entry->path());
  }
  if (failure) throw errno_error("cannot list the folder " + folder.string(), failure.value());
  std::sort(files.begin(), files.end());
  return files;
}

const CachedSite& site_named(const CacheLayout& layout, const std::string& name) {
  const auto found =
      std::find_if(layout.sites.begin(), layout.sites.end(), [&](const CachedSite& site) { return site.name == name; });
  TORCH_CHECK(found != layout.sites.end(), "the cache holds no site ", name);
  return *found;
}

void check_layout(const CacheLayout& layout) {
  TORCH_CHECK(layout.samples > 0 && layout.segment_samples > 0, "a cache holds samples, in segments of some");
  std::set<std::string> owners, names;
  for (const CachedSite& site : layout.sites) {
    TORCH_CHECK(names.insert(site.name).second, "the cache has two sites named ", site.name);
    TORCH_CHECK(!site.name.empty() && site.name != "." && "/" + site.name != kOffsets &&
                    site.name.find('/') == std::string::npos,
                "the cache cannot name a site '", site.name, "'");
    if (owns_input(site)) owners.insert(site.name);
  }
  for (const CachedSite& site : layout.sites) {
    TORCH_CHECK(owners.contains(site.input_of), "site ", site.name, " shares the input of ", site.input_of,
                ", which has none of its own");
  }
}

Json full_key(const CacheLayout& layout) {
  Json key = layout.key.is_null() ? Json::object() : layout.key;
  Json sites = Json::Array{};
  for (const CachedSite& site : layout.sites) {
    sites.push_back(Json::object({{"name", site.name},
                                  {"input_of", site.input_of},
                                  {"input_width", site.input_width},
                                  {"output_width", site.output_width}}));
  }
  key["format"] = 1;
  key["dtype"] = cache_dtype_name(layout.dtype);
  key["segment_samples"] = layout.segment_samples;
  key["sites"] = std::move(sites);
  return key;
}

std::map<std::string, int64_t> dataset_bytes(const CacheLayout& layout, int64_t samples, int64_t rows) {
  const int64_t row = rows * static_cast<int64_t>(c10::elementSize(layout.dtype));
  std::map<std::string, int64_t> bytes;
  bytes[std::string(kOffsets)] = (samples + 1) * static_cast<int64_t>(sizeof(int64_t));
  for (const CachedSite& site : layout.sites) {
    if (owns_input(site)) bytes[input_path(site.name)] = row * site.input_width;
    bytes[output_path(site.name)] = row * site.output_width;
  }
  return bytes;
}

int64_t CacheLayout::payload_bytes(int64_t tokens) const {
  int64_t widths = 0;
  for (const CachedSite& site : sites) widths += site.output_width + (owns_input(site) ? site.input_width : 0);
  return samples * tokens * widths * static_cast<int64_t>(c10::elementSize(dtype)) +
         (samples + segments()) * static_cast<int64_t>(sizeof(int64_t));
}

}  // namespace acm::io
