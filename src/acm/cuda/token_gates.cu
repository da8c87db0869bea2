#include "acm/cuda/token_gates.h"

#include "acm/cuda/gate_in_block.h"

namespace acm {
namespace {

using namespace in_block;

struct GatesWork {
  const uint16_t* tokens;
  int64_t rows, gates;
  GateOfTokens gate;
  int width;
};

__device__ GateOfTokens gate_at(const GatesWork& work, int64_t i) {
  GateOfTokens gate = work.gate;
  gate.w1 = static_cast<const uint16_t*>(gate.w1) + i * padded_units(gate.units) * work.width;
  gate.b1 += i * gate.units;
  gate.layer += i * gate.allowed * (gate.units + 1);
  gate.logits += i * work.rows * gate.allowed;
  gate.choice += i * work.rows;
  return gate;
}

template <int kUnitTiles>
__global__ void __launch_bounds__(kThreads) choose_learners(const GatesWork work) {
  auto& shared = shared_memory<Block<kUnitTiles>>();
  bring_tokens(work.tokens, work.rows, work.width, shared);
  for (int64_t i = 0; i < work.gates; ++i) {
    run_gate(gate_at(work, i), work.rows, work.width, shared);
    __syncthreads();  // the next writes where this one reads
  }
}

}  // namespace

const char* choose_on_gpu(const void* tokens, int64_t rows, int64_t width, const GateOfTokens& gate, int64_t gates,
                          void* stream) {
  if (const char* failure = check_tokens(tokens, rows, width)) return failure;
  const GatesWork work{static_cast<const uint16_t*>(tokens), rows, gates, gate, static_cast<int>(width)};
  return by_unit_tiles(gate.units, [&]<int kUnitTiles>(std::integral_constant<int, kUnitTiles>) -> const char* {
    if constexpr (kUnitTiles == 0)
      return "a gate has no hidden units";
    else
      return launch_blocks<Block<kUnitTiles>>(choose_learners<kUnitTiles>, rows, width, work, stream);
  });
}

}  // namespace acm
