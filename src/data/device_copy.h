#pragma once

#include <c10/core/Event.h>
#include <c10/core/Stream.h>

#include <optional>

#include "data/batch.h"

namespace acm::data {

// A stream for copies to a device beside what it computes; none for the CPU. One serves all loaders of a rank: LibTorch
// keeps freed memory for the stream under which it was allocated.
std::optional<c10::Stream> copy_stream(at::Device device);

// Replaces what a model reads of the batch by copies on the device, which go through pinned memory on the calling
// thread's current stream there; the host does not wait. They are made when the event is over. Positions stay on the
// host: they are keys of randomness, which is drawn there.
c10::Event send(Batch& batch, at::Device device);

// What the calling thread's current stream is given from now on finds the copies made; the host does not wait. The
// memory of the batch is not used again before that stream is done with it.
void receive(Batch& batch, const c10::Event& sent);

}  // namespace acm::data
