#include "app/load_settings.h"

namespace acm::app {

LoadedSettings::LoadedSettings(const Options& options)
    : fields(settings.describe()),
      origins(config::read(fields, options.config, options.overrides, [this] { return settings.broken_rules(); })) {}

}  // namespace acm::app
