// What a core can do at most, by which products are to be measured: multiply-adds of numbers that stay in registers, in
// chains enough for the latency of two units.
#include <benchmark/benchmark.h>

#include <cstdint>

namespace acm::bench {
namespace {

constexpr int64_t kTurns = 1 << 16;
using Eight = float __attribute__((vector_size(32)));
using Sixteen = float __attribute__((vector_size(64)));

// Each number goes to 1/2: x = x x + 1/4. Chains that began alike would be made one.
template <typename Lanes, int kChains>
[[gnu::always_inline]] inline double multiply_add() {
  Lanes chains[kChains], sum = {};
  for (int i = 0; i < kChains; ++i) chains[i] = Lanes{} + 0.03f * static_cast<float>(i);
  for (int64_t turn = 0; turn < kTurns; ++turn) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) chains[i] = chains[i] * chains[i] + 0.25f;
  }
  for (const Lanes& chain : chains) sum += chain;
  benchmark::DoNotOptimize(sum[0]);
  return 2.0 * kTurns * kChains * sizeof(Lanes) / sizeof(float);
}

// Each gives the operations that it did.
[[gnu::target("avx512f")]] double with_avx512() { return multiply_add<Sixteen, 8>(); }
[[gnu::target("avx2,fma")]] double with_avx2() { return multiply_add<Eight, 12>(); }

void peak(benchmark::State& state) {
  double operations = 0;
  if (__builtin_cpu_supports("avx512f"))
    for ([[maybe_unused]] auto _ : state) operations += with_avx512();
  else if (__builtin_cpu_supports("avx2"))
    for ([[maybe_unused]] auto _ : state) operations += with_avx2();
  else
    state.SkipWithError("neither AVX-512 nor AVX2");
  state.counters["FLOP/s"] = benchmark::Counter(operations, benchmark::Counter::kIsRate);
}
BENCHMARK(peak);

}  // namespace
}  // namespace acm::bench
