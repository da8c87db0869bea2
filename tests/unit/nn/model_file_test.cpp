#include "nn/model_file.h"

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "core/digest.h"
#include "core/file.h"
#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"
#include "unit/nn/small_vit.h"

namespace acm::nn {
namespace {

TEST(ModelFile, BringsTheModelBackBitByBit) {
  const Scratch scratch;
  const auto vit = scattered_vit(small_vit());
  write_model_file(scratch / "model.safetensors", Json::object({{"backbone", vit->description()}}), *vit);

  const ModelFile file = read_model_file(scratch / "model.safetensors");
  EXPECT_EQ(file.description.at("format").as_int(), kModelFormat);
  EXPECT_EQ(file.digest, digest_of_file(scratch / "model.safetensors"));
  const auto again = make_backbone(file.description.at("backbone"));
  load_parameters(*again, file.tensors, "model.safetensors");
  EXPECT_EQ(again->description(), vit->description());
  const auto expected = named_parameters(*vit), found = named_parameters(*again);
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [name, tensor] : expected) EXPECT_TRUE(found.at(name).equal(tensor)) << name;
  const data::Batch batch = image_batch(small_vit(), 2);
  EXPECT_TRUE(logits_of(*again, batch).equal(logits_of(*vit, batch)));
}

TEST(ModelFile, IsTheSameBytesForTheSameModel) {
  const Scratch scratch;
  const auto vit = scattered_vit(small_vit());
  for (const char* name : {"a", "b"}) write_model_file(scratch / name, vit->description(), *vit);
  EXPECT_EQ(read_file(scratch / "a"), read_file(scratch / "b"));
}

TEST(ModelFile, KeepsFloat64) {
  const Scratch scratch;
  const auto vit = scattered_vit(small_vit());
  vit->to(at::kDouble);
  scatter(*vit);
  write_model_file(scratch / "a", vit->description(), *vit);
  const auto tensors = read_model_file(scratch / "a").tensors;
  EXPECT_TRUE(tensors.at("head.weight").equal(named_parameters(*vit).at("head.weight")));
}

TEST(ModelFile, RefusesWhatIsNotOneOfOurs) {
  const Scratch scratch;
  const std::string path = scratch / "a";
  const auto read = [&] { read_model_file(path); };
  expect_error(Fault::kData, path, read);
  io::write_safetensors(path, {{"x", at::zeros({2})}});
  expect_error(Fault::kData, path + ": it is a safetensors file without the metadata 'acm_dist'", read);
  io::write_safetensors(path, {}, {{"acm_dist", "{"}});
  expect_error(Fault::kData, path, read);
  io::write_safetensors(path, {}, {{"acm_dist", "{}"}});
  expect_error(Fault::kData, path + ": its description states no format", read);
  io::write_safetensors(path, {}, {{"acm_dist", R"({"format": 2})"}});
  expect_error(Fault::kData, path + ": its format is 2, and this program reads formats up to 1", read);
}

TEST(LoadParameters, ListsEveryFaultAtOnceAndThenCopiesNothing) {
  const auto source = scattered_vit(small_vit()), target = make_vit(small_vit());
  target->initialise(StreamKey(1));
  const at::Tensor before = named_parameters(*target).at("pos_embed").clone();
  auto tensors = named_parameters(*source);
  tensors.erase("norm.bias");
  tensors.erase("blocks.0.q.weight");
  tensors["extra"] = at::zeros({1});
  tensors["head.bias"] = at::zeros({3});
  tensors["head.weight"] = tensors["head.weight"].to(at::kDouble);
  const std::string message = expect_error(Fault::kData, "cannot load old.safetensors",
                                           [&] { load_parameters(*target, tensors, "old.safetensors"); });
  for (const char* part : {"missing: blocks.0.q.weight, norm.bias", "unexpected: extra",
                           "head.bias (Float [3] in the file, Float [7] in the model)",
                           "head.weight (Double [7, 16] in the file, Float [7, 16] in the model)"}) {
    EXPECT_NE(message.find(part), std::string::npos) << part << "\nin: " << message;
  }
  EXPECT_TRUE(named_parameters(*target).at("pos_embed").equal(before));
}

}  // namespace
}  // namespace acm::nn
