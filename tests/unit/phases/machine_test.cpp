#include "phases/machine.h"

#include <gtest/gtest.h>

#include "core/file.h"
#include "phases/machine_rates.h"
#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"

namespace acm::phases {
namespace {

std::string file_of(const std::string& without = "") {
  std::string text = "[machine]\n";
  double value = 1;
  for (const auto& [key, figure, meaning] : Machine::entries())
    if (++value; key != without) text += std::string(key) + " = " + std::to_string(value) + "\n";
  return text;
}

TEST(Machines, ThoseOfOursSayWhereEachFigureComesFrom) {
  for (const char* name : {"cpu", "h100"})
    for (const auto& [key, figure, meaning] : Machine::entries()) {
      EXPECT_GT((machine_named(name).*figure).value, 0) << key;
      EXPECT_NE((machine_named(name).*figure).origin, "") << key;
    }
  expect_error(Fault::kUsage, "there is no machine 'tpu': name cpu, h100 or a TOML file", [] { machine_named("tpu"); });
}

TEST(Machines, AFileGivesEveryFigure) {
  const Scratch scratch;
  const auto path = scratch / "cluster.toml";
  replace_file(path, file_of());
  const auto machine = machine_named(path.string());
  EXPECT_EQ(machine.bfloat16_flops.value, 2);
  EXPECT_EQ(machine.storage_bandwidth.value, 14);
  EXPECT_EQ(machine.storage_bandwidth.origin, path.string() + ":14");
  replace_file(path, file_of("network_latency"));
  expect_error(Fault::kUsage, "lacks machine.network_latency: seconds of a message between hosts",
               [&] { machine_named(path.string()); });
  replace_file(path, file_of() + "colour = 1\n");
  expect_error(Fault::kUsage, "machine.colour", [&] { machine_named(path.string()); });
}

class MachineTimes : public testing::Test {
 protected:
  MachineTimes() {
    machine_.ranks_per_host.value = 4;
    machine_.host_latency.value = 1;
    machine_.host_bandwidth.value = 10;
    machine_.network_latency.value = 100;
    machine_.network_bandwidth.value = 2;
    machine_.write_bandwidth.value = 5;
    machine_.read_bandwidth.value = 6;
    machine_.storage_bandwidth.value = 15;
  }
  Machine machine_;
};

TEST_F(MachineTimes, OneRankExchangesNothing) {
  EXPECT_EQ(all_reduce_seconds(machine_, 1, 1000, 3), 0);
  EXPECT_EQ(all_gather_seconds(machine_, 1, 1000, 3), 0);
  EXPECT_EQ(all_to_all_seconds(machine_, 1, 1000, 3), 0);
}

// Within a host: 2 log2(4) messages a call, and 2 x 3/4 of the bytes at 10 a second.
TEST_F(MachineTimes, WithinAHost) {
  EXPECT_DOUBLE_EQ(all_reduce_seconds(machine_, 4, 1000, 3), 3 * 4 + 150);
  EXPECT_DOUBLE_EQ(all_gather_seconds(machine_, 4, 1000, 3), 3 * 2 + 75);
}

// And between eight: 2 log2(8) messages of 100, and 2 x 7/8 of the bytes at 2 a second, all ranks of a host together.
TEST_F(MachineTimes, BetweenHosts) { EXPECT_DOUBLE_EQ(all_reduce_seconds(machine_, 32, 1000, 1), 4 + 150 + 600 + 875); }

// Every pair has a message a call and 100 bytes in all; between the two hosts of four ranks, 16 pairs each way.
TEST_F(MachineTimes, FromEachToEach) {
  EXPECT_DOUBLE_EQ(all_to_all_seconds(machine_, 4, 1600, 3), 3 * 3 + 30);
  EXPECT_DOUBLE_EQ(all_to_all_seconds(machine_, 8, 6400, 1), 3 + 400 + 30 + 800);
}

TEST_F(MachineTimes, HostsShareTheDisk) {
  EXPECT_DOUBLE_EQ(write_seconds(machine_, 4, 30), 6);
  EXPECT_DOUBLE_EQ(write_seconds(machine_, 5, 30), 3);   // two hosts
  EXPECT_DOUBLE_EQ(write_seconds(machine_, 40, 30), 2);  // ten, as fast as the disk
  EXPECT_DOUBLE_EQ(read_seconds(machine_, 4, 30), 5);
}

TEST(MachineRates, AreThoseOfThisMachine) {
  const Scratch scratch;
  for (const int ranks : {1, 2})
    comm::run_local_group(ranks, [&](comm::Communicator& group) {
      auto machine = machine_named("h100");
      measure(machine, group, at::kCPU, 32, 64, scratch.folder() / "not" / "made");
      for (const auto& [key, figure, meaning] : Machine::entries()) {
        const auto& [value, origin] = machine.*figure;
        EXPECT_TRUE(std::isfinite(value) && value > 0) << key;
        const std::string name = key;
        const bool stays = name == "ranks_per_host" || name.starts_with("network") || name == "storage_bandwidth" ||
                           (name == "host_latency" && ranks == 1);
        EXPECT_EQ(origin.starts_with("measured here by " + std::to_string(ranks)), !stays) << key << ": " << origin;
      }
    });
  EXPECT_EQ(scratch.entries(), 0);
}

}  // namespace
}  // namespace acm::phases
