#pragma once

#include <c10/core/Device.h>

#include <string>

#include "comm/world.h"

namespace acm::app {

// The device that the setting `device` gives this rank: "cpu"; "cuda", the GPU of its number among the ranks of its
// host (the only one where its process sees one, as under Slurm's --gpus-per-task=1); "auto", that GPU where the
// program was built with CUDA and every rank sees one, the CPU where none does. Collective. Error(kResource) where only
// some ranks see a GPU.
at::Device choose_device(const std::string& setting, const comm::Place& place, comm::Communicator& group);

// For a GPU: whether only algorithms run whose results repeat. To be called before the first operation on it.
void set_deterministic(bool on);

// For a GPU: whether products of float32 numbers may round what they multiply to TF32, of 11 significant bits.
void set_tf32(bool on);

std::string device_text(at::Device device);  // "CPU", "cuda:3"

}  // namespace acm::app
