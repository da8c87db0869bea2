#include "comm/beat.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>

#include "core/error.h"

namespace acm::comm {
namespace {

constexpr auto kPatience = std::chrono::seconds(30);

// The moment at which a beat's on_stop is called; a second call would end the test program, because a promise is kept
// only once.
class StopCalled {
 public:
  std::function<void()> callback() {
    return [this] { promise_.set_value(); };
  }
  bool wait() { return future_.wait_for(kPatience) == std::future_status::ready; }
  bool is_set() { return future_.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }

 private:
  std::promise<void> promise_;
  std::future<void> future_ = promise_.get_future();
};

class BeatTest : public testing::Test {
 protected:
  BeatTest() : folder_(std::filesystem::temp_directory_path() / ("acm_beat_test." + std::to_string(getpid()))) {
    std::filesystem::remove_all(folder_);
  }
  ~BeatTest() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
};

TEST_F(BeatTest, ProgressAndStopTravel) {
  StopCalled zero_told, one_told;
  Beat zero(folder_ / "alive", 0, 2, "run", {zero_told.callback()});
  Beat one(folder_ / "alive", 1, 2, "run", {one_told.callback()});
  zero.update([](BeatState& state) {
    state.phase = "distill";
    state.site = "blocks.3.ffn";
    state.step = 7;
    state.sites_done = 2;
  });
  zero.ask_stop();
  ASSERT_TRUE(one_told.wait());
  const auto seen = one.all();
  ASSERT_EQ(seen.size(), 2);
  ASSERT_TRUE(seen[0].has_value());
  EXPECT_EQ(seen[0]->phase, "distill");
  EXPECT_EQ(seen[0]->site, "blocks.3.ffn");
  EXPECT_EQ(seen[0]->step, 7);
  EXPECT_EQ(seen[0]->sites_done, 2);
  EXPECT_EQ(seen[0]->pid, getpid());
  EXPECT_TRUE(seen[0]->stop_asked);
  EXPECT_GE(seen[0]->counter, 1);
  EXPECT_FALSE(zero_told.is_set());  // its own request is no news to it

  one.ask_stop();
  one.ask_stop();
  EXPECT_TRUE(zero_told.wait());
}

TEST_F(BeatTest, AnotherStartIsIgnored) {
  StopCalled told;
  {
    Beat old_one(folder_, 1, 3, "old", {[] {}});
    old_one.ask_stop();
  }
  Beat zero(folder_, 0, 3, "new", {told.callback()});
  Beat two(folder_, 2, 3, "new", {[] {}});
  EXPECT_FALSE(zero.all()[1].has_value());
  two.ask_stop();
  ASSERT_TRUE(told.wait());  // by then rank 1's file was read too, and its request did not count
  EXPECT_FALSE(zero.all()[1].has_value());
  EXPECT_TRUE(zero.all()[2]->stop_asked);
}

TEST_F(BeatTest, DamagedFilesAreSkipped) {
  std::filesystem::create_directories(folder_);
  std::ofstream(folder_ / "rank-00001") << R"({"counter": 1, "run": "run", "stop_a)";
  std::ofstream(folder_ / "rank-00002") << R"({"run": "run"})";
  StopCalled told;
  Beat zero(folder_, 0, 4, "run", {told.callback()});
  Beat three(folder_, 3, 4, "run", {[] {}});
  three.ask_stop();
  ASSERT_TRUE(told.wait());
  EXPECT_FALSE(zero.all()[1].has_value());
  EXPECT_FALSE(zero.all()[2].has_value());
}

TEST_F(BeatTest, TheLastStateStaysInTheFile) {
  {
    Beat(folder_, 0, 1, "run", {[] {}}).update([](BeatState& state) { state.step = 41; });
  }
  std::ifstream file(folder_ / "rank-00000");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_NE(text.find("\"step\":41"), std::string::npos) << text;
}

TEST_F(BeatTest, AFolderThatCannotBeIsAnError) {
  std::ofstream(folder_.string()) << "a file";
  EXPECT_THROW(Beat(folder_ / "alive", 0, 1, "run", {[] {}}), Error);
}

}  // namespace
}  // namespace acm::comm
