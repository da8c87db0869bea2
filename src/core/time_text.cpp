#include "core/time_text.h"

#include <charconv>
#include <string>
#include <vector>

#include "core/error.h"

namespace acm {
namespace {

double number_from(std::string_view digits, std::string_view text) {
  double value = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (failure != std::errc() || end != digits.data() + digits.size() || !(value >= 0))
    throw Error(Fault::kUsage,
                "'" + std::string(text) +
                    "' is no length of time: give seconds, such as 5400, or [days-]hours:minutes:seconds");
  return value;
}

}  // namespace

double seconds_from(std::string_view text) {
  double seconds = 0;
  std::string_view rest = text;
  const auto dash = rest.find('-');
  if (dash != std::string_view::npos) {
    seconds = 86400 * number_from(rest.substr(0, dash), text);
    rest.remove_prefix(dash + 1);
  }
  std::vector<double> parts;
  for (size_t colon; (colon = rest.find(':')) != std::string_view::npos; rest.remove_prefix(colon + 1))
    parts.push_back(number_from(rest.substr(0, colon), text));
  parts.push_back(number_from(rest, text));
  if (parts.size() > 3) number_from("", text);
  // Behind days stand hours first; alone, the last part is seconds.
  double unit = dash != std::string_view::npos ? 3600 : parts.size() == 3 ? 3600 : parts.size() == 2 ? 60 : 1;
  for (const double part : parts) {
    seconds += part * unit;
    unit /= 60;
  }
  return seconds;
}

}  // namespace acm
