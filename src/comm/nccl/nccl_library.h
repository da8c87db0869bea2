#pragma once

#include <string>

#include "comm/nccl/nccl_abi.h"

namespace acm::comm {

// Opens NCCL at run time, so that one program runs with and without it. `file`: a name that the system's loader finds,
// or a path. Error(kResource) where the library or one of the functions is missing, or where it is too old. The library
// stays loaded for good: NCCL has threads of its own.
nccl::Functions open_nccl(const std::string& file = "libnccl.so.2");

// "unhandled system error (what NCCL says of its last error)"
std::string nccl_text(const nccl::Functions& functions, nccl::Result code, nccl::Comm* comm);

}  // namespace acm::comm
