// Options and suppressions of the sanitizers, linked into every unit test of the presets asan and tsan, so that they
// hold however a test is started. LibTorch, Open MPI and HDF5 come as they are and are not instrumented: only what they
// alone do is suppressed, and each line says why.

extern "C" {

// allocator_may_return_null: a request for more memory than there is fails as it does without sanitizers, which is
// under test.
const char* __asan_default_options() {
  return "detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1:allocator_may_return_null=1";
}

const char* __ubsan_default_options() { return "print_stacktrace=1"; }

const char* __lsan_default_suppressions() { return ""; }

const char* __tsan_default_options() { return "halt_on_error=1:second_deadlock_stack=1:allocator_may_return_null=1"; }

// Threads of LibTorch's OpenMP teams wait for each other in libgomp, where the sanitizer does not see it, and so what
// LibTorch copies and clears in them looks unordered. Locks and threads that LibTorch itself uses are still followed.
// at::autocast::clear_cache jumps to the unlocking of its lock as the last thing that it does, which then seems to be
// done by its caller.
const char* __tsan_default_suppressions() {
  return "called_from_lib:libtorch_cpu.so\nmutex:acm::nn::Autocast::~Autocast";
}

}  // extern "C"
