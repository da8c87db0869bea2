#include "acm/activation.h"

#include <ATen/ops/gelu.h>

#include "core/error.h"

namespace acm {

at::Tensor apply(Activation activation, const at::Tensor& hidden) {
  return activation == Activation::kGelu ? at::gelu(hidden) : hidden;
}

std::string to_string(Activation activation) { return activation == Activation::kGelu ? "gelu" : "identity"; }

Activation activation_from(const std::string& name) {
  if (name == "gelu") return Activation::kGelu;
  if (name == "identity") return Activation::kIdentity;
  throw Error(Fault::kUsage, "cannot use the activation '" + name + "': it must be \"gelu\" or \"identity\"");
}

}  // namespace acm
