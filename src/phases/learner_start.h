#pragma once

#include "acm/acm_layer.h"
#include "phases/cache_reader.h"

namespace acm::phases {

// Sets a site's learners as acm.init says, before phase 1's first step: random numbers, or cut from the teacher's dense
// module by what the first acm.init_samples captured samples show of it, whatever the window (acm/teacher_start.h). A
// projection whose learners have an activation has no such start: it takes random numbers, and the log says so. On one
// thread, so that the bits do not depend on how many there are.
void start_learners(const Run& run, const Capture& capture, const nn::Site& site, CacheReader& reader, AcmLayer& layer);

}  // namespace acm::phases
