#include "io/safetensors.h"

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "core/digest.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "io/safetensors_entry.h"
#include "io/safetensors_header.h"

namespace acm::io {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

void check_bools(const std::filesystem::path& path, const std::string& name, const at::Tensor& tensor) {
  const auto* bytes = static_cast<const uint8_t*>(tensor.const_data_ptr());
  const auto* bad = std::find_if(bytes, bytes + tensor.numel(), [](uint8_t byte) { return byte > 1; });
  if (bad != bytes + tensor.numel()) {
    throw Error(Fault::kData, "cannot read " + name + " of " + path.string() + ": a BOOL is neither 0 nor 1: value " +
                                  std::to_string(bad - bytes) + " is " + std::to_string(*bad));
  }
}

at::Tensor read_entry(const std::filesystem::path& path, const FileHandle& file, const std::string& name,
                      const SafetensorsFile::Entry& entry) {
  at::Tensor tensor = at::empty(entry.shape, at::TensorOptions().dtype(entry.dtype));
  file.read(tensor.mutable_data_ptr(), entry.end - entry.begin, entry.begin);
  if (entry.dtype == at::kBool) check_bools(path, name, tensor);
  return tensor;
}

at::Tensor plain(const at::Tensor& tensor) { return tensor.detach().to(at::kCPU).contiguous(); }

// Wide elements first, then by name, so that every tensor is aligned to its elements without gaps, which the format
// forbids.
std::vector<const NamedTensors::value_type*> file_order(const NamedTensors& tensors) {
  std::vector<const NamedTensors::value_type*> order;
  for (const auto& named : tensors) order.push_back(&named);
  std::stable_sort(order.begin(), order.end(),
                   [](const auto* a, const auto* b) { return a->second.element_size() > b->second.element_size(); });
  return order;
}

std::string make_header(const std::vector<const NamedTensors::value_type*>& order, const Metadata& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) {
    Json& texts = header[kMetadataKey] = Json::object();
    for (const auto& [key, value] : metadata) texts[key] = value;
  }
  int64_t offset = 0;
  for (const auto* named : order) {
    const auto& [name, tensor] = *named;
    TORCH_CHECK(name != kMetadataKey, "a tensor cannot be named ", kMetadataKey);
    const int64_t end = offset + static_cast<int64_t>(tensor.nbytes());
    header[name] = Json::object({{"dtype", safetensors_dtype(tensor.scalar_type())},
                                 {"shape", Json::array(tensor.sizes())},
                                 {"data_offsets", Json::Array{offset, end}}});
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

std::string digest_of_content(const NamedTensors& tensors, const Metadata& metadata) {
  Digest digest;
  for (const auto& [key, text] : metadata)
    if (key != kDigestMetadata) digest.update(key).update("\n").update(text).update("\n");
  for (const auto& [name, tensor] : tensors) digest.update(name).update("\n").update(digest_of_tensor(tensor));
  return digest.hex();
}

}  // namespace

SafetensorsFile::SafetensorsFile(std::filesystem::path path) : path_(std::move(path)) {
  SafetensorsHeader header = read_safetensors_header(path_, FileHandle(path_, FileHandle::Mode::kRead));
  entries_ = std::move(header.entries);
  metadata_ = std::move(header.metadata);
}

bool SafetensorsFile::contains(std::string_view name) const { return entries_.contains(std::string(name)); }

at::Tensor SafetensorsFile::read(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) throw Error(Fault::kData, path_.string() + " holds no tensor named " + name);
  return read_entry(path_, FileHandle(path_, FileHandle::Mode::kRead), name, found->second);
}

NamedTensors SafetensorsFile::read_all(SelfCheck wanted) const {
  const FileHandle file(path_, FileHandle::Mode::kRead);
  NamedTensors tensors;
  for (const auto& [name, entry] : entries_) tensors[name] = read_entry(path_, file, name, entry);
  const auto digest = metadata_.find(kDigestMetadata);
  if (digest == metadata_.end() && wanted == SelfCheck::kNo) return tensors;
  const std::string found = digest_of_content(tensors, metadata_);
  if (digest != metadata_.end() && found == digest->second) return tensors;
  throw Error(Fault::kData, path_.string() + " is damaged: its content has the digest " + found + ", expected " +
                                (digest == metadata_.end() ? "one in its metadata" : digest->second) +
                                "; make or copy it again");
}

void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors, Metadata metadata,
                       SelfCheck check) {
  if (check == SelfCheck::kYes) metadata[kDigestMetadata] = digest_of_content(tensors, metadata);
  const auto order = file_order(tensors);
  const std::string header = make_header(order, metadata);
  const uint64_t length = header.size();
  TORCH_CHECK(length <= kHeaderLimit, "a safetensors header of ", length, " bytes is more than the format allows");

  AtomicFile target(path);
  {
    const FileHandle file(target.partial(), FileHandle::Mode::kWrite);
    file.write(&length, kLengthBytes, 0);
    file.write(header.data(), static_cast<int64_t>(length), kLengthBytes);
    int64_t offset = static_cast<int64_t>(kLengthBytes + length);
    for (const auto* named : order) {
      const at::Tensor values = plain(named->second);  // one at a time: a whole model in host memory may be too much
      file.write(values.const_data_ptr(), static_cast<int64_t>(values.nbytes()), offset);
      offset += static_cast<int64_t>(values.nbytes());
    }
  }
  target.commit();
}

std::string digest_of_tensor(const at::Tensor& tensor) {
  const at::Tensor values = plain(tensor);
  Digest digest;
  digest.update(safetensors_dtype(values.scalar_type()));
  for (const int64_t extent : values.sizes()) digest.update(&extent, sizeof extent);
  digest.update(values.const_data_ptr(), static_cast<int64_t>(values.nbytes()));
  return digest.hex();
}

}  // namespace acm::io
