// A segment of the activation cache beside the same bytes by pwrite and pread, both durable, both through the system's
// cache of pages. The segment holds the five sites of one block of ViT-Ti for 64 images, as float16: 39 MB.
#include "io/activation_cache.h"

#include <ATen/ops/arange.h>

#include "bench/compare.h"
#include "core/file.h"
#include "temporary_folder.h"

namespace acm::bench {
namespace {

constexpr int64_t kImages = 64, kTokens = 197, kWidth = 192;

io::CacheLayout layout() {
  io::CacheLayout layout;
  layout.key = Json::object({{"of", "a benchmark"}});
  layout.sites = {{"blocks.0.q", "blocks.0.q", kWidth, kWidth},
                  {"blocks.0.k", "blocks.0.q", kWidth, kWidth},
                  {"blocks.0.v", "blocks.0.q", kWidth, kWidth},
                  {"blocks.0.o", "blocks.0.o", kWidth, kWidth},
                  {"blocks.0.ffn", "blocks.0.ffn", kWidth, kWidth}};
  layout.dtype = at::kHalf;
  layout.samples = layout.segment_samples = kImages;
  return layout;
}

io::SegmentData segment() {
  io::SegmentData data;
  data.offsets = at::arange(kImages + 1, at::kLong) * kTokens;
  for (const auto& site : layout().sites) {
    const auto values = [] { return noise({kImages * kTokens, kWidth}).to(at::kHalf); };
    data.inputs.push_back(site.input_of == site.name ? values() : at::Tensor());
    data.outputs.push_back(values());
  }
  return data;
}

// The same bytes in one piece of memory, and a plain file of them, made anew and durably as a segment is.
class PlainFile {
 public:
  PlainFile(std::filesystem::path path, int64_t bytes)
      : path_(std::move(path)), bytes_(at::empty({bytes}, at::kByte).fill_(42)) {}
  void write() const {
    AtomicFile file(path_);
    FileHandle(file.partial(), FileHandle::Mode::kWrite).write(bytes_.const_data_ptr(), bytes_.numel(), 0);
    file.commit();
  }
  void read() { FileHandle(path_, FileHandle::Mode::kRead).read(bytes_.mutable_data_ptr(), bytes_.numel(), 0); }

 private:
  std::filesystem::path path_;
  at::Tensor bytes_;
};

struct Cache {
  Cache() { cache.write(0, data); }
  int64_t bytes() const { return cache.bytes_on_disk(); }

  TemporaryFolder folder;
  io::SegmentData data = segment();
  io::ActivationCache cache{folder / "cache", layout()};
};

void cache_write(benchmark::State& state) {
  const Cache cache;
  const PlainFile plain(cache.folder / "plain", cache.bytes());
  compare(
      state, [&] { cache.cache.write(0, cache.data); }, [&] { plain.write(); }, wall_seconds);
  state.SetBytesProcessed(state.iterations() * cache.bytes());
}
BENCHMARK(cache_write)->UseManualTime();

// `digests`: as the first reading of a segment, which compares them.
void cache_read(benchmark::State& state) {
  const Cache cache;
  PlainFile plain(cache.folder / "plain", cache.bytes());
  plain.write();
  std::optional<io::ActivationCache> reader;
  const auto open = [&] { reader.emplace(cache.folder / "cache", layout()); };
  open();
  const auto read = [&] {
    if (state.range(0) != 0) open();
    for (const auto& site : layout().sites) {
      if (site.input_of == site.name) benchmark::DoNotOptimize(reader->read_input(0, site.name));
      benchmark::DoNotOptimize(reader->read_output(0, site.name));
    }
  };
  compare(
      state, read, [&] { plain.read(); }, wall_seconds);
  state.SetBytesProcessed(state.iterations() * cache.bytes());
}
BENCHMARK(cache_read)->UseManualTime()->ArgName("digests")->Arg(0)->Arg(1);

}  // namespace
}  // namespace acm::bench
