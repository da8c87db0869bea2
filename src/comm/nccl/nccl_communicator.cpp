#include "comm/nccl/nccl_communicator.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include <cstring>
#include <thread>
#include <utility>

#include "comm/carried.h"
#include "comm/nccl/nccl_library.h"
#include "core/error.h"

namespace acm::comm {
namespace {

nccl::DataType datatype_of(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return nccl::DataType::kFloat32;
    case at::kDouble:
      return nccl::DataType::kFloat64;
    case at::kLong:
      return nccl::DataType::kInt64;
    case at::kInt:
      return nccl::DataType::kInt32;
    case at::kByte:
      return nccl::DataType::kUint8;
    default:
      TORCH_CHECK(false, "no NCCL type for ", tensor.scalar_type());
  }
}

nccl::RedOp op_of(ReduceOp op) {
  switch (op) {
    case ReduceOp::kSum:
      return nccl::RedOp::kSum;
    case ReduceOp::kMin:
      return nccl::RedOp::kMin;
    case ReduceOp::kMax:
      return nccl::RedOp::kMax;
  }
  TORCH_CHECK(false, "no such reduction: ", static_cast<int>(op));
}

class NcclWork final : public Work {
 public:
  NcclWork(std::shared_ptr<NcclLink> link, std::shared_ptr<Flight> flight)
      : link_(std::move(link)), flight_(std::move(flight)) {}

  void wait() override {
    link_->check(flight_->call);
    flight_->end->hold_compute();
  }
  void wait_on_host() {
    do {
      std::this_thread::yield();
      link_->check(flight_->call);
    } while (!flight_->end->is_over());
  }

 private:
  std::shared_ptr<NcclLink> link_;
  std::shared_ptr<Flight> flight_;
};

class NcclCommunicator final : public Communicator {
 public:
  // `part`: empty, or the part of `control` that this group is made over and owns.
  NcclCommunicator(NcclCommon& common, Communicator& control, std::unique_ptr<Communicator> part, c10::Device device,
                   std::string name)
      : common_(common), part_(std::move(part)), control_(control), device_(device), name_(std::move(name)) {
    together(control_, [&] { stream_ = common_.make_stream(device_); });
    const nccl::UniqueId id = agree_on_id();
    together(control_, [&] {
      link_ = std::make_shared<NcclLink>(common_.functions, name_, rank(), size(), id, common_.join_seconds);
    });
    common_.add(link_);
  }

  int rank() const override { return control_.rank(); }
  int size() const override { return control_.size(); }

  std::unique_ptr<Work> all_reduce(at::Tensor tensor, ReduceOp op) override {
    check_carried(tensor, device_);
    return launch_reduction("all_reduce", tensor, op);
  }

  void broadcast(at::Tensor tensor, int root) override {
    check_carried(tensor, device_);
    TORCH_CHECK(root >= 0 && root < size(), "broadcast from rank ", root, " in a group of ", size());
    launch("broadcast", {tensor}, [&](nccl::Comm* comm, void* stream) {
      void* data = tensor.mutable_data_ptr();
      return common_.functions.broadcast(data, data, tensor.numel(), datatype_of(tensor), root, comm, stream);
    })->wait();
  }

  at::Tensor all_gather(const at::Tensor& tensor) override {
    check_carried(tensor, device_);
    std::vector<int64_t> shape = tensor.sizes().vec();
    shape.insert(shape.begin(), size());
    const at::Tensor all = at::empty(shape, tensor.options().requires_grad(false));
    launch("all_gather", {tensor, all}, [&](nccl::Comm* comm, void* stream) {
      return common_.functions.all_gather(tensor.const_data_ptr(), all.mutable_data_ptr(), tensor.numel(),
                                          datatype_of(tensor), comm, stream);
    })->wait();
    return all;
  }

  void barrier() override {
    const at::Tensor nothing = at::zeros({1}, at::TensorOptions().dtype(at::kByte).device(device_));
    launch_reduction("barrier", nothing, ReduceOp::kMax)->wait_on_host();
  }

  std::unique_ptr<Communicator> split(int colour) override {
    auto part = control_.split(colour);
    Communicator& control = *part;
    return std::make_unique<NcclCommunicator>(common_, control, std::move(part), device_,
                                              name_ + "/" + std::to_string(colour));
  }

 private:
  // Collective: the id of a new group, which the root makes.
  nccl::UniqueId agree_on_id() {
    nccl::UniqueId id{};
    together(control_, [&] {
      if (!is_root()) return;
      if (const auto code = common_.functions.get_unique_id(&id); code != nccl::Result::kSuccess)
        throw Error(Fault::kResource, "cannot make NCCL's group " + name_ + ": it reports '" +
                                          nccl_text(common_.functions, code, nullptr) +
                                          "' (with NCCL_DEBUG=INFO it tells more)");
    });
    const std::string bytes = broadcast_string(control_, std::string(id.bytes, sizeof id.bytes));
    std::memcpy(id.bytes, bytes.data(), sizeof id.bytes);
    return id;
  }

  std::unique_ptr<NcclWork> launch_reduction(const char* operation, const at::Tensor& tensor, ReduceOp op) {
    return launch(operation, {tensor}, [&](nccl::Comm* comm, void* stream) {
      void* data = tensor.mutable_data_ptr();
      return common_.functions.all_reduce(data, data, tensor.numel(), datatype_of(tensor), op_of(op), comm, stream);
    });
  }

  // `start` puts an operation on `tensors` on the stream.
  std::unique_ptr<NcclWork> launch(const char* operation, std::vector<at::Tensor> tensors,
                                   const std::function<nccl::Result(nccl::Comm*, void* stream)>& start) {
    const auto flight =
        common_.calls.begin({.group = name_, .operation = operation, .number = ++calls_}, std::move(tensors));
    stream_->follow_compute();
    link_->launch(flight->call, [&](nccl::Comm* comm) { return start(comm, stream_->handle()); });
    common_.calls.launched(*flight, stream_->mark());
    return std::make_unique<NcclWork>(link_, flight);
  }

  NcclCommon& common_;
  const std::unique_ptr<Communicator> part_;
  Communicator& control_;
  const c10::Device device_;
  const std::string name_;
  std::unique_ptr<DeviceStream> stream_;
  std::shared_ptr<NcclLink> link_;
  int64_t calls_ = 0;
};

}  // namespace

std::unique_ptr<Communicator> make_nccl_communicator(NcclCommon& common, Communicator& control, c10::Device device,
                                                     std::string name) {
  return std::make_unique<NcclCommunicator>(common, control, nullptr, device, std::move(name));
}

}  // namespace acm::comm
