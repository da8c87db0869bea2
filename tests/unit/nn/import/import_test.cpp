// What is read from another library's files besides tensors under the usual names.
#include "nn/import.h"

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "unit/core/expect_error.h"
#include "unit/nn/import/library_model.h"

namespace acm::nn {
namespace {

at::Tensor original(const char* name) { return named_parameters(*scattered_vit(library_vit())).at(name); }

bool notes_say(const Imported& imported, const std::string& part) {
  for (const std::string& note : imported.notes) {
    if (note.find(part) != std::string::npos) return true;
  }
  return false;
}

TEST(Import, DescribesADenseModelWithUnknownPreprocessing) {
  const Scratch scratch;
  const auto folder = write_library(scratch, library_vit(), "timm");
  EXPECT_TRUE(is_foreign(folder));
  EXPECT_TRUE(is_foreign(folder / "model.safetensors"));
  const Imported imported = import_weights(folder / "model.safetensors", {});
  const Json& description = imported.file.description;
  EXPECT_TRUE(description.at("preprocessing").is_null());
  EXPECT_TRUE(description.at("gate").is_null());
  EXPECT_TRUE(description.at("sites").as_array().empty());
  EXPECT_EQ(description.at("parent").as_string(), digest_of_weights(folder));
}

TEST(Import, ItsDigestIsOfWeightsAndConfigAndNotOfThePath) {
  const Scratch scratch;
  const auto folder = write_library(scratch, library_vit(), "timm");
  const std::string digest = digest_of_weights(folder);
  std::filesystem::rename(folder, scratch / "elsewhere");
  EXPECT_EQ(digest_of_weights(scratch / "elsewhere"), digest);
  replace_file(scratch / "elsewhere" / "config.json", "{}");
  EXPECT_NE(digest_of_weights(scratch / "elsewhere"), digest);
}

TEST(Import, BaseModelsHaveNoPrefixNoHeadAndAPooler) {
  const Scratch scratch;
  const auto folder = write_library(scratch, library_vit(), "huggingface");
  change_tensors(folder, [](io::NamedTensors& tensors) {
    io::NamedTensors base;
    for (const auto& [name, tensor] : tensors) {
      if (name.starts_with("vit.")) base[name.substr(4)] = tensor;
    }
    base["pooler.dense.weight"] = at::zeros({16, 16});
    base["embeddings.mask_token"] = at::zeros({1, 1, 16});
    tensors = base;
  });
  expect_error(Fault::kUsage, "it has no head; give it a new one (backbone.new_head = true",
               [&] { import_weights(folder, {}); });
  const Imported imported = import_weights(folder, {.classes = 4, .new_head = true});
  EXPECT_EQ(imported.file.description.at("backbone").at("classes").as_int(), 4);
  EXPECT_TRUE(imported.file.tensors.at("head.weight").equal(at::zeros({4, 16})));
  EXPECT_TRUE(imported.file.tensors.at("blocks.2.k.bias").equal(original("blocks.2.k.bias")));
  EXPECT_TRUE(notes_say(imported, "pooler.dense.weight was left out"));
  EXPECT_TRUE(notes_say(imported, "embeddings.mask_token was left out"));
  EXPECT_TRUE(notes_say(imported, "it has no head: a new one for 4 classes, all zeros"));
}

TEST(Import, OldSpellingsAreRead) {
  const Scratch scratch;
  const auto torchvision = write_library(scratch, library_vit(), "torchvision");
  change_tensors(torchvision, [](io::NamedTensors& tensors) {
    for (const std::string end : {"weight", "bias"}) {
      rename(tensors, "encoder.layers.encoder_layer_1.mlp.0." + end,
             "encoder.layers.encoder_layer_1.mlp.linear_1." + end);
      rename(tensors, "encoder.layers.encoder_layer_1.mlp.3." + end,
             "encoder.layers.encoder_layer_1.mlp.linear_2." + end);
    }
  });
  const auto tensors = import_weights(torchvision, {}).file.tensors;
  EXPECT_TRUE(tensors.at("blocks.1.ffn.fc1.weight").equal(original("blocks.1.ffn.fc1.weight")));
  EXPECT_TRUE(tensors.at("blocks.1.ffn.fc2.bias").equal(original("blocks.1.ffn.fc2.bias")));

  VitConfig config = library_vit();
  config.layer_scale = true;
  const auto timm = write_library(scratch, config, "timm");
  const at::Tensor scale = import_weights(timm, {}).file.tensors.at("blocks.0.scale1");
  change_tensors(timm, [](io::NamedTensors& all) { rename(all, "blocks.0.ls1.gamma", "blocks.0.gamma_1"); });
  EXPECT_TRUE(import_weights(timm, {}).file.tensors.at("blocks.0.scale1").equal(scale));
}

TEST(Import, HalfPrecisionIsWidened) {
  const Scratch scratch;
  const auto folder = write_library(scratch, library_vit(), "timm");
  change_tensors(folder, [](io::NamedTensors& tensors) {
    tensors.at("blocks.0.attn.qkv.weight") = tensors.at("blocks.0.attn.qkv.weight").to(at::kHalf);
    tensors.at("head.weight") = tensors.at("head.weight").to(at::kBFloat16);
  });
  const Imported imported = import_weights(folder, {});
  EXPECT_TRUE(notes_say(imported, "its float16 tensors were widened to float32"));
  EXPECT_TRUE(notes_say(imported, "its bfloat16 tensors were widened to float32"));
  EXPECT_TRUE(
      imported.file.tensors.at("blocks.0.k.weight").equal(original("blocks.0.k.weight").to(at::kHalf).to(at::kFloat)));
}

TEST(Import, ShardsAreReadThroughTheirIndex) {
  const Scratch scratch;
  const auto folder = write_library(scratch, library_vit(), "timm");
  const Imported whole = import_weights(folder, {});
  io::NamedTensors shards[2];
  Json map = Json::object();
  for (const auto& [name, tensor] : io::SafetensorsFile(folder / "model.safetensors").read_all()) {
    const size_t shard = name < "blocks.1" ? 0 : 1;
    shards[shard][name] = tensor;
    map[name] = "part-" + std::to_string(shard) + ".safetensors";
  }
  for (const size_t i : {0, 1}) {
    io::write_safetensors(folder / ("part-" + std::to_string(i) + ".safetensors"), shards[i]);
  }
  std::filesystem::remove(folder / "model.safetensors");
  const auto index = folder / "model.safetensors.index.json";
  const auto write_index = [&](const Json& weight_map) {
    replace_file(index, Json::object({{"weight_map", weight_map}}).dump());
  };
  write_index(map);
  for (const auto& path : {folder, index}) {
    EXPECT_TRUE(is_foreign(path));
    const Imported imported = import_weights(path, {});
    for (const auto& [name, tensor] : whole.file.tensors) EXPECT_TRUE(imported.file.tensors.at(name).equal(tensor));
  }
  EXPECT_EQ(digest_of_weights(folder), digest_of_weights(index));

  const auto refused = [&](const std::string& why) {
    expect_error(Fault::kData, why, [&] { import_weights(folder, {}); });
  };
  for (const char* name : {"../part-0.safetensors", "/etc/passwd", "..", ""}) {
    Json hostile = map;
    hostile["norm.bias"] = name;
    write_index(hostile);
    refused("shards must be plain file names beside it");
  }
  Json other = map;
  other["norm.bias"] = "part-0.safetensors";
  write_index(other);
  refused("it places norm.bias in part-0.safetensors, which does not hold it");
  shards[0]["norm.bias"] = shards[1]["norm.bias"];
  io::write_safetensors(folder / "part-0.safetensors", shards[0]);
  refused("its tensor norm.bias is also in part-0.safetensors");
}

TEST(Import, HeadsComeFromTheOptionsThenConfigThenTheWidth) {
  const Scratch scratch;
  const auto heads = [](const Imported& imported) {
    return imported.file.description.at("backbone").at("heads").as_int();
  };
  VitConfig config = library_vit();
  config.width = 128;
  const auto folder = write_library(scratch, config, "timm");
  EXPECT_EQ(heads(import_weights(folder, {})), 4);
  EXPECT_EQ(heads(import_weights(folder, {.heads = 8})), 8);
  std::filesystem::remove(folder / "config.json");
  const Imported guessed = import_weights(folder, {});
  EXPECT_EQ(heads(guessed), 2);
  EXPECT_TRUE(notes_say(guessed, "attention heads are taken to be 2, as models of width 128 have"));
  EXPECT_EQ(guessed.file.description.at("backbone").at("eps").as_double(), 1e-6);
  expect_error(Fault::kData, "3 attention heads do not divide width 128",
               [&] { import_weights(folder, {.heads = 3}); });

  const auto narrow = write_library(scratch, library_vit(), "huggingface");
  std::filesystem::remove(narrow / "config.json");
  expect_error(Fault::kData, "no config.json tells the attention heads, and width 16 is no multiple of 64",
               [&] { import_weights(narrow, {}); });
  EXPECT_EQ(import_weights(narrow, {.heads = 2}).file.description.at("backbone").at("eps").as_double(), 1e-12);
}

TEST(Import, PositionsAreInterpolatedAndThoseOfTheClassTokenKept) {
  const Scratch scratch;
  const auto folder = write_library(scratch, library_vit(), "timm");
  const Imported imported = import_weights(folder, {.image_size = 20});
  const at::Tensor positions = imported.file.tensors.at("pos_embed"), before = original("pos_embed");
  EXPECT_EQ(positions.sizes(), (std::vector<int64_t>{1, 26, 16}));
  EXPECT_TRUE(positions.narrow(1, 0, 1).equal(before.narrow(1, 0, 1)));
  // Interpolation of a symmetric grid keeps its centre: weights sum to one, and the middle falls on the middle.
  EXPECT_TRUE(notes_say(imported, "position embeddings of 3 x 3 patches were interpolated (bicubic) to 5 x 5"));
  EXPECT_EQ(imported.file.description.at("backbone").at("height").as_int(), 20);
  EXPECT_TRUE(import_weights(folder, {.image_size = 12}).file.tensors.at("pos_embed").equal(before));
  expect_error(Fault::kUsage, "images of 14 x 14 pixels cannot be cut into its patches of 4 x 4",
               [&] { import_weights(folder, {.image_size = 14}); });
}

TEST(Import, AHeadIsReplacedOnlyWhereThatIsAskedFor) {
  const Scratch scratch;
  const auto folder = write_library(scratch, library_vit(), "torchvision");
  const auto classes = [](const Imported& imported) { return imported.file.tensors.at("head.bias").numel(); };
  EXPECT_EQ(classes(import_weights(folder, {.classes = 5})), 7);
  EXPECT_EQ(classes(import_weights(folder, {.classes = 7, .new_head = true})), 7);
  EXPECT_TRUE(import_weights(folder, {.classes = 7, .new_head = true}).notes.empty());
  const Imported imported = import_weights(folder, {.classes = 5, .new_head = true});
  EXPECT_EQ(classes(imported), 5);
  EXPECT_TRUE(notes_say(imported, "its head for 7 classes was replaced by one for 5 classes, all zeros"));
  expect_error(Fault::kUsage, "its head tells 7 classes apart, and the labels need 9",
               [&] { import_weights(folder, {.classes = 9}); });
  expect_error(Fault::kUsage, "a new head needs a number of classes",
               [&] { import_weights(folder, {.new_head = true}); });
}

}  // namespace
}  // namespace acm::nn
