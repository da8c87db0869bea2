#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace acm {

// Some of the tokens that run equally many learners.
struct TokenBlock {
  int64_t count;                    // of learners
  std::span<const int64_t> tokens;  // ascending, never empty
  bool consecutive() const { return tokens.back() - tokens.front() == static_cast<int64_t>(tokens.size()) - 1; }
};

// All tokens, ordered by the learners that they run and cut into blocks of even work for the threads, the dearest
// first.
class TokenOrder {
 public:
  // choice: one count in 0..learners for each token; learner_width: hidden units of a learner.
  TokenOrder(std::span<const int64_t> choice, int64_t learners, int64_t learner_width);
  TokenOrder(const TokenOrder&) = delete;
  const std::vector<TokenBlock>& blocks() const { return blocks_; }

 private:
  std::vector<int64_t> tokens_;
  std::vector<TokenBlock> blocks_;  // views of tokens_
};

}  // namespace acm
