#pragma once

#include "core/error.h"

namespace acm::comm {

// For a catch block: what is being handled, as the Error that a person is shown. An Error stays itself; a lack of
// memory is kResource; anything else is a bug of ours, kInternal.
Error current_error();

}  // namespace acm::comm
