#include <string>

#include "core/error.h"
#include "nn/cuda/stream.h"

namespace acm::nn {

void check_launch(const char* failure, const char* what) {
  if (failure) throw Error(Fault::kResource, std::string("cannot ") + what + " on a GPU: CUDA says '" + failure + "'");
}

}  // namespace acm::nn
