#include "comm/carried.h"

#include <c10/core/ScalarType.h>
#include <c10/util/Exception.h>

namespace acm::comm {
namespace {

class DoneWork final : public Work {
 public:
  void wait() override {}
};

bool has_carried_dtype(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
    case at::kDouble:
    case at::kLong:
    case at::kInt:
    case at::kByte:
      return true;
    default:
      return false;
  }
}

}  // namespace

void check_carried(const at::Tensor& tensor, at::Device device) {
  TORCH_CHECK(tensor.defined(), "a collective was called with an undefined tensor");
  TORCH_CHECK(tensor.device() == device, "a collective needs a tensor on ", device, ", got one on ", tensor.device());
  TORCH_CHECK(tensor.is_contiguous(), "a collective needs a contiguous tensor, got ", tensor.sizes(), " with strides ",
              tensor.strides());
  TORCH_CHECK(has_carried_dtype(tensor), "collectives carry float32, float64, int64, int32 and uint8, not ",
              tensor.scalar_type());
}

std::unique_ptr<Work> make_done_work() { return std::make_unique<DoneWork>(); }

}  // namespace acm::comm
