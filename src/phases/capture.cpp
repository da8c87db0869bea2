#include "phases/capture.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "core/file.h"
#include "core/stopwatch.h"
#include "phases/model_fit.h"
#include "phases/on_device.h"
#include "phases/sample_loader.h"
#include "phases/single_thread.h"
#include "phases/token_choice.h"

namespace acm::phases {
namespace {

// Valid rows of [samples, tokens, width], packed: [rows, width].
at::Tensor packed(const at::Tensor& activations, const at::Tensor& valid) {
  const auto rows = activations.reshape({-1, activations.size(-1)});
  return valid.defined() ? rows.index({valid.reshape({-1})}) : rows;
}

// In the numbers that the cache stores. A value too large for them would come back as infinity.
at::Tensor stored(const at::Tensor& values, at::ScalarType dtype, const std::string& site) {
  if (values.scalar_type() == dtype) return values;
  auto narrow = values.to(dtype);
  if (narrow.isinf().logical_and(values.isfinite()).any().item<bool>()) {
    const auto largest = values.abs().max().item<double>();
    throw Error(Fault::kUsage, "cannot store the activations of site " + site + " as " + c10::toString(dtype) +
                                   ": a value of " + std::to_string(largest) +
                                   " is beyond its largest; set cache.dtype to bfloat16, float32 or precision");
  }
  return narrow;
}

// What a micro-batch adds to each site's input and output.
struct SiteRows {
  std::vector<at::Tensor> input, output;
};

}  // namespace

Capture::Capture(const Run& run)
    : run_(run),
      teacher_(load_teacher(run)),
      schedule_(run.train_data.size(), run.settings.cache.micro_batch, run.key().with("capture")) {
  check_fits(teacher_, teacher_model(run.settings, run.folder), run.train_data);
  teacher_.backbone->to(run.device, run.settings.dtype());
  teacher_.backbone->eval();
  const auto layout = cache_layout(run, teacher_.backbone->sites(), teacher_.digest);
  need_ = cache_need(run, layout, tokens_of_first_sample(run, *teacher_.backbone));
  cache_ = std::make_unique<io::ActivationCache>(cache_folder(run), layout);
}

std::unique_ptr<data::RangeLoader> Capture::loader_of(const std::vector<int64_t>& segments) const {
  const int64_t step = run_.settings.cache.micro_batch;
  std::vector<data::Range> ranges;
  for (const int64_t segment : segments) {
    const int64_t first = cache_->layout().first_sample(segment), end = first + cache_->layout().samples_in(segment);
    for (int64_t begin = first; begin < end; begin += step) ranges.push_back({begin, begin + step});
  }
  return std::make_unique<data::RangeLoader>(run_.train_data, schedule_, training_views(run_, run_.key()),
                                             std::move(ranges), run_.fetching);
}

io::SegmentData Capture::compute(int64_t segment, data::RangeLoader& loader) {
  at::NoGradGuard no_grad;
  const auto& layout = cache_->layout();
  const auto& config = run_.settings.cache;
  const auto key = run_.key().with("cache").with("tokens");
  const int64_t first = layout.first_sample(segment), samples = layout.samples_in(segment);
  std::vector<SiteRows> sites(layout.sites.size());
  for (int64_t done = 0; done < samples; done += config.micro_batch) {
    const auto batch = loader.next();
    const auto counts = teacher_.backbone->token_counts(batch).cpu();
    const SingleThreadInFloat64 guard(dtype());
    nn::Recorder recorder(teacher_.backbone->sites().size(), nn::Recorder::Keep::kActivations);
    nn::TokenContext context;
    context.recorder = &recorder;
    teacher_.backbone->forward(batch, context);
    const auto tokens = choose_tokens(counts, first + done, config.tokens_per_sample, key);
    const int64_t wanted = std::min(config.micro_batch, samples - done);  // the last micro-batch is full all the same
    if (tokens.counts.narrow(0, 0, wanted).ne(need_.tokens).any().item<bool>())
      throw Error(Fault::kData, "cannot capture segment " + std::to_string(segment) +
                                    ": a sample of it has another number of tokens than the first training sample, " +
                                    std::to_string(need_.tokens) +
                                    "; the cache needs samples of one length: set cache.tokens_per_sample to what the "
                                    "shortest has");
    const auto kept = [&](const at::Tensor& activations, const std::string& site) {
      auto rows = packed(activations, context.valid);
      if (tokens.rows.defined()) rows = rows.index_select(0, on_device(tokens.rows, run_.device));
      return stored(rows.narrow(0, 0, wanted * need_.tokens), layout.dtype, site).cpu();
    };
    for (size_t i = 0; i < layout.sites.size(); ++i) {
      const auto& name = layout.sites[i].name;
      const auto& record = recorder.at(nn::site_index(*teacher_.backbone, name));
      if (layout.sites[i].input_of == name) sites[i].input.push_back(kept(record.input, name));
      sites[i].output.push_back(kept(record.output, name));
    }
  }
  io::SegmentData data;
  data.offsets = at::arange(samples + 1, at::kLong).mul_(need_.tokens);
  for (const auto& site : sites) {
    data.inputs.push_back(site.input.empty() ? at::Tensor() : at::cat(site.input));
    data.outputs.push_back(at::cat(site.output));
  }
  return data;
}

io::SegmentData Capture::compute(int64_t segment) { return compute(segment, *loader_of({segment})); }

void Capture::capture(int64_t segment) { cache_->write(segment, compute(segment)); }

bool Capture::capture_each(const std::vector<int64_t>& segments) {
  if (segments.empty()) return true;
  run_.beat.update([](comm::BeatState& state) { state.phase = "capture"; });
  const Stopwatch watch;
  const auto loader = loader_of(segments);
  const auto share = static_cast<int64_t>(segments.size());
  for (int64_t done = 0; done < share; ++done) {
    if (run_.stop.stop_requested()) return false;
    const int64_t segment = segments[static_cast<size_t>(done)];
    cache_->write(segment, compute(segment, *loader));
    const auto samples = static_cast<double>((done + 1) * cache_->layout().segment_samples * run_.ranks());
    run_.progress.report({.phase = "capture",
                          .done = done + 1,
                          .total = share,
                          .unit = "segments",
                          .rate = samples / watch.seconds(),
                          .data_wait = loader->figures().waited_seconds / watch.seconds()});
  }
  run_.progress.finish("capture");
  return true;
}

void Capture::fail_of_space(int64_t bytes, int64_t free) const {
  throw Error(Fault::kResource,
              "cannot capture into " + cache_folder(run_).string() + ": the cache takes " + bytes_text(bytes) +
                  " at once, more is missing of it than the " + bytes_text(free) + " that are free; " +
                  (run_.settings.cache.max_bytes > 0 ? "set a smaller cache.max_bytes"
                                                     : "set cache.max_bytes, which has it filled in windows") +
                  ", lower cache.samples or name another folder with cache.dir");
}

WindowPlan Capture::plan(const TrainingConfig& phase) const {
  const int64_t rows = training_rows(phase, need_);
  const int64_t bytes = need_.total_bytes(rows), free = free_bytes(cache_folder(run_));
  if (need_.max_bytes == 0 && bytes > free + cache_->bytes_on_disk()) fail_of_space(bytes, free);
  return plan_windows(need_, rows);
}

// Looks until more is missing than fits: a cache far too large for the disk has more segments than there is time to
// look for.
std::vector<int64_t> Capture::find_missing(const std::vector<int64_t>& segments, int64_t further) {
  const auto folder = cache_folder(run_);
  const int64_t bytes = need_.segment_bytes(), free = free_bytes(folder);
  std::vector<int64_t> missing;
  for (const int64_t segment : segments) {
    const auto fault = cache_->fault_of(segment);
    if (!fault) continue;
    missing.push_back(segment);
    if (*fault != "missing")
      run_.log.warn(cache_->path_of(segment).string() + " is " + *fault + "; it is captured again");
    if ((static_cast<int64_t>(missing.size()) + further) * bytes > free)
      fail_of_space((static_cast<int64_t>(segments.size()) + further) * bytes, free);
  }
  if (!missing.empty())
    run_.log.info("cache: " + std::to_string(missing.size()) + " of " + std::to_string(segments.size()) +
                  " segments to capture, " + bytes_text(static_cast<int64_t>(missing.size()) * bytes) + " of " +
                  bytes_text(free) + " free in " + folder.string());
  return missing;
}

// Rank 0 looks, so that all ranks hold the same list.
bool Capture::fill(const std::vector<int64_t>& segments, int64_t further) {
  Json list = Json::Array();
  comm::together(run_.groups.control, [&] {
    if (run_.is_root()) list = Json::array(find_missing(segments, further));
  });
  const auto missing = Json::parse(comm::broadcast_string(run_.groups.control, list.dump()), "the list of segments");
  if (missing.as_array().empty()) return true;
  std::vector<int64_t> mine;
  for (size_t i = static_cast<size_t>(run_.rank()); i < missing.as_array().size(); i += run_.ranks())
    mine.push_back(missing.as_array()[i].as_int());
  const bool done = capture_each(mine);
  // Every rank's segments stand before any rank reads; a stop anywhere stops all.
  return comm::all_reduce_number(run_.groups.control, int64_t{done}, comm::ReduceOp::kMin) == 1;
}

bool Capture::fill() {
  std::vector<int64_t> all(static_cast<size_t>(cache_->layout().segments()));
  std::iota(all.begin(), all.end(), 0);
  return fill(all);
}

bool Capture::fill_share(const std::vector<int64_t>& segments) {
  std::vector<int64_t> mine;
  for (size_t i = static_cast<size_t>(run_.rank()); i < segments.size(); i += static_cast<size_t>(run_.ranks()))
    if (cache_->fault_of(segments[i])) mine.push_back(segments[i]);
  return capture_each(mine);
}

}  // namespace acm::phases
