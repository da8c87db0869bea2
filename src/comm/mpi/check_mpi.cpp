#include "comm/mpi/check_mpi.h"

#include <mpi.h>

#include <string>

#include "core/error.h"

namespace acm::comm {

void check_mpi(int code, const char* call, std::source_location where) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw Error(Fault::kResource,
              std::string(call) + " failed: " + std::string(text, length) +
                  "; the other ranks' logs may say more, and starting again resumes the run",
              where);
}

}  // namespace acm::comm
