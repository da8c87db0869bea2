#include "device/mock_device.h"

#include <ATen/EmptyTensor.h>
#include <ATen/InferSize.h>
#include <ATen/TensorUtils.h>
#include <ATen/detail/MTIAHooksInterface.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <array>
#include <atomic>
#include <cstring>
#include <functional>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace acm {
namespace {

constexpr auto kType = c10::DeviceType::MTIA;
constexpr auto kKey = c10::DispatchKey::MTIA;

std::atomic<int64_t> syncs = 0;
std::atomic<int> forbidden = 0;

void note_sync(const std::string& operation) {
  ++syncs;
  TORCH_CHECK(forbidden == 0, "the host would wait for the device in ", operation);
}

constexpr c10::StreamId kComputing = 0, kOther = 1;
thread_local c10::StreamId current = kComputing;  // stream

class Blocks {
 public:
  void add(const void* data) {
    const std::lock_guard lock(mutex_);
    all_.insert(data);
  }
  void remove(const void* data) {
    const std::lock_guard lock(mutex_);
    all_.erase(data);
  }
  bool holds(const void* data) {
    const std::lock_guard lock(mutex_);
    return all_.contains(data);
  }

 private:
  std::mutex mutex_;
  std::set<const void*> all_;
};
Blocks elsewhere;  // memory that was allocated under the other stream, unless the computing one is recorded as using it
Blocks pinned;     // of the host

// Copies of a stream that were asked for and have not arrived.
class Pending {
 public:
  void add(std::function<void()> copy) {
    const std::lock_guard lock(mutex_);
    copies_.push_back(std::move(copy));
  }
  void arrive() {
    const std::lock_guard lock(mutex_);
    for (const auto& copy : copies_) copy();
    copies_.clear();
  }

 private:
  std::mutex mutex_;
  std::vector<std::function<void()>> copies_;
} pending_computing, pending_other;

Pending& pending_of(c10::StreamId stream) { return stream == kComputing ? pending_computing : pending_other; }

// The host's memory in the place of a device's, or of pinned memory: `blocks` has what was allocated while `notes`.
template <Blocks& blocks>
class NotingAllocator final : public c10::Allocator {
 public:
  NotingAllocator(c10::Device device, bool (*notes)()) : device_(device), notes_(notes) {}
  c10::DataPtr allocate(size_t bytes) override {
    void* data = c10::GetCPUAllocator()->raw_allocate(std::max<size_t>(bytes, 1));
    if (notes_()) blocks.add(data);
    return {data, data, &free, device_};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free; }
  void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }

 private:
  static void free(void* data) {
    blocks.remove(data);
    c10::GetCPUAllocator()->raw_deallocate(data);
  }

  const c10::Device device_;
  bool (*const notes_)();
};
NotingAllocator<elsewhere> allocator(mock_device(), [] { return current != kComputing; });
NotingAllocator<pinned> pinned_allocator(c10::kCPU, [] { return true; });

c10::Stream stream(c10::StreamId id) { return c10::Stream(c10::Stream::UNSAFE, mock_device(), id); }

struct MockGuard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return kType; }
  c10::Device exchangeDevice(c10::Device) const override { return mock_device(); }
  c10::Device getDevice() const override { return mock_device(); }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const override { return stream(current); }
  c10::Stream getStreamFromGlobalPool(c10::Device, bool) const override { return stream(kOther); }
  c10::Stream exchangeStream(c10::Stream next) const override { return stream(std::exchange(current, next.id())); }
  void recordDataPtrOnStream(const c10::DataPtr& data, const c10::Stream& stream) const override {
    if (stream.id() == kComputing) elsewhere.remove(data.get());
  }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void** event, const c10::Stream& stream, c10::DeviceIndex, c10::EventFlag) const override {
    *event = &pending_of(stream.id());
  }
  void block(void* event, const c10::Stream&) const override { static_cast<Pending*>(event)->arrive(); }
  bool queryEvent(void*) const override { return false; }
  void destroyEvent(void*, c10::DeviceIndex) const noexcept override {}
  void synchronizeEvent(void* event) const override { static_cast<Pending*>(event)->arrive(); }
};
C10_REGISTER_GUARD_IMPL(MTIA, MockGuard)

struct MTIAHooks final : at::MTIAHooksInterface {  // LibTorch looks it up by this name
  explicit MTIAHooks(at::MTIAHooksArgs) {}
  void init() const override {}
  bool hasMTIA() const override { return true; }
  bool isPinnedPtr(const void* data) const override { return pinned.holds(data); }
  at::Allocator* getPinnedMemoryAllocator() const override { return &pinned_allocator; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
};
using at::MTIAHooksRegistry;
using at::RegistererMTIAHooksRegistry;
REGISTER_MTIA_HOOKS(MTIAHooks)

// The same memory as a tensor of the host. Where an operation gives it another size it gets memory of its own.
at::Tensor seen_by_host(const at::Tensor& tensor) {
  TORCH_CHECK(current != kComputing || !elsewhere.holds(tensor.storage().data()),
              "memory of another stream is used and not recorded");
  return at::for_blob(tensor.data_ptr(), tensor.sizes())
      .strides(tensor.strides())
      .options(at::TensorOptions().dtype(tensor.scalar_type()))
      .allocator(c10::GetCPUAllocator())
      .resizeable_storage()
      .make_tensor();
}

at::Tensor empty_strided_here(c10::IntArrayRef sizes, c10::IntArrayRef strides, std::optional<at::ScalarType> dtype,
                              std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(sizes, strides, &allocator, c10::DispatchKeySet(kKey),
                                           c10::dtype_or_default(dtype));
}

at::Tensor empty_here(c10::IntArrayRef sizes, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                      std::optional<at::Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(sizes, &allocator, c10::DispatchKeySet(kKey), c10::dtype_or_default(dtype), format);
}

constexpr size_t kMostStaged = 256;  // bytes; CUDA's 64 KiB would be more than tests copy

at::Tensor copy_here_or_back(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  const bool leaves = from.is_mtia() && to.is_cpu(), arrives = from.is_cpu() && to.is_mtia();
  if ((leaves || arrives) && !non_blocking) note_sync("a blocking copy");
  if (arrives && non_blocking && from.nbytes() > kMostStaged && !pinned.holds(from.storage().data()))
    note_sync("a copy of memory that is not pinned");
  const at::Tensor source = from.is_mtia() ? seen_by_host(from) : from, target = to.is_mtia() ? seen_by_host(to) : to;
  if ((leaves || (arrives && current != kComputing)) && non_blocking && to.is_contiguous()) {
    std::memset(target.data_ptr(), 0xFF, target.nbytes());
    pending_of(current).add([to, target, values = source.clone()] { target.copy_(values); });
  } else {
    target.copy_(source);
  }
  return to;
}

at::Scalar read_scalar(const at::Tensor& tensor) {
  note_sync("reading a value");
  return seen_by_host(tensor).item();
}

at::Tensor as_strided_here(const at::Tensor& self, c10::IntArrayRef sizes, c10::IntArrayRef strides,
                           std::optional<int64_t> offset) {
  auto view = at::detail::make_tensor<c10::TensorImpl>(c10::TensorImpl::VIEW, c10::Storage(self.storage()),
                                                       self.key_set(), self.dtype());
  view.unsafeGetTensorImpl()->set_sizes_and_strides(sizes, strides, offset.value_or(self.storage_offset()));
  return view;
}

at::Tensor view_here(const at::Tensor& self, c10::IntArrayRef sizes) {
  const auto inferred = at::infer_size(sizes, self.numel());
  const auto strides = at::detail::computeStride(self.sizes(), self.strides(), inferred);
  TORCH_CHECK(strides.has_value(), "a view of other strides");
  return as_strided_here(self, inferred, *strides, self.storage_offset());
}

at::Tensor reshape_alias_here(const at::Tensor& self, c10::IntArrayRef sizes, c10::IntArrayRef strides) {
  return as_strided_here(self, sizes, strides, self.storage_offset());
}

at::Tensor brought_here(const at::Tensor& tensor) {
  const at::Tensor here = empty_strided_here(tensor.sizes(), tensor.strides(), tensor.scalar_type(), {}, {}, {});
  seen_by_host(here).copy_(tensor);
  return here;
}

// What the CPU computes in place of the device: arguments as the host sees them, results brought back.
class Exchange {
 public:
  explicit Exchange(std::string operation) : operation_(std::move(operation)) {}

  at::Tensor argument(const at::Tensor& tensor) {
    if (!tensor.defined() || !tensor.is_mtia()) {
      TORCH_CHECK(!tensor.defined() || tensor.dim() == 0, operation_, " mixes a tensor of the host with the device's");
      return tensor;
    }
    for (const auto& [host, device] : seen_)
      if (device.is_same(tensor)) return host;
    return seen_.emplace_back(seen_by_host(tensor), tensor).first;
  }
  at::Tensor result(const at::Tensor& tensor) const {
    if (!tensor.defined()) return tensor;
    for (const auto& [host, device] : seen_)
      if (host.is_same(tensor)) return device;
    return brought_here(tensor);
  }

  // Arguments that the operation gave another size have it on the device too.
  void resize_arguments() const {
    for (const auto& [host, device] : seen_) {
      if (host.sizes() == device.sizes()) continue;
      const at::Tensor here = brought_here(host);
      device.unsafeGetTensorImpl()->set_storage_keep_dtype(here.storage());
      device.unsafeGetTensorImpl()->set_sizes_and_strides(here.sizes(), here.strides(), 0);
    }
  }

 private:
  std::string operation_;
  std::vector<std::pair<at::Tensor, at::Tensor>> seen_;  // of host and device
};

template <typename Map>
void map_tensors(c10::IValue& value, const Map& map) {
  if (value.isTensor()) {
    value = map(value.toTensor());
  } else if (value.isTensorList()) {
    c10::List<at::Tensor> all;
    for (const at::Tensor& each : value.toTensorVector()) all.push_back(map(each));
    value = all;
  } else if (value.isOptionalTensorList()) {
    c10::List<std::optional<at::Tensor>> all;
    for (const std::optional<at::Tensor>& each : value.toOptionalTensorVector())
      all.push_back(each ? std::optional(map(*each)) : each);
    value = all;
  } else if (value.isDevice()) {
    value = c10::Device(c10::kCPU);
  }
}

bool decides_sizes(const std::string& operation) {
  constexpr std::array kSuch = {"aten::nonzero", "aten::masked_select", "aten::bincount", "aten::_unique2",
                                "aten::repeat_interleave"};
  return std::ranges::find(kSuch, operation) != kSuch.end();
}

void compute_on_cpu(const c10::OperatorHandle& operation, torch::jit::Stack* stack) {
  const std::string& name = operation.schema().name();
  if (decides_sizes(name)) note_sync(name);
  Exchange exchange(name);
  const auto last = [&](size_t count) { return std::span(*stack).last(count); };
  for (auto& value : last(operation.schema().arguments().size()))
    map_tensors(value, [&](const at::Tensor& tensor) { return exchange.argument(tensor); });
  operation.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
  exchange.resize_arguments();
  for (auto& value : last(operation.schema().returns().size()))
    map_tensors(value, [&](const at::Tensor& tensor) { return exchange.result(tensor); });
}

TORCH_LIBRARY_IMPL(_, MTIA, library) { library.fallback(torch::CppFunction::makeFromBoxedFunction<&compute_on_cpu>()); }

TORCH_LIBRARY_IMPL(aten, MTIA, library) {
  library.impl("empty.memory_format", empty_here);
  library.impl("empty_strided", empty_strided_here);
  library.impl("_copy_from", copy_here_or_back);
  library.impl("_local_scalar_dense", read_scalar);
  library.impl("as_strided", as_strided_here);
  library.impl("view", view_here);
  library.impl("_reshape_alias", reshape_alias_here);
}

}  // namespace

c10::Device mock_device() { return {kType, 0}; }
c10::Device test_device() { return mock_device(); }
int64_t host_syncs() { return syncs; }
HostSyncsForbidden::HostSyncsForbidden() { ++forbidden; }
HostSyncsForbidden::~HostSyncsForbidden() { --forbidden; }

}  // namespace acm
