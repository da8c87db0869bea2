#include <gtest/gtest.h>

#include "core/reproducible_products.h"

int main(int argc, char** argv) {
  acm::make_products_reproducible();  // as the program does
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
