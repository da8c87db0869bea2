#pragma once

#include <c10/core/Device.h>

namespace acm::nn {

// The cudaStream_t on which LibTorch puts what this thread asks of the GPU.
void* stream_of(at::Device device);

// Throws where CUDA said something of a kernel; `what` completes "cannot ... on a GPU".
void check_launch(const char* failure, const char* what);

}  // namespace acm::nn
