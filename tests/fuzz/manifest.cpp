// train/manifest: the file that makes a checkpoint exist, as it is and with a digest that was made right.
#include "train/manifest.h"

#include "core/digest.h"
#include "fuzz/target.h"

namespace {

void read(std::string_view bytes) {
  const auto folder = acm::fuzz::file_in_folder("manifest.json", bytes).parent_path();
  for (const auto& [name, record] : acm::train::read_manifest(folder).tensors) {
    const std::filesystem::path shard = (folder / record.file).lexically_normal();
    acm::fuzz::promise(shard.parent_path() == folder, "a shard lies in its step's folder");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = acm::fuzz::text_of(data, size);
  acm::fuzz::try_to([&] { read(text); });
  acm::fuzz::try_to([&] {
    acm::Json whole = acm::Json::parse(text, "a manifest");
    whole["digest"] = acm::digest_of(whole.at("content").dump());
    read(whole.dump(1) + "\n");
  });
  return 0;
}
