#include "phases/cache_reader.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <numeric>

#include "core/error.h"

namespace acm::phases {
namespace {

// index_select reads the indices at once, so a borrowed vector is safe.
at::Tensor selected(const at::Tensor& values, const std::vector<int64_t>& rows, at::ScalarType dtype) {
  const auto index = at::from_blob(const_cast<int64_t*>(rows.data()), {static_cast<int64_t>(rows.size())}, at::kLong);
  return values.index_select(0, index).to(dtype);
}

}  // namespace

CacheReader::CacheReader(Capture& capture, Log& log, int64_t shuffle_segments, std::vector<std::string> sites)
    : capture_(capture), log_(log), shuffle_segments_(shuffle_segments), sites_(std::move(sites)) {}

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

bool CacheReader::is_on_disk(int64_t group) {
  const auto segments = segments_of_group(group, shuffle_segments_, capture_.need().layout.segments());
  for (int64_t segment = segments.begin; segment < segments.end; ++segment)
    if (!std::filesystem::exists(capture_.cache().path_of(segment))) return false;
  return true;
}

void CacheReader::compute_first(int64_t group, int64_t segments) {
  const auto& sites = capture_.need().layout.sites;
  const auto is_wanted = [&](const io::CachedSite& owner, Side side) {
    return sites_.empty() || std::ranges::any_of(sites_, [&](const std::string& name) {
             const auto site = std::ranges::find(sites, name, &io::CachedSite::name);
             return side == Side::kInput ? site->input_of == owner.name : name == owner.name;
           });
  };
  std::map<Place, std::vector<at::Tensor>> parts;
  for (int64_t i = 0; i < segments; ++i) {
    const auto data = capture_.compute(group * shuffle_segments_ + i);
    for (size_t s = 0; s < sites.size(); ++s) {
      if (data.inputs[s].defined() && is_wanted(sites[s], Side::kInput))
        parts[{sites[s].name, Side::kInput}].push_back(data.inputs[s]);
      if (is_wanted(sites[s], Side::kOutput)) parts[{sites[s].name, Side::kOutput}].push_back(data.outputs[s]);
    }
  }
  for (const auto& [place, tensors] : parts) first_[group][place] = at::cat(tensors);
}

std::vector<RowOrder::Part> CacheReader::first_samples(int64_t samples) {
  const auto& need = capture_.need();
  const auto& layout = need.layout;
  const int64_t wanted = std::min(samples, layout.samples),
                segments = (wanted + layout.segment_samples - 1) / layout.segment_samples;
  std::vector<RowOrder::Part> parts;
  for (int64_t segment = 0; segment < segments; ++segment) {
    const int64_t group = segment / shuffle_segments_, place = segment % shuffle_segments_;
    if (place == 0 && !first_.contains(group) && !is_on_disk(group))
      compute_first(group, std::min(shuffle_segments_, segments - segment));
    const int64_t count = std::min(wanted - segment * layout.segment_samples, layout.samples_in(segment));
    std::vector<int64_t> rows(static_cast<size_t>(count * need.tokens));
    std::iota(rows.begin(), rows.end(), place * layout.segment_samples * need.tokens);
    parts.push_back({group, std::move(rows)});
  }
  return parts;
}

const at::Tensor& CacheReader::group_of(const std::string& site, Side side, const RowOrder::Part& part) {
  const auto& need = capture_.need();
  const int64_t epoch = need.fresh_views ? part.epoch : 0;  // else all epochs read the segments of the first
  if (const auto first = first_.find(part.group); epoch == 0 && first != first_.end())
    return first->second.at({site, side});
  auto& held = held_[{site, side}];
  const int64_t segments = need.layout.segments(), groups = (segments + shuffle_segments_ - 1) / shuffle_segments_,
                visit = epoch * groups + part.group;
  if (held.visit == visit) return held.values;
  held = {};  // before the next is read: memory holds one group
  auto& cache = capture_.cache();
  const auto of_group = segments_of_group(part.group, shuffle_segments_, segments);
  std::vector<at::Tensor> values;
  for (int64_t i = of_group.begin; i < of_group.end; ++i) {
    const int64_t segment = epoch * segments + i;
    values.push_back(mended(
        [&] { return side == Side::kInput ? cache.read_input(segment, site) : cache.read_output(segment, site); }));
  }
  held = {visit, at::cat(values)};
  return held.values;
}

CacheReader::Rows CacheReader::rows(const std::string& site, const std::vector<RowOrder::Part>& parts) {
  const auto& sites = capture_.need().layout.sites;
  const auto cached = std::ranges::find(sites, site, &io::CachedSite::name);
  if (cached == sites.end())
    throw Error(Fault::kUsage,
                "site " + site +
                    " of the model is not in the activation cache: acm.sites selects other sites than phase 1 trained");
  const auto dtype = capture_.dtype();
  std::vector<at::Tensor> inputs, outputs;
  for (const auto& part : parts) {
    inputs.push_back(selected(group_of(cached->input_of, Side::kInput, part), part.rows, dtype));
    outputs.push_back(selected(group_of(site, Side::kOutput, part), part.rows, dtype));
  }
  if (inputs.size() == 1) return {inputs[0], outputs[0]};
  return {at::cat(inputs), at::cat(outputs)};
}

}  // namespace acm::phases
