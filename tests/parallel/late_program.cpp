#include <ATen/ops/zeros.h>

#include <cstdlib>
#include <future>
#include <iostream>

#include "comm/beat.h"
#include "comm/nccl/nccl.h"
#include "comm/nccl/nccl_library.h"
#include "comm/world.h"
#include "core/error.h"

// late_program FOLDER WAY [LIBRARY]: steps of one collective each, over MPI or, from this library, over NCCL, until a
// watchdog with a deadline of two seconds gives up and ends the rank with 71. After five steps
//   late: rank 1 lives on and beats, but comes to no further collective
//   idle: ranks go into the sixth and do not wait for it, as a host does not whose device is at work
//   wait: nothing happens that the library does not do
namespace {

using namespace acm::comm;

[[noreturn]] void stand_still() {
  std::promise<void>().get_future().wait();
  std::abort();
}

struct Roads {
  explicit Roads(World& world, const char* library) : world(world), groups(world.connect(at::kCPU, false)) {
    if (!library) return;
    nccl = std::make_unique<Nccl>(open_nccl(library));
    over_nccl = nccl->connect(groups.control, at::kCPU, "data");
  }
  Communicator& data() { return nccl ? *over_nccl : groups.data; }
  Call current_call() const { return nccl ? nccl->current_call(world.current_call()) : world.current_call(); }
  [[noreturn]] void give_up(const std::string& why) {
    std::cerr << "rank " + std::to_string(world.place().rank) + ": " + why + "\n";
    if (nccl) nccl->abort();
    std::_Exit(71);
  }

  World& world;
  const Groups groups;
  std::unique_ptr<Nccl> nccl;
  std::unique_ptr<Communicator> over_nccl;
};

void take_steps(Roads& roads, Beat& beat, const std::string& way) {
  for (int step = 1;; ++step) {
    if (step > 5 && way == "late" && roads.world.place().rank == 1) stand_still();
    const auto work = roads.data().all_reduce(at::zeros({1000}), ReduceOp::kSum);
    if (step > 5 && way == "idle") stand_still();
    work->wait();
    beat.note_step(step);
  }
}

}  // namespace

int main(int argc, char** argv) {
  World world(argc, argv);
  Roads roads(world, argc > 3 ? argv[3] : nullptr);
  const Beat::Calls calls{.on_stop = [] {},
                          .call = [&] { return roads.current_call(); },
                          .on_lost = [&](const std::string& why) { roads.give_up(why); }};
  Beat beat(argv[1], world.place().rank, world.place().size, "run", calls, {.silent_seconds = 60, .late_seconds = 2});
  beat.update([](BeatState& state) { state.phase = "finetune"; });
  try {
    take_steps(roads, beat, argv[2]);
  } catch (const acm::Error& error) {
    roads.give_up(error.what());
  }
}
