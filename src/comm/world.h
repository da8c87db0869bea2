#pragma once

#include <c10/core/Device.h>

#include <memory>
#include <string>

#include "comm/call.h"
#include "comm/communicator.h"

namespace acm::comm {

// Where a rank runs: `local` among the ranks of its host.
struct Place {
  int rank = 0, size = 1, local_rank = 0, local_size = 1;
  std::string host;
};

// The two roads of a group of ranks. `data` carries gradients, on the device that trains; `control` carries host-side
// decisions (stop flags, metrics, checkpoints) and never waits for a device. `control` is MPI; `data` is MPI on the
// CPU and NCCL on a CUDA device.
struct Groups {
  Communicator& data;
  Communicator& control;
};

// MPI's life: initialised by the constructor (MPI_THREAD_SERIALIZED at least) and finalised by the destructor unless
// abort() was called or an exception is unwinding. Owned by main; everything that communicates borrows from it. Without
// mpirun it is a world of one. All MPI calls of a rank after the constructor run on one communication thread in program
// order.
class World {
 public:
  World(int& argc, char**& argv);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  const Place& place() const;
  // Collective. The groups of all ranks; `checked` wraps both in the checked communicator. Valid as long as the World.
  // `device`: where this rank's tensors of `data` live. On a CUDA device NCCL carries them, or an Error says why it
  // cannot: kResource where NCCL, the device or a rank is missing, kUsage where the program was built without CUDA.
  Groups connect(c10::Device device, bool checked);
  // The collective that this rank is in, or was in last, and whether it has failed; from any thread.
  Call current_call() const;
  // For the end of a run that cannot go on: ends what is in flight on the device, from any thread, without MPI and
  // without waiting longer than two seconds. A thread that makes another collective of `data` on a device stands still.
  void abort_collectives() noexcept;
  // Ends all ranks with this exit code, from any thread, after abort_collectives(), without waiting for anyone.
  [[noreturn]] void abort(int code) noexcept;
  // "Open MPI 4.1.4"
  static std::string library_version();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace acm::comm
