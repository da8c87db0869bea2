#include "comm/mpi/mpi_communicator.h"

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "comm/carried.h"
#include "comm/mpi/check_mpi.h"

namespace acm::comm {
namespace {

// Long messages travel in pieces. With Open MPI 4.1 on one host, 100 MB are all-reduced at 3 GB/s in pieces of this
// size and at half of that in one call; and no count comes near INT_MAX, the largest that MPI takes.
constexpr int64_t kPieceBytes = 1 << 20;
// What one rank hands to another goes in larger ones.
constexpr int64_t kPairBytes = int64_t{1} << 30;

MPI_Datatype datatype_of(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return MPI_FLOAT;
    case at::kDouble:
      return MPI_DOUBLE;
    case at::kLong:
      return MPI_INT64_T;
    case at::kInt:
      return MPI_INT32_T;
    case at::kByte:
      return MPI_UINT8_T;
    default:
      TORCH_CHECK(false, "no MPI type for ", tensor.scalar_type());
  }
}

MPI_Op op_of(ReduceOp op) {
  switch (op) {
    case ReduceOp::kSum:
      return MPI_SUM;
    case ReduceOp::kMin:
      return MPI_MIN;
    case ReduceOp::kMax:
      return MPI_MAX;
  }
  TORCH_CHECK(false, "no such reduction: ", static_cast<int>(op));
}

// act(byte offset, element count) for each piece of the tensor, in order. The cuts depend on shape and dtype alone, so
// that for one number of ranks the sums are made in the same order every time.
template <typename Act>
void for_each_piece(const at::Tensor& tensor, Act act) {
  const int64_t bytes = tensor.element_size();
  const int64_t step = kPieceBytes / bytes;
  for (int64_t begin = 0; begin < tensor.numel(); begin += step) {
    act(begin * bytes, static_cast<int>(std::min(step, tensor.numel() - begin)));
  }
}

void all_reduce_pieces(const at::Tensor& tensor, ReduceOp op, MPI_Comm comm) {
  auto* data = static_cast<char*>(tensor.mutable_data_ptr());
  // Blocking on purpose: MPI_Iallreduce took 2.3 times as long and made no progress by itself.
  for_each_piece(tensor, [&](int64_t offset, int count) {
    check_mpi(MPI_Allreduce(MPI_IN_PLACE, data + offset, count, datatype_of(tensor), op_of(op), comm), "MPI_Allreduce");
  });
}

void broadcast_pieces(const at::Tensor& tensor, int root, MPI_Comm comm) {
  auto* data = static_cast<char*>(tensor.mutable_data_ptr());
  for_each_piece(tensor, [&](int64_t offset, int count) {
    check_mpi(MPI_Bcast(data + offset, count, datatype_of(tensor), root, comm), "MPI_Bcast");
  });
}

// A piece as it lies in the gathered tensor: `count` elements, and the next rank's a whole row further on.
class RowPiece {
 public:
  RowPiece(int count, MPI_Datatype element, int64_t row_bytes) {
    MPI_Datatype piece = MPI_DATATYPE_NULL;
    check_mpi(MPI_Type_contiguous(count, element, &piece), "MPI_Type_contiguous");
    check_mpi(MPI_Type_create_resized(piece, 0, row_bytes, &type_), "MPI_Type_create_resized");
    check_mpi(MPI_Type_free(&piece), "MPI_Type_free");
    check_mpi(MPI_Type_commit(&type_), "MPI_Type_commit");
  }
  ~RowPiece() { MPI_Type_free(&type_); }
  RowPiece(const RowPiece&) = delete;
  MPI_Datatype type() const { return type_; }

 private:
  MPI_Datatype type_ = MPI_DATATYPE_NULL;
};

void all_gather_pieces(const at::Tensor& mine, const at::Tensor& all, MPI_Comm comm) {
  const auto* from = static_cast<const char*>(mine.const_data_ptr());
  auto* to = static_cast<char*>(all.mutable_data_ptr());
  const MPI_Datatype element = datatype_of(mine);
  for_each_piece(mine, [&](int64_t offset, int count) {
    const RowPiece piece(count, element, mine.numel() * mine.element_size());
    check_mpi(MPI_Allgather(from + offset, count, element, to + offset, 1, piece.type(), comm), "MPI_Allgather");
  });
}

// Pair after pair, each in pieces, of which both ends know the number: every rank sends to the `distance`-th after it
// and receives from the `distance`-th before it, so no rank is met by two at once.
void all_to_all_pieces(const std::vector<at::Tensor>& parts, std::vector<at::Tensor>& received, int rank,
                       MPI_Comm comm) {
  const auto piece = [](const at::Tensor& tensor, int64_t begin) {
    return static_cast<int>(std::clamp<int64_t>(tensor.numel() - begin, 0, kPairBytes));
  };
  const int size = static_cast<int>(parts.size());
  std::vector<int64_t> sent(parts.size()), coming(parts.size());
  std::ranges::transform(parts, sent.begin(), [](const at::Tensor& part) { return part.numel(); });
  check_mpi(MPI_Alltoall(sent.data(), 1, MPI_INT64_T, coming.data(), 1, MPI_INT64_T, comm), "MPI_Alltoall");
  for (const int64_t bytes : coming) received.push_back(at::empty({bytes}, parts.front().options()));
  received[static_cast<size_t>(rank)].copy_(parts[static_cast<size_t>(rank)]);
  for (int distance = 1; distance < size; ++distance) {
    const int next = (rank + distance) % size, previous = (rank + size - distance) % size;
    const at::Tensor &to = parts[static_cast<size_t>(next)], &from = received[static_cast<size_t>(previous)];
    for (int64_t begin = 0; begin < std::max(to.numel(), from.numel()); begin += kPairBytes) {
      const int out = piece(to, begin), in = piece(from, begin);
      check_mpi(MPI_Sendrecv(static_cast<const char*>(to.const_data_ptr()) + begin, out, MPI_UINT8_T,
                             out > 0 ? next : MPI_PROC_NULL, 0, static_cast<char*>(from.mutable_data_ptr()) + begin, in,
                             MPI_UINT8_T, in > 0 ? previous : MPI_PROC_NULL, 0, comm, MPI_STATUS_IGNORE),
                "MPI_Sendrecv");
    }
  }
}

class MpiWork final : public Work {
 public:
  explicit MpiWork(std::shared_future<void> done) : done_(std::move(done)) {}
  void wait() override { done_.get(); }

 private:
  std::shared_future<void> done_;
};

// `make` makes the handle, on the communication thread, as part of `call`.
std::unique_ptr<Communicator> make_group(CommunicationThread& thread, std::string name, Call call,
                                         const std::function<void(MPI_Comm*)>& make);

// Tasks hold copies of the MPI handle and of the tensor, never `this`: they may run after their group and its caller
// are gone.
class MpiCommunicator final : public Communicator {
 public:
  MpiCommunicator(MPI_Comm comm, CommunicationThread& thread, std::string name, int rank, int size)
      : comm_(comm), thread_(thread), name_(std::move(name)), rank_(rank), size_(size) {}

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  std::unique_ptr<Work> all_reduce(at::Tensor tensor, ReduceOp op) override {
    check_carried(tensor);
    if (size_ == 1) return make_done_work();
    auto task = [comm = comm_, tensor = std::move(tensor), op] { all_reduce_pieces(tensor, op, comm); };
    return std::make_unique<MpiWork>(thread_.post(next_call("all_reduce"), std::move(task)));
  }

  void broadcast(at::Tensor tensor, int root) override {
    check_carried(tensor);
    TORCH_CHECK(root >= 0 && root < size_, "broadcast from rank ", root, " in a group of ", size_);
    if (size_ == 1) return;
    thread_
        .post(next_call("broadcast"),
              [comm = comm_, tensor = std::move(tensor), root] { broadcast_pieces(tensor, root, comm); })
        .get();
  }

  at::Tensor all_gather(const at::Tensor& tensor) override {
    check_carried(tensor);
    if (size_ == 1) return tensor.unsqueeze(0).clone();
    std::vector<int64_t> shape = tensor.sizes().vec();
    shape.insert(shape.begin(), size_);
    at::Tensor all = at::empty(shape, tensor.options());
    thread_.post(next_call("all_gather"), [comm = comm_, tensor, all] { all_gather_pieces(tensor, all, comm); }).get();
    return all;
  }

  std::vector<at::Tensor> all_to_all(const std::vector<at::Tensor>& parts) override {
    TORCH_CHECK(static_cast<int>(parts.size()) == size_, parts.size(), " parts for a group of ", size_);
    for (const auto& part : parts) {
      check_carried(part);
      TORCH_CHECK(part.scalar_type() == at::kByte, "an all_to_all carries uint8, not ", part.scalar_type());
    }
    if (size_ == 1) return parts;
    const auto received = std::make_shared<std::vector<at::Tensor>>();
    thread_
        .post(next_call("all_to_all"),
              [comm = comm_, rank = rank_, parts, received] { all_to_all_pieces(parts, *received, rank, comm); })
        .get();
    return *received;
  }

  void barrier() override {
    if (size_ == 1) return;
    thread_.post(next_call("barrier"), [comm = comm_] { check_mpi(MPI_Barrier(comm), "MPI_Barrier"); }).get();
  }

  std::unique_ptr<Communicator> split(int colour) override {
    return make_group(thread_, name_ + "/" + std::to_string(colour), next_call("split"),
                      [parent = comm_, colour, rank = rank_](MPI_Comm* part) {
                        check_mpi(MPI_Comm_split(parent, colour, rank, part), "MPI_Comm_split");
                      });
  }

 private:
  Call next_call(const char* operation) { return {.group = name_, .operation = operation, .number = ++calls_}; }

  MPI_Comm comm_;
  CommunicationThread& thread_;
  std::string name_;
  int rank_, size_;
  int64_t calls_ = 0;
};

std::unique_ptr<Communicator> make_group(CommunicationThread& thread, std::string name, Call call,
                                         const std::function<void(MPI_Comm*)>& make) {
  MPI_Comm comm = MPI_COMM_NULL;
  int rank = 0, size = 1;
  thread
      .post(std::move(call),
            [&] {
              make(&comm);
              check_mpi(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
              check_mpi(MPI_Comm_rank(comm, &rank), "MPI_Comm_rank");
              check_mpi(MPI_Comm_size(comm, &size), "MPI_Comm_size");
            })
      .get();
  return std::make_unique<MpiCommunicator>(comm, thread, std::move(name), rank, size);
}

}  // namespace

std::unique_ptr<Communicator> make_mpi_communicator(MPI_Comm parent, CommunicationThread& thread, std::string name) {
  Call call{.group = name, .operation = "duplicate"};
  return make_group(thread, std::move(name), std::move(call),
                    [parent](MPI_Comm* copy) { check_mpi(MPI_Comm_dup(parent, copy), "MPI_Comm_dup"); });
}

}  // namespace acm::comm
