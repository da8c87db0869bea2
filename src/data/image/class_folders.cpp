#include <algorithm>
#include <map>

#include "core/error.h"
#include "data/image/class_names.h"
#include "data/image/image_set.h"
#include "data/image/image_tree.h"

namespace acm::data {
namespace {

ClassNames class_names_of(const Search& search) {
  if (auto given = given_class_names(search.config)) return std::move(*given);
  const std::filesystem::path folder = search.root() / search.names_of(Split::kTrain).front();
  if (!std::filesystem::is_directory(folder)) {
    throw Error(Fault::kData, "cannot tell the classes of " + search.config.path + ": the folder " + folder.string() +
                                  " of the training images is not there; list the classes in a file and name it in "
                                  "data.class_names");
  }
  return {folder_names(folder), folder.string()};
}

// Images that lie beside the class folders, or instead of them.
void check_top(const Search& search, const ImageIndex& index, const std::string& top) {
  const std::filesystem::path folder = search.root() / top;
  if (index.containers.size() == 1 && !index.entries.empty()) {
    throw Error(Fault::kData, "cannot tell the classes of the images in " + folder.string() +
                                  ": it has no folders of classes but " + std::to_string(index.entries.size()) +
                                  (index.entries.size() == 1 ? " image" : " images") +
                                  ", as ILSVRC2012's validation archive unpacks; give its labels too, as in "
                                  "data.test = [\"" +
                                  top + "\", \"FILE OF LABELS\"], or sort them into folders (docs/data.md)");
  }
  if (index.containers.size() == 1) {
    throw Error(Fault::kData,
                "cannot find images in " + folder.string() + ": it has no folders of classes; check data.path");
  }
  if (!index.entries.empty() && index.containers[static_cast<size_t>(index.entries.front().container)] == top) {
    throw Error(Fault::kData, "cannot tell the class of the image " +
                                  (search.root() / index.path(index.entries.front())).string() +
                                  ": it lies beside the folders of classes");
  }
}

}  // namespace

ImageSet find_class_folders(const Search& search) {
  const std::string& top = search.names().front();
  ImageSet out = {search.root(), top, search.tree(top), 0};
  check_top(search, out.index, top);
  const ClassNames names = class_names_of(search);
  std::vector<int32_t> class_of_container;
  std::map<std::string, int64_t> images;  // of each folder of a class
  std::vector<int64_t*> counter;
  for (const std::string& container : out.index.containers) {
    const std::string_view inside = below(container, top);
    const std::string name(inside.substr(0, inside.find('/')));
    class_of_container.push_back(name.empty() ? -1 : names.class_of(name, (search.root() / top).string()));
    counter.push_back(&images[name]);
  }
  for (ImageEntry& entry : out.index.entries) {
    entry.label = class_of_container[static_cast<size_t>(entry.container)];
    ++*counter[static_cast<size_t>(entry.container)];
  }
  for (const auto& [name, count] : images) {
    if (count == 0 && !name.empty()) {
      throw Error(Fault::kData, "cannot use the class folder " + (search.root() / top / name).string() +
                                    ": it holds no JPEG or PNG image; fill or remove it");
    }
  }
  out.classes = names.size();
  return out;
}

}  // namespace acm::data
