# nvcc for the GPUs of compute capability 8.0 and 9.0; newer ones compile the PTX of the last when a program starts (not of
# acm/cuda/gated_products.cu and token_tiles.cu, which only 9.0 can run). CMake 3.25 does not know that nvcc has C++20, and is told.
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  find_program(CMAKE_CUDA_COMPILER nvcc HINTS /usr/local/cuda/bin)
  if(NOT CMAKE_CUDA_COMPILER)
    message(FATAL_ERROR "nvcc was not found in PATH nor in /usr/local/cuda/bin: install the CUDA 13 toolkit, or name its nvcc with -DCMAKE_CUDA_COMPILER=...; the preset release needs none")
  endif()
endif()
set(CMAKE_CUDA_ARCHITECTURES 80-real 90 CACHE STRING "GPUs to compile for")
set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)  # as LibTorch: two copies of the runtime would not know each other's streams
enable_language(CUDA)
set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
find_package(CUDAToolkit 13 REQUIRED)
# A runpath would serve only our own libraries, not what LibTorch's need of the toolkit.
add_link_options(-Wl,--disable-new-dtags)
