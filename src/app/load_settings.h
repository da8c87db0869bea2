#pragma once

#include "app/options.h"
#include "config/read.h"
#include "phases/settings.h"

namespace acm::app {

// Settings with the list of their fields, which refers to them: made in place and never moved.
struct LoadedSettings {
  explicit LoadedSettings(const Options& options);  // Error(kUsage) with every fault
  LoadedSettings(const LoadedSettings&) = delete;

  phases::Settings settings;
  config::Fields fields;
  config::Origins origins;
};

}  // namespace acm::app
