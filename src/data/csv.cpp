#include "data/csv.h"

#include <algorithm>

#include "core/error.h"
#include "data/lines.h"

namespace acm::data {

CsvReader::CsvReader(std::string_view text, std::string source)
    : rest_(without_mark(text)), source_(std::move(source)) {}

bool CsvReader::next(std::vector<std::string>& fields) {
  fields.clear();
  while (rest_.starts_with('\n') || rest_.starts_with("\r\n")) {
    rest_.remove_prefix(rest_.find('\n') + 1);
    ++line_;
  }
  if (rest_.empty()) return false;
  row_line_ = line_;
  for (;;) {
    std::string field = rest_.starts_with('"') ? quoted() : std::string();
    const size_t end = std::min(rest_.find_first_of(",\n"), rest_.size());
    field += rest_.substr(0, end);
    const bool more = end < rest_.size() && rest_[end] == ',';
    const bool line_ends = end < rest_.size() && rest_[end] == '\n';
    if (!more && field.ends_with('\r')) field.pop_back();
    fields.push_back(std::move(field));
    rest_.remove_prefix(end + (more || line_ends ? 1 : 0));
    if (line_ends) ++line_;
    if (!more) return true;
  }
}

// The content of a field that begins with a quote, up to the quote that closes it.
std::string CsvReader::quoted() {
  std::string out;
  rest_.remove_prefix(1);
  for (;;) {
    const size_t quote = rest_.find('"');
    if (quote == rest_.npos) {
      throw Error(Fault::kData, "cannot read " + source_ + ": a quote of the row at line " + std::to_string(row_line_) +
                                    " is never closed");
    }
    out += rest_.substr(0, quote);
    line_ += std::ranges::count(rest_.substr(0, quote), '\n');
    const bool doubled = rest_.substr(quote + 1).starts_with('"');
    rest_.remove_prefix(quote + (doubled ? 2 : 1));
    if (!doubled) return out;
    out += '"';
  }
}

}  // namespace acm::data
