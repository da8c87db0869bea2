#pragma once

#include <vector>

#include "acm/model.h"
#include "phases/run.h"

namespace acm::phases {

// What an error at each of `sites` does to the teacher's outputs (method.md 10.8), float64 [sites]: in the dense
// teacher this one site alone is replaced by its learners at k = N/2 (at least 1), and the weight is KL(teacher's
// distribution, that model's) over the mean of d(N/2)^2, on the first `samples` positions of the capture schedule. A
// site whose error does not reach the outputs, so that its weight is not positive, takes the smallest that is (all take
// 1 where none is). Collective: ranks share the sites out; a site's weight has the same bits whichever rank and however
// many threads measure it.
at::Tensor measure_site_weights(const Run& run, const std::vector<AcmSite>& sites, int64_t samples);

}  // namespace acm::phases
