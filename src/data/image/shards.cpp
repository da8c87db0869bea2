#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <optional>

#include "core/error.h"
#include "data/image/class_names.h"
#include "data/image/image_set.h"
#include "data/image/shard_names.h"
#include "data/lines.h"
#include "data/parallel_for.h"
#include "io/tar.h"

namespace acm::data {
namespace {

constexpr std::array<std::string_view, 3> kImageSuffixes = {"jpg", "jpeg", "png"};
// A label is a number or a name; the description of an image that holds it is not much more.
constexpr int64_t kMostLabelBytes = 1 << 20;

// The parts of "sub/000123.seg.png" that WebDataset knows: the sample "sub/000123" and the suffix "seg.png".
struct MemberName {
  std::string sample, suffix;  // the suffix in lower case; empty: the member belongs to no sample
};

MemberName split_name(const std::string& name) {
  const size_t slash = name.rfind('/');
  const size_t begin = slash == name.npos ? 0 : slash + 1;
  const size_t dot = name.find('.', begin);
  if (dot == name.npos || dot == begin) return {};
  std::string suffix = name.substr(dot + 1);
  std::ranges::transform(suffix, suffix.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return {name.substr(0, dot), std::move(suffix)};
}

// Makes entries of the members of one shard. Members of other suffixes (pickles too) are passed over unread.
class ShardScan {
 public:
  ShardScan(const std::filesystem::path& root, const std::string& name) : path_(root / name), reader_(path_) {
    index_.containers.push_back(name);
    index_.stamps.push_back(stamp_of(root, name));
  }

  ImageIndex run() {
    reader_.for_each([this](const io::TarMember& member) { take(member); });
    finish_sample();
    return std::move(index_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(Fault::kData, "cannot use the sample " + path_.string() + "!" + sample_ + ": " + what);
  }

  void take(const io::TarMember& member) {
    MemberName name = split_name(member.name);
    if (name.suffix.empty()) return;
    if (name.sample != sample_) {
      finish_sample();
      sample_ = std::move(name.sample);
    }
    if (std::ranges::find(suffixes_, name.suffix) != suffixes_.end()) fail("it has two members ." + name.suffix);
    if (std::ranges::find(kImageSuffixes, name.suffix) != kImageSuffixes.end()) {
      if (image_) fail("it has two images, " + image_->name + " and " + member.name);
      image_ = member;
    } else if (name.suffix == "cls") {
      label_ = std::string(trimmed(text_of(member)));
      if (label_->empty()) fail("its .cls is empty");
    } else if (name.suffix == "json") {
      described_ = label_in(member);
    }
    suffixes_.push_back(std::move(name.suffix));
  }

  void finish_sample() {
    if (!label_) label_ = described_;
    if (image_ && !label_) fail("it has an image and no label: neither .cls nor .json with \"label\" or \"cls\"");
    if (!image_ && label_) fail("it has a label and no image (.jpg, .jpeg or .png)");
    if (image_) {
      ImageEntry entry;
      entry.name = index_.add_name(image_->name);
      entry.offset = image_->offset;
      entry.bytes = image_->bytes;
      entry.label = text_index(*label_);
      index_.entries.push_back(entry);
    }
    image_.reset();
    label_.reset();
    described_.reset();
    suffixes_.clear();
  }

  std::string text_of(const io::TarMember& member) {
    if (member.bytes > kMostLabelBytes)
      fail(member.name + " has " + std::to_string(member.bytes) + " bytes: it is no label");
    return reader_.read(member);
  }

  std::optional<std::string> label_in(const io::TarMember& member) {
    const Json json = Json::parse(text_of(member), path_.string() + "!" + member.name);
    if (!json.is_object()) return std::nullopt;
    for (const char* key : {"label", "cls"}) {
      const Json* value = json.find(key);
      if (value && value->is_integer()) return std::to_string(value->as_int());
      if (value && value->is_string()) return value->as_string();
    }
    return std::nullopt;
  }

  int32_t text_index(const std::string& text) {
    const auto [place, is_new] = texts_.emplace(text, static_cast<int32_t>(index_.labels.size()));
    if (is_new) index_.labels.push_back(text);
    return place->second;
  }

  std::filesystem::path path_;
  io::TarReader reader_;
  ImageIndex index_;
  std::map<std::string, int32_t> texts_;
  std::string sample_;
  std::vector<std::string> suffixes_;  // of the sample so far
  std::optional<io::TarMember> image_;
  std::optional<std::string> label_, described_;
};

ImageIndex scan(const std::filesystem::path& root, const std::vector<std::string>& names) {
  std::vector<ImageIndex> parts(names.size());
  parallel_for(static_cast<int64_t>(names.size()), [&](int64_t i) {
    const auto part = static_cast<size_t>(i);
    parts[part] = ShardScan(root, names[part]).run();
  });
  ImageIndex index;
  for (ImageIndex& part : parts) {
    index.append(part);
    part = {};
  }
  return index;
}

}  // namespace

ImageSet find_shards(const Search& search) {
  const auto names = shard_names(search.root(), search.names());
  ImageSet out = {search.root(), "", {}, 0};
  const Json key =
      Json::object({{"root", std::filesystem::absolute(search.root()).string()}, {"shards", Json::array(names)}});
  out.index = kept_index(
      search.index_folder, key, search.root(), [&] { return scan(search.root(), names); }, search.say);
  out.classes =
      assign_classes(out.index, search.config, given_class_names(search.config), "the shards of " + search.config.path);
  return out;
}

}  // namespace acm::data
