#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <utility>

namespace acm::phases {

// A constant of a machine, and where it comes from.
struct Figure {
  double value = 0;
  std::string origin = {};
};

// What a machine can do, as far as the time of a run depends on it. Rates are per second: FLOP (a multiply-accumulate
// is two) and bytes.
struct Machine {
  std::string name;
  Figure bfloat16_flops, tf32_flops, float32_flops, float64_flops;  // of matrix products, a rank
  Figure memory_bandwidth;                                          // read and written together, a rank
  Figure ranks_per_host;
  Figure host_latency, host_bandwidth;        // seconds a message; bytes that a rank sends to one of its host
  Figure network_latency, network_bandwidth;  // the same between hosts; bytes that a host sends, all its ranks together
  Figure write_bandwidth, read_bandwidth;     // a host, to and from the disk of cache and checkpoints
  Figure storage_bandwidth;                   // of that disk, for all hosts together

  // Each figure's key in a file, and what it means.
  struct Entry {
    const char* key;
    Figure Machine::*figure;
    const char* meaning;
  };
  static const std::array<Entry, 13>& entries();
};

// The machine of that name ("cpu", "h100"), or the one that a TOML file with a section [machine] describes, every
// figure of it. Error(kUsage) says what is wrong.
Machine machine_named(const std::string& name_or_file);

// Seconds of `calls` all-reduces of `bytes` in all, ranks 0 to `ranks` - 1 filling host after host. Halving and
// doubling (Rabenseifner's algorithm; Thakur, Rabenseifner and Gropp, 2005): 2 log2(p) messages, and each rank sends 2
// (p-1)/p of the bytes; first within hosts, then between them, each rank of a host with its share of the bytes.
double all_reduce_seconds(const Machine& machine, int ranks, double bytes, double calls);
// Seconds of `calls` all-gathers after which each rank holds `bytes` in all: half the messages, and half the bytes.
double all_gather_seconds(const Machine& machine, int ranks, double bytes, double calls);
// Seconds of `calls` all-to-alls in which the ranks hand over `bytes` in all, each to every other alike, pair after
// pair.
double all_to_all_seconds(const Machine& machine, int ranks, double bytes, double calls);

// Seconds in which `ranks` write or read so many bytes in all, shared evenly.
double write_seconds(const Machine& machine, int ranks, double bytes);
double read_seconds(const Machine& machine, int ranks, double bytes);

}  // namespace acm::phases
