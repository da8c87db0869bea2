// data/image/jpeg.
#include "fuzz/pictures.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  acm::fuzz::decode_all({data, size});
  return 0;
}
