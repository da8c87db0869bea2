#include <algorithm>

#include "core/error.h"
#include "data/open.h"
#include "data/subset.h"

namespace acm::data {
namespace {

constexpr int64_t kMostAutomatic = 1000;  // method.md 10.6

}  // namespace

int64_t calibration_samples(const DataConfig& config, int64_t training) {
  if (config.calibration < 0) return std::min(kMostAutomatic, training / 10);
  if (config.calibration >= training && training > 0)
    throw Error(Fault::kUsage, "cannot hold back data.calibration = " + std::to_string(config.calibration) +
                                   " samples: there are " + std::to_string(training) +
                                   " training samples, and some must be left to train on");
  return config.calibration;
}

Sources open_sources(const DataConfig& config, StreamKey key, const std::filesystem::path& index_folder) {
  Sources sources;
  const Say note = [&](const std::string& what) {
    if (std::ranges::find(sources.notes, what) == sources.notes.end()) sources.notes.push_back(what);
  };
  auto training = open_source(config, Split::kTrain, index_folder, note);
  sources.test = open_source(config, Split::kTest, index_folder, note);
  const int64_t held_back = calibration_samples(config, training->size());
  if (held_back == 0) {
    sources.train = std::move(training);
    return sources;
  }
  // Budgets are met on samples as evaluation sees them.
  std::shared_ptr<const DataSource> plain = training->unaugmented();
  const std::shared_ptr<const DataSource> whole = std::move(training);
  if (!plain) plain = whole;
  auto parts = choose_part(whole->size(), held_back, key.with("calibration"));
  sources.train = make_subset(whole, std::move(parts.rest));
  sources.calibration = make_subset(plain, std::move(parts.chosen));
  return sources;
}

}  // namespace acm::data
