// data/image/png. The check sums of chunks are made right, so that they do not hide what stands behind them.
#include <zlib.h>

#include <vector>

#include "fuzz/pictures.h"

namespace {

constexpr size_t kSignature = 8, kLengthAndType = 8, kCheck = 4;

uint32_t number_at(const std::vector<uint8_t>& bytes, size_t at) {
  return uint32_t{bytes[at]} << 24 | uint32_t{bytes[at + 1]} << 16 | uint32_t{bytes[at + 2]} << 8 | bytes[at + 3];
}

std::vector<uint8_t> mended(std::vector<uint8_t> bytes) {
  for (size_t at = kSignature; at + kLengthAndType + kCheck <= bytes.size();) {
    const size_t length = number_at(bytes, at);
    if (length > bytes.size() - at - kLengthAndType - kCheck) break;
    const size_t end = at + kLengthAndType + length;
    const auto check = static_cast<uint32_t>(crc32(0, &bytes[at + 4], static_cast<uInt>(length + 4)));
    for (size_t i = 0; i < kCheck; ++i) bytes[end + i] = static_cast<uint8_t>(check >> (24 - 8 * i));
    at = end + kCheck;
  }
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  acm::fuzz::decode_all({data, size});
  acm::fuzz::decode_all(mended({data, data + size}));
  return 0;
}
