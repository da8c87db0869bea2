#pragma once

#include <filesystem>

namespace acm::app {

// Writes what a run of seconds needs into `folder`: images of bars in IDX files, and miniature.toml, which has all
// phases, a cache of several segments and many checkpoints.
void write_miniature(const std::filesystem::path& folder);

}  // namespace acm::app
