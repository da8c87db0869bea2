#pragma once

#include <memory>
#include <string>
#include <vector>

#include "phases/distill_site.h"
#include "phases/teams.h"
#include "train/trainer.h"

namespace acm::phases {

// How the sites of a teacher fall to ranks.
struct SiteTeams {
  std::vector<std::string> sites;  // selected, in the teacher's order
  TeamPlan teams;
};
SiteTeams site_teams(const nn::Backbone& teacher, const Settings& settings, int ranks);

// The sites that this rank trains, alone or with its team: one after another within a window, each going on where it
// was.
class SiteTrainings {
 public:
  // Collective over all ranks: makes the teams. Each site that is not finished continues its newest checkpoint.
  SiteTrainings(const Run& run, Capture& capture);
  ~SiteTrainings();

  // The first training row that a site of this rank still needs; the largest number where all are finished.
  int64_t first_row() const;
  // Collective over the team. Trains every site on the rows before `row_end` and keeps what of them belongs to the next
  // step.
  train::Outcome train_to(int64_t row_end);

 private:
  class Site;
  struct Team {
    std::unique_ptr<comm::Communicator> data, control;
  };
  Team make_team() const;
  std::vector<std::string> unfinished_of(const std::vector<std::string>& mine) const;
  void tell_done() const;

  const Run& run_;
  SiteTeams plan_;
  Team team_;
  CacheReader reader_;
  std::vector<std::unique_ptr<Site>> sites_;  // that were not finished at the start
  int64_t done_ = 0;                          // of this team's sites
};

}  // namespace acm::phases
