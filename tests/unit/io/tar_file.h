#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

namespace acm::io {

// Writes tar archives for tests, right and wrong ones.
class TarText {
 public:
  TarText& add(const std::string& name, const std::string& content, char type = '0') {
    header(name, static_cast<int64_t>(content.size()), type);
    text += content;
    text.append((512 - content.size() % 512) % 512, '\0');
    return *this;
  }
  TarText& pax(const std::string& key, const std::string& value, char type = 'x') {
    std::string record = " " + key + "=" + value + "\n";
    for (size_t length = record.size() + 1;; ++length) {
      const std::string whole = std::to_string(length) + record;
      if (whole.size() == length) return add("PaxHeader", whole, type);
    }
  }
  TarText& gnu_long_name(const std::string& name) { return add("././@LongLink", name + '\0', 'L'); }
  std::string finish() const { return text + std::string(1024, '\0'); }

  std::string text;

 private:
  void header(const std::string& name, int64_t bytes, char type) {
    std::string block(512, '\0');
    block.replace(0, name.size(), name);
    char field[13];
    std::snprintf(field, sizeof field, "%011llo", static_cast<unsigned long long>(bytes));
    block.replace(124, 11, field);
    block[156] = type;
    block.replace(257, 8, std::string("ustar\00000", 8));
    block.replace(148, 8, "        ");
    int sum = 0;
    for (const char byte : block) sum += static_cast<uint8_t>(byte);
    std::snprintf(field, sizeof field, "%06o", static_cast<unsigned>(sum));
    block.replace(148, 8, std::string(field) + '\0' + ' ');
    text += block;
  }
};

}  // namespace acm::io
