#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace acm::data {

// The tar files that patterns below `root` mean, sorted, each once: * in the last part of a path stands for anything,
// {0000..0123} for each of these numbers. Error(kUsage) for commands and addresses ("pipe:...", "https://..."), which
// are never run or fetched; Error(kData) where a * matches nothing.
std::vector<std::string> shard_names(const std::filesystem::path& root, const std::vector<std::string>& patterns);

}  // namespace acm::data
