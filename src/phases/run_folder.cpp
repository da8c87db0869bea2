#include "phases/run_folder.h"

#include <cstdio>

namespace acm::phases {

std::string_view name_of(PhaseId phase) {
  constexpr std::array<std::string_view, 4> kNames = {"pretrain", "distill", "gating", "finetune"};
  return kNames[static_cast<size_t>(number(phase))];
}

std::filesystem::path RunFolder::log(int rank) const {
  char name[32];
  std::snprintf(name, sizeof name, "rank-%05d.log", rank);
  return root_ / "log" / name;
}

std::filesystem::path RunFolder::model(PhaseId phase) const {
  return root_ / (phase == PhaseId::kFinetune ? "model.safetensors"
                                              : "model-phase" + std::to_string(number(phase)) + ".safetensors");
}

std::filesystem::path RunFolder::evaluation(PhaseId phase) const {
  return root_ / (phase == PhaseId::kFinetune ? "eval.json" : "eval-phase" + std::to_string(number(phase)) + ".json");
}

}  // namespace acm::phases
