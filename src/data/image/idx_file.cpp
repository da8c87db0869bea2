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
constexpr int64_t kMostBytes = int64_t{1} << 48;  // no disk holds more

}  // namespace

IdxFile read_idx(const std::filesystem::path& path, int64_t dimensions, const std::string& what) {
  const auto refuse = [&](const std::string& why) {
    throw Error(Fault::kData, "cannot read " + what + " from " + path.string() + ": " + why);
  };
  const int64_t header = 4 + 4 * dimensions;
  const std::string start = io::read_maybe_gzip(path, header);
  const uint32_t magic = kUnsignedBytes << 8 | static_cast<uint32_t>(dimensions);
  if (start.size() < 4 || big_endian(std::string_view(start).substr(0, 4)) != magic) {
    refuse("it is not an IDX file of unsigned bytes with " + std::to_string(dimensions) +
           " dimensions; look at the names under [data]");
  }
  if (static_cast<int64_t>(start.size()) < header) refuse("it is truncated within its header; fetch it again");
  IdxFile file;
  int64_t expected = 1;
  for (size_t at = 4; at < start.size(); at += 4) {
    file.sizes.push_back(big_endian(std::string_view(start).substr(at, 4)));
    if (__builtin_mul_overflow(expected, file.sizes.back(), &expected) || expected > kMostBytes) {
      refuse("its sizes are absurd; fetch it again");
    }
  }
  file.content = io::read_maybe_gzip(path, header + expected + 1);  // the last one shows that there is more
  const int64_t found = static_cast<int64_t>(file.content.size()) - header;
  if (found < expected) {
    refuse("it is truncated: its header promises " + std::to_string(expected) + " bytes of data, " +
           std::to_string(found) + " are there; fetch it again");
  }
  if (found > expected) {
    refuse("it is too long: its header promises " + std::to_string(expected) +
           " bytes of data, and more are there; fetch it again");
  }
  if (expected == 0) refuse("it is empty");
  return file;
}

}  // namespace acm::data
