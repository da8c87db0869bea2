#pragma once

namespace acm::app {

// `acm_dist selftest [--dir FOLDER] [--launcher "mpirun -n 2"] [--keep]`: rehearses, on the user's own file system and
// with the user's own launcher, what may happen to a run: a miniature of all phases is killed, stopped, damaged, hung
// and started twice, and a table says what held. It starts runs and takes part in none, so it must not have called MPI:
// main asks before it makes a World.
bool is_selftest(int argc, char** argv);
// 0 where everything held; 71 where something did not.
int selftest_command(int argc, char** argv);

}  // namespace acm::app
