#pragma once

#include "comm/world.h"

namespace acm::parallel_test {

// The MPI world of the test program, and its groups with every collective checked. Every rank runs every test, in the
// same order.
comm::World& world();
comm::Groups groups();

}  // namespace acm::parallel_test
