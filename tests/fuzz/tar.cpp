// io/tar: shards. Checksums of headers are made right, so that they do not hide what stands behind them.
#include "io/tar.h"

#include <algorithm>
#include <cstdio>

#include "fuzz/target.h"

namespace {

constexpr size_t kBlock = 512, kChecksum = 148;

std::string mended(std::string bytes) {
  for (size_t at = 0; at + kBlock <= bytes.size(); at += kBlock) {
    if (bytes.compare(at + 257, 5, "ustar") != 0) continue;
    bytes.replace(at + kChecksum, 8, 8, ' ');
    unsigned sum = 0;
    for (size_t i = at; i < at + kBlock; ++i) sum += static_cast<unsigned char>(bytes[i]);
    char text[8];
    std::snprintf(text, sizeof text, "%06o", sum);
    bytes.replace(at + kChecksum, 7, text, 7);
  }
  return bytes;
}

void check_name(const std::string& name) {
  const std::filesystem::path path(name);
  acm::fuzz::promise(!name.empty() && path.is_relative() && std::ranges::find(path, "..") == path.end(),
                     "a member's name stays in its folder");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string whole(acm::fuzz::text_of(data, size));
  for (const std::string& bytes : {whole, mended(whole)}) {
    acm::fuzz::try_to([&] {
      acm::io::TarReader reader(acm::fuzz::file_of(bytes));
      reader.for_each([&](const acm::io::TarMember& member) {
        check_name(member.name);
        acm::fuzz::promise(static_cast<int64_t>(reader.read(member).size()) == member.bytes, "a member is read whole");
      });
    });
  }
  return 0;
}
