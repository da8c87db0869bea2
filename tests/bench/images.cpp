// bench_images FOLDER [THREADS]: images for each second of processor time, from a folder of JPEG files to batches of
// 224 x 224 inputs: the files as they are, and enlarged to 500 x 375, the usual size in ImageNet. Processor time, so
// that other programs on the machine disturb the figures little: it is what one core does that has nothing else to do.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <functional>
#include <thread>

#include "core/error.h"
#include "core/file.h"
#include "data/image/resize.h"
#include "data/open.h"
#include "unit/data/image/pictures.h"

namespace {

namespace fs = std::filesystem;
using namespace acm::data;

constexpr int64_t kImages = 256, kBatch = 64, kRounds = 4;

// A folder of one class with a copy of each image, changed by `change`.
void copy_images(const fs::path& from, const fs::path& to, const std::function<std::string(std::string)>& change) {
  fs::create_directories(to / "class");
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(from)) files.push_back(entry.path());
  std::ranges::sort(files);
  if (files.size() > kImages) files.resize(kImages);
  for (const fs::path& file : files) {
    acm::replace_file(to / "class" / file.filename(), change(acm::read_file(file)));
  }
}

std::string enlarged(const std::string& file) {
  return jpeg(resize(decode_image(bytes_of(file), int64_t{1} << 30), {375, 500}, Filter::kBicubic));
}

// Seconds of all threads of the process.
double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

// Every thread takes batches of its own.
double images_per_second(const DataSource& source, int64_t threads) {
  const double start = processor_seconds();
  {
    std::vector<std::jthread> workers;
    for (int64_t worker = 0; worker < threads; ++worker) {
      workers.emplace_back([&source] {
        const int64_t batches = source.size() / kBatch * kRounds;
        for (int64_t batch = 0; batch < batches; ++batch) {
          std::vector<Sample> samples;
          for (int64_t i = 0; i < kBatch; ++i) {
            const auto position = static_cast<uint64_t>(batch * kBatch + i);
            samples.push_back(source.get(static_cast<int64_t>(position) % source.size(), acm::StreamKey(position)));
          }
          source.collate(samples);
        }
      });
    }
  }
  return static_cast<double>(source.size() / kBatch * kRounds * kBatch * threads) / (processor_seconds() - start);
}

void measure(const char* name, const fs::path& folder, int64_t threads) {
  DataConfig config;
  config.kind = "folder";
  config.path = folder.parent_path().string();
  config.train = config.test = {folder.filename().string()};
  config.preset = "augreg";
  const double central = images_per_second(*open_source(config, Split::kTest), threads);
  config.augment.random_resized_crop = true;
  const double random = images_per_second(*open_source(config, Split::kTrain), threads);
  config.augment.flip = config.augment.three_augment = true;
  config.augment.colour_jitter = 0.3;
  const double recipe = images_per_second(*open_source(config, Split::kTrain), threads);
  std::printf("%-12s %10.0f %22.0f %20.0f\n", name, central, random, recipe);
}

int run(const fs::path& images, int64_t threads) {
  const fs::path scratch = fs::temp_directory_path() / ("acm-bench-" + std::to_string(::getpid()));
  copy_images(images, scratch / "as-they-are", [](std::string file) { return file; });
  copy_images(images, scratch / "500x375", enlarged);
  std::printf("images for each processor second, on %lld threads, to batches of 224 x 224\n",
              static_cast<long long>(threads));
  std::printf("%-12s %10s %22s %20s\n", "files", "evaluation", "random resized crop", "crop and DeiT-III");
  for (const char* name : {"as-they-are", "500x375"}) measure(name, scratch / name, threads);
  fs::remove_all(scratch);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: bench_images FOLDER_OF_JPEG_FILES [THREADS]\n");
    return 64;
  }
  try {
    return run(argv[1], argc == 3 ? std::max(1, std::atoi(argv[2])) : 1);
  } catch (const acm::Error& error) {
    std::fprintf(stderr, "bench_images: %s\n", error.what());
    return static_cast<int>(error.fault());
  }
}
