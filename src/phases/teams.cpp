#include "phases/teams.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "phases/sharing.h"

namespace acm::phases {
namespace {

TeamPlan teams_of(int size, const std::vector<int64_t>& costs, int ranks) {
  TeamPlan plan;
  plan.size = size;
  plan.teams = ranks / size;
  plan.team_of_site = share_out(costs, plan.teams);
  plan.load_of_rank.assign(static_cast<size_t>(ranks), 0.0);
  for (size_t site = 0; site < costs.size(); ++site)
    for (int i = 0; i < size; ++i)
      plan.load_of_rank[static_cast<size_t>(plan.team_of_site[site] * size + i)] +=
          static_cast<double>(costs[site]) / size;
  return plan;
}

}  // namespace

double TeamPlan::greatest_load() const { return std::ranges::max(load_of_rank); }

double TeamPlan::imbalance() const {
  const double sum = std::accumulate(load_of_rank.begin(), load_of_rank.end(), 0.0);
  return sum > 0 ? greatest_load() * static_cast<double>(load_of_rank.size()) / sum : 1;
}

TeamPlan plan_teams(const std::vector<int64_t>& costs, int ranks, int64_t slices) {
  std::optional<TeamPlan> best;
  for (int size = 1; size <= slices && size <= ranks; size *= 2) {
    auto plan = teams_of(size, costs, ranks);
    if (!best || plan.greatest_load() < best->greatest_load()) best = std::move(plan);
  }
  return *best;
}

}  // namespace acm::phases
