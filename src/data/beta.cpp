#include "data/beta.h"

#include <cmath>

namespace acm::data {

double random_log_gamma(StreamKey key, double shape) {
  // Below 1: Gamma(shape) is Gamma(shape + 1) times a uniform number to the power of 1 / shape.
  if (shape < 1) return random_log_gamma(key.with("raised"), shape + 1) + std::log(random_uniform(key, 0)) / shape;
  const double d = shape - 1.0 / 3.0, c = 1.0 / std::sqrt(9.0 * d);
  const StreamKey normals = key.with("normal"), uniforms = key.with("uniform");
  for (uint64_t attempt = 0;; ++attempt) {
    const double x = random_normal(normals, attempt), root = 1.0 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root;
    if (std::log(random_uniform(uniforms, attempt)) < 0.5 * x * x + d - d * v + d * std::log(v)) return std::log(d * v);
  }
}

double random_beta(StreamKey key, double alpha) {
  const double first = random_log_gamma(key.with("first"), alpha), second = random_log_gamma(key.with("second"), alpha);
  return 1.0 / (1.0 + std::exp(second - first));
}

}  // namespace acm::data
