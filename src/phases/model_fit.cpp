#include "phases/model_fit.h"

#include "core/error.h"
#include "phases/pretrain.h"

namespace acm::phases {

void check_fits(const Model& model, const std::filesystem::path& file, const data::DataSource& source) {
  const auto refuse = [&](const std::string& why) {
    throw Error(Fault::kUsage, "cannot use the model " + file.string() + " on these data: " + why);
  };
  const Json& expected = model.description.at("preprocessing");
  const Json found = source.preprocessing();
  if (!expected.is_null() && expected != found)
    refuse("it was made for inputs of " + expected.dump() + ", and [data] gives " + found.dump() +
           "; name the data and the normalisation that it was made with, or another model");
  const Json& backbone = model.description.at("backbone");
  const auto shape = source.input_shape();
  const auto made_for = [&](const char* name) { return backbone.at(name).as_int(); };
  if (shape != std::array{made_for("channels"), made_for("height"), made_for("width_pixels")})
    refuse("its inputs have channels, height and width " + std::to_string(made_for("channels")) + ", " +
           std::to_string(made_for("height")) + ", " + std::to_string(made_for("width_pixels")) +
           ", and [data] gives " + Json::array(shape).dump() + "; set data.size, or name another model");
  const int64_t classes = made_for("classes");
  if (source.classes() > classes)
    refuse("it tells " + std::to_string(classes) + " classes apart, and the labels need " +
           std::to_string(source.classes()) + "; name the data that it was made for with data.path, or another model");
}

std::string doubt_of_classes(const Model& model, const data::DataSource& source) {
  const int64_t classes = model.description.at("backbone").at("classes").as_int();
  if (source.classes() == classes) return "";
  return "the model tells " + std::to_string(classes) + " classes apart and the data have " +
         std::to_string(source.classes()) +
         ", which are taken for its first; name the model's classes with data.class_names if they are others";
}

nn::ImportOptions import_options(const Settings& settings, const data::DataSource& source) {
  const auto [channels, height, width] = source.input_shape();
  return {
      .image_size = height == width ? height : 0, .classes = source.classes(), .new_head = settings.backbone.new_head};
}

void log_teacher(const Run& run) {
  const auto file = teacher_model(run.settings, run.folder);
  if (!run.is_root() || !std::filesystem::exists(file) || !nn::is_foreign(file)) return;
  const auto teacher = load_teacher(run);
  run.log.info("teacher: weights of another library in " + file.string() + ": " +
               teacher.description.at("backbone").dump());
  for (const std::string& note : teacher.notes) run.log.info("teacher: " + note);
  const std::string doubt = doubt_of_classes(teacher, run.train_data);
  if (!doubt.empty()) run.log.warn(doubt);
}

Model load_teacher(const Run& run) {
  const auto file = teacher_model(run.settings, run.folder);
  auto model = load_model(file, import_options(run.settings, run.train_data));
  Json& preprocessing = model.description["preprocessing"];
  if (preprocessing.is_null()) preprocessing = run.train_data.preprocessing();
  if (!acm_sites(*model.backbone).empty())
    throw Error(
        Fault::kUsage,
        "cannot learn from " + file.string() +
            ": it is an ACM model already; the teacher must be a dense one (backbone.weights or distill.model)");
  return model;
}

std::shared_ptr<nn::Backbone> teacher_or_new(const Run& run) {
  return std::filesystem::exists(teacher_model(run.settings, run.folder)) ? load_teacher(run).backbone
                                                                          : new_backbone(run);
}

}  // namespace acm::phases
