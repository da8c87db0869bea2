#include <gtest/gtest.h>

#include "core/memory.h"

int main(int argc, char** argv) {
  acm::keep_freed_memory();
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
