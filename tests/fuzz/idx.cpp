// data/image/idx_file and io/gzip: images and labels of data.kind = "idx", plain and compressed.
#include "data/image/idx_file.h"

#include "fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto path = acm::fuzz::file_of(acm::fuzz::text_of(data, size));
  for (const int64_t dimensions : {1, 3}) {
    acm::fuzz::try_to([&] {
      const acm::data::IdxFile file = acm::data::read_idx(path, dimensions, "images");
      int64_t bytes = 1;
      for (const int64_t extent : file.sizes) bytes *= extent;
      acm::fuzz::promise(static_cast<int64_t>(file.bytes().size()) == bytes, "the sizes are those of the bytes");
    });
  }
  return 0;
}
