#include <algorithm>
#include <map>
#include <set>

#include "core/error.h"
#include "data/image/class_names.h"
#include "data/image/image_set.h"
#include "data/image/image_tree.h"
#include "data/image/label_file.h"

namespace acm::data {
namespace {

// Finds entries of a tree by name. Containers are sorted, and so are the names in each.
class Finder {
 public:
  Finder(const ImageIndex& index, const std::string& top) : index_(index), top_(top) {
    begins_.resize(index.containers.size() + 1, index.entries.size());
    for (size_t i = index.entries.size(); i-- > 0;) begins_[static_cast<size_t>(index.entries[i].container)] = i;
    for (size_t c = index.containers.size(); c-- > 0;) begins_[c] = std::min(begins_[c], begins_[c + 1]);
  }

  // The entries called so, with or without their ending.
  std::vector<size_t> find(std::string_view name) const {
    while (name.starts_with("./")) name.remove_prefix(2);
    const size_t slash = name.rfind('/');
    std::string folder = top_;
    if (slash != name.npos) folder += "/" + std::string(name.substr(0, slash));
    const auto place = std::ranges::lower_bound(index_.containers, folder);
    if (place == index_.containers.end() || *place != folder) return {};
    const auto container = static_cast<size_t>(place - index_.containers.begin());
    return find_in(container, slash == name.npos ? name : name.substr(slash + 1));
  }

 private:
  std::vector<size_t> find_in(size_t container, std::string_view name) const {
    const auto name_at = [this](size_t entry) { return index_.name(index_.entries[entry]); };
    size_t at = begins_[container];
    for (size_t count = begins_[container + 1] - at; count > 0;) {
      const size_t half = count / 2;
      if (name_at(at + half) < name) {
        at += half + 1;
        count -= half + 1;
      } else {
        count = half;
      }
    }
    if (at < begins_[container + 1] && name_at(at) == name) return {at};
    std::vector<size_t> found;
    for (; at < begins_[container + 1] && name_at(at).starts_with(name); ++at) {
      const std::string_view ending = name_at(at).substr(name.size());
      if (ending.starts_with('.') && ending.find('.', 1) == ending.npos) found.push_back(at);
    }
    return found;
  }

  const ImageIndex& index_;
  std::string top_;
  std::vector<size_t> begins_;  // where the entries of each container begin, and the end
};

// Gives each entry of the index its label's text.
class Labelling {
 public:
  Labelling(ImageIndex& index, const std::string& top, std::filesystem::path folder, std::filesystem::path file)
      : index_(index), finder_(index, top), folder_(std::move(folder)), file_(std::move(file)) {}

  void take(const LabelLine& line) {
    if (line.name.empty()) {
      numbered_ = true;
      if (next_ < index_.entries.size()) set(next_, line);
      ++next_;
      return;
    }
    const auto found = finder_.find(line.name);
    if (found.size() == 1) return set(found.front(), line);
    fail(line, found.empty()
                   ? " names the image '" + std::string(line.name) + "', which is not in " + folder_.string()
                   : " could mean several images called '" + std::string(line.name) + "'; write their endings");
  }

  // How many images have no label, and are left out.
  int64_t finish() {
    if (numbered_ && next_ != index_.entries.size()) {
      throw Error(Fault::kData, "cannot use the labels of " + file_.string() + ": it has " + std::to_string(next_) +
                                    " labels, one a line, and " + folder_.string() + " holds " +
                                    std::to_string(index_.entries.size()) + " images");
    }
    return static_cast<int64_t>(std::erase_if(index_.entries, [](const ImageEntry& entry) { return entry.label < 0; }));
  }

 private:
  [[noreturn]] void fail(const LabelLine& line, const std::string& what) const {
    throw Error(Fault::kData,
                "cannot use the labels of " + file_.string() + ": line " + std::to_string(line.number) + what);
  }

  void set(size_t entry, const LabelLine& line) {
    if (line.label.empty()) fail(line, " has no label");
    int32_t& label = index_.entries[entry].label;
    if (label >= 0) fail(line, " labels the image '" + std::string(line.name) + "' for the second time");
    const auto [place, is_new] = texts_.emplace(line.label, static_cast<int32_t>(index_.labels.size()));
    if (is_new) index_.labels.emplace_back(line.label);
    label = place->second;
  }

  ImageIndex& index_;
  Finder finder_;
  std::filesystem::path folder_, file_;
  std::map<std::string, int32_t, std::less<>> texts_;
  size_t next_ = 0;
  bool numbered_ = false;
};

// Sorted: of the training split's folders, or of the labels in its file.
ClassNames names_from_training(const Search& search) {
  const auto& training = search.names_of(Split::kTrain);
  const std::filesystem::path place = search.root() / training.back();
  if (training.size() == 1) return {folder_names(place), place.string()};
  std::set<std::string, std::less<>> texts;
  for_each_label(place, search.config, [&](const LabelLine& line) {
    if (!texts.contains(line.label)) texts.emplace(line.label);
  });
  return {{texts.begin(), texts.end()}, place.string()};
}

}  // namespace

ImageSet find_labelled(const Search& search) {
  const std::string &top = search.names().front(), &labels = search.names().back();
  const std::filesystem::path file = search.root() / labels;
  ImageSet out = {search.root(), top, search.tree(top), 0};
  Labelling labelling(out.index, top, search.root() / top, file);
  for_each_label(file, search.config, [&](const LabelLine& line) { labelling.take(line); });
  if (const int64_t left_out = labelling.finish(); left_out > 0) {
    search.tell(std::to_string(left_out) + " images of " + (search.root() / top).string() +
                " are left out: " + file.string() + " has no label for them");
  }
  auto names = given_class_names(search.config);
  if (!names && !are_numbers(out.index.labels)) names = names_from_training(search);
  out.classes = assign_classes(out.index, search.config, names, file.string());
  return out;
}

}  // namespace acm::data
