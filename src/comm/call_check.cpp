#include "comm/call_check.h"

#include <ATen/ops/zeros.h>
#include <c10/core/ScalarType.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <array>

#include "core/error.h"

namespace acm::comm {
namespace {

// The places of a fingerprint: an int64 tensor of fixed length, so that ranks that disagree can still exchange it.
enum Field { kCall, kGroup, kOperation, kDetail, kDtype, kDimensions, kSizes };
constexpr int64_t kMaxDimensions = 10;
constexpr int64_t kFields = kSizes + kMaxDimensions;

std::string name_of(ReduceOp op) {
  switch (op) {
    case ReduceOp::kSum:
      return "sum";
    case ReduceOp::kMin:
      return "minimum";
    case ReduceOp::kMax:
      return "maximum";
  }
  return "unknown";
}

std::string describe_operation(Operation operation, int64_t detail) {
  switch (operation) {
    case Operation::kAllReduce:
      return "all_reduce by " + name_of(static_cast<ReduceOp>(detail));
    case Operation::kBroadcast:
      return "broadcast from rank " + std::to_string(detail);
    case Operation::kAllGather:
      return "all_gather";
    case Operation::kAllToAll:
      return "all_to_all";
    case Operation::kSplit:
      return "split";
    case Operation::kBarrier:
      return "barrier";
  }
  return "unknown";
}

}  // namespace

CallCheck::CallCheck(Communicator& road, std::vector<std::string> group_names)
    : road_(road), group_names_(std::move(group_names)) {}

CallCheck::CallCheck(std::unique_ptr<Communicator> road, std::string group_name)
    : part_(std::move(road)), road_(*part_), group_names_{std::move(group_name)} {}

std::shared_ptr<CallCheck> CallCheck::split(int64_t group, int colour) {
  auto name = group_names_.at(group) + "/" + std::to_string(colour);
  return std::shared_ptr<CallCheck>(new CallCheck(road_.split(colour), std::move(name)));
}

void CallCheck::agree(int64_t group, Operation operation, int64_t detail, const at::Tensor& tensor) {
  const at::Tensor fingerprint = at::zeros({kFields}, at::kLong);
  auto* fields = fingerprint.mutable_data_ptr<int64_t>();
  fields[kCall] = calls_++;
  fields[kGroup] = group;
  fields[kOperation] = static_cast<int64_t>(operation);
  fields[kDetail] = detail;
  if (tensor.defined()) {
    TORCH_CHECK(tensor.dim() <= kMaxDimensions, "a checked collective takes at most ", kMaxDimensions, " dimensions");
    fields[kDtype] = static_cast<int64_t>(tensor.scalar_type());
    fields[kDimensions] = tensor.dim();
    std::ranges::copy(tensor.sizes(), fields + kSizes);
  }
  const at::Tensor gathered = road_.all_gather(fingerprint);
  const auto* first = gathered.const_data_ptr<int64_t>();
  for (int rank = 1; rank < road_.size(); ++rank) {
    const int64_t* other = first + rank * kFields;
    if (std::equal(first, first + kFields, other)) continue;
    Error error(Fault::kInternal, "ranks differ in their collectives: rank " + std::to_string(rank) + " called " +
                                      describe(other) + " where rank 0 called " + describe(first) +
                                      "; every rank must make the same calls in the same order");
    throw error.mark_shared();
  }
}

std::string CallCheck::describe(const int64_t* fingerprint) const {
  const auto operation = static_cast<Operation>(fingerprint[kOperation]);
  std::string out = describe_operation(operation, fingerprint[kDetail]);
  if (operation != Operation::kBarrier) {
    out += std::string(" of ") + c10::toString(static_cast<c10::ScalarType>(fingerprint[kDtype])) + " [";
    for (int64_t i = 0; i < fingerprint[kDimensions]; ++i) {
      out += (i == 0 ? "" : ", ") + std::to_string(fingerprint[kSizes + i]);
    }
    out += "]";
  }
  return out + " on " + group_names_.at(fingerprint[kGroup]) + " (call " + std::to_string(fingerprint[kCall]) + ")";
}

}  // namespace acm::comm
