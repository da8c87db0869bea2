#include "data/device_copy.h"

#include <ATen/ops/empty.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <cstring>

namespace acm::data {
namespace {

// A plain copy: an operator would start threads of its own under each of the loader's.
at::Tensor pinned(const at::Tensor& tensor) {
  const at::Tensor copy = at::empty(tensor.sizes(), tensor.options().pinned_memory(true));
  std::memcpy(copy.mutable_data_ptr(), tensor.const_data_ptr(), tensor.nbytes());
  return copy;
}

}  // namespace

std::optional<c10::Stream> copy_stream(at::Device device) {
  if (device.is_cpu()) return {};
  return c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
}

c10::Event send(Batch& batch, at::Device device) {
  // LibTorch keeps pinned memory that is copied from until the copy is over.
  for (at::Tensor* tensor : batch.read_by_models())
    if (tensor->defined()) *tensor = pinned(*tensor).to(device, tensor->scalar_type(), /*non_blocking=*/true);
  c10::Event sent(device.type());
  sent.record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
  return sent;
}

void receive(Batch& batch, const c10::Event& sent) {
  const c10::impl::VirtualGuardImpl device(sent.device_type());
  const c10::Stream stream = device.getStream(sent.device());
  sent.block(stream);
  for (const at::Tensor* tensor : batch.read_by_models())
    if (tensor->defined()) device.recordDataPtrOnStream(tensor->storage().data_ptr(), stream);
}

}  // namespace acm::data
