#pragma once

#include <list>
#include <memory>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "data/loader.h"
#include "data/schedule.h"
#include "phases/cache_reader.h"
#include "phases/read_ahead.h"
#include "phases/row_order.h"

namespace acm::phases {

// What each rank of a group holds of a step of `batch` rows, by rank: its slices, which lie side by side.
struct StepShares {
  StepShares(int64_t batch, int64_t slices_of_rank, int ranks);
  int64_t batch;
  std::vector<data::Range> of_rank;
};

// Where a row lies in a list of tensors.
struct RowPlace {
  size_t piece = 0;
  int64_t row = 0;
};

// The rows that the ranks of a group train on, of one site or of several that are walked in one order. The group reads
// a shuffle group of the cache together: each rank whole datasets, its share of them, whose digests it compares, and
// rank hands to rank the rows that are the other's. So each byte is read once, whatever the number of ranks, and a rank
// holds of all sites its own rows alone.
class TrainingRows {
 public:
  TrainingRows(CacheReader& reader, const std::vector<std::string>& sites, StreamKey key, comm::Communicator& group,
               StepShares shares);

  int64_t of_epoch() const { return order_.rows(); }
  // Collective. Has this rank's rows of step `step`, but for those at position `end` and behind, in memory, and lets go
  // of those of earlier steps. Where a rank cannot read, all throw its Error.
  void load(int64_t step, int64_t end);
  void load(int64_t step) { load(step, (step + 1) * shares_.batch); }
  // From now on a thread reads this rank's share of the next group, or the first of it, while steps are computed, where
  // that group begins before position `end`: that of the window, behind which nothing may be on the disk yet.
  void read_ahead_until(int64_t end);
  data::FetchFigures take_fetch_figures();  // of load() since the last call
  // Rows of the loaded step that slice `slice` holds, which is this rank's; as stored, on the device. The host does not
  // wait for their copies.
  CacheReader::Rows of(const std::string& site, const data::Slice& slice, at::Device device = at::kCPU) const;

 private:
  using Side = CacheReader::Side;
  struct Dataset {
    std::string site;
    Side side;
    bool operator==(const Dataset&) const = default;
  };
  // This rank's rows from position `begin` of training on, as far as one group of the cache reaches: as stored, where
  // reading or receiving has left them.
  struct Held {
    int64_t begin = 0, end = 0;
    std::vector<std::vector<at::Tensor>> pieces;  // by dataset: [rows, width], often of a segment each
    std::vector<RowPlace> places;                 // of own rows in the pieces, in the order of training
  };
  struct Route;
  const CacheNeed& need() const;
  int64_t rows_of_segment() const;
  Held read_group(int64_t begin) const;
  void read_alone(const RowOrder::Part& part, Held& held) const;
  void read_together(const RowOrder::Part& part, Held& held) const;
  std::vector<Route> routes(int64_t begin, const RowOrder::Part& part, std::vector<RowPlace>& own) const;
  void let_go_before(int64_t position);
  int64_t own_before(int64_t position) const;
  data::Range segments_of(const RowOrder::Part& part) const;
  data::Range reads_of(int64_t rank, int64_t reads) const;
  void begin_reading(int64_t begin);
  at::Tensor read(const Dataset& dataset, int64_t segment) const;
  std::vector<at::Tensor> parts_of(const Dataset& dataset, const Route& route) const;
  at::Tensor values(const Dataset& dataset, int64_t begin, int64_t end, at::Device device) const;

  CacheReader& reader_;
  comm::Communicator& group_;
  RowOrder order_;
  StepShares shares_;
  std::vector<Dataset> datasets_;
  std::list<Held> held_;                       // one after another
  mutable std::unique_ptr<ReadAhead> ahead_;   // where it was asked for
  int64_t ahead_until_ = 0, ahead_from_ = -1;  // the end of what may be read ahead; where the group of ahead_ begins
  double waited_seconds_ = 0;
};

}  // namespace acm::phases
