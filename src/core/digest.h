#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace acm {

// XXH3-64 over everything given to update(), as 16 hexadecimal digits. Finds damage; it is not cryptographic.
class Digest {
 public:
  Digest();
  ~Digest();
  Digest(const Digest&) = delete;
  Digest& update(const void* bytes, int64_t count);
  Digest& update(std::string_view bytes) { return update(bytes.data(), static_cast<int64_t>(bytes.size())); }
  std::string hex() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// What is read or written goes through a digest in pieces of at most so many bytes: they stay in a core's cache from the
// one to the other, and the calls of the system, dear on virtual machines, are few (with half as many bytes a first
// reading of the cache took 1.25 times as long on one of them; acm_bench, cache_read).
constexpr int64_t kDigestPieceBytes = 512 << 10;

// work(offset, bytes) for the pieces of [begin, end), in order.
template <typename Work>
void for_each_digest_piece(int64_t begin, int64_t end, const Work& work) {
  for (int64_t offset = begin; offset < end; offset += kDigestPieceBytes)
    work(offset, std::min(kDigestPieceBytes, end - offset));
}

std::string digest_of(std::string_view bytes);
// Reads the file in pieces; Error(kData) where it cannot be read.
std::string digest_of_file(const std::filesystem::path& path);

}  // namespace acm
