#include "phases/learner_start.h"

#include <ATen/ops/cat.h>
#include <gtest/gtest.h>

#include "acm/teacher_start.h"
#include "unit/core/scratch.h"
#include "unit/phases/small_run.h"

namespace acm::phases {
namespace {

class LearnerStartTest : public testing::Test {
 protected:
  void SetUp() override {
    save_dense_model(run_);
    capture_ = std::make_unique<Capture>(run_);
    ASSERT_TRUE(capture_->fill());
  }

  const nn::Site& site(const std::string& name) const {
    return capture_->teacher().sites()[nn::site_index(capture_->teacher(), name)];
  }
  std::shared_ptr<AcmLayer> started(const std::string& name) {
    CacheReader reader(*capture_, small_.log);
    auto layer = std::make_shared<AcmLayer>(shape_of(site(name), small_.settings.surgery()));
    layer->to(small_.settings.dtype());
    start_learners(run_, *capture_, site(name), reader, *layer);
    return layer;
  }
  // Inputs of the first segments, in order; 20 rows a segment.
  at::Tensor inputs(const std::string& name, int64_t rows) {
    std::vector<at::Tensor> all;
    for (int64_t segment = 0; segment < 3; ++segment) all.push_back(capture_->cache().read_input(segment, name));
    return at::cat(all).narrow(0, 0, rows);
  }
  template <typename Dense>
  std::shared_ptr<Dense> dense(const std::string& name) {
    return std::dynamic_pointer_cast<Dense>(capture_->teacher().named_modules()[name]);
  }

  const Scratch scratch_;
  const std::unique_ptr<comm::Communicator> solo_ = comm::make_solo_communicator();
  SmallRun small_{scratch_.folder(), *solo_};
  const phases::Run run_ = small_.run(*solo_);
  std::unique_ptr<Capture> capture_;
};

// The statistics are those of so many samples, from the middle of a segment to all there are.
TEST_F(LearnerStartTest, TakesTheFirstSamplesThatWereCaptured) {
  for (const int64_t samples : {3, 7, 10, 1000}) {
    small_.settings.acm.init_samples = samples;
    const int64_t rows = 5 * std::min<int64_t>(samples, 10);
    const auto ffn = started("blocks.1.ffn"), q = started("blocks.0.q");

    AcmLayer expected_ffn(ffn->shape()), expected_q(q->shape());
    expected_ffn.to(at::kDouble), expected_q.to(at::kDouble);
    const auto feed_forward = dense<nn::DenseFeedForward>("blocks.1.ffn");
    start_from(expected_ffn, *feed_forward, hidden_energy(*feed_forward, inputs("blocks.1.ffn", rows)));
    start_from(expected_q, *dense<nn::DenseProjection>("blocks.0.q"), input_moment(inputs("blocks.0.q", rows)));
    EXPECT_TRUE(ffn->w1.equal(expected_ffn.w1)) << samples;
    EXPECT_TRUE(ffn->w2.equal(expected_ffn.w2)) << samples;
    EXPECT_LT((q->w1 - expected_q.w1).abs().max().item<double>(), 1e-9) << samples;
    EXPECT_LT((q->w2 - expected_q.w2).abs().max().item<double>(), 1e-9) << samples;
  }
}

TEST_F(LearnerStartTest, RandomStartsAreThoseOfTheLayer) {
  const auto key = run_.key().with("distill").with("blocks.0.q").with("learners");
  for (const char* init : {"random", "reference"}) {
    small_.settings.acm.init = init;
    const auto layer = started("blocks.0.q");
    AcmLayer expected(layer->shape());
    expected.to(at::kDouble);
    expected.initialise(key, std::string(init) == "random" ? RandomStart::kPaper : RandomStart::kReference);
    EXPECT_TRUE(layer->w1.equal(expected.w1)) << init;
    EXPECT_TRUE(layer->b1.equal(expected.b1)) << init;
  }
}

TEST_F(LearnerStartTest, ProjectionsWithAnActivationStartFromRandomNumbersAndTheLogSaysSo) {
  small_.settings.acm.projection_activation = "gelu";
  const auto layer = started("blocks.0.q");
  small_.settings.acm.init = "random";
  EXPECT_TRUE(layer->w1.equal(started("blocks.0.q")->w1));
  EXPECT_NE(read_file(scratch_ / "rank-0.log").find("site blocks.0.q: learners start from random numbers"),
            std::string::npos);
}

}  // namespace
}  // namespace acm::phases
