#pragma once

#include <cstdint>

namespace acm::app {

// Starts the program again with OMP_WAIT_POLICY=passive where the policy is not set: OpenMP reads it before main, and
// threads that spin at its barriers make a run beside another process many times slower (measured: 3.5 against 28
// GFLOP/s). Returns where the environment is as it should be.
void ensure_passive_waiting(char** argv);

// The cores that this rank may use, shared among the ranks of its host; at least 1.
int share_of_cores(int local_ranks);

// Sets the threads of this rank: `wanted`, or (0) its share of the cores it may use. Returns the number.
int set_threads(int64_t wanted, int local_ranks);

}  // namespace acm::app
