#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "core/file.h"
#include "core/json.h"

namespace acm::io {

// Where the payload of one dataset lies in its file, and the XXH3-64 of those bytes.
struct StoredDataset {
  int64_t offset = 0, bytes = 0;
  std::string digest;
};

// What a segment file says of itself. It stands behind the end of the HDF5 part, which HDF5 does not look at, so that a
// file can be checked before (and read without) trusting its HDF5 structures:
//   HDF5 file | this table as JSON | its length, 16 hexadecimal digits | magic, 8 bytes | XXH3-64 of all before but
//   payloads, 16 digits
struct SegmentTable {
  Json key;
  int64_t segment = 0, first_sample = 0, samples = 0, rows = 0;
  std::map<std::string, StoredDataset> datasets;  // by path in the file: "/blocks.3.q/input"
};

// Appends the table to a file that holds the HDF5 part and all payloads.
void append_segment_table(const FileHandle& file, const SegmentTable& table);
// Bytes that this adds to the file.
int64_t segment_table_bytes(const SegmentTable& table);

// The table of a file whose every byte outside the payloads is as it was written; otherwise `fault` says what is wrong.
struct SegmentCheck {
  SegmentTable table;
  std::string fault;
};
SegmentCheck read_segment_table(const FileHandle& file);

// The table of a segment file of which every byte is as it was written, payloads included: all of it is read. Error
// (kData) names the file, and the dataset whose digest differs.
SegmentTable verified_segment(const std::filesystem::path& path);

}  // namespace acm::io
