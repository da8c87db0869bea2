#include "phases/training_rows.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "core/stopwatch.h"
#include "nn/kernels/feed_forward.h"
#include "phases/on_device.h"
#include "train/trainer.h"

namespace acm::phases {
namespace {

// What may lie in memory before its time: some groups of a site of a ViT-B, a part of one of all sites.
constexpr int64_t kMostBytesAhead = 512'000'000;

constexpr int64_t kRowsAtOnce = 256;  // of a thread

// to [places, width] = the rows at these places of the pieces.
void gather(const std::vector<at::Tensor>& pieces, std::span<const RowPlace> places, const at::Tensor& to) {
  if (places.empty()) return;
  std::vector<const std::byte*> data;
  for (const auto& piece : pieces) data.push_back(static_cast<const std::byte*>(piece.const_data_ptr()));
  const auto row_bytes = static_cast<size_t>(to.size(1)) * to.element_size();
  auto* rows = static_cast<std::byte*>(to.mutable_data_ptr());
  nn::share_rows_among_threads(to.size(0), kRowsAtOnce, [&](int64_t first, int64_t count) {
    for (auto i = static_cast<size_t>(first); i < static_cast<size_t>(first + count); ++i)
      std::memcpy(rows + i * row_bytes, data[places[i].piece] + static_cast<size_t>(places[i].row) * row_bytes,
                  row_bytes);
  });
}

std::string dataset_site(const CacheReader& reader, const std::string& site, CacheReader::Side side) {
  return side == CacheReader::Side::kInput ? reader.owner_of_input(site) : site;
}

}  // namespace

// What of one segment goes where.
struct TrainingRows::Route {
  int64_t segment = 0;
  std::vector<int64_t> rows = {};    // of the segment: those of rank 0 first, each rank's in the order of training
  std::vector<int64_t> counts = {};  // of them by rank
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

int64_t TrainingRows::rows_of_segment() const { return need().layout.segment_samples * need().tokens; }

void TrainingRows::load(int64_t step, int64_t end) {
  const Stopwatch watch;
  const int64_t begin = step * shares_.batch;
  const bool goes_back = !held_.empty() && begin < held_.front().begin;  // to an earlier checkpoint
  if (goes_back || begin >= end) held_.clear();
  while (!held_.empty() && held_.front().end <= begin) held_.pop_front();
  for (int64_t reached = held_.empty() ? begin : held_.back().end; reached < end; reached = held_.back().end) {
    let_go_before(begin);
    held_.push_back(read_group(reached));
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
    bytes +=
        rows_of_segment() * reader_.width(site, side) * static_cast<int64_t>(c10::elementSize(need().layout.dtype));
  }
  ahead_->begin(std::move(places));
}

at::Tensor TrainingRows::read(const Dataset& dataset, int64_t segment) const {
  if (ahead_)
    if (const auto values = ahead_->take({segment, dataset.site, dataset.side}); values.defined()) return values;
  return reader_.read(segment, dataset.site, dataset.side);
}

// Of what is held, whose first group reaches beyond `position`: the rest of that is put together.
void TrainingRows::let_go_before(int64_t position) {
  if (held_.empty() || held_.front().begin >= position) return;
  auto& first = held_.front();
  first.places.erase(first.places.begin(), first.places.begin() + own_before(position) - own_before(first.begin));
  first.begin = position;
  const auto rows = static_cast<int64_t>(first.places.size());
  for (auto& pieces : first.pieces) {
    const auto rest = at::empty({rows, pieces.front().size(1)}, pieces.front().options());
    gather(pieces, first.places, rest);
    pieces = {rest};
  }
  for (int64_t row = 0; row < rows; ++row) first.places[static_cast<size_t>(row)] = {0, row};
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

// Every rank works out the same, so that nobody need be told what comes. `own`: gets the places of this rank's rows
// among those that it gets of each segment.
std::vector<TrainingRows::Route> TrainingRows::routes(int64_t begin, const RowOrder::Part& part,
                                                      std::vector<RowPlace>& own) const {
  const int64_t end = begin + static_cast<int64_t>(part.rows.size());
  const auto segments = segments_of(part);
  std::vector<Route> routes;
  for (int64_t segment = segments.begin; segment < segments.end; ++segment)
    routes.push_back({.segment = segment, .counts = std::vector<int64_t>(shares_.of_rank.size())});
  for (size_t rank = 0; rank < shares_.of_rank.size(); ++rank) {
    const auto& share = shares_.of_rank[rank];
    for (int64_t step = begin / shares_.batch; step * shares_.batch < end; ++step) {
      const int64_t first = step * shares_.batch;
      for (int64_t i = std::max(first + share.begin, begin); i < std::min(first + share.end, end); ++i) {
        const int64_t row = part.rows[static_cast<size_t>(i - begin)];
        const auto segment = static_cast<size_t>(row / rows_of_segment());
        if (static_cast<int>(rank) == group_.rank()) own.push_back({segment, routes[segment].counts[rank]});
        routes[segment].rows.push_back(row % rows_of_segment());
        ++routes[segment].counts[rank];
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

TrainingRows::Held TrainingRows::read_group(int64_t begin) const {
  Held held{begin, order_.group_end(begin), std::vector<std::vector<at::Tensor>>(datasets_.size()), {}};
  const auto part = order_.at(begin, held.end).front();
  group_.size() == 1 ? read_alone(part, held) : read_together(part, held);
  return held;
}

// All rows are this rank's, and stay where they were read.
void TrainingRows::read_alone(const RowOrder::Part& part, Held& held) const {
  for (const int64_t row : part.rows)
    held.places.push_back({static_cast<size_t>(row / rows_of_segment()), row % rows_of_segment()});
  const auto segments = segments_of(part);
  for (int64_t segment = segments.begin; segment < segments.end; ++segment)
    for (size_t i = 0; i < datasets_.size(); ++i) held.pieces[i].push_back(read(datasets_[i], segment));
}

void TrainingRows::read_together(const RowOrder::Part& part, Held& held) const {
  const int64_t ranks = group_.size();
  const auto routes = this->routes(held.begin, part, held.places);
  for (auto& pieces : held.pieces) pieces.resize(routes.size());
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
      const auto& [site, side] = datasets_[read % datasets_.size()];
      held.pieces[read % datasets_.size()][read / datasets_.size()] =
          received[static_cast<size_t>(rank)].view(need().layout.dtype).view({-1, reader_.width(site, side)});
    }
  }
}

// What goes to a device is gathered where it can be copied from beside all else: in pinned memory.
at::Tensor TrainingRows::values(const Dataset& dataset, int64_t begin, int64_t end, at::Device device) const {
  const auto index = static_cast<size_t>(std::ranges::find(datasets_, dataset) - datasets_.begin());
  const auto values = at::empty({end - begin, reader_.width(dataset.site, dataset.side)},
                                at::TensorOptions(need().layout.dtype).pinned_memory(!device.is_cpu()));
  int64_t found = 0;
  for (const auto& held : held_) {
    const int64_t from = std::max(begin, held.begin), to = std::min(end, held.end);
    if (from >= to) continue;
    const int64_t first = own_before(from) - own_before(held.begin), rows = own_before(to) - own_before(from);
    gather(held.pieces[index], std::span(held.places).subspan(static_cast<size_t>(first), static_cast<size_t>(rows)),
           values.narrow(0, found, rows));
    found += rows;
  }
  TORCH_CHECK(found == end - begin, "rows ", begin, " to ", end, " of training are not loaded");
  return on_device(values, device);
}

CacheReader::Rows TrainingRows::of(const std::string& site, const data::Slice& slice, at::Device device) const {
  const auto range = data::cut(shares_.batch, slice);
  const int64_t first = slice.step * shares_.batch, begin = first + range.begin, end = first + range.end;
  return {values({dataset_site(reader_, site, Side::kInput), Side::kInput}, begin, end, device),
          values({site, Side::kOutput}, begin, end, device)};
}

}  // namespace acm::phases
