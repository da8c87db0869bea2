#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/json.h"

namespace acm::io {

// A site as the cache stores it. Sites that read the same tokens (q, k and v) name one `input_of`: stored once,
// hard-linked under each.
struct CachedSite {
  std::string name;      // "blocks.3.q"
  std::string input_of;  // the site whose input this is: its own name, or the first of those that share it
  int64_t input_width = 0, output_width = 0;
};

// What makes two caches the same: any difference in `key` (weights' digest, data, preprocessing, seed, ...) makes
// another cache. The cache adds the members format, dtype, segment_samples and sites to it by itself.
struct CacheLayout {
  Json key;
  std::vector<CachedSite> sites;
  at::ScalarType dtype = at::ScalarType::Float;
  int64_t samples = 0;          // positions 0 .. samples - 1 of the capture schedule
  int64_t segment_samples = 0;  // positions a segment; the last may hold fewer
  int64_t segments() const { return (samples + segment_samples - 1) / segment_samples; }
  int64_t first_sample(int64_t segment) const { return segment * segment_samples; }
  int64_t samples_in(int64_t segment) const { return std::min(segment_samples, samples - first_sample(segment)); }
  // Payload of all segments where every sample has `tokens` tokens.
  int64_t payload_bytes(int64_t tokens) const;
};

// The activations of one segment in memory, ready to be written. Rows are the valid tokens of its samples, packed.
struct SegmentData {
  at::Tensor offsets;               // int64 [samples + 1]: sample i owns rows [offsets[i], offsets[i + 1])
  std::vector<at::Tensor> inputs;   // by site, [rows, input_width]; undefined where another site owns the input
  std::vector<at::Tensor> outputs;  // by site, [rows, output_width]
};

// A segment that is missing or damaged, thrown by the reading members: whoever meets it captures `segment` again and
// reads on.
class SegmentDamage : public Error {
 public:
  SegmentDamage(int64_t segment, const std::string& message) : Error(Fault::kData, message), segment_(segment) {}
  int64_t segment() const { return segment_; }

 private:
  int64_t segment_;
};

// A folder of segment files, `segment-00012.h5`, each plain HDF5 (`/<site>/input`, `/<site>/output`, `/offsets`), each
// written whole by one process, each with a digest per dataset and one over everything else, so that any changed byte
// is found. A segment's bytes are a function of layout and data alone. Members may be called from one thread at a time.
class ActivationCache {
 public:
  // Creates the folder. Segments of another key in it are an Error(kUsage) that lists the differing members.
  ActivationCache(std::filesystem::path folder, CacheLayout layout);

  const CacheLayout& layout() const { return layout_; }
  std::filesystem::path path_of(int64_t segment) const;

  // Why a segment cannot be used ("missing", "truncated or overwritten: ...", "changed: ...", "of another key: ..."),
  // or nothing. Looks at everything but the payload, whose digests are compared when it is first read.
  std::optional<std::string> fault_of(int64_t segment) const;

  void write(int64_t segment, const SegmentData& data) const;

  // Rows of a segment; [rows, width] of the layout's dtype. The first read of a dataset by this object compares its
  // digest; SegmentDamage names file and dataset where it differs or cannot be read.
  at::Tensor read_input(int64_t segment, const std::string& site);
  at::Tensor read_output(int64_t segment, const std::string& site);
  at::Tensor read_offsets(int64_t segment);  // int64 [samples + 1]
  int64_t rows(int64_t segment);

 private:
  struct Impl;
  std::filesystem::path folder_;
  CacheLayout layout_;
  std::shared_ptr<Impl> impl_;
};

}  // namespace acm::io
