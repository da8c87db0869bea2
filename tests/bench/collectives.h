#pragma once

#include "comm/communicator.h"

namespace acm::bench {

// Adds the sums over the ranks of `group`, which every rank runs in the same order. The group must outlive them.
void register_mpi_collectives(comm::Communicator& group);

}  // namespace acm::bench
