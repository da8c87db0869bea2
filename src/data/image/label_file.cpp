#include "data/image/label_file.h"

#include <algorithm>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/file.h"
#include "data/csv.h"
#include "data/lines.h"

namespace acm::data {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& what) {
  throw Error(Fault::kData, "cannot read labels from " + path.string() + ": " + what);
}

size_t column(const std::vector<std::string>& header, const std::string& name, const std::filesystem::path& path) {
  const auto found = std::ranges::find(header, name);
  if (found != header.end()) return static_cast<size_t>(found - header.begin());
  std::string all;
  for (const std::string& other : header) all += (all.empty() ? "" : ", ") + other;
  fail(path, "it has no column '" + name + "'; its columns are " + all);
}

void read_csv(const std::filesystem::path& path, const DataConfig& config, const std::string& content,
              const std::function<void(const LabelLine&)>& visit) {
  CsvReader rows(content, path.string());
  std::vector<std::string> fields;
  if (!rows.next(fields)) fail(path, "it is empty");
  const size_t names = column(fields, config.image_column, path), labels = column(fields, config.label_column, path);
  const size_t columns = fields.size();
  while (rows.next(fields)) {
    if (fields.size() != columns) {
      fail(path, "line " + std::to_string(rows.line()) + " has " + std::to_string(fields.size()) +
                     " fields and the first " + std::to_string(columns));
    }
    if (fields[names].empty()) fail(path, "line " + std::to_string(rows.line()) + " names no image");
    visit({fields[names], trimmed(fields[labels]), rows.line()});
  }
}

// The last word is the label, whatever blanks the name holds.
void read_lines(const std::filesystem::path& path, const std::string& content,
                const std::function<void(const LabelLine&)>& visit) {
  int64_t lines = 0;
  bool named = false;
  for_each_line(content, [&](std::string_view line, int64_t number) {
    const size_t blank = line.find_last_of(" \t");
    const bool has_name = blank != line.npos;
    if (lines++ == 0) named = has_name;
    if (has_name != named) {
      fail(path, "line " + std::to_string(number) +
                     (named ? " has no label after the name" : " is not one label alone") +
                     ", unlike the lines before it");
    }
    if (named) {
      visit({trimmed(line.substr(0, blank)), line.substr(blank + 1), number});
    } else {
      visit({{}, line, number});
    }
  });
  if (lines == 0) fail(path, "it is empty");
}

}  // namespace

void for_each_label(const std::filesystem::path& path, const DataConfig& config,
                    const std::function<void(const LabelLine&)>& visit) {
  const std::string content = read_file(path);
  const bool columns = !config.image_column.empty() && !config.label_column.empty();
  if (columns) return read_csv(path, config, content, visit);
  if (path.extension() == ".csv" || !config.image_column.empty() || !config.label_column.empty()) {
    const size_t end = std::min(content.find_first_of("\r\n"), size_t{200});
    throw Error(Fault::kUsage, "cannot read labels from " + path.string() +
                                   ": name its columns in data.image_column and data.label_column; it begins with " +
                                   content.substr(0, end));
  }
  read_lines(path, content, visit);
}

}  // namespace acm::data
