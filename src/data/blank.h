#pragma once

#include <array>
#include <memory>

#include "data/source.h"

namespace acm::data {

// So many samples of which nothing is known but their shape (channels, height, width) and the classes there are: what a
// run is planned on where its data are not there. All of them are zeros.
std::unique_ptr<DataSource> make_blank_source(int64_t samples, std::array<int64_t, 3> shape, int64_t classes);

}  // namespace acm::data
