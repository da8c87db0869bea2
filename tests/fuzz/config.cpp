// config/: a TOML file of settings; what follows a zero byte is a --set.
#include "config/read.h"

#include <vector>

#include "fuzz/target.h"
#include "unit/config/settings.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = acm::fuzz::text_of(data, size), file = text.substr(0, text.find('\0'));
  std::vector<std::string> overrides;
  if (file.size() < size) overrides.emplace_back(text.substr(file.size() + 1));
  acm::fuzz::try_to([&] {
    acm::config::Settings settings;
    const auto origins = acm::config::read(settings.fields, acm::fuzz::file_of(file), overrides, {});
    acm::config::print(settings.fields, origins);
    const std::string kept = acm::config::to_toml(settings.fields);
    acm::config::Settings again;
    acm::config::read(again.fields, acm::fuzz::file_of(kept), {}, {});
    acm::fuzz::promise(acm::config::to_toml(again.fields) == kept, "kept settings read back equal");
  });
  return 0;
}
