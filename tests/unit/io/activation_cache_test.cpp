#include "io/activation_cache.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include "core/file.h"
#include "io/cache_layout.h"
#include "io/segment_file.h"
#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"
#include "unit/io/cache_example.h"

namespace acm::io {
namespace {

void write_all(const ActivationCache& cache) {
  for (int64_t segment = 0; segment < cache.layout().segments(); ++segment) {
    cache.write(segment, example_data(cache.layout(), segment));
  }
}

void read_all(ActivationCache& cache, int64_t segment) {
  cache.read_offsets(segment);
  for (const CachedSite& site : cache.layout().sites) {
    cache.read_input(segment, site.name);
    cache.read_output(segment, site.name);
  }
}

// Whether a new object finds the damage, before reading or while.
bool finds_damage(const std::filesystem::path& folder, int64_t segment) {
  ActivationCache cache(folder, example_layout());
  if (cache.fault_of(segment)) return true;
  try {
    read_all(cache, segment);
  } catch (const SegmentDamage& damage) {
    return damage.segment() == segment;
  }
  return false;
}

TEST(ActivationCache, ReadsWhatItWrote) {
  const Scratch scratch;
  for (const auto dtype : {at::kFloat, at::kDouble, at::kHalf, at::kBFloat16}) {
    const CacheLayout layout = example_layout(dtype);
    ActivationCache cache(scratch / c10::toString(dtype), layout);
    write_all(cache);
    for (const int64_t segment : {1, 0}) {
      EXPECT_EQ(cache.fault_of(segment), std::nullopt);
      const SegmentData data = example_data(layout, segment);
      EXPECT_EQ(cache.rows(segment), data.outputs[0].size(0));
      EXPECT_TRUE(at::equal(cache.read_offsets(segment), data.offsets));
      for (int again = 0; again < 2; ++again) {
        EXPECT_TRUE(at::equal(cache.read_input(segment, "blocks.0.q"), data.inputs[0]));
        EXPECT_TRUE(at::equal(cache.read_input(segment, "blocks.0.k"), data.inputs[0]));
        EXPECT_TRUE(at::equal(cache.read_input(segment, "blocks.0.ffn"), data.inputs[2]));
        for (size_t i = 0; i < 3; ++i)
          EXPECT_TRUE(at::equal(cache.read_output(segment, layout.sites[i].name), data.outputs[i]));
      }
    }
  }
}

TEST(ActivationCache, CountsSegmentsAndBytes) {
  const CacheLayout layout = example_layout();
  EXPECT_EQ(layout.segments(), 2);
  EXPECT_EQ(layout.first_sample(1), 3);
  EXPECT_EQ(layout.samples_in(0), 3);
  EXPECT_EQ(layout.samples_in(1), 2);
  CacheLayout anew = layout;  // captured anew in each epoch
  anew.epochs = 3;
  anew.epoch_positions = 6;
  EXPECT_EQ(anew.first_sample(3), 9);
  EXPECT_EQ(anew.samples_in(3), 2);
  EXPECT_EQ(anew.first_sample(4), 12);
  // per token the inputs of 2 sites (2 + 4) and the outputs of 3 (3 + 1 + 4); 4 and 3 offsets
  EXPECT_EQ(layout.payload_bytes(10), 5 * 10 * (6 + 8) * 4 + (4 + 3) * 8);
}

TEST(ActivationCache, EveryFlippedByteIsFound) {
  const Scratch scratch;
  {
    const ActivationCache cache(scratch / "cache", example_layout());
    write_all(cache);
  }
  ASSERT_FALSE(finds_damage(scratch / "cache", 0));
  const auto path = scratch / "cache/segment-00000.h5";
  const std::string whole = read_file(path);
  const FileHandle file(path, FileHandle::Mode::kWrite);
  for (size_t i = 0; i < whole.size(); ++i) {
    const char changed = static_cast<char>(whole[i] ^ (1 << (i % 8)));
    file.write(&changed, 1, static_cast<int64_t>(i));
    EXPECT_TRUE(finds_damage(scratch / "cache", 0)) << "byte " << i << " of " << whole.size();
    file.write(&whole[i], 1, static_cast<int64_t>(i));
  }
  EXPECT_FALSE(finds_damage(scratch / "cache", 0));
}

TEST(ActivationCache, EveryTruncationIsFoundWithoutReadingPayload) {
  const Scratch scratch;
  const ActivationCache cache(scratch / "cache", example_layout());
  write_all(cache);
  const std::string whole = read_file(cache.path_of(0));
  for (size_t size = whole.size(); size-- > 0;) {
    std::filesystem::resize_file(cache.path_of(0), size);
    const auto fault = cache.fault_of(0);
    ASSERT_TRUE(fault) << size;
    EXPECT_TRUE(fault->starts_with("truncated")) << *fault;
  }
  replace_file(cache.path_of(0), whole + std::string(16, '\0'));
  EXPECT_TRUE(cache.fault_of(0));
}

TEST(ActivationCache, NamesMissingSwappedAndShorterSegments) {
  const Scratch scratch;
  ActivationCache cache(scratch / "cache", example_layout());
  EXPECT_EQ(cache.fault_of(0), "missing");
  const std::string message =
      expect_error(Fault::kData, "segment-00000.h5: it is missing", [&] { cache.read_offsets(0); });
  EXPECT_TRUE(message.ends_with("capture it again"));
  write_all(cache);
  EXPECT_EQ(cache.fault_of(0), std::nullopt);
  EXPECT_NO_THROW(read_all(cache, 0));

  std::filesystem::copy_file(cache.path_of(0), cache.path_of(1), std::filesystem::copy_options::overwrite_existing);
  EXPECT_EQ(cache.fault_of(1), "a copy of segment 0");

  CacheLayout longer = example_layout();
  longer.samples = 6;
  cache.write(1, example_data(example_layout(), 1));
  const ActivationCache more(scratch / "cache", longer);
  EXPECT_EQ(more.fault_of(0), std::nullopt);
  EXPECT_EQ(more.fault_of(1), "of 2 samples instead of 3");
}

// Two runs that want different numbers of samples share a folder without capturing each other's last segment again.
TEST(ActivationCache, ALongerSegmentIsReadInPart) {
  const Scratch scratch;
  write_all(ActivationCache(scratch / "cache", example_layout()));
  CacheLayout fewer = example_layout();
  fewer.samples = 4;
  ActivationCache cache(scratch / "cache", fewer);
  EXPECT_EQ(cache.fault_of(1), std::nullopt);
  EXPECT_EQ(cache.rows(1), 1);
  const SegmentData all = example_data(example_layout(), 1);
  EXPECT_TRUE(at::equal(cache.read_offsets(1), all.offsets.narrow(0, 0, 2)));
  EXPECT_TRUE(at::equal(cache.read_input(1, "blocks.0.k"), all.inputs[0].narrow(0, 0, 1)));
  EXPECT_TRUE(at::equal(cache.read_output(1, "blocks.0.ffn"), all.outputs[2].narrow(0, 0, 1)));
}

TEST(ActivationCache, TheSizeOfASegmentIsKnownBefore) {
  const Scratch scratch;
  for (const auto dtype : {at::kFloat, at::kHalf, at::kDouble}) {
    for (const int64_t tokens : {1, 7, 1000}) {
      CacheLayout layout = example_layout(dtype);
      layout.key["files"] = std::string(static_cast<size_t>(100 * tokens), 'x');
      const int64_t rows = tokens * 3;
      SegmentData data;
      data.offsets = at::arange(4, at::kLong).mul(tokens);
      for (const CachedSite& site : layout.sites) {
        data.inputs.push_back(site.input_of == site.name ? at::ones({rows, site.input_width}, dtype) : at::Tensor());
        data.outputs.push_back(at::ones({rows, site.output_width}, dtype));
      }
      const ActivationCache cache(scratch / (std::string(c10::toString(dtype)) + std::to_string(tokens)), layout);
      cache.write(0, data);
      const auto found = static_cast<int64_t>(std::filesystem::file_size(cache.path_of(0)));
      EXPECT_NEAR(static_cast<double>(segment_file_bytes(layout, tokens)), static_cast<double>(found), 8)
          << c10::toString(dtype) << " x " << tokens;
    }
  }
}

TEST(ActivationCache, RemovesAllButSome) {
  const Scratch scratch;
  const ActivationCache cache(scratch / "cache", example_layout());
  write_all(cache);
  replace_file(scratch / "cache" / "segment-00001.h5.partial-host-1-1", "half");
  replace_file(scratch / "cache" / "notes.txt", "kept");
  cache.remove_all_but({1, 7});
  EXPECT_EQ(cache.fault_of(0), "missing");
  EXPECT_EQ(cache.fault_of(1), std::nullopt);
  const auto all = std::filesystem::directory_iterator(scratch / "cache");
  EXPECT_EQ(std::distance(begin(all), end(all)), 2);
}

TEST(ActivationCache, ASegmentWrittenAgainIsReadAgain) {
  const Scratch scratch;
  ActivationCache cache(scratch / "cache", example_layout());
  write_all(cache);
  read_all(cache, 0);
  const std::string whole = read_file(cache.path_of(0));
  const at::Tensor output = example_data(example_layout(), 0).outputs[2];
  const std::string values(static_cast<const char*>(output.const_data_ptr()), output.nbytes());
  std::string changed = whole;
  changed[whole.find(values)] ^= 1;
  replace_file(cache.path_of(0), changed);

  ActivationCache other(scratch / "cache", example_layout());
  EXPECT_EQ(other.fault_of(0), std::nullopt);
  EXPECT_NO_THROW(other.read_input(0, "blocks.0.q"));
  expect_error(Fault::kData, "the values of /blocks.0.ffn/output differ",
               [&] { other.read_output(0, "blocks.0.ffn"); });
  other.write(0, example_data(example_layout(), 0));
  EXPECT_TRUE(at::equal(other.read_output(0, "blocks.0.ffn"), output));
  EXPECT_EQ(read_file(cache.path_of(0)), whole);
}

TEST(ActivationCache, AnotherKeyIsRefusedMemberByMember) {
  const Scratch scratch;
  { write_all(ActivationCache(scratch / "cache", example_layout())); }
  CacheLayout other = example_layout(at::kHalf);
  other.key["seed"] = 8;
  const std::string message =
      expect_error(Fault::kUsage, "seed was 7 and is 8", [&] { ActivationCache(scratch / "cache", other); });
  EXPECT_NE(message.find("dtype was \"float32\" and is \"float16\""), std::string::npos) << message;
  EXPECT_NE(message.find("segment-00000.h5"), std::string::npos) << message;
  EXPECT_EQ(message.find("weights"), std::string::npos) << message;

  // A damaged segment cannot speak for its key: it is captured again.
  for (const auto* name : {"segment-00000.h5", "segment-00001.h5"}) replace_file(scratch / "cache" / name, "damaged");
  EXPECT_NO_THROW(ActivationCache(scratch / "cache", other));
}

TEST(ActivationCache, FilesUnderOtherNamesAreNoSegments) {
  const Scratch scratch;
  CacheLayout other = example_layout();
  other.key["seed"] = 8;
  const ActivationCache elsewhere(scratch / "elsewhere", other);
  write_all(elsewhere);
  std::filesystem::create_directories(scratch / "cache");
  for (const auto* name : {"segment-00000.h5.partial-host-1-1", "segment-.h5", "segment-0000x.h5", "notes.txt"}) {
    std::filesystem::copy_file(elsewhere.path_of(0), scratch / "cache" / name);
  }
  ActivationCache cache(scratch / "cache", example_layout());
  EXPECT_EQ(cache.fault_of(0), "missing");
  write_all(cache);
  EXPECT_NO_THROW(read_all(cache, 0));
}

TEST(ActivationCache, AFailedWriteLeavesTheOldSegmentAndNothingElse) {
  const Scratch scratch;
  ActivationCache cache(scratch / "cache", example_layout());
  write_all(cache);
  const std::string whole = read_file(cache.path_of(0));
  SegmentData bad = example_data(example_layout(), 0);
  bad.outputs[1] = bad.outputs[1].to(at::kDouble);
  EXPECT_THROW(cache.write(0, bad), c10::Error);
  bad = example_data(example_layout(), 0);
  bad.inputs[2] = bad.inputs[2].narrow(0, 0, 1);
  EXPECT_THROW(cache.write(0, bad), c10::Error);
  EXPECT_EQ(read_file(cache.path_of(0)), whole);

  // A folder stands where the file should go: the rename fails after everything was written.
  std::filesystem::remove(cache.path_of(0));
  std::filesystem::create_directory(cache.path_of(0));
  expect_error(Fault::kUsage, "segment-00000.h5", [&] { cache.write(0, example_data(example_layout(), 0)); });
  const auto all = std::filesystem::directory_iterator(scratch / "cache");
  EXPECT_EQ(std::distance(begin(all), end(all)), 2);
}

// Segments that say what cannot be and whose digests are right, as whoever wants to harm makes them.
TEST(ActivationCache, DigestsAreNoReasonToBelieveNumbers) {
  const Scratch scratch;
  const CacheLayout layout = example_layout();
  ActivationCache cache(scratch / "cache", layout);
  const auto write = [&](int64_t samples, int64_t rows, const at::Tensor& offsets) {
    SegmentContent content;
    content.table = {full_key(layout), 0, 0, samples, rows, {}};
    content.groups = {"/blocks.0.q", "/blocks.0.k", "/blocks.0.ffn"};
    const auto values = [&](int64_t width) { return at::zeros({5, width}); };
    content.datasets = {{"/offsets", offsets},
                        {"/blocks.0.q/input", values(2)},
                        {"/blocks.0.q/output", values(3)},
                        {"/blocks.0.k/output", values(1)},
                        {"/blocks.0.ffn/input", values(4)},
                        {"/blocks.0.ffn/output", values(4)}};
    write_segment_file(cache.path_of(0), content);
    cache.remove_all_but({0});  // forgets what it knows of the file
  };
  const at::Tensor right = at::tensor({0, 2, 2, 5}, at::kLong);
  write(3, 5, right);
  EXPECT_EQ(cache.fault_of(0), std::nullopt);
  EXPECT_TRUE(at::equal(cache.read_offsets(0), right));
  constexpr int64_t kHuge = int64_t{1} << 62;  // times four is nothing in 64 bits
  for (const auto& [samples, rows] : {std::pair{int64_t{3}, kHuge}, {kHuge, int64_t{5}}, {int64_t{3}, int64_t{-1}}}) {
    write(samples, rows, right);
    EXPECT_EQ(cache.fault_of(0), "changed: it says that it has " + std::to_string(samples) + " samples and " +
                                     std::to_string(rows) + " rows");
  }
  for (const auto& offsets : {at::tensor({0, 2, 1'000'000, 5}, at::kLong), at::tensor({0, 2, 2, 6}, at::kLong),
                              at::tensor({-1, 2, 2, 5}, at::kLong)}) {
    write(3, 5, offsets);
    expect_error(Fault::kData, "its offsets do not ascend from 0 to its 5 rows", [&] { cache.read_offsets(0); });
  }
}

// External links, virtual datasets and filters are things of HDF5's structures, which are written and never read.
TEST(ActivationCache, ReadsWithoutLookingAtHdf5) {
  const Scratch scratch;
  ActivationCache cache(scratch / "cache", example_layout());
  write_all(cache);
  const std::string whole = read_file(cache.path_of(0));
  const SegmentCheck check = read_segment_table(FileHandle(cache.path_of(0), FileHandle::Mode::kRead));
  std::string other(whole.size() - static_cast<size_t>(segment_table_bytes(check.table)), '?');
  for (const auto& [path, stored] : check.table.datasets) {
    const auto begin = static_cast<size_t>(stored.offset), bytes = static_cast<size_t>(stored.bytes);
    other.replace(begin, bytes, whole, begin, bytes);
  }
  ASSERT_EQ(other[0], '?');  // where HDF5's own signature stood
  replace_file(cache.path_of(0), other);
  append_segment_table(FileHandle(cache.path_of(0), FileHandle::Mode::kWrite), check.table);
  ActivationCache again(scratch / "cache", example_layout());
  EXPECT_EQ(again.fault_of(0), std::nullopt);
  EXPECT_TRUE(at::equal(again.read_output(0, "blocks.0.ffn"), example_data(example_layout(), 0).outputs[2]));
}

TEST(ActivationCache, LayoutsThatCannotBeStoredAreBugs) {
  const Scratch scratch;
  CacheLayout layout = example_layout();
  layout.sites[1].input_of = "blocks.0.v";
  EXPECT_THROW(ActivationCache(scratch / "a", layout), c10::Error);
  layout = example_layout();
  layout.sites[1].name = "blocks.0.q";
  EXPECT_THROW(ActivationCache(scratch / "a", layout), c10::Error);
  layout = example_layout();
  layout.sites[2].name = layout.sites[2].input_of = "a/b";
  EXPECT_THROW(ActivationCache(scratch / "a", layout), c10::Error);
  EXPECT_EQ(scratch.entries(), 0);
}

}  // namespace
}  // namespace acm::io
