#include "io/activation_cache.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/ScalarType.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "core/digest.h"
#include "core/file.h"
#include "io/cache_layout.h"
#include "io/key_difference.h"
#include "io/segment_file.h"
#include "io/segment_table.h"

namespace acm::io {
namespace {

// A segment that says it has more was not made by this program; its sizes in bytes would overflow.
constexpr int64_t kMostRows = int64_t{1} << 36;

bool is_there(const std::filesystem::path& file) {
  std::error_code failure;
  const bool there = std::filesystem::exists(file, failure);
  if (failure) throw errno_error("cannot look at " + file.string(), failure.value());
  return there;
}

std::string unreadable(const Error& error) { return std::string("not readable (") + error.what() + ")"; }

// A file that the disk cannot give back is damaged like any other; what is wrong with this process is not the file's
// fault.
SegmentCheck checked_table(const std::filesystem::path& file) {
  try {
    return read_segment_table(FileHandle(file, FileHandle::Mode::kRead));
  } catch (const Error& error) {
    if (error.fault() != Fault::kData) throw;
    return {{}, unreadable(error)};
  }
}

// Damaged segments are no matter here: fault_of() will say so, and they are captured again.
void refuse_other_keys(const std::filesystem::path& folder, const Json& key) {
  for (const auto& file : segment_files(folder)) {
    const SegmentCheck check = checked_table(file);
    if (!check.fault.empty() || check.table.key == key) continue;
    throw Error(Fault::kUsage, "cannot use the cache in " + folder.string() + ": " + file.filename().string() +
                                   " was made for other settings: " + key_difference(check.table.key, key) +
                                   "; choose another cache.dir or delete that one");
  }
}

at::Tensor checked_values(const at::Tensor& values, const std::string& name, int64_t rows, int64_t width,
                          at::ScalarType dtype) {
  TORCH_CHECK(values.defined() && values.dim() == 2 && values.size(0) == rows && values.size(1) == width &&
                  values.scalar_type() == dtype,
              name, " must be [", rows, ", ", width, "] of ", c10::toString(dtype));
  return values.detach().to(at::kCPU).contiguous();
}

at::Tensor checked_offsets(const at::Tensor& offsets, int64_t samples) {
  TORCH_CHECK(
      offsets.defined() && offsets.dim() == 1 && offsets.scalar_type() == at::kLong && offsets.size(0) == samples + 1,
      "offsets must be int64 [", samples + 1, "]");
  const at::Tensor plain = offsets.to(at::kCPU).contiguous();
  const auto* values = plain.const_data_ptr<int64_t>();
  TORCH_CHECK(values[0] == 0 && std::is_sorted(values, values + samples + 1), "offsets must ascend from 0");
  return plain;
}

// input(i) and output(i) give the values of a site, offsets those of the samples.
template <typename Input, typename Output>
SegmentContent content_of(const CacheLayout& layout, const Json& key, int64_t segment, int64_t rows,
                          const at::Tensor& offsets, const Input& input, const Output& output) {
  SegmentContent content;
  content.table = {key, segment, layout.first_sample(segment), layout.samples_in(segment), rows, {}};
  content.datasets.push_back({std::string(kOffsets), offsets});
  for (size_t i = 0; i < layout.sites.size(); ++i) {
    const CachedSite& site = layout.sites[i];
    content.groups.push_back("/" + site.name);
    if (owns_input(site)) {
      content.datasets.push_back({input_path(site.name), input(i)});
    } else {
      content.links.push_back({input_path(site.name), input_path(site.input_of)});
    }
    content.datasets.push_back({output_path(site.name), output(i)});
  }
  return content;
}

}  // namespace

struct ActivationCache::Impl {
  // A segment that has been read: its table, the datasets whose digest was seen to be right, and the rows of the
  // samples that this layout wants, which may be fewer than the file's.
  struct Opened {
    SegmentTable table;
    std::set<std::string> verified;
    std::optional<int64_t> rows;
  };

  Impl(const std::filesystem::path& folder, const CacheLayout& layout)
      : folder(folder), layout(layout), key(full_key(layout)) {}

  std::filesystem::path folder;
  CacheLayout layout;
  Json key;
  std::map<int64_t, Opened> opened;
  int64_t bytes_read = 0;

  // The table of a usable segment, or why it is none.
  SegmentCheck check(int64_t segment) const {
    expect_in_range(segment);
    if (!is_there(segment_path(folder, segment))) return {{}, "missing"};
    SegmentCheck check = checked_table(segment_path(folder, segment));
    if (check.fault.empty()) check.fault = difference(segment, check.table);
    return check;
  }

  void expect_in_range(int64_t segment) const {
    const int64_t segments = layout.segments() * layout.epochs;
    TORCH_CHECK(segment >= 0 && segment < segments, "segment ", segment, " of ", segments);
  }

  std::string difference(int64_t segment, const SegmentTable& table) const {
    if (table.key != key) return "of another key: " + key_difference(table.key, key);
    if (table.segment != segment) return "a copy of segment " + std::to_string(table.segment);
    if (table.samples < 0 || table.samples > kMostRows || table.rows < 0 || table.rows > kMostRows) {
      return "changed: it says that it has " + std::to_string(table.samples) + " samples and " +
             std::to_string(table.rows) + " rows";
    }
    if (table.samples < layout.samples_in(segment)) {
      return "of " + std::to_string(table.samples) + " samples instead of " +
             std::to_string(layout.samples_in(segment));
    }
    for (const auto& [path, bytes] : dataset_bytes(layout, table.samples, table.rows)) {
      const auto found = table.datasets.find(path);
      if (found == table.datasets.end() || found->second.bytes != bytes)
        return path + " is not there or of another size";
    }
    return {};
  }

  [[noreturn]] void damaged(int64_t segment, const std::string& why) {
    opened.erase(segment);  // whoever replaces the file makes it worth another look
    throw SegmentDamage(
        segment, "cannot read " + segment_path(folder, segment).string() + ": it is " + why + "; capture it again");
  }

  Opened& open(int64_t segment) {
    if (const auto found = opened.find(segment); found != opened.end()) return found->second;
    SegmentCheck found = check(segment);
    if (!found.fault.empty()) damaged(segment, found.fault);
    return opened[segment] = {std::move(found.table), {}, {}};
  }

  // Rows of a layout's own samples.
  int64_t rows(int64_t segment) {
    Opened& from = open(segment);
    if (from.rows) return *from.rows;
    const int64_t samples = layout.samples_in(segment);
    if (samples == from.table.samples) return *(from.rows = from.table.rows);
    return *(from.rows = offsets(segment).const_data_ptr<int64_t>()[samples]);
  }

  // Of all samples of the file.
  at::Tensor offsets(int64_t segment) {
    const SegmentTable& table = open(segment).table;
    const at::Tensor offsets = read_whole(segment, std::string(kOffsets), at::kLong, {table.samples + 1});
    const auto* values = offsets.const_data_ptr<int64_t>();
    if (values[0] != 0 || values[table.samples] != table.rows || !std::is_sorted(values, values + table.samples + 1)) {
      damaged(segment, "changed: its offsets do not ascend from 0 to its " + std::to_string(table.rows) + " rows");
    }
    return offsets;
  }

  at::Tensor read_values(int64_t segment, const std::string& path, int64_t width) {
    const int64_t wanted = rows(segment);
    return read_whole(segment, path, layout.dtype, {open(segment).table.rows, width}).narrow(0, 0, wanted);
  }

  at::Tensor read_whole(int64_t segment, const std::string& path, at::ScalarType dtype,
                        const std::vector<int64_t>& shape) {
    Opened& from = open(segment);
    const StoredDataset stored = from.table.datasets.at(path);
    at::Tensor values = at::empty(shape, at::TensorOptions().dtype(dtype));
    auto* bytes = static_cast<char*>(values.mutable_data_ptr());
    const bool is_verified = from.verified.contains(path);
    Digest digest;
    try {
      const FileHandle file(segment_path(folder, segment), FileHandle::Mode::kRead);
      for_each_digest_piece(0, stored.bytes, [&](int64_t begin, int64_t count) {
        file.read(bytes + begin, count, stored.offset + begin);
        if (!is_verified) digest.update(bytes + begin, count);
      });
    } catch (const Error& error) {
      if (error.fault() != Fault::kData) throw;
      damaged(segment, unreadable(error));
    }
    bytes_read += stored.bytes;
    if (!is_verified && digest.hex() != stored.digest)
      damaged(segment, "changed: the values of " + path + " differ from their digest");
    from.verified.insert(path);
    return values;
  }
};

ActivationCache::ActivationCache(std::filesystem::path folder, CacheLayout layout)
    : folder_(std::move(folder)), layout_(std::move(layout)) {
  check_layout(layout_);
  impl_ = std::make_shared<Impl>(folder_, layout_);
  make_folder(folder_);
  refuse_other_keys(folder_, impl_->key);
}

ActivationCache ActivationCache::for_another_thread() const {
  ActivationCache other(*this);
  other.impl_ = std::make_shared<Impl>(folder_, layout_);
  return other;
}

int64_t segment_file_bytes(const CacheLayout& layout, int64_t tokens) {
  check_layout(layout);
  const int64_t samples = layout.samples_in(0), rows = samples * tokens;
  const auto no_rows = [&](int64_t width) { return at::zeros({0, width}, layout.dtype); };
  return bytes_of_segment_file(content_of(
                                   layout, full_key(layout), 0, rows, at::zeros({0}, at::kLong),
                                   [&](size_t i) { return no_rows(layout.sites[i].input_width); },
                                   [&](size_t i) { return no_rows(layout.sites[i].output_width); }),
                               dataset_bytes(layout, samples, rows));
}

int64_t ActivationCache::bytes_on_disk() const {
  int64_t bytes = 0;
  for (const auto& file : segment_files(folder_)) {
    std::error_code ignored;  // one may be replaced at this moment
    const auto size = std::filesystem::file_size(file, ignored);
    if (!ignored) bytes += static_cast<int64_t>(size);
  }
  return bytes;
}

void ActivationCache::remove_all_but(const std::vector<int64_t>& segments) const {
  const auto unwanted = [&](const std::string& name) {
    const auto number = segment_number(name);
    return number ? !std::ranges::binary_search(segments, *number) : partial_segment_number(name).has_value();
  };
  std::error_code failure;
  for (std::filesystem::directory_iterator entry(folder_, failure), end; !failure && entry != end;
       entry.increment(failure))
    if (unwanted(entry->path().filename().string())) std::filesystem::remove(entry->path(), failure);
  if (failure) throw errno_error("cannot remove segments from " + folder_.string(), failure.value());
  impl_->opened.clear();
}

std::filesystem::path ActivationCache::path_of(int64_t segment) const { return segment_path(folder_, segment); }

std::optional<std::string> ActivationCache::fault_of(int64_t segment) const {
  const std::string fault = impl_->check(segment).fault;
  return fault.empty() ? std::nullopt : std::optional(fault);
}

void ActivationCache::write(int64_t segment, const SegmentData& data) const {
  impl_->expect_in_range(segment);
  const auto& sites = layout_.sites;
  TORCH_CHECK(data.inputs.size() == sites.size() && data.outputs.size() == sites.size(),
              "a segment has inputs and outputs by site");
  const int64_t samples = layout_.samples_in(segment);
  const at::Tensor offsets = checked_offsets(data.offsets, samples);
  const int64_t rows = offsets.const_data_ptr<int64_t>()[samples];
  const auto input = [&](size_t i) {
    return checked_values(data.inputs[i], input_path(sites[i].name), rows, sites[i].input_width, layout_.dtype);
  };
  const auto output = [&](size_t i) {
    return checked_values(data.outputs[i], output_path(sites[i].name), rows, sites[i].output_width, layout_.dtype);
  };
  write_segment_file(path_of(segment), content_of(layout_, impl_->key, segment, rows, offsets, input, output));
  impl_->opened.erase(segment);
}

at::Tensor ActivationCache::read_input(int64_t segment, const std::string& name) {
  const CachedSite& owner = site_named(layout_, site_named(layout_, name).input_of);
  return impl_->read_values(segment, input_path(owner.name), owner.input_width);
}

at::Tensor ActivationCache::read_output(int64_t segment, const std::string& name) {
  const CachedSite& site = site_named(layout_, name);
  return impl_->read_values(segment, output_path(name), site.output_width);
}

at::Tensor ActivationCache::read_offsets(int64_t segment) {
  return impl_->offsets(segment).narrow(0, 0, layout_.samples_in(segment) + 1);
}

int64_t ActivationCache::rows(int64_t segment) { return impl_->rows(segment); }

int64_t ActivationCache::bytes_read() const { return impl_->bytes_read; }

}  // namespace acm::io
