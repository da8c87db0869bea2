#pragma once

#include <memory>
#include <vector>

#include "core/json.h"
#include "data/batch.h"
#include "nn/token_module.h"

namespace acm::nn {

// A Transformer with sites. Its parameters' names are their paths, so a file of named tensors loads without a table.
class Backbone : public torch::nn::Module {
 public:
  virtual at::Tensor forward(const data::Batch& batch, TokenContext& context) = 0;  // [samples, classes]
  virtual const std::vector<Site>& sites() const = 0;  // in the order of execution; never changes
  virtual TokenModule& at(const Site& site) = 0;
  virtual void replace(const Site& site, std::shared_ptr<TokenModule> module) = 0;

  // Valid tokens that its sites see of each sample, int64 [samples].
  virtual at::Tensor token_counts(const data::Batch& batch) const = 0;
  // Multiply-accumulates outside the sites, for samples of these token counts: int64 [samples] -> int64 [samples]
  // (method.md 7).
  virtual at::Tensor static_macs(const at::Tensor& token_counts) const = 0;
  // Everything make_backbone() needs to build it again: {"family": "vit", sizes, ...}.
  virtual Json description() const = 0;
  // Sets every parameter from its own random stream (key and the parameter's name).
  virtual void initialise(StreamKey key) = 0;
};

// Index of a site by name; Error(kUsage) names the sites there are.
size_t site_index(const Backbone& backbone, const std::string& name);

// Multiply-accumulates of one token in the dense module of a site, and over all the sites of a backbone as it was
// built.
int64_t dense_site_macs_per_token(const Site& site);
int64_t dense_site_macs_per_token(const Backbone& backbone);
// The same of a sample of so many tokens, and outside the sites as well.
int64_t dense_macs(const Backbone& backbone, int64_t tokens);

// Builds the backbone that a description names, parameters uninitialised. Error(kData) for an unknown family or a
// missing member.
std::shared_ptr<Backbone> make_backbone(const Json& description);

}  // namespace acm::nn
