#include <gtest/gtest.h>

#include <cstdio>
#include <exception>
#include <string>

#include "comm/communicator.h"
#include "parallel/world.h"

namespace acm::parallel_test {
namespace {

struct Session {
  comm::World& world;
  comm::Groups groups;
};

// Set by main for the time in which tests run.
Session*& session() {
  static Session* current = nullptr;
  return current;
}

// Ranks other than 0 print nothing but their failures.
class FailurePrinter final : public testing::EmptyTestEventListener {
 public:
  explicit FailurePrinter(int rank) : rank_(rank) {}
  // Kept for OnTestPartResult: GoogleTest holds a lock there, under which it must not be asked for the current test.
  void OnTestStart(const testing::TestInfo& test) override {
    test_ = std::string(test.test_suite_name()) + "." + test.name();
  }
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed()) return;
    std::fprintf(stderr, "[rank %d] %s at %s:%d: %s\n", rank_, test_.c_str(),
                 result.file_name() ? result.file_name() : "?", result.line_number(), result.summary());
  }

 private:
  int rank_;
  std::string test_;
};

// All ranks end with the same code, the worst.
int run_tests(comm::World& world) {
  Session here{world, world.connect(at::kCPU, true)};
  session() = &here;
  if (const int rank = world.place().rank; rank > 0) {
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new FailurePrinter(rank));
  }
  const int64_t mine = RUN_ALL_TESTS();
  return static_cast<int>(comm::all_reduce_number(here.groups.control, mine, comm::ReduceOp::kMax));
}

}  // namespace

comm::World& world() { return session()->world; }
comm::Groups groups() { return session()->groups; }

}  // namespace acm::parallel_test

int main(int argc, char** argv) {
  acm::comm::World world(argc, argv);
  testing::InitGoogleTest(&argc, argv);
  try {
    return acm::parallel_test::run_tests(world);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "[rank %d] %s\n", world.place().rank, error.what());
    world.abort(1);
  }
}
