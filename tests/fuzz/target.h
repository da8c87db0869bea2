#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/error.h"

// Implemented once by each target; called by libFuzzer, or by replay.cpp with the files of the target's corpus.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace acm::fuzz {

inline std::string_view text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// The path of a file of these bytes, in memory. The next call replaces it.
std::filesystem::path file_of(std::string_view bytes);

// A new file of this name in a folder that is this process's own.
std::filesystem::path file_in_folder(const std::string& name, std::string_view bytes);

// Ends the process where a promise does not hold, which libFuzzer and replay take as a finding.
void promise(bool holds, const std::string& what);

// The message must be fit for a terminal: not empty, and without control characters, whatever names the file holds.
void check_sentence(const Error& error);

// An Error is a right answer to hostile bytes. Any other exception leaves, and is a finding.
template <typename Parse>
void try_to(Parse parse) {
  try {
    parse();
  } catch (const Error& error) {
    check_sentence(error);
  }
}

}  // namespace acm::fuzz
