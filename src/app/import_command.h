#pragma once

#include "app/options.h"
#include "comm/communicator.h"

namespace acm::app {

// `acm_dist import`: one of our model files from weights of another library. Prints what was found. Rank 0 works.
int import_command(const Options& options, comm::Communicator& group);

}  // namespace acm::app
