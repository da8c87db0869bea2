#include "acm/product_type.h"

#include <ATen/autocast_mode.h>

namespace acm {

at::ScalarType product_type(const at::Tensor& tokens) {
  const at::DeviceType device = tokens.device().type();
  return at::autocast::is_autocast_enabled(device) ? at::autocast::get_autocast_dtype(device) : tokens.scalar_type();
}

LearnerWeights converted(const LearnerWeights& w, at::ScalarType type) {
  return {w.w1.to(type), w.b1.to(type), w.w2.to(type), w.b2.defined() ? w.b2.to(type) : w.b2, w.learners, w.activation};
}

}  // namespace acm
