// data/image/label_file, data/csv and data/image/class_names: who has which class. An odd first byte asks for columns.
#include "data/image/label_file.h"

#include "data/image/class_names.h"
#include "fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto path = acm::fuzz::file_of(acm::fuzz::text_of(data + 1, size - 1));
  acm::data::DataConfig config;
  if (data[0] % 2 == 1) config.image_column = "image", config.label_column = "label";
  acm::fuzz::try_to([&] {
    acm::data::ImageIndex index;
    acm::data::for_each_label(path, config, [&](const acm::data::LabelLine& line) {
      acm::data::ImageEntry entry;
      entry.name = index.add_name(line.name);
      entry.label = static_cast<int32_t>(index.labels.size());
      index.labels.emplace_back(line.label);
      index.entries.push_back(entry);
    });
    const int64_t classes = acm::data::assign_classes(index, config, std::nullopt, "labels");
    for (const auto& entry : index.entries) acm::fuzz::promise(entry.label < classes, "a label is one of the classes");
  });
  acm::fuzz::try_to([&] { acm::data::ClassNames::from_file(path).class_of("a", "a test"); });
  return 0;
}
