// io/segment_table and io/activation_cache: a segment of the cache, as it is and with digests that were made right, so
// that the digests do not hide what stands behind them.
#include <algorithm>
#include <vector>

#include "core/digest.h"
#include "fuzz/target.h"
#include "unit/io/cache_example.h"

namespace acm::fuzz {
namespace {

constexpr size_t kTail = 40, kNumber = 16;

void read(std::string_view bytes, int64_t samples) {
  const auto folder = file_in_folder("segment-00000.h5", bytes).parent_path();
  io::CacheLayout layout = io::example_layout();
  layout.samples = samples;  // fewer than the file's: it is read in part
  try_to([&] {
    io::ActivationCache cache(folder, layout);
    if (cache.fault_of(0)) return;
    try_to([&] { cache.read_offsets(0); });
    try_to([&] { cache.read_input(0, "blocks.0.k"); });
    try_to([&] { cache.read_output(0, "blocks.0.ffn"); });
  });
}

// Ranges of the payloads, and their digests made right in the table; what cannot be is left.
std::vector<std::pair<size_t, size_t>> mend_payloads(Json& table, std::string_view bytes) {
  std::vector<std::pair<size_t, size_t>> ranges;
  for (auto& [path, stored] : table["datasets"].as_object()) {
    const int64_t offset = stored.at("offset").as_int(), length = stored.at("bytes").as_int();
    const auto size = static_cast<int64_t>(bytes.size());
    if (offset < 0 || length < 0 || offset > size || length > size - offset) continue;
    ranges.emplace_back(offset, length);
    stored["xxh3"] = digest_of(bytes.substr(static_cast<size_t>(offset), static_cast<size_t>(length)));
  }
  std::sort(ranges.begin(), ranges.end());
  return ranges;
}

// The same segment with a table and a tail that fit its bytes.
std::string mended(std::string_view bytes) {
  const size_t begin = bytes.rfind("{\"datasets\"");
  if (begin == bytes.npos || bytes.size() - begin < kTail) return {};
  Json table = Json::parse(bytes.substr(begin, bytes.size() - begin - kTail), "a table");
  std::string out(bytes.substr(0, begin));
  const auto ranges = mend_payloads(table, out);
  const std::string text = table.dump();
  char length[kNumber + 1];
  std::snprintf(length, sizeof length, "%016zx", text.size());
  out += text + length + "acm-seg1";
  Digest digest;
  size_t reached = 0;
  for (const auto& [offset, count] : ranges) {
    if (offset < reached) return {};
    digest.update(std::string_view(out).substr(reached, offset - reached));
    reached = offset + count;
  }
  digest.update(std::string_view(out).substr(reached));
  return out + digest.hex();
}

}  // namespace
}  // namespace acm::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = acm::fuzz::text_of(data, size);
  acm::fuzz::read(bytes, 5);
  acm::fuzz::try_to([&] {
    const std::string segment = acm::fuzz::mended(bytes);
    for (const int64_t samples : {5, 2}) acm::fuzz::read(segment, samples);
  });
  return 0;
}
