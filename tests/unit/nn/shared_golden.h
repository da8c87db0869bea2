#pragma once

#include <gtest/gtest.h>

#include <filesystem>

// Skips the test where the large reference vectors are not beside the repository.
#define ACM_NEEDS_SHARED_GOLDEN(name)                                                   \
  const std::filesystem::path golden = std::filesystem::path(ACM_SHARED_GOLDEN) / name; \
  if (!std::filesystem::exists(golden)) GTEST_SKIP() << "no reference vectors at " << golden
