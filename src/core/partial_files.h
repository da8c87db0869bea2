#pragma once

#include <filesystem>
#include <string_view>

namespace acm {

// Stands between the final name of an AtomicFile and the writer's, in the name of its partial file.
constexpr std::string_view kPartialMark = ".partial-";

// Removes the partial files in `folder`, not below it, which processes left that were killed while they wrote. To be
// called where nobody else writes there. What cannot be removed stays; it harms nobody.
void remove_partial_files(const std::filesystem::path& folder);

}  // namespace acm
