#include "io/segment_file.h"

#include <c10/core/ScalarType.h>
#include <c10/util/Exception.h>

#include <unistd.h>

#include <bit>

#include "core/digest.h"
#include "core/file.h"
#include "io/hdf5.h"

namespace acm::io {
namespace {

static_assert(std::endian::native == std::endian::little, "payloads are little-endian");

// HDF5 1.10 has no half precision of its own, but can describe it; bfloat16 readers must be told by the attribute
// `dtype`.
Hdf5Id file_type(at::ScalarType dtype) {
  const std::string doing = "make an HDF5 type";
  switch (dtype) {
    case at::kLong:
      return {H5Tcopy(H5T_STD_I64LE), H5Tclose, doing};
    case at::kDouble:
      return {H5Tcopy(H5T_IEEE_F64LE), H5Tclose, doing};
    case at::kFloat:
      return {H5Tcopy(H5T_IEEE_F32LE), H5Tclose, doing};
    case at::kBFloat16:
      return {H5Tcopy(H5T_STD_U16LE), H5Tclose, doing};
    case at::kHalf: {
      Hdf5Id half(H5Tcopy(H5T_IEEE_F32LE), H5Tclose, doing);
      check_hdf5(H5Tset_fields(*half, 15, 10, 5, 0, 10),
                 doing);  // sign, exponent (place, bits), mantissa (place, bits)
      check_hdf5(H5Tset_size(*half, 2), doing);
      check_hdf5(H5Tset_ebias(*half, 15), doing);
      return half;
    }
    default:
      TORCH_CHECK(false, "the activation cache cannot hold ", c10::toString(dtype));
  }
}

// Times of creation and the choice of format by library version would make equal content differ in bytes.
Hdf5Id properties(hid_t kind, const std::string& doing) {
  Hdf5Id list(H5Pcreate(kind), H5Pclose, doing);
  check_hdf5(H5Pset_obj_track_times(*list, false), doing);
  return list;
}

enum class Place { kDisk, kMemory };

// Without blocks that collect small pieces: the size of the file is then that of its structure without any payload, and
// the payload.
Hdf5Id create_file(const std::filesystem::path& path, Place place, const std::string& doing) {
  const Hdf5Id creation = properties(H5P_FILE_CREATE, doing);
  const Hdf5Id access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, doing);
  check_hdf5(H5Pset_meta_block_size(*access, 0), doing);
  check_hdf5(H5Pset_small_data_block_size(*access, 0), doing);
  if (place == Place::kMemory) check_hdf5(H5Pset_fapl_core(*access, 1, false), doing);
  check_hdf5(H5Pset_libver_bounds(*access, H5F_LIBVER_V18, H5F_LIBVER_V18), doing);
  // The partial file is ours alone, and some network file systems refuse locks.
  check_hdf5(H5Pset_file_locking(*access, false, true), doing);
  return {H5Fcreate(path.c_str(), H5F_ACC_TRUNC, *creation, *access), H5Fclose, doing};
}

int64_t size_of(hid_t file, const std::string& doing) {
  hsize_t bytes = 0;
  check_hdf5(H5Fget_filesize(file, &bytes), doing);
  return static_cast<int64_t>(bytes);
}

// A file whose values are still to be written, and their digests.
struct Structure {
  Hdf5Id file;
  std::vector<TextAttribute> digests;  // by dataset
};

// Allocates the dataset without writing its values; tells where they go.
StoredDataset create_dataset(Structure& structure, const SegmentContent::Dataset& dataset, const std::string& doing) {
  const Hdf5Id creation = properties(H5P_DATASET_CREATE, doing);
  check_hdf5(H5Pset_layout(*creation, H5D_CONTIGUOUS), doing);
  check_hdf5(H5Pset_alloc_time(*creation, H5D_ALLOC_TIME_EARLY), doing);
  check_hdf5(H5Pset_fill_time(*creation, H5D_FILL_TIME_NEVER), doing);
  const std::vector<hsize_t> extents(dataset.values.sizes().begin(), dataset.values.sizes().end());
  const Hdf5Id space(H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr), H5Sclose, doing);
  const Hdf5Id type = file_type(dataset.values.scalar_type());
  const Hdf5Id id(H5Dcreate2(*structure.file, dataset.path.c_str(), *type, *space, H5P_DEFAULT, *creation, H5P_DEFAULT),
                  H5Dclose, doing);
  StoredDataset stored{0, static_cast<int64_t>(dataset.values.nbytes()), {}};
  write_attribute(*id, "dtype", std::string(cache_dtype_name(dataset.values.scalar_type())));
  structure.digests.emplace_back(*id, "xxh3", Digest().hex().size());
  if (stored.bytes > 0) {
    const haddr_t offset = H5Dget_offset(*id);
    if (offset == HADDR_UNDEF) throw_hdf5_error(doing);
    stored.offset = static_cast<int64_t>(offset);
  }
  return stored;
}

// All but the values and their digests, on the disk.
Structure create_structure(const std::filesystem::path& path, Place place, SegmentContent& content,
                           const std::string& doing) {
  Structure structure{create_file(path, place, doing), {}};
  const hid_t file = *structure.file;
  write_attribute(file, "key", content.table.key.dump());
  write_attribute(file, "segment", content.table.segment);
  write_attribute(file, "first_sample", content.table.first_sample);
  write_attribute(file, "samples", content.table.samples);
  const Hdf5Id group_creation = properties(H5P_GROUP_CREATE, doing);
  for (const std::string& group : content.groups) {
    const Hdf5Id id(H5Gcreate2(file, group.c_str(), H5P_DEFAULT, *group_creation, H5P_DEFAULT), H5Gclose, doing);
  }
  for (const auto& dataset : content.datasets) {
    StoredDataset& stored = content.table.datasets[dataset.path] = create_dataset(structure, dataset, doing);
    if (place == Place::kMemory) stored.offset = size_of(file, doing);  // where its values would begin
  }
  for (const auto& link : content.links) {
    check_hdf5(H5Lcreate_hard(file, link.target.c_str(), file, link.path.c_str(), H5P_DEFAULT, H5P_DEFAULT), doing);
  }
  check_hdf5(H5Fflush(file, H5F_SCOPE_LOCAL), doing);
  return structure;
}

// Gives the digest of what is written, of each piece while a core has it.
std::string write_values(const FileHandle& file, const at::Tensor& values, int64_t offset) {
  const auto* bytes = static_cast<const char*>(values.const_data_ptr());
  Digest digest;
  for_each_digest_piece(0, static_cast<int64_t>(values.nbytes()), [&](int64_t begin, int64_t count) {
    digest.update(bytes + begin, count);
    file.write(bytes + begin, count, offset + begin);
    file.start_sync(count, offset + begin);
  });
  return digest.hex();
}

}  // namespace

std::string_view cache_dtype_name(at::ScalarType dtype) {
  switch (dtype) {
    case at::kLong:
      return "int64";
    case at::kDouble:
      return "float64";
    case at::kFloat:
      return "float32";
    case at::kHalf:
      return "float16";
    case at::kBFloat16:
      return "bfloat16";
    default:
      TORCH_CHECK(false, "the activation cache cannot hold ", c10::toString(dtype));
  }
}

void write_segment_file(const std::filesystem::path& path, SegmentContent content) {
  AtomicFile target(path);
  const std::string doing = "write " + target.partial().string();
  const QuietHdf5 quiet;
  {
    Structure structure = create_structure(target.partial(), Place::kDisk, content, doing);
    const FileHandle file(target.partial(), FileHandle::Mode::kWrite);
    for (size_t i = 0; i < content.datasets.size(); ++i) {
      const auto& dataset = content.datasets[i];
      StoredDataset& stored = content.table.datasets.at(dataset.path);
      stored.digest = write_values(file, dataset.values, stored.offset);
      structure.digests[i].write(stored.digest);
    }
    structure.digests.clear();
    structure.file.close(doing);
    append_segment_table(file, content.table);
  }
  target.commit();
}

int64_t bytes_of_segment_file(SegmentContent content, const std::map<std::string, int64_t>& payloads) {
  // HDF5 knows open files by their names, in all threads.
  const std::string name = "a segment in the memory of thread " + std::to_string(::gettid());
  const std::string doing = "write " + name;
  const QuietHdf5 quiet;
  const Structure structure = create_structure(name, Place::kMemory, content, doing);
  int64_t payload = 0;
  for (const auto& dataset : content.datasets) {
    StoredDataset& stored = content.table.datasets.at(dataset.path);
    stored.digest = Digest().hex();
    stored.offset += payload;
    stored.bytes = payloads.at(dataset.path);
    payload += stored.bytes;
  }
  return size_of(*structure.file, doing) + payload + segment_table_bytes(content.table);
}

}  // namespace acm::io
