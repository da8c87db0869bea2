#include "app/export_command.h"

#include <iostream>

#include "comm/world.h"
#include "nn/import.h"

namespace acm::app {
namespace {

nn::ModelFile read_any(const std::filesystem::path& path) {
  if (nn::is_foreign(path)) return nn::import_weights(path, {}).file;
  return nn::read_model_file(nn::model_file_in(path));
}

}  // namespace

int export_command(const Options& options, comm::Communicator& group) {
  comm::together(group, [&] {
    if (!group.is_root()) return;
    const auto notes = nn::export_weights(read_any(options.model), options.library, options.out);
    for (const std::string& note : notes) std::cout << "note: " << note << "\n";
    std::cout << "wrote " << (options.out / "model.safetensors").string() << std::endl;
  });
  return 0;
}

}  // namespace acm::app
