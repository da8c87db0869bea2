#include "core/digest.h"

#include <xxhash.h>
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>  // the same functions by the widest instructions that this processor has
#endif

#include <algorithm>
#include <cstdio>
#include <new>
#include <vector>

#include "core/file.h"

namespace acm {

struct Digest::Impl {
  XXH3_state_t* state = XXH3_createState();
  Impl() {
    if (state == nullptr) throw std::bad_alloc();
    XXH3_64bits_reset(state);
  }
  ~Impl() { XXH3_freeState(state); }
};

Digest::Digest() : impl_(std::make_unique<Impl>()) {}
Digest::~Digest() = default;

Digest& Digest::update(const void* bytes, int64_t count) {
  XXH3_64bits_update(impl_->state, bytes, static_cast<size_t>(count));
  return *this;
}

std::string Digest::hex() const {
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(XXH3_64bits_digest(impl_->state)));
  return digits;
}

std::string digest_of(std::string_view bytes) { return Digest().update(bytes).hex(); }

std::string digest_of_file(const std::filesystem::path& path) {
  const FileHandle file(path, FileHandle::Mode::kRead);
  const int64_t size = file.size();
  std::vector<char> piece(static_cast<size_t>(std::min(size, kDigestPieceBytes)));
  Digest digest;
  for_each_digest_piece(0, size, [&](int64_t offset, int64_t bytes) {
    file.read(piece.data(), bytes, offset);
    digest.update(piece.data(), bytes);
  });
  return digest.hex();
}

}  // namespace acm
