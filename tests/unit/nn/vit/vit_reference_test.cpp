// A small ViT of the timm library with its inputs, outputs and gradients, computed by that library.
#include <gtest/gtest.h>

#include "core/file.h"
#include "nn/model_file.h"
#include "nn/task.h"
#include "unit/nn/shared_golden.h"
#include "unit/nn/small_vit.h"

namespace acm::nn {
namespace {

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t place = text.find(from);
  return place == std::string::npos ? text : text.replace(place, from.size(), to);
}

// timm's names to ours: the fused q, k and v apart, the rest by other words.
io::NamedTensors renamed(const io::NamedTensors& tensors) {
  io::NamedTensors out;
  for (const auto& [name, tensor] : tensors) {
    if (name.find(".attn.qkv.") != std::string::npos) {
      const auto parts = tensor.chunk(3);
      for (const size_t i : {0, 1, 2}) {
        out[replaced(name, ".attn.qkv.", std::string(".") + "qkv"[i] + ".")] = parts[i].contiguous();
      }
    } else {
      out[replaced(replaced(replaced(name, "patch_embed.proj.", "patch_embed."), ".attn.proj.", ".o."), ".mlp.",
                   ".ffn.")] = tensor;
    }
  }
  return out;
}

VitConfig config_of(const io::NamedTensors& tensors, const Json& settings) {
  const at::Tensor &patches = tensors.at("patch_embed.weight"), &hidden = tensors.at("blocks.0.ffn.fc1.weight");
  const Json& sizes = settings.at("model_args");
  const int64_t side = sizes.at("img_size").as_int();
  VitConfig config = {.channels = patches.size(1),
                      .height = side,
                      .width_pixels = side,
                      .patch = patches.size(2),
                      .width = patches.size(0),
                      .depth = sizes.at("depth").as_int(),
                      .heads = sizes.at("num_heads").as_int(),
                      .hidden = hidden.size(0),
                      .classes = tensors.at("head.weight").size(0)};
  config.eps = settings.at("layer_norm_epsilon").as_double();
  return config;
}

TEST(VitReference, MatchesTimm) {
  ACM_NEEDS_SHARED_GOLDEN("backbones/timm_vit");
  const Json reference = Json::parse(read_file(golden / "io.json"), "io.json");
  const Json& settings = reference.at("config");
  const double tolerance = reference.at("tolerance").at("relative").as_double();
  const auto tensors = renamed(io::SafetensorsFile(golden / "model.safetensors").read_all());
  const io::SafetensorsFile expected(golden / "io.safetensors");

  const auto vit = make_vit(config_of(tensors, settings));
  load_parameters(*vit, tensors, "timm_vit");
  data::Batch batch;
  batch.inputs = expected.read("pixel_values");
  batch.labels = expected.read("labels");
  Recorder recorder(vit->sites().size(), Recorder::Keep::kActivations);
  TokenContext context;
  context.recorder = &recorder;
  const at::Tensor logits = vit->forward(batch, context);
  const at::Tensor loss = make_classification()->losses(logits, batch).mean();
  loss.backward();

  const auto expect_close = [&](const at::Tensor& found, const std::string& name) {
    EXPECT_LE(relative_difference(found, expected.read(name)), tolerance) << name;
  };
  expect_close(logits, "logits");
  expect_close(loss, "loss");
  const std::string tapped = std::to_string(settings.at("tapped_block").as_int());
  for (const std::string kind : {"q", "k", "v", "o", "ffn"}) {
    const SiteRecord& record = recorder.at(site_index(*vit, "blocks." + tapped + "." + kind));
    expect_close(record.input, "block" + tapped + "." + kind + ".input");
    expect_close(record.output, "block" + tapped + "." + kind + ".output");
  }
  const auto parameters = vit->named_parameters();
  for (const std::string name : {"head.weight", "norm.weight", "patch_embed.bias", "pos_embed"}) {
    expect_close(parameters[name].grad(), "grad." + replaced(name, "patch_embed.", "patch_embed.proj."));
  }
}

}  // namespace
}  // namespace acm::nn
