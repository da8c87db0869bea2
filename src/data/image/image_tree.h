#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/image/image_index.h"

namespace acm::data {

// All JPEG and PNG files below `root / top`, by their endings; every folder on the way is a container, also an empty
// one. Hidden files and folders are passed over, as are files that are no images. Error(kData) names a folder that is
// missing, or an image of a format that is not read.
ImageIndex list_image_tree(const std::filesystem::path& root, const std::string& top);

// Names of the folders in `folder`, sorted, without hidden ones.
std::vector<std::string> folder_names(const std::filesystem::path& folder);

// The part of a container's name below `top`: "n01440764/more", or empty for `top` itself.
std::string_view below(std::string_view container, std::string_view top);

}  // namespace acm::data
