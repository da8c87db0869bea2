#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace acm::io {

using NamedTensors = std::map<std::string, at::Tensor>;
using Metadata = std::map<std::string, std::string>;

// Whether a file holds, under this key of its metadata, a digest of its tensors and of the rest of its metadata.
enum class SelfCheck { kNo, kYes };
constexpr const char* kDigestMetadata = "xxh3";

// A safetensors file opened for reading: the header is read and checked at once (sizes, offsets, overlaps, dtypes),
// tensors on demand. Error(kData) names the file and what it is instead (truncated, a Git-LFS pointer, an HTML page,
// not safetensors). float64, float32, float16, bfloat16, int64, int32, uint8 and bool are read.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(std::filesystem::path path);

  struct Entry {
    at::ScalarType dtype;
    std::vector<int64_t> shape;
    int64_t begin = 0, end = 0;  // bytes in the file
  };
  const std::map<std::string, Entry>& entries() const { return entries_; }
  const Metadata& metadata() const { return metadata_; }
  const std::filesystem::path& path() const { return path_; }
  bool contains(std::string_view name) const;
  at::Tensor read(const std::string& name) const;  // on the CPU, owning its memory
  // Error(kData) where the file holds a digest and a value, name, shape or text differs; with kYes also where it holds
  // none.
  NamedTensors read_all(SelfCheck wanted = SelfCheck::kNo) const;

 private:
  std::filesystem::path path_;
  std::map<std::string, Entry> entries_;
  Metadata metadata_;
};

// Writes through an AtomicFile, durably. Equal content gives equal bytes: tensors stand by element size, widest first,
// so that each is aligned, and then by name; metadata keys are sorted. Tensors may live on any device and have any
// strides.
void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors, Metadata metadata = {},
                       SelfCheck check = SelfCheck::kNo);

// XXH3-64 of a tensor's values, dtype and shape.
std::string digest_of_tensor(const at::Tensor& tensor);

}  // namespace acm::io
