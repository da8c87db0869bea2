#pragma once

namespace acm {

// Has MKL multiply matrices in one order whatever the number of threads. To be called before the first product and
// before there are threads. On Intel's processors MKL otherwise lets the order, and with it the last bits, depend on
// threads for many shapes; with MKL_CBWR=AUTO,STRICT it does not, at the same speed (measured with LibTorch 2.11 on a
// Xeon with AMX, one thread, sides of 192 and more: 1.00 to 1.07 times). On other processors the same setting would choose the slowest
// of its kernels, and only short products depend on threads there (phases/single_thread.h). What the user's environment
// says comes first.
void make_products_reproducible();

}  // namespace acm
