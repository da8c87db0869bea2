#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "data/loader.h"

namespace acm::data {

// Makes batches ahead of their use, on threads of its own: what both loaders are made of. Batches are numbered;
// `positions` tells what number n holds (nothing after the last) and is asked for one number at a time.
class BatchQueue {
 public:
  using Positions = std::function<std::vector<int64_t>(int64_t number)>;
  BatchQueue(const DataSource& source, Schedule schedule, Views views, Fetching fetching, Positions positions);
  ~BatchQueue();
  BatchQueue(const BatchQueue&) = delete;

  // Prefetches from this batch on; what was under way for others is dropped.
  void start_at(int64_t number);
  // Waits for a batch; starts there where it is not the one after the last.
  Batch get(int64_t number);
  FetchFigures figures() const;  // until now

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace acm::data
