#include <ATen/ops/zeros.h>

#include <cstdlib>
#include <future>
#include <iostream>

#include "comm/beat.h"
#include "comm/world.h"

// late_program FOLDER: rank 1 lives on and beats, but after five steps comes to no further collective. The others must
// see that within their deadline of two seconds, name it, and end with 71.
int main(int argc, char** argv) {
  using namespace acm::comm;
  World world(argc, argv);
  const Groups groups = world.connect(false);
  const Beat::Calls calls{.on_stop = [] {},
                          .call = [&] { return world.current_call(); },
                          .on_lost = [](const std::string& why) {
                            std::cerr << why + "\n";
                            std::_Exit(71);
                          }};
  Beat beat(argv[1], world.place().rank, world.place().size, "run", calls, {.silent_seconds = 60, .late_seconds = 2});
  beat.update([](BeatState& state) { state.phase = "finetune"; });
  for (int step = 1;; ++step) {
    if (step > 5 && world.place().rank == 1) std::promise<void>().get_future().wait();
    groups.data.all_reduce(at::zeros({1000}), ReduceOp::kSum)->wait();
    beat.note_step(step);
  }
}
