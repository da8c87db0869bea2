#include "app/import_command.h"

#include <iostream>

#include "comm/world.h"
#include "nn/import.h"

namespace acm::app {
namespace {

int64_t numbers_in(const io::NamedTensors& tensors) {
  int64_t count = 0;
  for (const auto& [name, tensor] : tensors) count += tensor.numel();
  return count;
}

void print(const nn::Imported& imported, const Options& options) {
  const Json& backbone = imported.file.description.at("backbone");
  std::cout << options.weights.string() << ": names of " << imported.scheme << "\n";
  for (const auto& [name, value] : backbone.as_object()) {
    if (name != "family") std::cout << "  " << name << " = " << value.dump() << "\n";
  }
  std::cout << "  parameters = " << numbers_in(imported.file.tensors) << "\n";
  for (const std::string& note : imported.notes) std::cout << "note: " << note << "\n";
  std::cout << "wrote " << options.out.string() << std::endl;
}

}  // namespace

int import_command(const Options& options, comm::Communicator& group) {
  comm::together(group, [&] {
    if (!group.is_root()) return;
    const auto imported = nn::import_weights(options.weights, options.import);
    nn::write_model_file(options.out, imported.file.description, imported.file.tensors);
    print(imported, options);
  });
  return 0;
}

}  // namespace acm::app
