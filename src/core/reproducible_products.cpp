#include "core/reproducible_products.h"

#include <cstdlib>

namespace acm {

void make_products_reproducible() {
  __builtin_cpu_init();
  if (__builtin_cpu_is("intel")) setenv("MKL_CBWR", "AUTO,STRICT", 0);
}

}  // namespace acm
