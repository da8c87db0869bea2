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
#include "core/quotient.h"

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
  int64_t samples = 0;          // of an epoch
  int64_t segment_samples = 0;  // positions a segment; the last of an epoch may hold fewer
  // Where each epoch captures anew, the numbers of segments run on through so many epochs, and the first sample of an
  // epoch stands `epoch_positions` after that of the epoch before.
  int64_t epochs = 1, epoch_positions = 0;

  int64_t segments() const { return quotient_up(samples, segment_samples); }  // of an epoch
  int64_t first_sample(int64_t segment) const {                               // its position in the capture schedule
    return segment / segments() * epoch_positions + segment % segments() * segment_samples;
  }
  int64_t samples_in(int64_t segment) const {
    return std::min(segment_samples, samples - segment % segments() * segment_samples);
  }
  // Payload of an epoch's segments where every sample has `tokens` tokens.
  int64_t payload_bytes(int64_t tokens) const;
};

// Bytes of the file of a full segment where every sample has `tokens` tokens. Those of later segments may have some
// more digits.
int64_t segment_file_bytes(const CacheLayout& layout, int64_t tokens);

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

  // The same cache, for the calls of another thread; that object compares digests anew.
  ActivationCache for_another_thread() const;

  const CacheLayout& layout() const { return layout_; }
  std::filesystem::path path_of(int64_t segment) const;

  // Why a segment cannot be used ("missing", "truncated or overwritten: ...", "changed: ...", "of another key: ..."),
  // or nothing. Looks at everything but the payload, whose digests are compared when it is first read.
  // One that holds further samples is usable: their rows are left out.
  std::optional<std::string> fault_of(int64_t segment) const;
  // Of all segments in the folder.
  int64_t bytes_on_disk() const;
  // Removes every segment that is not among these, which ascend, and what interrupted writers left. Nobody else may be
  // writing there.
  void remove_all_but(const std::vector<int64_t>& segments) const;

  void write(int64_t segment, const SegmentData& data) const;

  // Rows of a segment; [rows, width] of the layout's dtype. The first read of a dataset by this object compares its
  // digest; SegmentDamage names file and dataset where it differs or cannot be read.
  at::Tensor read_input(int64_t segment, const std::string& site);
  at::Tensor read_output(int64_t segment, const std::string& site);
  at::Tensor read_offsets(int64_t segment);  // int64 [samples + 1]
  int64_t rows(int64_t segment);
  // Of the values that this object has read from segments so far.
  int64_t bytes_read() const;

 private:
  struct Impl;
  std::filesystem::path folder_;
  CacheLayout layout_;
  std::shared_ptr<Impl> impl_;
};

}  // namespace acm::io
