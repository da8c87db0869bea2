// A library that stands in for libnccl.so.2 where there is no GPU: the functions that we call, over MPI, on tensors of
// the host. Like NCCL with blocking = 0, a collective is begun by its call and ends behind the caller's back;
// ncclCommGetAsyncError drives it. By environment:
//   MOCK_NCCL_FAIL_AT=n     from the n-th collective of a communicator on, NCCL reports a remote error
//   MOCK_NCCL_HANG_AT=n     the n-th collective never ends
//   MOCK_NCCL_HANG_JOIN=1   no communicator is ever complete
//   MOCK_NCCL_VERSION=v     what ncclGetVersion says
// A communicator that is aborted with a collective in flight, or after a failure, says so on standard error.
#include <mpi.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "comm/nccl/nccl_abi.h"

using acm::comm::nccl::DataType;
using acm::comm::nccl::RedOp;
using acm::comm::nccl::Result;

namespace acm::comm::nccl {

struct Comm {
  MPI_Comm mpi = MPI_COMM_NULL;
  int rank = 0;
  MPI_Request request = MPI_REQUEST_NULL;
  Result state = Result::kSuccess;
  int calls = 0;
};

}  // namespace acm::comm::nccl

using acm::comm::nccl::Comm;
using acm::comm::nccl::Config;
using acm::comm::nccl::UniqueId;

namespace {

int from_environment(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text ? std::atoi(text) : otherwise;
}

MPI_Datatype mpi_type(DataType type) {
  switch (type) {
    case DataType::kUint8:
      return MPI_UINT8_T;
    case DataType::kInt32:
      return MPI_INT32_T;
    case DataType::kInt64:
      return MPI_INT64_T;
    case DataType::kFloat32:
      return MPI_FLOAT;
    case DataType::kFloat64:
      return MPI_DOUBLE;
  }
  return MPI_DATATYPE_NULL;
}

MPI_Op mpi_op(RedOp op) { return op == RedOp::kSum ? MPI_SUM : op == RedOp::kMax ? MPI_MAX : MPI_MIN; }

// The ranks of the communicator with this id, as a group of MPI's: each tells the root, whose rank in the world is part
// of the id, and is told of all.
MPI_Comm make_group(int size, const UniqueId& id, int rank) {
  int root = 0, tag = 0, world_rank = 0;
  std::memcpy(&root, id.bytes, sizeof root);
  std::memcpy(&tag, id.bytes + sizeof root, sizeof tag);
  MPI_Comm_rank(MPI_COMM_WORLD, &world_rank);
  std::vector<int> members(size);
  members[rank] = world_rank;
  if (rank == 0) {
    for (int other = 1; other < size; ++other) {
      int pair[2];
      MPI_Recv(pair, 2, MPI_INT, MPI_ANY_SOURCE, tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      members[pair[0]] = pair[1];
    }
    for (int other = 1; other < size; ++other)
      MPI_Send(members.data(), size, MPI_INT, members[other], tag, MPI_COMM_WORLD);
  } else {
    const int pair[2] = {rank, world_rank};
    MPI_Send(pair, 2, MPI_INT, root, tag, MPI_COMM_WORLD);
    MPI_Recv(members.data(), size, MPI_INT, root, tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  }
  MPI_Group world, group;
  MPI_Comm_group(MPI_COMM_WORLD, &world);
  MPI_Group_incl(world, size, members.data(), &group);
  MPI_Comm made;
  MPI_Comm_create_group(MPI_COMM_WORLD, group, tag, &made);
  MPI_Group_free(&group);
  MPI_Group_free(&world);
  return made;
}

// `start` begins the collective on comm->request.
template <typename Start>
Result begin(Comm* comm, Start start) {
  if (comm->state != Result::kSuccess) return Result::kInvalidUsage;  // NCCL takes one call after the other
  ++comm->calls;
  if (comm->calls == from_environment("MOCK_NCCL_FAIL_AT", 0)) {
    comm->state = Result::kRemoteError;
    return Result::kSuccess;
  }
  if (comm->calls != from_environment("MOCK_NCCL_HANG_AT", 0)) start();
  return comm->state = Result::kInProgress;
}

}  // namespace

extern "C" {

Result ncclGetVersion(int* version) {
  *version = from_environment("MOCK_NCCL_VERSION", 22809);
  return Result::kSuccess;
}

Result ncclGetUniqueId(UniqueId* id) {
  static int ids = 0;
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  const int tag = 1000 + ids++;
  std::memcpy(id->bytes, &rank, sizeof rank);
  std::memcpy(id->bytes + sizeof rank, &tag, sizeof tag);
  return Result::kSuccess;
}

Result ncclCommInitRankConfig(Comm** comm, int size, UniqueId id, int rank, Config* config) {
  if (config->magic != 0xcafebeef || config->size != sizeof(Config) || config->blocking != 0)
    return Result::kInvalidArgument;
  *comm = new Comm;
  (*comm)->rank = rank;
  if (from_environment("MOCK_NCCL_HANG_JOIN", 0) == 1) return (*comm)->state = Result::kInProgress;
  (*comm)->mpi = make_group(size, id, rank);
  MPI_Ibarrier((*comm)->mpi, &(*comm)->request);
  return (*comm)->state = Result::kInProgress;
}

Result ncclCommGetAsyncError(Comm* comm, Result* state) {
  if (comm->request != MPI_REQUEST_NULL) {
    int over = 0;
    MPI_Test(&comm->request, &over, MPI_STATUS_IGNORE);
    if (over) comm->state = Result::kSuccess;
  }
  *state = comm->state;
  return Result::kSuccess;
}

Result ncclCommAbort(Comm* comm) {
  if (comm->state != Result::kSuccess)
    std::fprintf(stderr, "mock NCCL: rank %d aborts what is in flight\n", comm->rank);
  delete comm;
  return Result::kSuccess;
}

const char* ncclGetErrorString(Result code) {
  return code == Result::kRemoteError    ? "remote process exited or there was a network error"
         : code == Result::kInvalidUsage ? "invalid usage"
                                         : "another error";
}

const char* ncclGetLastError(Comm*) { return ""; }

Result ncclAllReduce(const void* from, void* to, size_t count, DataType type, RedOp op, Comm* comm, void*) {
  return begin(comm, [&] {
    MPI_Iallreduce(from == to ? MPI_IN_PLACE : from, to, static_cast<int>(count), mpi_type(type), mpi_op(op), comm->mpi,
                   &comm->request);
  });
}

Result ncclBroadcast(const void*, void* to, size_t count, DataType type, int root, Comm* comm, void*) {
  return begin(comm, [&] { MPI_Ibcast(to, static_cast<int>(count), mpi_type(type), root, comm->mpi, &comm->request); });
}

Result ncclAllGather(const void* from, void* to, size_t count, DataType type, Comm* comm, void*) {
  return begin(comm, [&] {
    const int elements = static_cast<int>(count);
    MPI_Iallgather(from, elements, mpi_type(type), to, elements, mpi_type(type), comm->mpi, &comm->request);
  });
}

}  // extern "C"
