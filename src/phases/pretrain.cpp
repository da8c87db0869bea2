#include "phases/pretrain.h"

#include "acm/model.h"
#include "nn/autocast.h"
#include "phases/module_state.h"
#include "phases/sample_loader.h"

namespace acm::phases {
namespace {

class Pretrain final : public train::Phase {
 public:
  explicit Pretrain(const Run& run)
      : run_(run),
        config_(run.settings.pretrain),
        backbone_(new_backbone(run)),
        loader_(make_sample_loader(run, PhaseId::kPretrain)) {}

  std::string_view name() const override { return name_of(PhaseId::kPretrain); }
  int64_t steps() const override { return config_.steps_over(run_.train_data.size()); }
  std::string_view unit() const override { return "samples"; }
  int64_t items_per_step() const override { return config_.batch; }
  std::vector<train::ParameterGroup> parameter_groups() override { return one_group(*backbone_, config_.weight_decay); }
  void visit_state(train::StateVisitor& visitor) override { visit_parameters(*backbone_, visitor); }
  std::optional<data::FetchFigures> take_fetch_figures() override { return loader_->take_figures(); }

  at::Tensor loss(const data::Slice& slice, train::Metrics& metrics) override {
    const auto batch = loader_->get(slice);
    nn::TokenContext context;
    context.training = true;
    const nn::Autocast autocast(run_.device, config_.autocast == "bfloat16");
    const auto loss = run_.task.losses(backbone_->forward(batch, context).to(run_.settings.dtype()), batch).sum() /
                      static_cast<double>(config_.batch);
    metrics.add("loss", loss.detach());
    return loss;
  }

  void finish() override {
    comm::together(run_.groups.control, [&] {
      if (run_.is_root())
        save_model(run_.folder.model(PhaseId::kPretrain), *backbone_, "pretrain", run_.train_data.preprocessing(), "");
    });
  }

 private:
  const Run& run_;
  const PretrainConfig& config_;
  std::shared_ptr<nn::Backbone> backbone_;
  std::unique_ptr<data::Loader> loader_;
};

}  // namespace

std::shared_ptr<nn::Backbone> new_backbone(const Run& run) {
  const auto& config = run.settings.backbone;
  const auto [channels, height, width] = run.train_data.input_shape();
  auto backbone = nn::make_vit({.channels = channels,
                                .height = height,
                                .width_pixels = width,
                                .patch = config.patch,
                                .width = config.width,
                                .depth = config.depth,
                                .heads = config.heads,
                                .hidden = config.hidden,
                                .classes = run.train_data.classes(),
                                .pooling = config.pooling});
  backbone->to(run.settings.dtype());
  backbone->initialise(run.key().with("pretrain").with("weights"));
  backbone->to(run.device);
  return backbone;
}

train::Outcome run_pretrain(const Run& run) {
  std::optional<Pretrain> phase;
  comm::together(run.groups.control, [&] { phase.emplace(run); });
  return train_on_all_ranks(run, PhaseId::kPretrain, *phase);
}

}  // namespace acm::phases
