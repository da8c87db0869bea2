// data/image/image_index: the file that keeps what a data set holds, with a digest that was made right.
#include "data/image/image_index.h"

#include "core/digest.h"
#include "fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const acm::Json key = "k";
  const std::string bytes(acm::fuzz::text_of(data, size));
  const std::string name = "images-" + acm::digest_of(key.dump()) + ".index";
  const auto folder = acm::fuzz::file_in_folder(name, bytes + acm::digest_of(bytes)).parent_path();
  acm::fuzz::try_to([&] {
    const auto index = acm::data::kept_index(folder, key, folder, [] { return acm::data::ImageIndex(); }, {});
    for (const auto& entry : index.entries) {
      acm::fuzz::promise(!index.path(entry).empty(), "an image has a name");
      acm::fuzz::promise(entry.label < static_cast<int32_t>(index.labels.size()), "an image's label is there");
    }
  });
  return 0;
}
