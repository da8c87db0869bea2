#include "nn/token_module.h"

#include <array>

#include "core/error.h"

namespace acm::nn {
namespace {

struct KindName {
  SiteKind kind;
  const char* name;
};
constexpr std::array kKindNames = {KindName{SiteKind::kFeedForward, "ffn"}, KindName{SiteKind::kQuery, "q"},
                                   KindName{SiteKind::kKey, "k"}, KindName{SiteKind::kValue, "v"},
                                   KindName{SiteKind::kOutput, "o"}};

}  // namespace

std::vector<at::Tensor> TokenModule::forward_together(std::span<TokenModule* const> modules, const at::Tensor& tokens,
                                                      TokenContext& context) {
  const size_t first = context.site;
  std::vector<at::Tensor> outputs;
  for (TokenModule* module : modules) {
    context.site = first + outputs.size();
    outputs.push_back(module->forward(tokens, context));
  }
  return outputs;
}

std::string to_string(SiteKind kind) {
  for (const auto& entry : kKindNames) {
    if (entry.kind == kind) return entry.name;
  }
  throw std::logic_error("a site kind without a name");
}

SiteKind site_kind_from(const std::string& name) {
  for (const auto& entry : kKindNames) {
    if (entry.name == name) return entry.kind;
  }
  throw Error(Fault::kData, "cannot read the site kind '" + name + "': expected ffn, q, k, v or o");
}

int64_t min_learners(SiteKind kind) { return kind == SiteKind::kFeedForward ? 0 : 1; }

}  // namespace acm::nn
