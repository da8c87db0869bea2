#include <gtest/gtest.h>

#include "core/memory.h"
#include "core/reproducible_products.h"

int main(int argc, char** argv) {
  acm::keep_freed_memory();
  acm::make_products_reproducible();  // as the program does
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
