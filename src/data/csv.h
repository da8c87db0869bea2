#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace acm::data {

// Comma-separated rows. A field in double quotes may hold commas, line breaks and doubled quotes. `text` must outlive
// the reader; `source` names it in messages.
class CsvReader {
 public:
  CsvReader(std::string_view text, std::string source);
  // The next row that is not blank; false at the end. Error(kData) where a quote is not closed.
  bool next(std::vector<std::string>& fields);
  int64_t line() const { return row_line_; }  // on which the row began, from 1

 private:
  std::string quoted();
  std::string_view rest_;
  std::string source_;
  int64_t line_ = 1, row_line_ = 1;
};

}  // namespace acm::data
