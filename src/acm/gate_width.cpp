#include "acm/gate_width.h"

#include "acm/cost.h"

namespace acm {

int64_t automatic_gate_width(const std::vector<AcmShape>& sites, GateConfig gate, int64_t tokens, int64_t dense_macs) {
  TORCH_CHECK(!sites.empty() && tokens > 0, "no site has a gate, or no token passes one");
  constexpr int64_t kNarrowest = 4, kDenseShare = 100;  // one in a hundred
  const auto fits = [&](int64_t hidden) {
    gate.hidden = hidden;
    int64_t per_token = 0;
    for (const AcmShape& site : sites) per_token += gate_macs_per_token(site.width, site.allowed(), gate);
    return per_token * tokens * kDenseShare <= dense_macs;
  };
  int64_t hidden = kNarrowest;
  while (fits(hidden + 1)) ++hidden;
  return hidden;
}

}  // namespace acm
