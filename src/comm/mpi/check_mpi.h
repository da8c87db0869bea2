#pragma once

#include <source_location>

namespace acm::comm {

// The one place where an MPI return code becomes an Error(kResource). `call` is the name of the MPI function.
void check_mpi(int code, const char* call, std::source_location where = std::source_location::current());

}  // namespace acm::comm
