#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "comm/communicator.h"

namespace acm::comm {
namespace {

at::Tensor number_tensor(int64_t value) { return at::full({1}, value, at::kLong); }

template <typename Number>
Number all_reduce_one(Communicator& group, Number mine, ReduceOp op, at::ScalarType dtype) {
  const at::Tensor tensor = at::full({1}, mine, dtype);
  group.all_reduce(tensor, op)->wait();
  return *tensor.const_data_ptr<Number>();
}

}  // namespace

std::vector<at::Tensor> Communicator::all_to_all(const std::vector<at::Tensor>& parts) {
  TORCH_CHECK(static_cast<int>(parts.size()) == size(), parts.size(), " parts for a group of ", size());
  if (size() == 1) return parts;
  std::vector<int64_t> bytes;
  for (const auto& part : parts) bytes.push_back(part.numel());
  const at::Device device = parts.front().device();
  const at::Tensor counts = all_gather(at::tensor(bytes, at::kLong).to(device)).cpu();  // [from, to]
  const at::Tensor mine = at::cat(parts);
  const at::Tensor padded = at::zeros({counts.sum(1).max().item<int64_t>()}, mine.options());
  padded.narrow(0, 0, mine.numel()).copy_(mine);
  const at::Tensor all = all_gather(padded);
  std::vector<at::Tensor> received;
  for (int from = 0; from < size(); ++from) {
    const auto* count = counts.const_data_ptr<int64_t>() + int64_t{from} * size();
    received.push_back(all[from].narrow(0, std::accumulate(count, count + rank(), int64_t{0}), count[rank()]).clone());
  }
  return received;
}

std::vector<std::string> all_gather_strings(Communicator& group, const std::string& mine) {
  const at::Tensor lengths = group.all_gather(number_tensor(static_cast<int64_t>(mine.size())));
  const auto* length = lengths.const_data_ptr<int64_t>();
  int64_t longest = 0;
  for (int rank = 0; rank < group.size(); ++rank) longest = std::max(longest, length[rank]);

  const at::Tensor padded = at::zeros({longest}, at::kByte);
  if (!mine.empty()) std::memcpy(padded.mutable_data_ptr(), mine.data(), mine.size());
  const at::Tensor bytes = group.all_gather(padded);  // [size, longest]
  std::vector<std::string> strings;
  for (int rank = 0; rank < group.size(); ++rank) {
    const auto* row = static_cast<const char*>(bytes.const_data_ptr()) + rank * longest;
    strings.push_back(length[rank] == 0 ? std::string() : std::string(row, length[rank]));
  }
  return strings;
}

std::string broadcast_string(Communicator& group, const std::string& mine, int root) {
  const at::Tensor length = number_tensor(static_cast<int64_t>(mine.size()));
  group.broadcast(length, root);
  const at::Tensor bytes = at::zeros({*length.const_data_ptr<int64_t>()}, at::kByte);
  if (group.rank() == root && !mine.empty()) std::memcpy(bytes.mutable_data_ptr(), mine.data(), mine.size());
  group.broadcast(bytes, root);
  return bytes.numel() == 0 ? std::string()
                            : std::string(static_cast<const char*>(bytes.const_data_ptr()), bytes.numel());
}

int64_t all_reduce_number(Communicator& group, int64_t mine, ReduceOp op) {
  return all_reduce_one(group, mine, op, at::kLong);
}

double all_reduce_number(Communicator& group, double mine, ReduceOp op) {
  return all_reduce_one(group, mine, op, at::kDouble);
}

}  // namespace acm::comm
