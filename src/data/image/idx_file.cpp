#include "data/image/idx_file.h"

#include "core/error.h"
#include "io/gzip.h"

namespace acm::data {
namespace {

uint32_t big_endian(std::string_view four) {
  uint32_t value = 0;
  for (const char byte : four) value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

constexpr uint32_t kUnsignedBytes = 0x08;

}  // namespace

IdxFile read_idx(const std::filesystem::path& path, int64_t dimensions, const std::string& what) {
  const auto refuse = [&](const std::string& why) {
    throw Error(Fault::kData, "cannot read " + what + " from " + path.string() + ": " + why);
  };
  IdxFile file{io::read_maybe_gzip(path), {}};
  const std::string_view content = file.content;
  const size_t header = 4 + 4 * static_cast<size_t>(dimensions);
  const uint32_t magic = kUnsignedBytes << 8 | static_cast<uint32_t>(dimensions);
  if (content.size() < 4 || big_endian(content.substr(0, 4)) != magic) {
    refuse("it is not an IDX file of unsigned bytes with " + std::to_string(dimensions) +
           " dimensions; look at the names under [data]");
  }
  if (content.size() < header) refuse("it is truncated within its header; fetch it again");
  uint64_t expected = 1;
  for (size_t at = 4; at < header; at += 4) {
    file.sizes.push_back(big_endian(content.substr(at, 4)));
    if (__builtin_mul_overflow(expected, static_cast<uint64_t>(file.sizes.back()), &expected)) {
      refuse("its sizes are absurd; fetch it again");
    }
  }
  const uint64_t found = content.size() - header;
  if (found != expected) {
    refuse(std::string(found < expected ? "it is truncated" : "it is too long") + ": its header promises " +
           std::to_string(expected) + " bytes of data, " + std::to_string(found) + " are there; fetch it again");
  }
  if (expected == 0) refuse("it is empty");
  return file;
}

}  // namespace acm::data
