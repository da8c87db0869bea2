#pragma once

#include <string>

namespace acm::app {

// "0.1.0 (revision 1a2b3c4)": the release and the commit that the build folder was configured at.
std::string version();

}  // namespace acm::app
