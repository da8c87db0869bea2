#pragma once

#include "acm/acm_layer.h"
#include "nn/dense.h"

namespace acm {

// Teacher initialisation (method.md 10.1): learners cut from the dense module that they are to replace, by what some of
// its input tokens show of it. All in float64; the bits depend on the number of threads, so callers take one.

// What the tokens show, as sums that add up over parts of them. tokens [rows, width] in the module's dtype.
// Of a feed-forward network: the squares of each hidden unit's activation, [hidden].
at::Tensor hidden_energy(const nn::DenseFeedForward& dense, const at::Tensor& tokens);
// Of a projection: the second moment of [z 1], [width + 1, width + 1].
at::Tensor input_moment(const at::Tensor& tokens);

// Deals the hidden units to the learners, most important first: root mean square of the activation times the norm of
// the output row, ties by index. The output bias is carried by b2 of the first learner where the layer has one;
// otherwise by a constant unit, the first of the first learner, so that every prefix has it. Units that find no place
// are dropped, so h(z, N) is the dense module but for one unit where N b = hidden; spare places are zero.
void start_from(AcmLayer& layer, const nn::DenseFeedForward& dense, const at::Tensor& energy);
// The best rank-(N b) map in the metric of the tokens, singular directions in order, so that every prefix is the best
// of its rank; b1 carries the bias, b2 stays zero. The layer's activation is the identity.
void start_from(AcmLayer& layer, const nn::DenseProjection& dense, const at::Tensor& moment);

}  // namespace acm
