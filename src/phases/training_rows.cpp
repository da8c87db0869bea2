#include "phases/training_rows.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <c10/util/Exception.h>

#include <algorithm>

#include "core/stopwatch.h"
#include "train/trainer.h"

namespace acm::phases {
namespace {

// What may lie in memory before its time: some groups of a site of a ViT-B, a part of one of all sites.
constexpr int64_t kMostBytesAhead = 512'000'000;

std::string dataset_site(const CacheReader& reader, const std::string& site, CacheReader::Side side) {
  return side == CacheReader::Side::kInput ? reader.owner_of_input(site) : site;
}

}  // namespace

// What of one segment goes where.
struct TrainingRows::Route {
  int64_t segment = 0;
  std::vector<int64_t> rows = {};    // of the segment: those of rank 0 first, each rank's in the order of training
  std::vector<int64_t> counts = {};  // of them by rank
  std::vector<int64_t> places = {};  // of this rank's rows, among all that it gets of the group
};

StepShares::StepShares(int64_t batch, int64_t slices_of_rank, int ranks) : batch(batch) {
  for (int rank = 0; rank < ranks; ++rank) {
    const auto slices = train::slices_of_rank(rank, ranks, slices_of_rank, 1);
    of_rank.push_back({data::cut(batch, slices.front()).begin, data::cut(batch, slices.back()).end});
  }
}

TrainingRows::TrainingRows(CacheReader& reader, const std::vector<std::string>& sites, StreamKey key,
                           comm::Communicator& group, StepShares shares)
    : reader_(reader),
      group_(group),
      order_(need().rows_per_segment(), need().shuffle_segments, key),
      shares_(std::move(shares)) {
  for (const auto& site : sites) {
    for (const auto side : {Side::kInput, Side::kOutput}) {
      const Dataset dataset{dataset_site(reader, site, side), side};
      if (std::ranges::find(datasets_, dataset) == datasets_.end()) datasets_.push_back(dataset);
    }
  }
}

const CacheNeed& TrainingRows::need() const { return reader_.capture().need(); }

void TrainingRows::load(int64_t step, int64_t end) {
  const Stopwatch watch;
  const int64_t begin = step * shares_.batch;
  const bool goes_back = !held_.empty() && begin < held_.front().begin;  // to an earlier checkpoint
  if (goes_back || begin >= end) held_.clear();
  while (!held_.empty() && held_.front().end <= begin) held_.pop_front();
  for (int64_t reached = held_.empty() ? begin : held_.back().end; reached < end; reached = held_.back().end) {
    let_go_before(begin);
    held_.push_back(read_together(reached));
  }
  if (ahead_ && !held_.empty()) begin_reading(held_.back().end);
  waited_seconds_ += watch.seconds();
}

void TrainingRows::read_ahead_until(int64_t end) {
  ahead_until_ = end;
  if (!ahead_) ahead_ = std::make_unique<ReadAhead>(reader_.capture().cache());
}

data::FetchFigures TrainingRows::take_fetch_figures() { return {.waited_seconds = std::exchange(waited_seconds_, 0)}; }

// What of the group at `begin` this rank reads first.
void TrainingRows::begin_reading(int64_t begin) {
  if (begin >= ahead_until_ || begin == ahead_from_) return;
  ahead_from_ = begin;
  const auto segments = segments_of(order_.at(begin, begin + 1).front());
  const auto mine = reads_of(group_.rank(), segments.size() * static_cast<int64_t>(datasets_.size()));
  std::vector<ReadAhead::Place> places;
  int64_t bytes = 0;
  for (int64_t read = mine.begin; read < mine.end && bytes < kMostBytesAhead; ++read) {
    const auto& [site, side] = datasets_[static_cast<size_t>(read) % datasets_.size()];
    const int64_t segment = segments.begin + read / static_cast<int64_t>(datasets_.size());
    places.push_back({segment, site, side});
    bytes += need().layout.segment_samples * need().tokens * reader_.width(site, side) *
             static_cast<int64_t>(c10::elementSize(need().layout.dtype));
  }
  ahead_->begin(std::move(places));
}

at::Tensor TrainingRows::read(const Dataset& dataset, int64_t segment) const {
  if (ahead_)
    if (const auto values = ahead_->take({segment, dataset.site, dataset.side}); values.defined()) return values;
  return reader_.read(segment, dataset.site, dataset.side);
}

// Of what is held, whose first group reaches beyond `position`.
void TrainingRows::let_go_before(int64_t position) {
  if (held_.empty() || held_.front().begin >= position) return;
  auto& first = held_.front();
  const int64_t rows = own_before(position) - own_before(first.begin);
  for (auto& values : first.values) values = values.narrow(0, rows, values.size(0) - rows).clone();
  first.begin = position;
}

// How many positions before this one are of this rank's shares.
int64_t TrainingRows::own_before(int64_t position) const {
  const auto& share = shares_.of_rank[static_cast<size_t>(group_.rank())];
  return position / shares_.batch * share.size() +
         std::clamp<int64_t>(position % shares_.batch - share.begin, 0, share.size());
}

data::Range TrainingRows::segments_of(const RowOrder::Part& part) const {
  const int64_t in_epoch = need().layout.segments(), first = need().fresh_views ? part.epoch * in_epoch : 0;
  const auto segments = segments_of_group(part.group, need().shuffle_segments, in_epoch);
  return {first + segments.begin, first + segments.end};
}

// What of so many datasets, segment after segment, a rank reads.
data::Range TrainingRows::reads_of(int64_t rank, int64_t reads) const {
  return {reads * rank / group_.size(), reads * (rank + 1) / group_.size()};
}

// Every rank works out the same, so that nobody need be told what comes.
std::vector<TrainingRows::Route> TrainingRows::routes(int64_t begin, const RowOrder::Part& part) const {
  const auto& layout = need().layout;
  const int64_t rows_of_segment = layout.segment_samples * need().tokens,
                end = begin + static_cast<int64_t>(part.rows.size());
  const auto segments = segments_of(part);
  std::vector<Route> routes;
  for (int64_t segment = segments.begin; segment < segments.end; ++segment)
    routes.push_back({.segment = segment, .counts = std::vector<int64_t>(shares_.of_rank.size())});
  for (size_t rank = 0; rank < shares_.of_rank.size(); ++rank) {
    const auto& share = shares_.of_rank[rank];
    int64_t place = 0;
    for (int64_t step = begin / shares_.batch; step * shares_.batch < end; ++step) {
      const int64_t first = step * shares_.batch;
      for (int64_t i = std::max(first + share.begin, begin); i < std::min(first + share.end, end); ++i, ++place) {
        const int64_t row = part.rows[static_cast<size_t>(i - begin)];
        auto& route = routes[static_cast<size_t>(row / rows_of_segment)];
        route.rows.push_back(row % rows_of_segment);
        ++route.counts[rank];
        if (static_cast<int>(rank) == group_.rank()) route.places.push_back(place);
      }
    }
  }
  return routes;
}

// What a dataset of a segment holds for each rank, as bytes.
std::vector<at::Tensor> TrainingRows::parts_of(const Dataset& dataset, const Route& route) const {
  const auto rows = read(dataset, route.segment).index_select(0, at::tensor(route.rows));
  const auto bytes = rows.view(at::kByte);
  std::vector<at::Tensor> parts;
  int64_t begin = 0;
  for (const int64_t count : route.counts) {
    parts.push_back(bytes.narrow(0, begin, count).flatten());
    begin += count;
  }
  return parts;
}

TrainingRows::Held TrainingRows::read_together(int64_t begin) const {
  const int64_t end = order_.group_end(begin), ranks = group_.size();
  const auto routes = this->routes(begin, order_.at(begin, end).front());
  Held held{begin, end, {}};
  for (const auto& [site, side] : datasets_)
    held.values.push_back(
        at::empty({own_before(end) - own_before(begin), reader_.width(site, side)}, need().layout.dtype));
  const auto reads = static_cast<int64_t>(routes.size() * datasets_.size());
  const auto share = [&](int64_t rank) { return reads_of(rank, reads); };
  const auto mine = share(group_.rank());
  // One dataset of each rank at a time bounds the memory.
  for (int64_t round = 0; round * ranks < reads; ++round) {
    std::vector<at::Tensor> parts(static_cast<size_t>(ranks), at::empty({0}, at::kByte));
    comm::together(group_, [&] {
      if (const auto read = static_cast<size_t>(mine.begin + round); round < mine.size())
        parts = parts_of(datasets_[read % datasets_.size()], routes[read / datasets_.size()]);
    });
    const auto received = group_.all_to_all(parts);
    for (int64_t rank = 0; rank < ranks; ++rank) {
      const auto read = static_cast<size_t>(share(rank).begin + round);
      if (round >= share(rank).size()) continue;
      auto& values = held.values[read % datasets_.size()];
      values.index_copy_(0, at::tensor(routes[read / datasets_.size()].places),
                         received[static_cast<size_t>(rank)].view(values.scalar_type()).view({-1, values.size(1)}));
    }
  }
  return held;
}

at::Tensor TrainingRows::values(const Dataset& dataset, int64_t begin, int64_t end) const {
  const auto index = std::ranges::find(datasets_, dataset) - datasets_.begin();
  std::vector<at::Tensor> pieces;
  for (const auto& held : held_) {
    const int64_t from = std::max(begin, held.begin), to = std::min(end, held.end);
    if (from < to)
      pieces.push_back(held.values[static_cast<size_t>(index)].narrow(0, own_before(from) - own_before(held.begin),
                                                                      own_before(to) - own_before(from)));
  }
  const auto values = (pieces.size() == 1 ? pieces.front() : at::cat(pieces)).to(reader_.capture().dtype());
  TORCH_CHECK(values.size(0) == end - begin, "rows ", begin, " to ", end, " of training are not loaded");
  return values;
}

CacheReader::Rows TrainingRows::of(const std::string& site, const data::Slice& slice) const {
  const auto range = data::cut(shares_.batch, slice);
  const int64_t first = slice.step * shares_.batch, begin = first + range.begin, end = first + range.end;
  return {values({dataset_site(reader_, site, Side::kInput), Side::kInput}, begin, end),
          values({site, Side::kOutput}, begin, end)};
}

}  // namespace acm::phases
