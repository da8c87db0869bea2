#pragma once

#include <mpi.h>

#include <memory>
#include <string>

#include "comm/communicator.h"
#include "comm/mpi/communication_thread.h"

namespace acm::comm {

// Collective over `parent`. A group with the ranks of `parent` and messages of its own; its MPI calls run on `thread`,
// which must outlive it, under this name. MPI_Finalize frees what it holds.
std::unique_ptr<Communicator> make_mpi_communicator(MPI_Comm parent, CommunicationThread& thread, std::string name);

}  // namespace acm::comm
