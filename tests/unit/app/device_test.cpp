#include "app/device.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <gtest/gtest.h>

namespace acm::app {
namespace {

comm::Place third_of_four() { return {.rank = 2, .size = 4, .local_rank = 2, .local_size = 4, .host = "here"}; }

TEST(ChooseDevice, IsWhatWasAskedFor) {
  const auto solo = comm::make_solo_communicator();
  EXPECT_TRUE(choose_device("cpu", third_of_four(), *solo).is_cpu());
  const auto gpu = choose_device("cuda", third_of_four(), *solo);
  EXPECT_TRUE(gpu.is_cuda());
  EXPECT_EQ(gpu.index(), at::detail::getCUDAHooks().getNumGPUs() == 1 ? 0 : 2);
}

TEST(ChooseDevice, AutoIsAGpuWhereThereIsOne) {
  const auto solo = comm::make_solo_communicator();
  const bool has_gpu = at::detail::getCUDAHooks().getNumGPUs() > 0;
  EXPECT_EQ(choose_device("auto", third_of_four(), *solo).is_cuda(), has_gpu);
}

TEST(SetTf32, TellsLibTorch) {
  for (const bool on : {true, false}) {
    set_tf32(on);
    EXPECT_EQ(at::globalContext().allowTF32CuBLAS(), on);
  }
}

TEST(DeviceText, IsForReaders) {
  EXPECT_EQ(device_text(at::kCPU), "CPU");
  EXPECT_EQ(device_text(at::Device(at::kCUDA, 3)), "cuda:3");
}

}  // namespace
}  // namespace acm::app
