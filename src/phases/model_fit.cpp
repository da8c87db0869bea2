#include "phases/model_fit.h"

#include "core/error.h"

namespace acm::phases {

void check_fits(const Model& model, const std::filesystem::path& file, const data::DataSource& source) {
  const auto refuse = [&](const std::string& why) {
    throw Error(Fault::kUsage, "cannot use the model " + file.string() + " on these data: " + why);
  };
  const Json& expected = model.description.at("preprocessing");
  const Json found = source.preprocessing();
  if (expected != found)
    refuse("it was made for inputs of " + expected.dump() + ", and [data] gives " + found.dump() +
           "; name the data and the normalisation that it was made with, or another model");
  const int64_t classes = model.description.at("backbone").at("classes").as_int();
  if (source.classes() > classes)
    refuse("it tells " + std::to_string(classes) + " classes apart, and the labels need " +
           std::to_string(source.classes()) + "; name the data that it was made for with data.path, or another model");
}

Model load_teacher(const Run& run) {
  const auto file = teacher_model(run.settings, run.folder);
  auto model = load_model(file);
  if (!acm_sites(*model.backbone).empty())
    throw Error(
        Fault::kUsage,
        "cannot learn from " + file.string() +
            ": it is an ACM model already; the teacher must be a dense one (backbone.weights or distill.model)");
  return model;
}

}  // namespace acm::phases
