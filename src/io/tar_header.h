#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace acm::io {

constexpr int64_t kTarBlock = 512;

// A block that describes the member after it: ustar, or the older GNU format.
class TarHeader {
 public:
  // `block` must outlive it.
  explicit TarHeader(std::string_view block) : block_(block) {}
  bool checksum_holds() const;
  char type() const { return block_[156]; }
  std::string name() const;
  // Nothing where the field is damaged.
  std::optional<int64_t> bytes() const;

 private:
  std::string_view block_;
};

// Calls visit(key, value) for each record "LENGTH KEY=VALUE\n" of a pax header; LENGTH counts all of it. False where
// the records are damaged.
bool for_each_pax_record(std::string_view records,
                         const std::function<void(std::string_view, std::string_view)>& visit);

}  // namespace acm::io
