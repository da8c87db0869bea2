#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace acm::comm {

enum class ReduceOp { kSum, kMin, kMax };

// A collective in flight. wait() makes the result visible to the caller (on a device: to what the calling thread gives
// its current stream from then on; the host does not wait), or throws the Error that the collective met. Destroying a
// Work never waits, so a failing rank can unwind; the Work keeps its tensor alive until the operation is over.
class Work {
 public:
  virtual ~Work() = default;
  virtual void wait() = 0;
};

// A fixed group of ranks. Every non-const member is a collective: all ranks call it, in the same order and with tensors
// of equal shape and dtype, or none does. Tensors are contiguous; float32, float64, int64, int32 and uint8 are carried.
class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  bool is_root() const { return rank() == 0; }

  // In place. Two calls may be in flight at once; they run in the order in which they were made.
  [[nodiscard]] virtual std::unique_ptr<Work> all_reduce(at::Tensor tensor, ReduceOp op) = 0;
  virtual void broadcast(at::Tensor tensor, int root) = 0;
  virtual at::Tensor all_gather(const at::Tensor& tensor) = 0;  // [size, ...]
  virtual void barrier() = 0;
  // The ranks that gave the same colour, in the order of their ranks, as a group of their own. Destroying it is no
  // collective; it must not outlive this one.
  virtual std::unique_ptr<Communicator> split(int colour) = 0;
  // Hands over `parts`, by rank, each uint8 [any number of bytes]; gives what the ranks had for this one, by rank. By
  // all_gather() where a group knows no better way.
  virtual std::vector<at::Tensor> all_to_all(const std::vector<at::Tensor>& parts);
};

// A group of one rank, without MPI: every collective is the identity. Phase 1 trains a site in such a group.
std::unique_ptr<Communicator> make_solo_communicator();

// Before each collective compares (sequence number, operation, dtype, shape) over the ranks and throws an
// Error(kInternal) that names the rank that differs. One extra all-gather a call: for debug builds and tests. `inner`
// must outlive it.
std::unique_ptr<Communicator> make_checked_communicator(Communicator& inner);

// Runs `size` threads of this process as the ranks of one group and joins them; each gets its own Communicator. An
// exception of a rank releases the others (their collectives throw) and is rethrown, the lowest rank's first. Tensor
// operations of a rank run on its thread alone, so that there can be hundreds. For tests and sanitizers.
void run_local_group(int size, const std::function<void(Communicator&)>& rank_main);

// Collective. The strings of all ranks, by rank; and the root's string on every rank.
std::vector<std::string> all_gather_strings(Communicator& group, const std::string& mine);
std::string broadcast_string(Communicator& group, const std::string& mine, int root = 0);
// Collective. One number reduced over the group.
int64_t all_reduce_number(Communicator& group, int64_t mine, ReduceOp op);
double all_reduce_number(Communicator& group, double mine, ReduceOp op);

// Collective. Runs `work` on every rank and then compares outcomes: where any rank threw an Error, every rank throws
// that of the lowest rank that failed, marked shared(), with "rank R: " before the message where the ranks failed
// differently. Work must not itself leave a collective half-done: it is for what each rank does alone (opening files,
// checking a config).
void together(Communicator& group, const std::function<void()>& work);

}  // namespace acm::comm
