#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace acm::io {

// A regular file inside a tar archive: its bytes lie at `offset` of the archive and are read from there.
struct TarMember {
  std::string name;  // relative, as stored, without a leading "./"
  int64_t offset = 0;
  int64_t bytes = 0;
};

// Walks over the headers of an archive (ustar, GNU long names, pax) without unpacking it. Error(kData) names the
// archive and what is wrong with it: compressed, cut short, a bad checksum, a member that is a link or a device, a name
// that leads out of the folder into which it would be unpacked.
class TarReader {
 public:
  explicit TarReader(const std::filesystem::path& archive);
  ~TarReader();
  TarReader(const TarReader&) = delete;
  // Calls `visit` for every regular file, in their order.
  void for_each(const std::function<void(const TarMember&)>& visit);
  // The bytes of a member.
  std::string read(const TarMember& member);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace acm::io
