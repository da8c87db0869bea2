#include "core/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include "core/error.h"

namespace acm {
namespace {

std::unique_ptr<spdlog::logger> make_logger(spdlog::sink_ptr sink, const char* pattern) {
  sink->set_pattern(pattern);
  auto logger = std::make_unique<spdlog::logger>("acm", std::move(sink));
  // A rank may die at any moment, and its last line is the one that is wanted.
  logger->flush_on(spdlog::level::info);
  return logger;
}

std::unique_ptr<spdlog::logger> open_file(const std::filesystem::path& file) {
  try {
    return make_logger(std::make_shared<spdlog::sinks::basic_file_sink_mt>(file.string()),
                       "%Y-%m-%d %H:%M:%S.%e %l %v");
  } catch (const spdlog::spdlog_ex& failure) {
    throw Error(Fault::kUsage, "cannot open the log file " + file.string() + ": " + failure.what() +
                                   "; choose a folder that can be written to");
  }
}

std::unique_ptr<spdlog::logger> open_echo() {
  // Colours only where standard error is a terminal, and never on ordinary lines.
  auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
  sink->set_color(spdlog::level::info, "");
  return make_logger(std::move(sink), "%^%v%$");
}

}  // namespace

struct Log::Impl {
  std::unique_ptr<spdlog::logger> file;  // null: not wanted
  std::unique_ptr<spdlog::logger> echo;

  void write(spdlog::level::level_enum level, std::string_view prefix, std::string_view line) {
    if (file) file->log(level, spdlog::string_view_t(line.data(), line.size()));
    const std::string shown = std::string(prefix).append(line);
    echo->log(level, spdlog::string_view_t(shown));
  }
};

Log::Log(const std::filesystem::path& file, bool echo) : impl_(std::make_unique<Impl>()) {
  if (!file.empty()) impl_->file = open_file(file);
  impl_->echo = open_echo();
  if (!echo) impl_->echo->set_level(spdlog::level::warn);
}

Log::~Log() = default;

void Log::info(std::string_view line) { impl_->write(spdlog::level::info, "", line); }
void Log::warn(std::string_view line) { impl_->write(spdlog::level::warn, "warning: ", line); }
void Log::error(std::string_view line) { impl_->write(spdlog::level::err, "error: ", line); }

void Log::flush() {
  if (impl_->file) impl_->file->flush();
  impl_->echo->flush();
}

}  // namespace acm
