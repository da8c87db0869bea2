#include "phases/capture.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/masked_select.h>

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "core/file.h"
#include "core/stopwatch.h"
#include "data/loader.h"
#include "io/cache_layout.h"
#include "phases/model_fit.h"
#include "phases/single_thread.h"

namespace acm::phases {
namespace {

int64_t captured_samples(const Run& run) {
  return run.settings.cache.samples > 0 ? run.settings.cache.samples : run.train_data.size();
}

// Valid rows of [samples, tokens, width], packed: [rows, width].
at::Tensor packed(const at::Tensor& activations, const at::Tensor& valid) {
  const auto rows = activations.reshape({-1, activations.size(-1)});
  return valid.defined() ? rows.index({valid.reshape({-1})}) : rows;
}

}  // namespace

io::CacheLayout cache_layout(const Run& run, const nn::Backbone& teacher, const std::string& weights) {
  io::CacheLayout layout;
  layout.dtype = run.settings.dtype();
  layout.samples = captured_samples(run);
  layout.segment_samples = run.settings.cache.segment_samples;
  const auto& sites = teacher.sites();
  const auto selected = selected_sites(teacher, run.settings.acm.sites);
  for (const size_t index : selected) {
    const auto& site = sites[index];
    // The stored input belongs to the first selected site that reads it.
    const auto owner =
        std::ranges::find_if(selected, [&](size_t other) { return sites[other].input_of == site.input_of; });
    layout.sites.push_back({site.name, sites[*owner].name, site.width, site.width});
  }
  layout.key = Json::object({{"weights", weights},
                             {"data", run.train_data.identity()},
                             {"seed", run.settings.seed},
                             {"micro_batch", run.settings.cache.micro_batch}});
  return layout;
}

std::filesystem::path cache_folder(const Run& run) {
  return run.settings.cache.dir.empty() ? run.folder.cache() : std::filesystem::path(run.settings.cache.dir);
}

int64_t tokens_of_first_sample(const Run& run, const nn::Backbone& teacher) {
  const data::Schedule schedule(run.train_data.size(), 1, run.key().with("capture"));
  return teacher.token_counts(data::load_positions(run.train_data, schedule, run.key().with("augmentation"), {0}))
      .item<int64_t>();
}

Capture::Capture(const Run& run)
    : run_(run),
      teacher_(load_teacher(run)),
      schedule_(run.train_data.size(), run.settings.cache.micro_batch, run.key().with("capture")) {
  check_fits(teacher_, teacher_model(run.settings, run.folder), run.train_data);
  teacher_.backbone->to(run.settings.dtype());
  teacher_.backbone->eval();
  cache_ =
      std::make_unique<io::ActivationCache>(cache_folder(run), cache_layout(run, *teacher_.backbone, teacher_.digest));
}

int64_t Capture::bytes_per_segment() const {
  const auto& layout = cache_->layout();
  const int64_t payload = layout.payload_bytes(tokens_of_first_sample(run_, *teacher_.backbone));
  return payload / std::max<int64_t>(layout.samples, 1) * layout.segment_samples;
}

void Capture::capture(int64_t segment) {
  at::NoGradGuard no_grad;
  const auto& layout = cache_->layout();
  const int64_t first = layout.first_sample(segment), end = first + layout.samples_in(segment),
                step = run_.settings.cache.micro_batch;
  std::vector<std::vector<at::Tensor>> inputs(layout.sites.size()), outputs(layout.sites.size());
  std::vector<at::Tensor> counts;
  for (int64_t begin = first; begin < end; begin += step) {
    std::vector<int64_t> positions(static_cast<size_t>(std::min(step, end - begin)));
    std::iota(positions.begin(), positions.end(), begin);
    const auto batch = data::load_positions(run_.train_data, schedule_, run_.key().with("augmentation"), positions);
    counts.push_back(teacher_.backbone->token_counts(batch));
    const SingleThreadIfShort guard(std::min(counts.back().sum().item<int64_t>(), layout.sites.front().input_width));
    nn::Recorder recorder(teacher_.backbone->sites().size(), nn::Recorder::Keep::kActivations);
    nn::TokenContext context;
    context.recorder = &recorder;
    teacher_.backbone->forward(batch, context);
    for (size_t i = 0; i < layout.sites.size(); ++i) {
      const auto& record = recorder.at(nn::site_index(*teacher_.backbone, layout.sites[i].name));
      if (layout.sites[i].input_of == layout.sites[i].name) inputs[i].push_back(packed(record.input, context.valid));
      outputs[i].push_back(packed(record.output, context.valid));
    }
  }
  io::SegmentData data;
  data.offsets = at::cat({at::zeros({1}, at::kLong), at::cat(counts).cumsum(0)});
  for (size_t i = 0; i < layout.sites.size(); ++i) {
    data.inputs.push_back(inputs[i].empty() ? at::Tensor() : at::cat(inputs[i]));
    data.outputs.push_back(at::cat(outputs[i]));
  }
  cache_->write(segment, data);
}

// Looks until more is missing than fits: a cache far too large for the disk has more segments than there is time to
// look for.
std::vector<int64_t> Capture::find_missing() {
  const auto& layout = cache_->layout();
  const auto folder = cache_folder(run_);
  const int64_t bytes = bytes_per_segment(), free = free_bytes(folder);
  const auto mega = [](int64_t count) { return std::to_string(count / 1'000'000) + " MB"; };
  std::vector<int64_t> missing;
  for (int64_t segment = 0; segment < layout.segments(); ++segment) {
    const auto fault = cache_->fault_of(segment);
    if (!fault) continue;
    missing.push_back(segment);
    if (*fault != "missing")
      run_.log.warn(cache_->path_of(segment).string() + " is " + *fault + "; it is captured again");
    if (static_cast<int64_t>(missing.size()) * bytes > free)
      throw Error(Fault::kResource, "cannot capture into " + folder.string() + ": the cache takes " +
                                        mega(layout.segments() * bytes) + ", more is missing of it than the " +
                                        mega(free) +
                                        " that are free; lower cache.samples or name another folder with cache.dir");
  }
  if (!missing.empty())
    run_.log.info("cache: " + std::to_string(missing.size()) + " of " + std::to_string(layout.segments()) +
                  " segments to capture, " + mega(static_cast<int64_t>(missing.size()) * bytes) + " of " + mega(free) +
                  " free in " + folder.string());
  return missing;
}

// Rank 0 looks, so that all ranks hold the same list.
std::vector<int64_t> Capture::missing_segments() {
  Json list = Json::Array();
  comm::together(run_.groups.control, [&] {
    if (run_.is_root()) list = Json::array(find_missing());
  });
  std::vector<int64_t> missing;
  const auto agreed = Json::parse(comm::broadcast_string(run_.groups.control, list.dump()), "the list of segments");
  for (const Json& segment : agreed.as_array()) missing.push_back(segment.as_int());
  return missing;
}

bool Capture::fill() {
  const auto missing = missing_segments();
  if (missing.empty()) return true;

  const auto& layout = cache_->layout();
  run_.beat.update([](comm::BeatState& state) { state.phase = "capture"; });
  Stopwatch watch;
  int64_t done = 0;
  const auto mine = [&](int64_t segment) { return segment % run_.ranks() == run_.rank(); };
  const auto share = std::ranges::count_if(missing, mine);
  for (const int64_t segment : missing) {
    if (!mine(segment) || run_.stop.stop_requested()) continue;
    capture(segment);
    ++done;
    run_.progress.report({.phase = "capture",
                          .done = done,
                          .total = share,
                          .unit = "segments",
                          .rate = static_cast<double>(done * layout.segment_samples * run_.ranks()) / watch.seconds()});
  }
  run_.progress.finish("capture");
  // Every rank's segments stand before any rank reads; a stop anywhere stops all.
  return comm::all_reduce_number(run_.groups.control, int64_t{done == share}, comm::ReduceOp::kMin) == 1;
}

}  // namespace acm::phases
