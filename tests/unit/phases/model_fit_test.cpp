#include "phases/model_fit.h"

#include <gtest/gtest.h>

#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"
#include "unit/phases/small_run.h"

namespace acm::phases {
namespace {

class ModelFitTest : public testing::Test {
 protected:
  const Scratch scratch_;
  const std::unique_ptr<comm::Communicator> solo_ = comm::make_solo_communicator();
  SmallRun small_{scratch_.folder(), *solo_};
  const phases::Run run_ = small_.run(*solo_);
};

TEST_F(ModelFitTest, AModelFitsTheDataThatItWasMadeFor) {
  save_dense_model(run_);
  EXPECT_NO_THROW(check_fits(load_teacher(run_), "m", run_.test_data));
}

TEST_F(ModelFitTest, OtherPreprocessingIsRefused) {
  save_model(scratch_ / "m", *new_backbone(run_), "pretrain", Json::object({{"mean", 0.5}}), "");
  const auto message =
      expect_error(Fault::kUsage, "cannot use the model m on these data: it was made for inputs of {\"mean\":0.5}",
                   [&] { check_fits(load_model(scratch_ / "m"), "m", run_.train_data); });
  EXPECT_NE(message.find("[data] gives {\"mean\":0.0}"), std::string::npos) << message;
}

TEST_F(ModelFitTest, UnknownPreprocessingFitsAndOtherShapesDoNot) {
  save_model(scratch_ / "m", *new_backbone(run_), "import", nullptr, "");
  auto model = load_model(scratch_ / "m");
  EXPECT_NO_THROW(check_fits(model, "m", run_.train_data));
  model.description["backbone"]["channels"] = 3;
  expect_error(Fault::kUsage, "its inputs have channels, height and width 3, 8, 8, and [data] gives [1,8,8]",
               [&] { check_fits(model, "m", run_.train_data); });
}

TEST_F(ModelFitTest, ATeacherOfAnotherLibraryIsAdaptedToTheDataAndTakesTheirPreprocessing) {
  nn::VitConfig config = nn::vit_config_from(new_backbone(run_)->description());
  config.height = config.width_pixels = 2 * config.height;
  config.classes = 5;
  const auto vit = nn::scattered_vit(config);
  save_model(scratch_ / "m", *vit, "pretrain", nullptr, "");
  nn::export_weights(nn::read_model_file(scratch_ / "m"), "timm", scratch_ / "timm");
  small_.settings.distill.model = (scratch_ / "timm").string();
  auto teacher = load_teacher(run_);
  EXPECT_EQ(teacher.description.at("preprocessing"), run_.train_data.preprocessing());
  EXPECT_NO_THROW(check_fits(teacher, "timm", run_.train_data));
  EXPECT_EQ(teacher.description.at("backbone").at("classes").as_int(), 5);
  ASSERT_EQ(teacher.notes.size(), 1u);
  EXPECT_NE(teacher.notes[0].find("were interpolated"), std::string::npos) << teacher.notes[0];
  small_.settings.backbone.new_head = true;
  EXPECT_EQ(load_teacher(run_).description.at("backbone").at("classes").as_int(), 3);
}

TEST_F(ModelFitTest, TooFewClassesAreRefused) {
  save_dense_model(run_);
  auto model = load_teacher(run_);
  model.description["backbone"]["classes"] = 2;
  expect_error(Fault::kUsage, "it tells 2 classes apart, and the labels need 3",
               [&] { check_fits(model, "m", run_.train_data); });
}

TEST_F(ModelFitTest, ATeacherIsDense) {
  save_acm_model(run_, PhaseId::kDistill);
  small_.settings.distill.model = run_.folder.model(PhaseId::kDistill).string();
  expect_error(Fault::kUsage, "it is an ACM model already; the teacher must be a dense one",
               [&] { load_teacher(run_); });
}

}  // namespace
}  // namespace acm::phases
