#pragma once

#include "app/options.h"
#include "comm/communicator.h"

namespace acm::app {

// `acm_dist export`: a folder that another library, or a few lines of Python, can load. Rank 0 works.
int export_command(const Options& options, comm::Communicator& group);

}  // namespace acm::app
