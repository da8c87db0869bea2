#include "nn/sample_groups.h"

#include <ATen/Parallel.h>
#include <ATen/ThreadLocalState.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <vector>

#include "core/quotient.h"
#include "nn/kernels/feed_forward.h"

namespace acm::nn {
namespace {

// Of a ViT-Ti at 224, 32 images with ACMs took 0.85 of the time in groups of 6 to 8, 0.9 in groups of 2 or 16, and 8
// as much as 16 of a ViT-B; the dense model gains nothing, and loses from 4 down.
constexpr int64_t kTokensAtOnce = 1600;

int64_t samples_at_once(const Backbone& backbone, const data::Batch& batch) {
  return std::max<int64_t>(1, kTokensAtOnce / backbone.token_counts(batch).max().item<int64_t>());
}

at::Tensor part_of(const at::Tensor& of_samples, int64_t first, int64_t count) {
  return of_samples.defined() ? of_samples.narrow(0, first, count) : of_samples;
}

data::Batch part_of(const data::Batch& batch, int64_t first, int64_t count) {
  return {part_of(batch.inputs, first, count), part_of(batch.lengths, first, count),
          part_of(batch.labels, first, count), part_of(batch.targets, first, count),
          part_of(batch.positions, first, count)};
}

// A pass over some of the samples.
struct Group {
  TokenContext context;
  std::optional<Recorder> recorder;
  at::Tensor outputs;
};

at::Tensor joined(const std::vector<Group>& groups, const std::function<at::Tensor(const Group&)>& of) {
  std::vector<at::Tensor> parts;
  for (const auto& group : groups)
    if (const auto part = of(group); part.defined()) parts.push_back(part);
  return parts.empty() ? at::Tensor() : at::cat(parts);
}

void join_records(const std::vector<Group>& groups, Recorder& whole) {
  constexpr std::array kTensors = {&SiteRecord::input, &SiteRecord::output, &SiteRecord::logits, &SiteRecord::mixture,
                                   &SiteRecord::choice};
  for (size_t site = 0; site < whole.size(); ++site)
    for (const auto tensor : kTensors)
      whole.at(site).*tensor = joined(groups, [&](const Group& group) { return group.recorder->at(site).*tensor; });
}

}  // namespace

at::Tensor forward_in_groups(Backbone& backbone, const data::Batch& batch, TokenContext& context) {
  const int64_t samples = batch.inputs.size(0);
  if (samples == 0 || at::GradMode::is_enabled() || !batch.inputs.is_cpu()) return backbone.forward(batch, context);
  const int64_t most = samples_at_once(backbone, batch);
  if (samples <= most) return backbone.forward(batch, context);
  std::vector<Group> groups(static_cast<size_t>(quotient_up(samples, most)));
  const auto run = [&](int64_t i) {
    const int64_t first = i * most, count = std::min(most, samples - first);
    auto& group = groups[static_cast<size_t>(i)];
    group.context = context;
    group.context.valid = part_of(context.valid, first, count);
    group.context.positions = part_of(context.positions, first, count);
    if (context.recorder != nullptr)
      group.context.recorder = &group.recorder.emplace(context.recorder->size(), context.recorder->keep());
    group.outputs = backbone.forward(part_of(batch, first, count), group.context);
  };
  // Where there are enough of them, threads share the groups, and otherwise what a group has to do.
  const auto count = static_cast<int64_t>(groups.size());
  if (count < at::get_num_threads()) {
    for (int64_t i = 0; i < count; ++i) run(i);
  } else {
    const at::ThreadLocalState state;  // no gradients, as here
    share_among_threads(count, [&](int64_t i) {
      const at::ThreadLocalStateGuard guard(state);
      run(i);
    });
  }
  context.valid = joined(groups, [](const Group& group) { return group.context.valid; });
  if (context.recorder != nullptr) join_records(groups, *context.recorder);
  return joined(groups, [](const Group& group) { return group.outputs; });
}

}  // namespace acm::nn
