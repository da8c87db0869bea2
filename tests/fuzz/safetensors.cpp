// io/safetensors: model files, checkpoints' shards, weights of other programs.
#include "io/safetensors.h"

#include "core/file.h"
#include "fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  acm::fuzz::try_to([&] {
    const acm::io::SafetensorsFile file(acm::fuzz::file_of(acm::fuzz::text_of(data, size)));
    for (const auto& [name, tensor] : file.read_all()) {
      const auto& entry = file.entries().at(name);
      acm::fuzz::promise(static_cast<int64_t>(tensor.nbytes()) == entry.end - entry.begin, "a tensor has its bytes");
    }
  });
  return 0;
}
