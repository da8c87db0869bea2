#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "io/segment_table.h"

namespace acm::io {

// "float32", ...; a dtype that a segment cannot hold is a bug of the caller.
std::string_view cache_dtype_name(at::ScalarType dtype);

// Everything that goes into one segment file.
struct SegmentContent {
  struct Dataset {
    std::string path;   // "/offsets" or "/<site>/input"
    at::Tensor values;  // on the CPU, contiguous
  };
  struct Link {
    std::string path;
    std::string target;  // the path of a dataset
  };
  SegmentTable table;               // without datasets: writing fills them in
  std::vector<std::string> groups;  // "/<site>"
  std::vector<Dataset> datasets;
  std::vector<Link> links;
};

// Writes the file through an AtomicFile, so that it exists whole or not at all; its bytes are a function of the
// content.
void write_segment_file(const std::filesystem::path& path, SegmentContent content);
// The size of the file whose datasets have so many bytes each, by path. The content's own have no rows; nothing is
// written.
int64_t bytes_of_segment_file(SegmentContent content, const std::map<std::string, int64_t>& payloads);

}  // namespace acm::io
