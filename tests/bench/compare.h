#pragma once

#include <ATen/ops/empty.h>
#include <benchmark/benchmark.h>

#include <functional>

#include "bench/figures.h"
#include "core/stopwatch.h"
#include "nn/random_tensor.h"

// What the parts of acm_bench share. Every source registers its cases itself.
namespace acm::bench {

using Work = std::function<void()>;
using Clock = double (*)();

// Ours and a reference take turns: the case's time is ours, "reference" the other's in seconds, "ratio" the median over
// the turns of ours over the reference. For cases with UseManualTime().
inline void compare(benchmark::State& state, const Work& ours, const Work& reference, Clock clock = processor_seconds) {
  ours(), reference();  // fill caches
  std::vector<double> ratios, references;
  for ([[maybe_unused]] auto _ : state) {
    const double start = clock();
    ours();
    const double middle = clock();
    reference();
    references.push_back(clock() - middle);
    ratios.push_back((middle - start) / references.back());
    state.SetIterationTime(middle - start);
  }
  state.counters["reference"] = median(references);
  state.counters["ratio"] = median(ratios);
}

// How many `name` each second, where each iteration does `amount` of them.
inline void set_rate(benchmark::State& state, const char* name, double amount) {
  state.counters[name] =
      benchmark::Counter(amount * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

inline at::Tensor noise(at::IntArrayRef shape, uint64_t seed = 1) {
  at::Tensor values = at::empty(shape);
  nn::fill_normal(values, StreamKey(seed), 1);
  return values;
}

}  // namespace acm::bench
