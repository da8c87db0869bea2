#pragma once

#include "core/random.h"

namespace acm::data {

// A draw from Beta(alpha, alpha), alpha > 0, in [0, 1]: a function of the key. By two gamma variates of Marsaglia and
// Tsang (ACM TOMS 26, 2000), held as logarithms so that small alphas do not underflow.
double random_beta(StreamKey key, double alpha);

// The logarithm of a draw from Gamma(shape, 1), shape > 0.
double random_log_gamma(StreamKey key, double shape);

}  // namespace acm::data
