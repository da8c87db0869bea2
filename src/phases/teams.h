#pragma once

#include <cstdint>
#include <vector>

namespace acm::phases {

// Which ranks train which sites. Ranks [t size, (t + 1) size) are team t, and train its sites together, one after
// another; what is left over has no site.
struct TeamPlan {
  int size = 1;                      // ranks of a team, a power of two
  int teams = 1;                     // that there are ranks for
  std::vector<int> team_of_site;     // by site
  std::vector<double> load_of_rank;  // by rank: the costs that fall to it, a site's cost shared evenly by its team
  // Of a rank's team, or -1 where it has none.
  int team_of_rank(int rank) const { return rank < teams * size ? rank / size : -1; }
  double greatest_load() const;
  double imbalance() const;  // greatest / mean load over all ranks; 1 is perfect
};

// Teams of the size, a power of two of at most `slices`, with which the busiest rank has the least to do, the smallest
// of equals; within it, the dearest site goes to the team with the least to do (sharing.h).
TeamPlan plan_teams(const std::vector<int64_t>& costs, int ranks, int64_t slices);

}  // namespace acm::phases
