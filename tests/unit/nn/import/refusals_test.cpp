// Files that are not the weights of a ViT, and what is said of them.
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "unit/core/expect_error.h"
#include "unit/nn/import/library_model.h"

namespace acm::nn {
namespace {

class ImportRefusals : public testing::Test {
 protected:
  std::string refused(const std::filesystem::path& path, const std::string& part) {
    return expect_error(Fault::kData, part, [&] { import_weights(path, {}); });
  }

  const Scratch scratch_;
};

TEST_F(ImportRefusals, EveryFaultOfTheTensorsStandsInOneError) {
  const auto folder = write_library(scratch_, library_vit(), "timm");
  change_tensors(folder, [](io::NamedTensors& tensors) {
    rename(tensors, "blocks.0.attn.qkv.weight", "blocks.0.attn.qvk.weight");
    tensors.erase("norm.bias");
    tensors["blocks.1.mlp.fc2.bias"] = at::zeros({3});
    tensors["head.bias"] = at::zeros({7}, at::kLong);
    tensors["something"] = at::zeros({1});
    for (const char* block : {"0", "1", "2"})
      tensors[std::string("blocks.") + block + ".attn.q_norm.weight"] = at::zeros({4});
  });
  const std::string message = refused(folder, "cannot import " + folder.string());
  for (const char* part :
       {"missing: blocks.0.attn.qkv.weight, norm.bias",
        "blocks.0.attn.qvk.weight (the nearest known name is blocks.0.attn.qkv.weight)",
        "blocks.#.attn.q_norm.weight (# = 0 to 2) (normalised queries (vit_*_qknorm))", "something",
        "blocks.1.mlp.fc2.bias (Float [3], expected Float [16])", "head.bias (Long [7], expected Float [7])"}) {
    EXPECT_NE(message.find(part), std::string::npos) << part << "\nin: " << message;
  }
}

TEST_F(ImportRefusals, AMissingBlockIsMissed) {
  const auto folder = write_library(scratch_, library_vit(), "torchvision");
  change_tensors(folder, [](io::NamedTensors& tensors) {
    std::erase_if(tensors, [](const auto& named) { return named.first.find("encoder_layer_1.") != std::string::npos; });
  });
  refused(folder, "missing: encoder.layers.encoder_layer_1.ln_1.bias, encoder.layers.encoder_layer_1.ln_1.weight");
}

TEST_F(ImportRefusals, PartsOfOtherModelsAreNamed) {
  const auto refused_with = [&](const std::string& library, const std::string& name, const std::string& what) {
    const auto folder = write_library(scratch_, library_vit(), library);
    change_tensors(folder, [&](io::NamedTensors& tensors) { tensors[name] = at::zeros({1}); });
    refused(folder, "unexpected: " + name + " (" + what + ")");
  };
  refused_with("timm", "reg_token", "register tokens (vit_*_reg*)");
  refused_with("timm", "norm_pre.weight", "a norm before the blocks (vit_*_clip)");
  refused_with("timm", "attn_pool.latent", "attention pooling (SigLIP)");
  refused_with("timm", "pre_logits.fc.weight", "a layer before the head (the oldest in21k files)");
  refused_with("torchvision", "heads.pre_logits.weight", "a layer before the head (representation_size)");
}

TEST_F(ImportRefusals, ConfigsOfOtherModelsAreNamed) {
  const auto refused_with = [&](const std::string& library, const std::string& text, const std::string& why) {
    const auto folder = write_library(scratch_, library_vit(), library);
    replace_file(folder / "config.json", text);
    refused(folder, why);
  };
  refused_with("huggingface", R"({"hidden_act": "gelu_new", "num_attention_heads": 4})",
               "its hidden_act is \"gelu_new\"");
  refused_with("huggingface", R"({"model_type": "vit_mae"})", "its model_type is \"vit_mae\"");
  refused_with("huggingface", R"({"hidden_size": 768})",
               "its config.json is of another model: it says width 768, and the tensors say 16");
  refused_with("timm", R"({"model_args": {"act_layer": "quick_gelu"}})", "act_layer is \"quick_gelu\"");
  refused_with("timm", R"({"global_pool": "map"})", "its global_pool is 'map'");
  refused_with("timm", R"({"global_pool": "avg"})", "its global_pool is avg with a norm before the mean");
  refused_with("timm", R"({"model_args": {"pool_include_prefix": true}})", "pool_include_prefix is true");
  refused_with("torchvision", R"({"num_layers": 12})", "it says depth 12, and the tensors say 3");
  refused_with("torchvision", "[]", "it is no JSON object");
  refused_with("torchvision", "{", "config.json");
}

TEST_F(ImportRefusals, PositionsThatFitNoGridAreExplained) {
  const auto folder = write_library(scratch_, library_vit(), "timm");
  std::filesystem::remove(folder / "config.json");
  change_tensors(folder, [](io::NamedTensors& tensors) { tensors["pos_embed"] = at::zeros({1, 11, 16}); });
  refused(folder,
          "its 11 position embeddings are no square grid of patches and 1 token before them, but 3 x 3 patches and 2");
}

TEST_F(ImportRefusals, ShapesThatTheFileCouldNeverFillAreNotBuilt) {
  io::write_safetensors(scratch_ / "a.safetensors", {{"patch_embed.proj.weight", at::zeros({1'000'000, 1, 1, 1})},
                                                     {"blocks.999.norm1.bias", at::zeros({1})}});
  refused(scratch_ / "a.safetensors", "there are far too few numbers");
}

TEST_F(ImportRefusals, NamesOfNoLibrary) {
  io::write_safetensors(scratch_ / "a.safetensors", {{"layer.weight", at::zeros({1})}});
  refused(scratch_ / "a.safetensors", "its names are of no library that this program reads");
}

TEST_F(ImportRefusals, PicklesAreNeverReadAndTheRecipeIsGiven) {
  const std::string zip = "PK\x03\x04 and so on, for a while", legacy = "\x80\x02\x8a\x0alF and so on, for a while";
  for (const std::string& bytes : {zip, legacy}) {
    replace_file(scratch_ / "vit.pth", bytes);
    const std::string message = refused(scratch_ / "vit.pth", "these two lines of Python");
    EXPECT_NE(message.find("torch.load(\"vit.pth\", map_location=\"cpu\", weights_only=True)"), std::string::npos);
    EXPECT_NE(message.find("s.save_file("), std::string::npos);
    expect_error(Fault::kData, "these two lines of Python", [&] { is_foreign(scratch_ / "vit.pth"); });
  }
  std::filesystem::create_directory(scratch_ / "folder");
  refused(scratch_ / "folder", "it has neither model.safetensors nor model.safetensors.index.json");
  replace_file(scratch_ / "folder/pytorch_model.bin", zip);
  refused(scratch_ / "folder", "torch.load(\"pytorch_model.bin\"");
  io::write_safetensors(scratch_ / "folder/vit.safetensors", {{"x", at::zeros({1})}});
  refused(scratch_ / "folder", "name one of its files instead: vit.safetensors");
}

TEST_F(ImportRefusals, WhatADownloadLeavesInstead) {
  const auto folder = write_library(scratch_, library_vit(), "timm");
  const auto file = folder / "model.safetensors";
  const std::string whole = read_file(file);
  const auto refused_as = [&](const std::string& bytes, const std::string& what) {
    replace_file(file, bytes);
    refused(folder, what);
    expect_error(Fault::kData, what, [&] { is_foreign(file); });
  };
  refused_as("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 22883640\n", "it is a Git-LFS pointer");
  refused_as("<!DOCTYPE html><html></html>", "it is an HTML page");
  refused_as(whole.substr(0, whole.size() - 1), "it is truncated");
  refused_as(whole.substr(0, 100), "it is truncated");
  refused_as("", "it has 0 bytes");
}

}  // namespace
}  // namespace acm::nn
