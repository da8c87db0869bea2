#include "train/not_finite.h"

#include <cmath>

namespace acm::train {
namespace {

bool is_finite(const at::Tensor& tensor) { return tensor.isfinite().all().item<bool>(); }

// What is not finite on this rank; empty where everything is.
std::string find(const Optimizer& optimizer, double loss) {
  if (!std::isfinite(loss)) return "the loss";
  for (const NamedParameter& parameter : optimizer.named_parameters())
    if (parameter.tensor.grad().defined() && !is_finite(parameter.tensor.grad()))
      return "the gradient of " + parameter.name;
  return {};
}

}  // namespace

std::string place_of_not_finite(comm::Communicator& group, const Optimizer& optimizer,
                                const std::function<double()>& compute) {
  for (const NamedParameter& parameter : optimizer.named_parameters())
    if (!is_finite(parameter.tensor.detach())) return parameter.name + " on every rank";
  const auto found = comm::all_gather_strings(group, find(optimizer, compute()));
  for (size_t rank = 0; rank < found.size(); ++rank)
    if (!found[rank].empty()) return found[rank] + " on rank " + std::to_string(rank);
  return "the sum of the gradients over the ranks";
}

}  // namespace acm::train
