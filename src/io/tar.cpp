#include "io/tar.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "core/error.h"
#include "core/file.h"
#include "io/tar_header.h"

namespace acm::io {
namespace {

// Names and pax records are short; a longer one is damage, and is not worth the memory.
constexpr int64_t kMostDescription = 1 << 20;
// Read at once: a header, a small member such as a label, and the next header.
constexpr int64_t kWindow = 16 * kTarBlock;

int64_t whole_blocks(int64_t bytes) { return (bytes + kTarBlock - 1) / kTarBlock * kTarBlock; }

// What headers of their own say about the next member; it overrides the member's own header.
struct Described {
  std::optional<std::string> name;
  std::optional<int64_t> bytes;
};

}  // namespace

struct TarReader::Impl {
  explicit Impl(const std::filesystem::path& archive)
      : path(archive), file(archive, FileHandle::Mode::kRead), size(file.size()) {}

  std::filesystem::path path;
  FileHandle file;
  int64_t size;
  std::string window;
  int64_t window_at = 0;

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(Fault::kData, "cannot read the tar file " + path.string() + ": " + what);
  }

  std::string_view bytes_at(int64_t offset, int64_t bytes) {
    if (bytes > size - offset) {
      fail("it ends at byte " + std::to_string(size) + ", inside a member: it is cut short; make or fetch it again");
    }
    const auto held = static_cast<int64_t>(window.size());
    if (offset < window_at || offset + bytes > window_at + held) {
      window.resize(static_cast<size_t>(std::min(std::max(kWindow, bytes), size - offset)));
      file.read(window.data(), static_cast<int64_t>(window.size()), offset);
      window_at = offset;
    }
    return std::string_view(window).substr(static_cast<size_t>(offset - window_at), static_cast<size_t>(bytes));
  }

  std::string description(int64_t offset, int64_t bytes) {
    if (bytes > kMostDescription) fail("the header at byte " + std::to_string(offset - kTarBlock) + " is damaged");
    return std::string(bytes_at(offset, bytes));
  }

  void check_header(std::string_view block, int64_t offset) {
    if (TarHeader(block).checksum_holds()) return;
    if (offset > 0) fail("the header at byte " + std::to_string(offset) + " has a bad checksum: it is damaged");
    const bool compressed = block.starts_with("\x1f\x8b") || block.starts_with("BZh") ||
                            block.starts_with("\x28\xb5\x2f\xfd") || block.starts_with("\xfd\x37zXZ");
    fail(compressed ? "it is compressed, and shards are read in place: unpack it to a plain .tar once"
                    : "it is not a tar file");
  }

  void read_pax(std::string_view records, Described& described) {
    const bool whole = for_each_pax_record(records, [&](std::string_view key, std::string_view value) {
      if (key == "path") described.name = std::string(value);
      if (key == "size") described.bytes = decimal(value);
      if (key.starts_with("GNU.sparse")) fail("it holds sparse files, which are not read in place: pack it again");
    });
    if (!whole) fail("a pax header is damaged");
  }

  int64_t decimal(std::string_view text) {
    int64_t value = 0;
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (status != std::errc() || end != text.data() + text.size() || value < 0) fail("a pax header is damaged");
    return value;
  }

  std::string safe_name(std::string name) {
    while (name.starts_with("./")) name.erase(0, 2);
    const std::filesystem::path path(name);
    if (name.empty() || path.is_absolute() || std::ranges::find(path, "..") != path.end() ||
        name.find('\0') != name.npos || name.find('\n') != name.npos) {
      fail("the member '" + name + "' has a name that leads out of its folder, or none: the file is not to be trusted");
    }
    return name;
  }

  void for_each(const std::function<void(const TarMember&)>& visit) {
    Described described, global;
    bool ended = false;
    for (int64_t offset = 0; offset < size;) {
      const std::string block(bytes_at(offset, std::min(kTarBlock, size - offset)));
      if (block.size() < kTarBlock) fail("it ends inside a header: it is cut short; make or fetch it again");
      if (block.find_first_not_of('\0') == block.npos) {  // the end mark; archives may follow one another
        ended = true;
        offset += kTarBlock;
        continue;
      }
      ended = false;
      check_header(block, offset);
      const TarHeader header(block);
      const auto stored = header.bytes();
      if (!stored) fail("the header at byte " + std::to_string(offset) + " is damaged");
      const char type = header.type();
      const int64_t data = offset + kTarBlock;
      if (type == 'L' || type == 'K' || type == 'x' || type == 'g') {
        const std::string text = description(data, *stored);
        if (type == 'L') described.name = text.substr(0, text.find('\0'));
        if (type == 'x') read_pax(text, described);
        if (type == 'g') read_pax(text, global);
        offset = data + whole_blocks(*stored);
        continue;
      }
      offset = visit_member(header, data, *stored, described, visit);
      described = global;
    }
    if (!ended) fail("it has no end mark: it is empty or cut short; make or fetch it again");
  }

  int64_t visit_member(const TarHeader& header, int64_t data, int64_t stored, const Described& described,
                       const std::function<void(const TarMember&)>& visit) {
    std::string name = described.name.value_or(header.name());
    const char type = header.type();
    if (type == '5') return data + whole_blocks(stored);
    if (type != '0' && type != '\0' && type != '7') {
      fail("the member '" + name + "' is a link, a device or of another special kind (type " + type +
           "); shards hold plain files only");
    }
    const int64_t bytes = described.bytes.value_or(stored);
    if (bytes > size - data) {
      fail("the member '" + name + "' needs " + std::to_string(bytes) + " bytes and the file ends after " +
           std::to_string(size - data) + ": it is cut short; make or fetch it again");
    }
    visit({safe_name(std::move(name)), data, bytes});
    return data + whole_blocks(bytes);
  }
};

TarReader::TarReader(const std::filesystem::path& archive) : impl_(std::make_unique<Impl>(archive)) {}
TarReader::~TarReader() = default;
void TarReader::for_each(const std::function<void(const TarMember&)>& visit) { impl_->for_each(visit); }
std::string TarReader::read(const TarMember& member) {
  return std::string(impl_->bytes_at(member.offset, member.bytes));
}

}  // namespace acm::io
