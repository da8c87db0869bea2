#include "phases/cache_reader.h"

#include <ATen/ops/cat.h>

#include <algorithm>

#include "core/error.h"

namespace acm::phases {

CacheReader::CacheReader(Capture& capture, Log& log, std::vector<std::string> sites)
    : capture_(capture), log_(log), sites_(std::move(sites)) {}

// The first look again is for a segment that another run replaced by one of more samples while this one read.
template <typename Read>
auto CacheReader::mended(const Read& read) {
  try {
    return read();
  } catch (const io::SegmentDamage&) {
  }
  try {
    return read();
  } catch (const io::SegmentDamage& damage) {
    log_.warn(std::string(damage.what()) + "; the segment is captured again");
    capture_.capture(damage.segment());
    return read();
  }
}

at::Tensor CacheReader::read(int64_t segment, const std::string& site, Side side) {
  auto& cache = capture_.cache();
  return mended(
      [&] { return side == Side::kInput ? cache.read_input(segment, site) : cache.read_output(segment, site); });
}

const io::CachedSite& CacheReader::cached(const std::string& site) const {
  const auto& sites = capture_.need().layout.sites;
  const auto cached = std::ranges::find(sites, site, &io::CachedSite::name);
  if (cached == sites.end())
    throw Error(Fault::kUsage,
                "site " + site +
                    " of the model is not in the activation cache: acm.sites selects other sites than phase 1 trained");
  return *cached;
}

const std::string& CacheReader::owner_of_input(const std::string& site) const { return cached(site).input_of; }

int64_t CacheReader::width(const std::string& site, Side side) const {
  return side == Side::kInput ? cached(site).input_width : cached(site).output_width;
}

void CacheReader::compute_first(int64_t segment) {
  const auto& sites = capture_.need().layout.sites;
  const auto is_wanted = [&](const io::CachedSite& owner, Side side) {
    return sites_.empty() || std::ranges::any_of(sites_, [&](const std::string& name) {
             return side == Side::kInput ? owner_of_input(name) == owner.name : name == owner.name;
           });
  };
  const auto data = capture_.compute(segment);
  auto& held = first_[segment];
  for (size_t s = 0; s < sites.size(); ++s) {
    if (data.inputs[s].defined() && is_wanted(sites[s], Side::kInput))
      held[{sites[s].name, Side::kInput}] = data.inputs[s];
    if (is_wanted(sites[s], Side::kOutput)) held[{sites[s].name, Side::kOutput}] = data.outputs[s];
  }
}

std::vector<CacheReader::FirstRows> CacheReader::first_samples(int64_t samples) {
  const auto& need = capture_.need();
  const auto& layout = need.layout;
  const int64_t wanted = std::min(samples, layout.samples);
  std::vector<FirstRows> parts;
  for (int64_t segment = 0; segment * layout.segment_samples < wanted; ++segment) {
    if (!first_.contains(segment) && !std::filesystem::exists(capture_.cache().path_of(segment)))
      compute_first(segment);
    const int64_t count = std::min(wanted - segment * layout.segment_samples, layout.samples_in(segment));
    parts.push_back({segment, count * need.tokens});
  }
  return parts;
}

at::Tensor CacheReader::first_values(int64_t segment, const std::string& site, Side side) {
  const auto first = first_.find(segment);
  return first == first_.end() ? read(segment, site, side) : first->second.at({site, side});
}

CacheReader::Rows CacheReader::rows(const std::string& site, const std::vector<FirstRows>& parts) {
  const auto& owner = owner_of_input(site);
  const auto dtype = capture_.dtype();
  std::vector<at::Tensor> inputs, outputs;
  for (const auto& [segment, rows] : parts) {
    inputs.push_back(first_values(segment, owner, Side::kInput).narrow(0, 0, rows).to(dtype));
    outputs.push_back(first_values(segment, site, Side::kOutput).narrow(0, 0, rows).to(dtype));
  }
  if (inputs.size() == 1) return {inputs[0], outputs[0]};
  return {at::cat(inputs), at::cat(outputs)};
}

}  // namespace acm::phases
