#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <string_view>

namespace acm::phases {

enum class PhaseId : int { kPretrain = 0, kDistill = 1, kGating = 2, kFinetune = 3 };
inline constexpr std::array kAllPhases = {PhaseId::kPretrain, PhaseId::kDistill, PhaseId::kGating, PhaseId::kFinetune};
constexpr int number(PhaseId phase) { return static_cast<int>(phase); }
std::string_view name_of(PhaseId phase);  // "pretrain", "distill", "gating", "finetune"

// Names of everything in a run's folder. Makes nothing.
class RunFolder {
 public:
  explicit RunFolder(std::filesystem::path root) : root_(std::move(root)) {}
  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path config() const { return root_ / "config.toml"; }
  std::filesystem::path metrics() const { return root_ / "metrics.jsonl"; }
  std::filesystem::path log(int rank) const;
  std::filesystem::path alive() const { return root_ / "alive"; }
  std::filesystem::path lock() const { return root_ / "lock"; }
  std::filesystem::path cache() const { return root_ / "cache"; }
  std::filesystem::path index() const { return root_ / "index"; }  // of folders and shards of images
  std::filesystem::path checkpoints(PhaseId phase) const { return root_ / ("phase" + std::to_string(number(phase))); }
  std::filesystem::path site(const std::string& site) const { return checkpoints(PhaseId::kDistill) / site; }
  std::filesystem::path identity(PhaseId phase) const { return checkpoints(phase) / "identity.json"; }
  // A phase is finished when this file stands.
  std::filesystem::path model(PhaseId phase) const;
  std::filesystem::path evaluation(PhaseId phase) const;  // eval-phase0.json, ..., eval.json for phase 3

 private:
  std::filesystem::path root_;
};

}  // namespace acm::phases
