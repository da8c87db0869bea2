#include "comm/current_error.h"

#include <c10/util/Exception.h>

#include <exception>
#include <new>
#include <string>

namespace acm::comm {
namespace {

Error lack_of_memory(const std::string& what) {
  return {Fault::kResource,
          "out of memory (" + what +
              "): give the job more, or lower the batch or micro-batch of the phase, or cache.micro_batch"};
}

Error bug(const std::string& what) { return {Fault::kInternal, "internal error, please report it: " + what}; }

// LibTorch's allocator for CPUs throws no type of its own.
bool is_lack_of_memory(const std::string& what) { return what.find("can't allocate memory") != std::string::npos; }

}  // namespace

Error current_error() {
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc& error) {
    return lack_of_memory(error.what());
  } catch (const c10::OutOfMemoryError& error) {
    return lack_of_memory(error.what_without_backtrace());
  } catch (const c10::Error& error) {  // its what() would carry a stack trace
    const std::string what = error.what_without_backtrace();
    return is_lack_of_memory(what) ? lack_of_memory(what) : bug(what);
  } catch (const std::exception& error) {
    return bug(error.what());
  }
}

}  // namespace acm::comm
