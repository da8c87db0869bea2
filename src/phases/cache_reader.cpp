#include "phases/cache_reader.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>

#include "core/error.h"

namespace acm::phases {

CacheReader::CacheReader(Capture& capture, Log& log, int64_t shuffle_segments)
    : capture_(capture), log_(log), shuffle_segments_(shuffle_segments) {}

template <typename Read>
auto CacheReader::mended(const Read& read) {
  try {
    return read();
  } catch (const io::SegmentDamage& damage) {
    log_.warn(std::string(damage.what()) + "; the segment is captured again");
    capture_.capture(damage.segment());
    return read();
  }
}

std::vector<int64_t> CacheReader::rows_per_segment() {
  std::vector<int64_t> rows;
  for (int64_t segment = 0; segment < capture_.cache().layout().segments(); ++segment)
    rows.push_back(mended([&] { return capture_.cache().rows(segment); }));
  return rows;
}

const at::Tensor& CacheReader::group_of(const std::string& site, Side side, int64_t group) {
  auto& held = held_[{site, side}];
  if (held.group == group) return held.values;
  auto& cache = capture_.cache();
  const int64_t first = group * shuffle_segments_, end = std::min(first + shuffle_segments_, cache.layout().segments());
  std::vector<at::Tensor> segments;
  for (int64_t segment = first; segment < end; ++segment)
    segments.push_back(mended(
        [&] { return side == Side::kInput ? cache.read_input(segment, site) : cache.read_output(segment, site); }));
  held = {group, at::cat(segments)};
  return held.values;
}

CacheReader::Rows CacheReader::rows(const std::string& site, const std::vector<RowOrder::Part>& parts) {
  const auto& sites = capture_.cache().layout().sites;
  const auto cached = std::ranges::find(sites, site, &io::CachedSite::name);
  if (cached == sites.end())
    throw Error(Fault::kUsage,
                "site " + site +
                    " of the model is not in the activation cache: acm.sites selects other sites than phase 1 trained");
  std::vector<at::Tensor> inputs, outputs;
  for (const auto& part : parts) {
    // index_select reads the indices at once, so a borrowed vector is safe.
    const auto index =
        at::from_blob(const_cast<int64_t*>(part.rows.data()), {static_cast<int64_t>(part.rows.size())}, at::kLong);
    inputs.push_back(group_of(cached->input_of, Side::kInput, part.group).index_select(0, index));
    outputs.push_back(group_of(site, Side::kOutput, part.group).index_select(0, index));
  }
  if (inputs.size() == 1) return {inputs[0], outputs[0]};
  return {at::cat(inputs), at::cat(outputs)};
}

}  // namespace acm::phases
