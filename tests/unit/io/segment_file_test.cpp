#include "io/segment_file.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include "core/digest.h"
#include "core/file.h"
#include "io/hdf5.h"
#include "unit/core/scratch.h"
#include "unit/io/cache_example.h"

namespace acm::io {
namespace {

// What HDF5 itself, knowing nothing of our table, reads.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& path)
      : file_(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose, "open") {}

  at::Tensor values(const char* path, hid_t type, at::ScalarType dtype) const {
    const Hdf5Id set(H5Dopen2(*file_, path, H5P_DEFAULT), H5Dclose, "open");
    const Hdf5Id space(H5Dget_space(*set), H5Sclose, "look");
    std::vector<hsize_t> extents(static_cast<size_t>(H5Sget_simple_extent_ndims(*space)));
    H5Sget_simple_extent_dims(*space, extents.data(), nullptr);
    at::Tensor out = at::empty(std::vector<int64_t>(extents.begin(), extents.end()), dtype);
    check_hdf5(H5Dread(*set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out.mutable_data_ptr()), "read");
    return out;
  }
  std::string attribute(const char* object, const char* name) const {
    const Hdf5Id id(H5Aopen_by_name(*file_, object, name, H5P_DEFAULT, H5P_DEFAULT), H5Aclose, "open");
    const Hdf5Id type(H5Aget_type(*id), H5Tclose, "look");
    std::string text(H5Tget_size(*type), '\0');
    check_hdf5(H5Aread(*id, *type, text.data()), "read");
    return text;
  }
  int64_t number(const char* name) const {
    int64_t value = -1;
    const Hdf5Id id(H5Aopen_by_name(*file_, "/", name, H5P_DEFAULT, H5P_DEFAULT), H5Aclose, "open");
    check_hdf5(H5Aread(*id, H5T_NATIVE_INT64, &value), "read");
    return value;
  }
  H5O_info_t info(const char* path) const {
    H5O_info_t info;
    check_hdf5(H5Oget_info_by_name(*file_, path, &info, H5P_DEFAULT), "look");
    return info;
  }

 private:
  Hdf5Id file_;
};

TEST(SegmentFile, IsPlainHdf5) {
  const Scratch scratch;
  const CacheLayout layout = example_layout();
  const ActivationCache cache(scratch / "cache", layout);
  const SegmentData data = example_data(layout, 1);
  cache.write(1, data);
  const Reader reader(cache.path_of(1));
  EXPECT_TRUE(at::equal(reader.values("/offsets", H5T_NATIVE_INT64, at::kLong), data.offsets));
  EXPECT_TRUE(at::equal(reader.values("/blocks.0.q/input", H5T_NATIVE_FLOAT, at::kFloat), data.inputs[0]));
  EXPECT_TRUE(at::equal(reader.values("/blocks.0.k/input", H5T_NATIVE_FLOAT, at::kFloat), data.inputs[0]));
  EXPECT_TRUE(at::equal(reader.values("/blocks.0.k/output", H5T_NATIVE_FLOAT, at::kFloat), data.outputs[1]));
  EXPECT_TRUE(at::equal(reader.values("/blocks.0.ffn/input", H5T_NATIVE_FLOAT, at::kFloat), data.inputs[2]));
  EXPECT_EQ(reader.info("/blocks.0.q/input").addr, reader.info("/blocks.0.k/input").addr);
  EXPECT_NE(reader.info("/blocks.0.q/input").addr, reader.info("/blocks.0.ffn/input").addr);
  const Json key = Json::parse(reader.attribute("/", "key"), "key");
  EXPECT_EQ(key.at("seed"), Json(7));
  EXPECT_EQ(key.at("dtype"), Json("float32"));
  EXPECT_EQ(reader.number("segment"), 1);
  EXPECT_EQ(reader.number("first_sample"), 3);
  EXPECT_EQ(reader.number("samples"), 2);
  const at::Tensor& output = data.outputs[0];
  EXPECT_EQ(reader.attribute("/blocks.0.q/output", "xxh3"),
            digest_of({static_cast<const char*>(output.const_data_ptr()), static_cast<size_t>(output.nbytes())}));
}

TEST(SegmentFile, HalfPrecisionIsDescribed) {
  const Scratch scratch;
  for (const auto dtype : {at::kHalf, at::kBFloat16, at::kDouble}) {
    const CacheLayout layout = example_layout(dtype);
    const ActivationCache cache(scratch / c10::toString(dtype), layout);
    const SegmentData data = example_data(layout, 0);
    cache.write(0, data);
    const Reader reader(cache.path_of(0));
    EXPECT_EQ(reader.attribute("/blocks.0.q/input", "dtype"), cache_dtype_name(dtype));
    if (dtype == at::kBFloat16) {
      const at::Tensor raw = reader.values("/blocks.0.q/input", H5T_NATIVE_INT16, at::kShort);
      EXPECT_TRUE(at::equal(raw.view(at::kBFloat16), data.inputs[0]));
    } else {  // HDF5 converts the numbers by itself
      EXPECT_TRUE(at::equal(reader.values("/blocks.0.q/input", H5T_NATIVE_DOUBLE, at::kDouble),
                            data.inputs[0].to(at::kDouble)));
    }
  }
}

TEST(SegmentFile, BytesAreAFunctionOfLayoutAndData) {
  const Scratch scratch;
  const CacheLayout layout = example_layout();
  const ActivationCache first(scratch / "first", layout), second(scratch / "second", layout);
  for (const int64_t segment : {0, 1}) first.write(segment, example_data(layout, segment));
  for (const int64_t segment : {1, 0, 1}) second.write(segment, example_data(layout, segment));
  for (const int64_t segment : {0, 1}) EXPECT_EQ(read_file(first.path_of(segment)), read_file(second.path_of(segment)));
  // Two files of the same second would not show it.
  const Reader reader(first.path_of(0));
  for (const char* path : {"/", "/blocks.0.q", "/blocks.0.q/input", "/offsets"}) {
    EXPECT_EQ(reader.info(path).btime, 0) << path;
    EXPECT_EQ(reader.info(path).ctime, 0) << path;
  }
}

TEST(SegmentFile, HoldsALargeKeyAndNoRows) {
  const Scratch scratch;
  CacheLayout layout = example_layout();
  layout.key["files"] = std::string(200'000, 'x');  // more than an old HDF5 header could take
  SegmentData data = example_data(layout, 0);
  data.offsets.zero_();
  for (auto* tensors : {&data.inputs, &data.outputs}) {
    for (at::Tensor& tensor : *tensors) {
      if (tensor.defined()) tensor = tensor.narrow(0, 0, 0);
    }
  }
  ActivationCache cache(scratch / "cache", layout);
  cache.write(0, data);
  EXPECT_EQ(cache.fault_of(0), std::nullopt);
  EXPECT_EQ(cache.rows(0), 0);
  EXPECT_EQ(cache.read_input(0, "blocks.0.k").sizes(), (std::vector<int64_t>{0, 2}));
  EXPECT_EQ(Json::parse(Reader(cache.path_of(0)).attribute("/", "key"), "key").at("files").as_string().size(),
            200'000u);
}

}  // namespace
}  // namespace acm::io
