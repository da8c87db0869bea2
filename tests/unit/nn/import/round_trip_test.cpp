// What was exported comes back bit by bit, under every library's names.
#include <gtest/gtest.h>

#include "nn/import/scheme.h"
#include "unit/core/expect_error.h"
#include "unit/nn/import/library_model.h"

namespace acm::nn {
namespace {

void expect_same_model(const Imported& imported, const Backbone& vit) {
  EXPECT_EQ(imported.file.description.at("backbone"), vit.description());
  const auto expected = named_parameters(vit);
  ASSERT_EQ(imported.file.tensors.size(), expected.size());
  for (const auto& [name, tensor] : expected) EXPECT_TRUE(imported.file.tensors.at(name).equal(tensor)) << name;
}

void expect_round_trip(const VitConfig& config, const std::string& library) {
  const Scratch scratch;
  const auto vit = scattered_vit(config);
  export_weights(model_file_of(*vit), library, scratch / "out");
  const Imported imported = import_weights(scratch / "out", {});
  EXPECT_EQ(imported.scheme, library);
  EXPECT_TRUE(imported.notes.empty()) << imported.notes.front();
  expect_same_model(imported, *vit);
  // Once more: the same bytes.
  const std::string before = read_file(scratch / "out" / "model.safetensors");
  export_weights(imported.file, library, scratch / "again");
  EXPECT_EQ(read_file(scratch / "again" / "model.safetensors"), before);
  EXPECT_EQ(digest_of_weights(scratch / "again"), digest_of_weights(scratch / "out"));
}

TEST(RoundTrip, EveryLibraryHoldsAPlainVit) {
  for (const char* library : {"timm", "huggingface", "torchvision"}) {
    SCOPED_TRACE(library);
    VitConfig config = library_vit();
    config.eps = scheme_named(library).eps;
    expect_round_trip(config, library);
    config.eps = 3e-5;
    expect_round_trip(config, library);
  }
}

TEST(RoundTrip, TimmHoldsEveryVariantThatThisProgramKnows) {
  VitConfig config = library_vit();
  config.layer_scale = true;
  config.prefix_positions = false;
  expect_round_trip(config, "timm");
  config = library_vit();
  config.qkv_bias = false;
  config.width_pixels = 20;
  expect_round_trip(config, "timm");
  for (const char* pooling : {"mean", "patch_mean"}) {
    config = library_vit();
    config.pooling = pooling;
    expect_round_trip(config, "timm");
  }
  config = library_vit();
  config.distillation_token = config.distillation_head = true;
  expect_round_trip(config, "timm");
}

TEST(RoundTrip, HuggingFaceHoldsDeit) {
  VitConfig config = library_vit();
  config.eps = 1e-12;
  config.qkv_bias = false;
  config.distillation_token = true;
  expect_round_trip(config, "huggingface");
  config.distillation_head = true;
  config.height = 8;
  expect_round_trip(config, "huggingface");
}

TEST(RoundTrip, TheSameWeightsInThreeSpellingsAreTheSameModel) {
  const Scratch scratch;
  const VitConfig config = library_vit();
  const data::Batch batch = image_batch(config, 2);
  const at::Tensor expected = logits_of(*scattered_vit(config), batch);
  for (const char* library : {"timm", "huggingface", "torchvision"}) {
    const Imported imported = import_weights(write_library(scratch, config, library), {});
    const auto vit = make_backbone(imported.file.description.at("backbone"));
    load_parameters(*vit, imported.file.tensors, library);
    EXPECT_TRUE(logits_of(*vit, batch).equal(expected)) << library;
  }
}

TEST(RoundTrip, OurOwnFolderHoldsTheModelFileAndItsDescription) {
  const Scratch scratch;
  const auto vit = scattered_vit(library_vit());
  const ModelFile file = model_file_of(*vit);
  export_weights(file, "acm", scratch / "out");
  EXPECT_FALSE(is_foreign(scratch / "out"));
  EXPECT_EQ(Json::parse(read_file(scratch / "out" / "model.json"), "model.json"), file.description);
  const ModelFile again = read_model_file(model_file_in(scratch / "out"));
  EXPECT_EQ(again.description, file.description);
  EXPECT_TRUE(again.tensors.at("head.weight").equal(file.tensors.at("head.weight")));
  EXPECT_EQ(digest_of_weights(scratch / "out"), again.digest);
}

TEST(Export, SaysWhatALibraryCannotHold) {
  const Scratch scratch;
  const auto refused = [&](const VitConfig& config, const std::string& library, const std::string& why) {
    expect_error(Fault::kUsage, "cannot export to " + library + ": " + why,
                 [&] { export_weights(model_file_of(*scattered_vit(config)), library, scratch / "out"); });
  };
  VitConfig config = library_vit();
  config.layer_scale = true;
  refused(config, "huggingface", "its ViT has no layer scale");
  refused(config, "torchvision", "it has no layer scale");
  config = library_vit();
  config.pooling = "patch_mean";
  refused(config, "huggingface", "its classifiers read the class token");
  config = library_vit();
  config.qkv_bias = false;
  refused(config, "torchvision", "its attention always has biases");
  config = library_vit();
  config.distillation_token = true;
  refused(config, "timm", "its DeiT always has two heads");
  ModelFile acm_model = model_file_of(*scattered_vit(library_vit()));
  acm_model.description["sites"].push_back(Json::object());
  expect_error(Fault::kUsage, "cannot export to timm: it is an ACM model",
               [&] { export_weights(acm_model, "timm", scratch / "out"); });
  expect_error(Fault::kUsage, "cannot write names of 'keras'",
               [&] { export_weights(model_file_of(*scattered_vit(library_vit())), "keras", scratch / "out"); });
}

TEST(Export, NeverReplacesTheModelOfARun) {
  const Scratch scratch;
  const auto vit = scattered_vit(library_vit());
  write_model_file(scratch / "model.safetensors", Json::object({{"backbone", vit->description()}}), *vit);
  for (const char* library : {"timm", "acm"}) {
    expect_error(Fault::kUsage, "is a model of ours that was not exported; name another folder",
                 [&] { export_weights(model_file_of(*vit), library, scratch.folder()); });
  }
  for (int i = 0; i < 2; ++i) export_weights(model_file_of(*vit), "acm", scratch / "twice");
}

TEST(Export, SaysWhereTheLibrarysEpsDiffers) {
  const Scratch scratch;
  VitConfig config = library_vit();
  EXPECT_TRUE(export_weights(model_file_of(*scattered_vit(config)), "timm", scratch / "out").empty());
  config.eps = 1e-12;
  const auto notes = export_weights(model_file_of(*scattered_vit(config)), "timm", scratch / "out");
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes[0].find("eps 1e-12 and timm's 1e-6"), std::string::npos) << notes[0];
}

}  // namespace
}  // namespace acm::nn
