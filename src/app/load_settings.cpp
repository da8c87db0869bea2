#include "app/load_settings.h"

#include "app/speech_plan.h"

namespace acm::app {
namespace {

std::vector<std::string> overrides_of(const Options& options) {
  auto overrides = options.speech ? speech::settings() : std::vector<std::string>();
  overrides.insert(overrides.end(), options.overrides.begin(), options.overrides.end());
  return overrides;
}

}  // namespace

LoadedSettings::LoadedSettings(const Options& options)
    : fields(settings.describe()),
      origins(config::read(fields, options.config, overrides_of(options), [this] { return settings.broken_rules(); })) {
}

}  // namespace acm::app
