#include "io/segment_table.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <optional>
#include <utility>
#include <vector>

#include "core/digest.h"
#include "core/error.h"

namespace acm::io {
namespace {

constexpr std::string_view kMagic = "acm-seg1";
constexpr int64_t kNumberBytes = 16;  // of a length or a digest
constexpr int64_t kTailBytes = 2 * kNumberBytes + static_cast<int64_t>(kMagic.size());

std::string length_text(int64_t bytes) {
  char digits[kNumberBytes + 1];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(bytes));
  return digits;
}

Json to_json(const SegmentTable& table) {
  Json datasets = Json::object();
  for (const auto& [path, stored] : table.datasets) {
    datasets[path] = Json::object({{"offset", stored.offset}, {"bytes", stored.bytes}, {"xxh3", stored.digest}});
  }
  return Json::object({{"key", table.key},
                       {"segment", table.segment},
                       {"first_sample", table.first_sample},
                       {"samples", table.samples},
                       {"rows", table.rows},
                       {"datasets", std::move(datasets)}});
}

SegmentTable from_json(const Json& json) {
  SegmentTable table;
  table.key = json.at("key");
  table.segment = json.at("segment").as_int();
  table.first_sample = json.at("first_sample").as_int();
  table.samples = json.at("samples").as_int();
  table.rows = json.at("rows").as_int();
  for (const auto& [path, stored] : json.at("datasets").as_object()) {
    table.datasets[path] = {stored.at("offset").as_int(), stored.at("bytes").as_int(), stored.at("xxh3").as_string()};
  }
  return table;
}

void digest_span(const FileHandle& file, int64_t begin, int64_t end, Digest& digest) {
  std::string piece(static_cast<size_t>(std::min(end - begin, kDigestPieceBytes)), '\0');
  for_each_digest_piece(begin, end, [&](int64_t offset, int64_t bytes) {
    file.read(piece.data(), bytes, offset);
    digest.update(piece.data(), bytes);
  });
}

// The digest of [0, end) without the payloads; nothing where the table's payloads cannot lie in a file of this size.
std::optional<std::string> digest_outside_payloads(const FileHandle& file, const SegmentTable& table, int64_t end) {
  std::vector<std::pair<int64_t, int64_t>> payloads;
  for (const auto& [path, stored] : table.datasets) payloads.emplace_back(stored.offset, stored.bytes);
  std::sort(payloads.begin(), payloads.end());
  Digest digest;
  int64_t reached = 0;
  for (const auto& [offset, bytes] : payloads) {
    if (offset < reached || offset > end || bytes < 0 || bytes > end - offset) return std::nullopt;
    digest_span(file, reached, offset, digest);
    reached = offset + bytes;
  }
  digest_span(file, reached, end, digest);
  return digest.hex();
}

}  // namespace

void append_segment_table(const FileHandle& file, const SegmentTable& table) {
  const int64_t begin = file.size();
  std::string text = to_json(table).dump();
  text += length_text(static_cast<int64_t>(text.size()));
  text += kMagic;
  file.write(text.data(), static_cast<int64_t>(text.size()), begin);
  const int64_t end = begin + static_cast<int64_t>(text.size());
  const std::string digest = digest_outside_payloads(file, table, end).value();
  file.write(digest.data(), kNumberBytes, end);
}

int64_t segment_table_bytes(const SegmentTable& table) {
  return static_cast<int64_t>(to_json(table).dump().size()) + kTailBytes;
}

SegmentCheck read_segment_table(const FileHandle& file) {
  SegmentCheck check;
  const int64_t size = file.size();
  const int64_t tail_begin = size - kTailBytes;
  check.fault = "truncated or overwritten: its " + std::to_string(size) + " bytes do not end as a segment does";
  if (tail_begin < 0) return check;
  std::string tail(kTailBytes, '\0');
  file.read(tail.data(), kTailBytes, tail_begin);
  const std::string_view magic = std::string_view(tail).substr(kNumberBytes, kMagic.size());
  if (magic != kMagic) return check;

  check.fault = "changed: its table is damaged";
  uint64_t length = 0;
  std::from_chars(tail.data(), tail.data() + kNumberBytes, length, 16);
  if (length > static_cast<uint64_t>(tail_begin)) return check;
  std::string text(length, '\0');
  file.read(text.data(), static_cast<int64_t>(length), tail_begin - static_cast<int64_t>(length));
  try {
    check.table = from_json(Json::parse(text, "the table"));
  } catch (const Error&) {
    return check;  // the fault is told by the value that is returned
  }
  const auto digest = digest_outside_payloads(file, check.table, size - kNumberBytes);
  if (!digest) return check;
  check.fault = *digest == tail.substr(tail.size() - kNumberBytes) ? "" : "changed: its header differs from its digest";
  return check;
}

SegmentTable verified_segment(const std::filesystem::path& path) {
  const FileHandle file(path, FileHandle::Mode::kRead);
  const auto [table, fault] = read_segment_table(file);
  if (!fault.empty()) throw Error(Fault::kData, path.string() + " is " + fault);
  for (const auto& [name, stored] : table.datasets) {
    Digest digest;
    digest_span(file, stored.offset, stored.offset + stored.bytes, digest);
    if (const auto found = digest.hex(); found != stored.digest)
      throw Error(Fault::kData,
                  path.string() + " is damaged: " + name + " has the digest " + found + ", expected " + stored.digest);
  }
  return table;
}

}  // namespace acm::io
