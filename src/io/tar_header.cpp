#include "io/tar_header.h"

#include <charconv>

namespace acm::io {
namespace {

std::string_view text_field(std::string_view block, size_t at, size_t length) {
  const std::string_view field = block.substr(at, length);
  return field.substr(0, field.find('\0'));
}

// Octal digits, or, with the highest bit set, a big-endian number (GNU).
std::optional<int64_t> number_field(std::string_view block, size_t at, size_t length) {
  std::string_view field = block.substr(at, length);
  int64_t value = 0;
  if (static_cast<uint8_t>(field[0]) == 0x80) {
    for (const char byte : field.substr(1)) {
      if (value >> 54 != 0) return std::nullopt;
      value = value * 256 + static_cast<uint8_t>(byte);
    }
    return value;
  }
  field = field.substr(0, field.find('\0'));
  while (field.starts_with(' ')) field.remove_prefix(1);
  while (field.ends_with(' ')) field.remove_suffix(1);
  if (field.empty()) return 0;
  const auto [end, status] = std::from_chars(field.data(), field.data() + field.size(), value, 8);
  if (status != std::errc() || end != field.data() + field.size() || value < 0) return std::nullopt;
  return value;
}

}  // namespace

bool TarHeader::checksum_holds() const {
  constexpr size_t kAt = 148, kLength = 8;
  int64_t sum = 0;
  for (size_t i = 0; i < block_.size(); ++i) {
    sum += i >= kAt && i < kAt + kLength ? ' ' : static_cast<uint8_t>(block_[i]);
  }
  return number_field(block_, kAt, kLength) == sum;
}

std::string TarHeader::name() const {
  const std::string name(text_field(block_, 0, 100));
  // ustar has a second field for long paths; the old GNU format ("ustar  ") uses its place for other things.
  if (block_.substr(257, 6) != std::string_view("ustar\0", 6)) return name;
  const std::string_view prefix = text_field(block_, 345, 155);
  return prefix.empty() ? name : std::string(prefix) + "/" + name;
}

std::optional<int64_t> TarHeader::bytes() const { return number_field(block_, 124, 12); }

bool for_each_pax_record(std::string_view records,
                         const std::function<void(std::string_view, std::string_view)>& visit) {
  while (!records.empty()) {
    size_t length = 0;
    const auto [end, status] = std::from_chars(records.data(), records.data() + records.size(), length);
    const auto digits = static_cast<size_t>(end - records.data());
    if (status != std::errc() || length > records.size() || length < digits + 3 || records[digits] != ' ' ||
        records[length - 1] != '\n') {
      return false;
    }
    const std::string_view record = records.substr(digits + 1, length - digits - 2);
    const size_t equals = record.find('=');
    if (equals == record.npos) return false;
    visit(record.substr(0, equals), record.substr(equals + 1));
    records.remove_prefix(length);
  }
  return true;
}

}  // namespace acm::io
