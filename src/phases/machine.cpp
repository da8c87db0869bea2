#include "phases/machine.h"

#include <algorithm>
#include <cmath>

#include "config/read.h"
#include "core/error.h"

namespace acm::phases {
namespace {

Machine cpu() {
  const std::string core = "measured by --measure on one core of an Intel Xeon (family 6, model 207)",
                    shared = "two ranks through shared memory, Open MPI 4.1: ", assumed = "assumed: ";
  return {.name = "cpu",
          .bfloat16_flops = {4.9e11, "measured on one core of an AMD EPYC (family 26)"},
          .tf32_flops = {1.6e11, core + " in float32, as processors have no TF32"},
          .float32_flops = {1.6e11, core},
          .float64_flops = {7.9e10, core},
          .memory_bandwidth = {1.1e10, core},
          .ranks_per_host = {16, assumed + "a host of 16 cores"},
          .host_latency = {4e-7, shared + "half of an all-reduce of 4 bytes"},
          .host_bandwidth = {3.5e9, shared + "all-reduces of 1 MiB"},
          .network_latency = {2e-5, assumed + "TCP over Ethernet"},
          .network_bandwidth = {1.25e9, "10-gigabit Ethernet, nominal"},
          .write_bandwidth = {5.8e8, core},
          .read_bandwidth = {1.5e9, core},
          .storage_bandwidth = {2.5e9, assumed + "a file server with two 10-gigabit links"}};
}

Machine h100() {
  const std::string gpu = "NVIDIA's figures of the H100 SXM5: ", host = "NVIDIA's figures of the DGX H100: ",
                    assumed = "assumed: ";
  return {.name = "h100",
          .bfloat16_flops = {0.68 * 989e12, gpu + "989 TFLOP/s, of which the products of a step reach 68 % on an H200"},
          .tf32_flops = {0.68 * 495e12, gpu + "495 TFLOP/s, of which 68 % are assumed"},
          .float32_flops = {0.7 * 66.9e12, gpu + "66.9 TFLOP/s without TF32, of which 70 % are assumed"},
          .float64_flops = {0.7 * 66.9e12, gpu + "66.9 TFLOP/s of its tensor cores, of which 70 % are assumed"},
          .memory_bandwidth = {0.8 * 3.35e12, gpu + "3.35 TB/s, of which 80 % are assumed"},
          .ranks_per_host = {8, host + "8 GPUs, a rank each"},
          .host_latency = {5e-6, assumed + "5 us for NCCL within a host"},
          .host_bandwidth = {0.8 * 450e9, gpu + "NVLink, 900 GB/s of both directions, of which 80 % are assumed"},
          .network_latency = {1e-5, assumed + "10 us for NCCL between hosts"},
          .network_bandwidth = {0.8 * 8 * 50e9, host + "8 x 400 Gbit/s, of which 80 % are assumed"},
          .write_bandwidth = {4e9, assumed + "a client of a parallel file system"},
          .read_bandwidth = {8e9, assumed + "a client of a parallel file system"},
          .storage_bandwidth = {100e9, assumed + "a parallel file system"}};
}

Machine from_file(const std::filesystem::path& file) {
  Machine machine;
  machine.name = file.string();
  config::Fields fields;
  fields.section("machine", "");
  for (const auto& [key, figure, meaning] : Machine::entries())
    fields.add(key, (machine.*figure).value, config::positive(), meaning);
  const auto origins = config::read(fields, file, {}, {});
  for (const auto& [key, figure, meaning] : Machine::entries()) {
    const auto origin = origins.find(std::string("machine.") + key);
    if (origin == origins.end())
      throw Error(Fault::kUsage, "the machine in " + file.string() + " lacks machine." + key + ": " + meaning);
    (machine.*figure).origin = origin->second;
  }
  return machine;
}

double ranks_of_a_host(const Machine& machine, int ranks) {
  return std::min<double>(ranks, machine.ranks_per_host.value);
}

double hosts_of(const Machine& machine, int ranks) { return std::ceil(ranks / machine.ranks_per_host.value); }

// One way of it: log2(p) messages, and each rank sends (p-1)/p of the bytes.
double half_seconds(const Machine& m, int ranks, double bytes, double calls) {
  const double local = ranks_of_a_host(m, ranks), hosts = hosts_of(m, ranks);
  const double messages = std::log2(local) * m.host_latency.value + std::log2(hosts) * m.network_latency.value;
  return calls * messages +
         bytes * ((local - 1) / local / m.host_bandwidth.value + (hosts - 1) / hosts / m.network_bandwidth.value);
}

double storage_seconds(const Machine& machine, int ranks, double bytes, double of_a_host) {
  return bytes / std::min(machine.storage_bandwidth.value, hosts_of(machine, ranks) * of_a_host);
}

}  // namespace

const std::array<Machine::Entry, 13>& Machine::entries() {
  static const std::array<Entry, 13> kEntries = {
      {{"bfloat16_flops", &Machine::bfloat16_flops, "FLOP/s of a rank's matrix products in bfloat16"},
       {"tf32_flops", &Machine::tf32_flops, "FLOP/s of a rank's matrix products in float32 with TF32"},
       {"float32_flops", &Machine::float32_flops, "FLOP/s of a rank's matrix products in float32"},
       {"float64_flops", &Machine::float64_flops, "FLOP/s of a rank's matrix products in float64"},
       {"memory_bandwidth", &Machine::memory_bandwidth, "bytes/s that a rank reads and writes in its memory"},
       {"ranks_per_host", &Machine::ranks_per_host, "ranks of a host"},
       {"host_latency", &Machine::host_latency, "seconds of a message between ranks of a host"},
       {"host_bandwidth", &Machine::host_bandwidth, "bytes/s that a rank sends to another of its host"},
       {"network_latency", &Machine::network_latency, "seconds of a message between hosts"},
       {"network_bandwidth", &Machine::network_bandwidth, "bytes/s that a host sends to others"},
       {"write_bandwidth", &Machine::write_bandwidth,
        "bytes/s that a host writes to the disk of cache and checkpoints"},
       {"read_bandwidth", &Machine::read_bandwidth, "bytes/s that a host reads from it"},
       {"storage_bandwidth", &Machine::storage_bandwidth, "bytes/s of that disk, all hosts together"}}};
  return kEntries;
}

Machine machine_named(const std::string& name_or_file) {
  if (name_or_file == "cpu") return cpu();
  if (name_or_file == "h100") return h100();
  if (!std::filesystem::exists(name_or_file))
    throw Error(Fault::kUsage, "there is no machine '" + name_or_file +
                                   "': name cpu, h100 or a TOML file with the figures of one (docs/scale.md)");
  return from_file(name_or_file);
}

double all_reduce_seconds(const Machine& machine, int ranks, double bytes, double calls) {
  return 2 * half_seconds(machine, ranks, bytes, calls);
}

double all_gather_seconds(const Machine& machine, int ranks, double bytes, double calls) {
  return half_seconds(machine, ranks, bytes, calls);
}

double all_to_all_seconds(const Machine& m, int ranks, double bytes, double calls) {
  const double local = ranks_of_a_host(m, ranks), others = ranks - local, of_pair = bytes / ranks / ranks;
  return calls * ((local - 1) * m.host_latency.value + others * m.network_latency.value) +
         of_pair * ((local - 1) / m.host_bandwidth.value + local * others / m.network_bandwidth.value);
}

double write_seconds(const Machine& machine, int ranks, double bytes) {
  return storage_seconds(machine, ranks, bytes, machine.write_bandwidth.value);
}

double read_seconds(const Machine& machine, int ranks, double bytes) {
  return storage_seconds(machine, ranks, bytes, machine.read_bandwidth.value);
}

}  // namespace acm::phases
