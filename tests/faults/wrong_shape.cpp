#include <ATen/ops/zeros.h>

#include <exception>
#include <iostream>

#include "comm/communicator.h"
#include "comm/world.h"
#include "core/error.h"

// Rank 1 reduces a tensor of another shape than the others, in checked groups. Each rank must hear of it; the program
// ends as acm_dist does.
int main(int argc, char** argv) {
  acm::comm::World world(argc, argv);
  try {
    const acm::comm::Groups groups = world.connect(at::kCPU, true);
    groups.data.all_reduce(at::zeros({world.place().rank == 1 ? 7 : 8}), acm::comm::ReduceOp::kSum)->wait();
    return 0;
  } catch (const acm::Error& error) {
    if (world.place().rank == 0) std::cerr << error.what() << "\n";
    return static_cast<int>(error.fault());
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
