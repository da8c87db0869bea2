#include "comm/world.h"

#include <mpi.h>

#include <cstdlib>
#include <exception>
#include <vector>

#include "comm/call_check.h"
#include "comm/mpi/check_mpi.h"
#include "comm/mpi/communication_thread.h"
#include "comm/mpi/mpi_communicator.h"
#include "comm/nccl/nccl.h"
#include "comm/nccl/nccl_library.h"
#include "core/error.h"
#include "core/file.h"

namespace acm::comm {
namespace {

// Open MPI picks the all-reduce algorithm, and with it the order of a sum, from a table of its own that differs between
// versions and sites. Naming the algorithm keeps sums equal for equal rank counts: 6 is Rabenseifner's, in 4.1.4 as
// fast as the table's choice for 8 bytes and for pieces of 1 MiB. What the user's environment says comes first; other
// MPI libraries ignore this.
void fix_summation_order() {
  setenv("OMPI_MCA_coll_tuned_use_dynamic_rules", "1", 0);
  setenv("OMPI_MCA_coll_tuned_allreduce_algorithm", "6", 0);
}

// Starts MPI and returns the thread level it granted. MPI_THREAD_MULTIPLE is asked for so that abort() may be called
// while the communication thread is inside a collective; for everything else SERIALIZED is enough.
int start_mpi(int& argc, char**& argv) {
  fix_summation_order();
  int level = MPI_THREAD_SINGLE;
  check_mpi(MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level), "MPI_Init_thread");
  if (level < MPI_THREAD_SERIALIZED) {
    MPI_Finalize();
    throw Error(Fault::kResource, "cannot communicate from a thread of its own: " + World::library_version() +
                                      " grants thread level " + std::to_string(level) +
                                      " where MPI_THREAD_SERIALIZED (" + std::to_string(MPI_THREAD_SERIALIZED) +
                                      ") is needed; use an MPI library that was built with thread support");
  }
  check_mpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  return level;
}

Place find_place() {
  Place place;
  place.host = host_name();
  check_mpi(MPI_Comm_rank(MPI_COMM_WORLD, &place.rank), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(MPI_COMM_WORLD, &place.size), "MPI_Comm_size");
  MPI_Comm on_host = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, place.rank, MPI_INFO_NULL, &on_host),
            "MPI_Comm_split_type");
  check_mpi(MPI_Comm_rank(on_host, &place.local_rank), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(on_host, &place.local_size), "MPI_Comm_size");
  check_mpi(MPI_Comm_free(&on_host), "MPI_Comm_free");
  return place;
}

}  // namespace

struct World::Impl {
  Impl(int& argc, char**& argv) : thread_level(start_mpi(argc, argv)), place(find_place()) {}

  // Collective.
  Nccl& open_nccl_on(c10::Device device, Communicator& control) {
    together(control, [&] {
      if (nccl) return;
      make_device_stream(device);  // what is wrong with the device is said before what is wrong with NCCL
      nccl = std::make_unique<Nccl>(open_nccl());
    });
    return *nccl;
  }
  Communicator& keep(std::unique_ptr<Communicator> group) { return *groups.emplace_back(std::move(group)); }

  const int exceptions_at_start = std::uncaught_exceptions();
  const int thread_level;
  const Place place;
  CommunicationThread thread;
  std::unique_ptr<Nccl> nccl;  // from the first connect() to a CUDA device on
  std::vector<std::unique_ptr<Communicator>> groups;
};

World::World(int& argc, char**& argv) : impl_(std::make_unique<Impl>(argc, argv)) {}

World::~World() {
  // Another rank may never come to the collectives that are left, nor to MPI_Finalize: a failing rank leaves without
  // them, and the launcher, seeing that, ends the others.
  if (std::uncaught_exceptions() > impl_->exceptions_at_start) return;
  if (impl_->nccl) impl_->groups.front()->barrier();  // after it nobody needs this rank's end of a collective
  impl_->thread.finish();
  MPI_Finalize();
}

const Place& World::place() const { return impl_->place; }

Groups World::connect(c10::Device device, bool checked) {
  Communicator& control = impl_->keep(make_mpi_communicator(MPI_COMM_WORLD, impl_->thread, "control"));
  Communicator& data =
      impl_->keep(device.is_cpu() ? make_mpi_communicator(MPI_COMM_WORLD, impl_->thread, "data")
                                  : impl_->open_nccl_on(device, control).connect(control, device, "data"));
  if (!checked) return {data, control};
  const auto check = std::make_shared<CallCheck>(control, std::vector<std::string>{"data", "control"});
  return {impl_->keep(make_checked_communicator(data, check, 0)),
          impl_->keep(make_checked_communicator(control, check, 1))};
}

Call World::current_call() const {
  const Call of_mpi = impl_->thread.current();
  return impl_->nccl ? impl_->nccl->current_call(of_mpi) : of_mpi;
}

void World::abort_collectives() noexcept {
  if (impl_->nccl) impl_->nccl->abort();
}

void World::abort(int code) noexcept {
  abort_collectives();
  // Below MULTIPLE the communication thread may be inside MPI, where this thread must not follow. A launcher ends the
  // other ranks for a non-zero exit code too, only some tenths of a second later.
  if (impl_->thread_level == MPI_THREAD_MULTIPLE) MPI_Abort(MPI_COMM_WORLD, code);
  std::_Exit(code);
}

std::string World::library_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  MPI_Get_library_version(text, &length);
  std::string version(text, length);
  version = version.substr(0, version.find_first_of(",\n"));  // "Open MPI v4.1.4, package: ..."
  if (const size_t v = version.find(" v"); v != std::string::npos) version.erase(v + 1, 1);
  return version;
}

}  // namespace acm::comm
