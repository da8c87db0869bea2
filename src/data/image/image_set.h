#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "data/image/image_index.h"
#include "data/open.h"

namespace acm::data {

// The images of one split with their classes, before any are selected.
struct ImageSet {
  std::filesystem::path root;
  std::string top;  // the folder whose content they are, below root; empty for tar files
  ImageIndex index;
  int64_t classes = 0;
};

// What all layouts need to find a split.
struct Search {
  const DataConfig& config;
  Split split;
  std::filesystem::path index_folder;
  std::function<void(const std::string&)> say;  // may be empty

  std::filesystem::path root() const { return config.path; }
  // data.train or data.test. Error(kUsage) where they still name MNIST's files.
  const std::vector<std::string>& names() const { return names_of(split); }
  const std::vector<std::string>& names_of(Split which) const;
  // The tree of images below root / top, from the index where there is one.
  ImageIndex tree(const std::string& top) const;
  void tell(const std::string& what) const {
    if (say) say(what);
  }
};

// Folders of one class each. Classes are those of data.class_names, else the folders of the training split in sorted
// order, for both splits.
ImageSet find_class_folders(const Search& search);
// A folder of images and a file of labels. Labels are numbers, or names: of data.class_names, else of the training
// split's folders (kind "folder") or labels in sorted order.
ImageSet find_labelled(const Search& search);
// WebDataset tar files.
ImageSet find_shards(const Search& search);

// The source of these images: selected by data.train_samples, test_first and test_samples, decoded when asked for.
std::unique_ptr<DataSource> make_image_source(const DataConfig& config, Split split, ImageSet images);

}  // namespace acm::data
