#include "comm/mpi/communication_thread.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace acm::comm {
namespace {

TEST(CommunicationThread, RunsInTheOrderOfPosting) {
  CommunicationThread thread;
  std::vector<int> order;
  for (int i = 0; i < 100; ++i) static_cast<void>(thread.post({}, [&order, i] { order.push_back(i); }));
  thread.finish();  // also runs what is still queued
  ASSERT_EQ(order.size(), 100);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[i], i);
}

TEST(CommunicationThread, AnErrorReachesItsOwnFutureOnly) {
  CommunicationThread thread;
  const auto failed = thread.post({}, [] { throw std::runtime_error("lost"); });
  const auto passed = thread.post({}, [] {});
  EXPECT_THROW(failed.get(), std::runtime_error);
  EXPECT_THROW(failed.get(), std::runtime_error);
  EXPECT_NO_THROW(passed.get());
  thread.finish();
}

TEST(CommunicationThread, IsLeftBehindWithoutWaiting) {
  const auto forever = std::make_shared<std::promise<void>>();
  std::shared_future<void> never_run;
  {
    CommunicationThread thread;
    std::promise<void> started;
    static_cast<void>(thread.post({}, [&started, blocked = forever->get_future().share()] {
      started.set_value();
      blocked.wait();
    }));
    never_run = thread.post({}, [] {});
    started.get_future().wait();
  }  // would hang here if it waited
  EXPECT_THROW(never_run.get(), std::future_error);
  forever->set_value();
}

TEST(CommunicationThread, TellsWhatItIsIn) {
  CommunicationThread thread;
  EXPECT_EQ(thread.current().number, 0);
  std::promise<void> began, go_on;
  const auto done = thread.post({.group = "data", .operation = "all_reduce", .number = 7}, [&] {
    began.set_value();
    go_on.get_future().wait();
  });
  began.get_future().wait();
  const Call inside = thread.current();
  EXPECT_EQ(inside.group, "data");
  EXPECT_EQ(inside.operation, "all_reduce");
  EXPECT_EQ(inside.number, 7);
  EXPECT_FALSE(inside.is_over);
  go_on.set_value();
  thread.post({.group = "data", .operation = "barrier", .number = 8}, [] {}).get();
  thread.finish();
  EXPECT_EQ(thread.current().number, 8);
  EXPECT_TRUE(thread.current().is_over);
}

}  // namespace
}  // namespace acm::comm
