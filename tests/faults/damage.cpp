// damage [--long]: every byte of a small checkpoint changed, one at a time, every shortening of each of its files, and
// each of them missing. Loading must find each, name the file (and the tensor, where the byte is a tensor's), and load
// the step before. A byte is changed to one other value drawn from ACM_SEED; with --long (or ACM_LONG=1) to each of the
// 255 others.
#include <ATen/ops/empty.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "core/file.h"
#include "core/random.h"
#include "io/safetensors.h"
#include "temporary_folder.h"
#include "train/checkpoint.h"

namespace acm {
namespace {

namespace fs = std::filesystem;

class Holder final : public train::Stateful {
 public:
  explicit Holder(int64_t number) : count(number) {
    for (at::Tensor* tensor : {&weight, &bias, &moment}) {
      *tensor = at::empty({tensor == &bias ? 3 : 12}, tensor == &moment ? at::kDouble : at::kFloat);
      for (int64_t i = 0; i < tensor->numel(); ++i)
        tensor->select(0, i).fill_(random_normal(StreamKey(static_cast<uint64_t>(number)), static_cast<uint64_t>(i)));
    }
  }
  void visit_state(train::StateVisitor& visitor) override {
    visitor.tensor("weight", weight);
    visitor.tensor("bias", bias);
    visitor.tensor("moment", moment);
    visitor.scalar("count", count);
  }
  bool operator==(const Holder& other) const {
    return weight.equal(other.weight) && bias.equal(other.bias) && moment.equal(other.moment) && count == other.count;
  }

  at::Tensor weight, bias, moment;
  int64_t count;
};

// Two steps, 1 and 2, of which the second is damaged. Two ranks save, so there are two shards.
class Checkpoints {
 public:
  Checkpoints() {
    for (const int64_t step : {1, 2}) {
      comm::run_local_group(2, [&](comm::Communicator& group) {
        Holder holder(step);
        train::CheckpointStore(folder(), group, log_).save(step, {{"phase", &holder}});
      });
    }
  }
  fs::path folder() const { return scratch_ / "phase"; }
  fs::path newest() const { return folder() / "step-00000002"; }

  struct Loaded {
    std::optional<int64_t> step;
    bool whole;  // what was loaded is what that step saved
    std::string said;
  };
  Loaded load() {
    Holder holder(0);
    const int64_t heard = static_cast<int64_t>(fs::file_size(scratch_ / "log"));
    Loaded loaded;
    loaded.step = train::CheckpointStore(folder(), *solo_, log_).load_latest({{"phase", &holder}});
    loaded.whole = loaded.step && holder == Holder(*loaded.step);
    log_.flush();
    loaded.said = read_file(scratch_ / "log").substr(static_cast<size_t>(heard));
    if (heard > 1 << 16) fs::resize_file(scratch_ / "log", 0);  // the log appends
    return loaded;
  }

 private:
  TemporaryFolder scratch_;
  Log log_{scratch_ / "log", false};
  std::unique_ptr<comm::Communicator> solo_ = comm::make_solo_communicator();
};

struct Tally {
  int64_t tried = 0, found = 0;
};

class Examination {
 public:
  explicit Examination(bool all_values) : all_values_(all_values) {
    const char* seed = std::getenv("ACM_SEED");
    key_ = StreamKey(seed == nullptr ? 1 : std::strtoull(seed, nullptr, 10));
    std::printf("drawn from ACM_SEED=%s\n", seed == nullptr ? "1" : seed);
  }

  bool run() {
    if (const auto loaded = checkpoints_.load(); loaded.step != 2 || !loaded.whole) {
      std::printf("WRONG: the undamaged checkpoint was not loaded\n");
      return false;
    }
    for (const auto& entry : fs::directory_iterator(checkpoints_.newest())) examine(entry.path());
    std::printf("damage: %lld of %lld changed bytes, %lld of %lld shortenings, %lld of %lld missing files found\n",
                as_long(bytes_.found), as_long(bytes_.tried), as_long(lengths_.found), as_long(lengths_.tried),
                as_long(missing_.found), as_long(missing_.tried));
    return wrong_ == 0;
  }

 private:
  static long long as_long(int64_t value) { return value; }

  void examine(const fs::path& file) {
    const std::string bytes = read_file(file);
    for (size_t at = 0; at < bytes.size(); ++at) change(file, bytes, at);
    for (size_t length = 0; length < bytes.size(); ++length) {
      write(file, bytes.substr(0, length));
      expect_found(lengths_, file.string(),
                   [&] { return file.string() + " cut to " + std::to_string(length) + " bytes"; });
    }
    fs::remove(file);
    // A step without its manifest does not exist, so there is nothing to say of it.
    const bool silent = file.filename() == "manifest.json";
    expect_found(missing_, silent ? "" : file.string(), [&] { return file.string() + " removed"; });
    write(file, bytes);
  }

  void change(const fs::path& file, const std::string& bytes, size_t at) {
    const std::string named = tensor_at(file, static_cast<int64_t>(at));
    for (int value = 1; value < 256; ++value) {
      if (!all_values_ && value != 1) break;
      const int other = all_values_ ? value : 1 + static_cast<int>(random_below(key_, at, 255));
      std::string changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ other);
      write(file, changed);
      expect_found(bytes_, named.empty() ? file.string() : named, [&] {
        return file.string() + ", byte " + std::to_string(at) + ": " +
               std::to_string(static_cast<unsigned char>(bytes[at])) + " made " +
               std::to_string(static_cast<unsigned char>(changed[at]));
      });
    }
    write(file, bytes);
  }

  // What a message must hold where this byte of a shard is changed: the shard and the tensor; nothing for a header's
  // bytes.
  std::string tensor_at(const fs::path& file, int64_t at) {
    if (file.extension() != ".safetensors") return "";
    const io::SafetensorsFile shard(file);
    for (const auto& [name, entry] : shard.entries())
      if (at >= entry.begin && at < entry.end) return file.string() + " is damaged: " + name;
    return "";
  }

  void expect_found(Tally& tally, const std::string& message, const std::function<std::string()>& what) {
    ++tally.tried;
    std::string problem;
    try {
      const auto loaded = checkpoints_.load();
      if (loaded.step != 1) {
        problem = "not found: step " + (loaded.step ? std::to_string(*loaded.step) : "none") + " was loaded" +
                  (loaded.whole ? ", whole" : ", OTHER THAN IT WAS SAVED");
      } else if (!loaded.whole) {
        problem = "step 1 was loaded, but not as it was saved";
      } else if (loaded.said.find(message) == std::string::npos) {
        problem = "the message does not hold '" + message + "': " + loaded.said;
      }
    } catch (const std::exception& error) {
      problem = std::string("loading failed: ") + error.what();
    }
    if (problem.empty()) {
      ++tally.found;
    } else if (++wrong_ <= 20) {
      std::printf("WRONG: %s: %s\n", what().c_str(), problem.c_str());
    }
  }

  static void write(const fs::path& file, const std::string& bytes) {
    std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
  }

  Checkpoints checkpoints_;
  StreamKey key_;
  bool all_values_;
  Tally bytes_, lengths_, missing_;
  int64_t wrong_ = 0;
};

}  // namespace
}  // namespace acm

int main(int argc, char** argv) {
  const bool all_values = (argc > 1 && std::string(argv[1]) == "--long") || std::getenv("ACM_LONG") != nullptr;
  // A log echoes its warnings there, and each damage is one.
  if (std::freopen("/dev/null", "w", stderr) == nullptr) return 1;
  try {
    return acm::Examination(all_values).run() ? 0 : 1;
  } catch (const std::exception& error) {
    std::printf("damage: it could not go on: %s\n", error.what());
    return 1;
  }
}
