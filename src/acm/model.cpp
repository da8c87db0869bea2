#include "acm/model.h"

#include "core/error.h"

namespace acm {
namespace {

std::string dtype_name(at::ScalarType dtype) {
  TORCH_CHECK(dtype == at::kFloat || dtype == at::kDouble, "a model file holds float32 or float64 parameters");
  return dtype == at::kFloat ? "float32" : "float64";
}

at::ScalarType dtype_from(const std::string& name, const std::string& file) {
  if (name == "float32") return at::kFloat;
  if (name == "float64") return at::kDouble;
  throw Error(Fault::kData, "cannot load " + file + ": its dtype must be float32 or float64, found '" + name + "'");
}

Json site_description(const AcmSite& acm) {
  const AcmShape& shape = acm.layer->shape();
  return Json::object({{"name", acm.site->name},
                       {"kind", nn::to_string(acm.site->kind)},
                       {"learners", shape.learners},
                       {"learner_width", shape.learner_width},
                       {"activation", to_string(shape.activation)},
                       {"output_bias", shape.output_bias},
                       {"min_k", shape.min_k}});
}

const nn::Site& described_site(const nn::Backbone& backbone, const Json& description, const std::string& file) {
  const std::string& name = description.at("name").as_string();
  for (const nn::Site& site : backbone.sites()) {
    if (site.name == name && nn::to_string(site.kind) == description.at("kind").as_string()) return site;
  }
  throw Error(Fault::kData, "cannot load " + file + ": it describes an ACM at " + name + " of kind " +
                                description.at("kind").as_string() + ", which its backbone does not have");
}

AcmShape described_shape(const nn::Site& site, const Json& description, const std::string& file) {
  AcmShape shape;
  shape.width = site.width;
  shape.learners = description.at("learners").as_int();
  shape.learner_width = description.at("learner_width").as_int();
  shape.min_k = description.at("min_k").as_int();
  shape.activation = activation_from(description.at("activation").as_string());
  shape.output_bias = description.at("output_bias").as_bool();
  if (shape.learners < 1 || shape.learner_width < 1 || shape.min_k < 0 || shape.min_k > shape.learners) {
    throw Error(Fault::kData, "cannot load " + file + ": the sizes of its ACM at " + site.name +
                                  " are impossible, found " + description.dump());
  }
  return shape;
}

// The gates of a model are alike, or there are none.
Json gate_description(const std::vector<AcmSite>& sites) {
  if (sites.empty() || !sites[0].layer->gate()) return nullptr;
  const Json description = sites[0].layer->gate()->config().description();
  for (const AcmSite& acm : sites) {
    TORCH_CHECK(acm.layer->gate() && acm.layer->gate()->config().description() == description,
                "all ACMs of a model must have equal gates");
  }
  return description;
}

}  // namespace

Model load_model(const std::filesystem::path& path, const nn::ImportOptions& options) {
  const std::string file = path.string();
  nn::Imported source;
  if (nn::is_foreign(path)) {
    source = nn::import_weights(path, options);
  } else {
    source.file = nn::read_model_file(nn::model_file_in(path));
  }
  nn::ModelFile& contents = source.file;
  const Json& description = contents.description;
  auto backbone = nn::make_backbone(description.at("backbone"));
  for (const Json& described : description.at("sites").as_array()) {
    const nn::Site& site = described_site(*backbone, described, file);
    auto layer = std::make_shared<AcmLayer>(described_shape(site, described, file));
    if (!description.at("gate").is_null()) layer->add_gate(GateConfig::from(description.at("gate")));
    backbone->replace(site, layer);
  }
  backbone->to(dtype_from(description.at("dtype").as_string(), file));
  nn::load_parameters(*backbone, contents.tensors, file);
  return {std::move(backbone), std::move(contents.description), std::move(contents.digest), std::move(source.notes)};
}

void save_model(const std::filesystem::path& path, nn::Backbone& backbone, const std::string& phase,
                const Json& preprocessing, const std::string& parent) {
  const std::vector<AcmSite> sites = acm_sites(backbone);
  Json described = Json::Array();
  for (const AcmSite& acm : sites) described.push_back(site_description(acm));
  const Json description = Json::object({{"format", nn::kModelFormat},
                                         {"phase", phase},
                                         {"dtype", dtype_name(backbone.parameters().at(0).scalar_type())},
                                         {"backbone", backbone.description()},
                                         {"preprocessing", preprocessing},
                                         {"sites", described},
                                         {"gate", gate_description(sites)},
                                         {"parent", parent}});
  nn::write_model_file(path, description, backbone);
}

}  // namespace acm
