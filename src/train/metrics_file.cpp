#include "core/file.h"
#include "train/metrics.h"

namespace acm::train {
namespace {

bool is_row_of(const Json& row, std::string_view phase, std::string_view site) {
  const Json* row_site = row.find("site");
  return row.at("phase").as_string() == phase && (row_site == nullptr ? "" : row_site->as_string()) == site;
}

}  // namespace

MetricsFile::MetricsFile(std::filesystem::path path) : path_(std::move(path)) {
  if (!std::filesystem::exists(path_)) {
    make_folder(path_.parent_path());
    replace_file(path_, "");
    return;
  }
  const std::string text = read_file(path_);
  const size_t whole = text.rfind('\n') + 1;  // npos + 1 is 0: no line is whole
  if (whole != text.size()) replace_file(path_, std::string_view(text).substr(0, whole));
}

void MetricsFile::drop_after(std::string_view phase, std::string_view site, int64_t step) {
  const std::string text = read_file(path_);
  std::string kept;
  int64_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin) + 1;
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    const Json row = Json::parse(line, path_.string() + ":" + std::to_string(++number));
    if (!is_row_of(row, phase, site) || row.at("step").as_int() <= step) kept += line;
    begin = end;
  }
  if (kept.size() != text.size()) replace_file(path_, kept);
}

void MetricsFile::append(const Json& row) {
  const std::string line = row.dump() + "\n";
  const FileHandle file(path_, FileHandle::Mode::kWrite);
  file.write(line.data(), static_cast<int64_t>(line.size()), file.size());
}

}  // namespace acm::train
