#include "phases/learner_start.h"

#include "acm/teacher_start.h"
#include "phases/single_thread.h"

namespace acm::phases {
namespace {

// Rows that pass the dense module at once, to bound memory; fixed, so that sums are added in one order.
constexpr int64_t kRowsAtOnce = 4096;

// Sum of `statistic` over the inputs of the first captured samples.
template <typename Statistic>
at::Tensor over_first_samples(const Run& run, const nn::Site& site, CacheReader& reader, const Statistic& statistic) {
  at::Tensor sum;
  for (const auto& part : reader.first_samples(run.settings.acm.init_samples)) {
    const auto inputs = reader.rows(site.name, {part}).input.to(run.device, run.settings.dtype());
    for (const auto& rows : inputs.split(kRowsAtOnce)) {
      const auto term = statistic(rows);
      sum = sum.defined() ? sum + term : term;
    }
  }
  return sum;
}

}  // namespace

void start_learners(const Run& run, const Capture& capture, const nn::Site& site, CacheReader& reader,
                    AcmLayer& layer) {
  const auto key = run.key().with("distill").with(site.name).with("learners");
  if (run.settings.acm.init != "teacher")
    return layer.initialise(key, run.settings.acm.init == "random" ? RandomStart::kPaper : RandomStart::kReference);

  const SingleThreadInFloat64 one_thread(at::kDouble);
  const auto dense = capture.teacher().named_modules()[site.name];
  if (const auto* feed_forward = dynamic_cast<const nn::DenseFeedForward*>(dense.get())) {
    start_from(layer, *feed_forward, over_first_samples(run, site, reader, [&](const at::Tensor& tokens) {
                 return hidden_energy(*feed_forward, tokens);
               }));
    return;
  }
  if (layer.shape().activation == Activation::kIdentity) {
    const auto& projection = dynamic_cast<const nn::DenseProjection&>(*dense);
    return start_from(layer, projection, over_first_samples(run, site, reader, input_moment));
  }
  run.log.info("site " + site.name +
               ": learners start from random numbers, because acm.init = \"teacher\" has no start for "
               "acm.projection_activation = \"gelu\"");
  layer.initialise(key);
}

}  // namespace acm::phases
