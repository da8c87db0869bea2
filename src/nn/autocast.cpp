#include "nn/autocast.h"

#include <ATen/autocast_mode.h>

namespace acm::nn {

at::ScalarType product_type(const at::Tensor& tokens) {
  const at::DeviceType device = tokens.device().type();
  return at::autocast::is_autocast_enabled(device) ? at::autocast::get_autocast_dtype(device) : tokens.scalar_type();
}

Autocast::Autocast(at::Device device, bool on)
    : device_(device.type()),
      on_(on),
      enabled_before_(on && at::autocast::is_autocast_enabled(device_)),
      dtype_before_(on ? at::autocast::get_autocast_dtype(device_) : at::kFloat) {
  if (!on_) return;
  at::autocast::set_autocast_enabled(device_, true);
  at::autocast::set_autocast_dtype(device_, at::kBFloat16);
  at::autocast::increment_nesting();
}

Autocast::~Autocast() {
  if (!on_) return;
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();  // parameters change between passes
  at::autocast::set_autocast_enabled(device_, enabled_before_);
  at::autocast::set_autocast_dtype(device_, dtype_before_);
}

}  // namespace acm::nn
