#include <ATen/ops/zeros.h>

#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "comm/communicator.h"
#include "comm/world.h"

// Rank 0 leaves, in one of two ways, while the other ranks and its own communication thread stand in a collective that
// cannot end. The test wants the exit code 71 from the launcher, and soon.
int main(int argc, char** argv) {
  const bool unwind = argc > 1 && std::strcmp(argv[1], "unwind") == 0;
  try {
    acm::comm::World world(argc, argv);
    const acm::comm::Groups groups = world.connect(at::kCPU, false);
    groups.control.barrier();
    if (world.place().rank > 0) {
      groups.control.barrier();  // rank 0 never comes
      return 1;
    }
    const auto pending = groups.data.all_reduce(at::zeros({1000}), acm::comm::ReduceOp::kSum);
    if (!unwind) world.abort(71);
    throw std::runtime_error("the world is destroyed while this unwinds");
  } catch (const std::exception&) {
    std::_Exit(71);
  }
}
