#pragma once

#include <string>

#include "core/json.h"

namespace acm::io {

// The members in which two keys differ, as "data.mean was 0.5 and is 0.4, seed was 1 and is 2"; empty where they are
// equal. Long values and long lists are cut.
std::string key_difference(const Json& was, const Json& is);

}  // namespace acm::io
