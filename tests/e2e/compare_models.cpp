// compare_models A B TOLERANCE: prints the largest difference of each tensor of two model files, relative to the
// tensor's largest magnitude. Ends with 0 if none is above the tolerance, with 1 if one is or if the files do not hold
// tensors of the same names, shapes and dtypes.
#include <ATen/ops/abs.h>
#include <ATen/ops/maximum.h>

#include <cmath>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

#include "io/safetensors.h"

namespace {

// The bias of an attention key adds the same to all logits of a query, which changes nothing: its gradient is rounding,
// and Adam scales that up. Its differences are taken as they are, not relative to values that are rounding too.
bool is_without_effect(const std::string& name) { return name.ends_with(".k.bias"); }

// NaN where a value is not finite, or shapes or dtypes differ: no tolerance admits that.
double difference_of(const std::string& name, const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes() || a.scalar_type() != b.scalar_type()) return std::nan("");
  if (a.numel() == 0) return 0;
  const auto x = a.to(at::kDouble), y = b.to(at::kDouble);
  const double difference = (x - y).abs().max().item<double>();
  if (difference == 0 || is_without_effect(name)) return difference;
  const double magnitude = at::maximum(x.abs(), y.abs()).max().item<double>();
  return difference / magnitude;
}

int compare(const std::string& path_a, const std::string& path_b, double tolerance) {
  const auto a = acm::io::SafetensorsFile(path_a).read_all();
  const auto b = acm::io::SafetensorsFile(path_b).read_all();
  bool equal = a.size() == b.size() && !a.empty();
  if (!equal) std::cout << a.size() << " and " << b.size() << " tensors\n";
  for (const auto& [name, tensor] : a) {
    const auto other = b.find(name);
    const double difference = other == b.end() ? std::nan("") : difference_of(name, tensor, other->second);
    const bool close = difference <= tolerance;
    std::cout << (close ? "equal   " : "DIFFERS ") << name << " " << difference << "\n";
    equal = equal && close;
  }
  return equal ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: compare_models A B TOLERANCE\n";
    return 64;
  }
  try {
    return compare(argv[1], argv[2], std::strtod(argv[3], nullptr));
  } catch (const std::exception& error) {
    std::cerr << "compare_models: " << error.what() << "\n";
    return 65;
  }
}
