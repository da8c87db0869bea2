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
      teacher_(load_model(teacher_model(run.settings, run.folder))),
      schedule_(run.train_data.size(), run.settings.cache.micro_batch, run.key().with("capture")) {
  if (!acm_sites(*teacher_.backbone).empty())
    throw Error(
        Fault::kUsage,
        "cannot capture from " + teacher_model(run.settings, run.folder).string() +
            ": it is an ACM model already; the teacher must be a dense one (backbone.weights or distill.model)");
  check_fits(teacher_, teacher_model(run.settings, run.folder), run.train_data);
  teacher_.backbone->to(run.settings.dtype());
  teacher_.backbone->eval();
  cache_ =
      std::make_unique<io::ActivationCache>(cache_folder(run), cache_layout(run, *teacher_.backbone, teacher_.digest));
}

void Capture::check_space(int64_t missing) {
  if (missing <= 0) return;  // a folder may hold the segments of more samples than this run wants
  const auto& layout = cache_->layout();
  const int64_t payload = layout.payload_bytes(tokens_of_first_sample(run_, *teacher_.backbone));
  const int64_t needed = payload / std::max<int64_t>(layout.samples, 1) * layout.segment_samples * missing;
  const auto folder = cache_folder(run_);
  const int64_t free = free_bytes(folder);
  constexpr int64_t kMega = 1'000'000;
  run_.log.info("cache: " + std::to_string(missing) + " of " + std::to_string(layout.segments()) +
                " segments to capture, " + std::to_string(needed / kMega) + " MB of " + std::to_string(free / kMega) +
                " MB free in " + folder.string());
  if (needed > free)
    throw Error(Fault::kResource, "cannot capture into " + folder.string() + ": the cache needs " +
                                      std::to_string(needed / kMega) + " MB and " + std::to_string(free / kMega) +
                                      " MB are free; lower cache.samples or name another folder with cache.dir");
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
    nn::Recorder recorder(teacher_.backbone->sites().size(), nn::Recorder::Keep::kActivations);
    nn::TokenContext context;
    context.recorder = &recorder;
    teacher_.backbone->forward(batch, context);
    counts.push_back(teacher_.backbone->token_counts(batch));
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

bool Capture::fill() {
  const auto& layout = cache_->layout();
  std::vector<int64_t> missing;
  // Files are counted before any is looked at: a cache far too large for the disk has more segments than there is time
  // to look for.
  comm::together(run_.groups.control, [&] {
    if (run_.is_root())
      check_space(layout.segments() - static_cast<int64_t>(io::segment_files(cache_folder(run_)).size()));
  });
  comm::together(run_.groups.control, [&] {
    for (int64_t segment = 0; segment < layout.segments(); ++segment)
      if (const auto fault = cache_->fault_of(segment)) {
        missing.push_back(segment);
        if (*fault != "missing")
          run_.log.warn(cache_->path_of(segment).string() + " is " + *fault + "; it is captured again");
      }
  });
  if (missing.empty()) return true;

  run_.beat.update([](comm::BeatState& state) { state.phase = "capture"; });
  Stopwatch watch;
  int64_t done = 0;
  const auto mine = [&](int64_t segment) { return segment % run_.ranks() == run_.rank(); };
  const auto share = std::ranges::count_if(missing, mine);
  for (const int64_t segment : missing) {
    if (!mine(segment) || run_.stop.stop_requested()) continue;
    capture(segment);
    ++done;
    run_.progress.report(
        {.phase = "capture",
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
