#pragma once

#include <gtest/gtest.h>

#include <string>

#include "core/error.h"

namespace acm {

// Runs `action`, which must throw an Error of this fault whose message holds `part`; gives back the message.
template <typename Action>
std::string expect_error(Fault fault, const std::string& part, Action action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.fault()), static_cast<int>(fault)) << error.what();
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos)
        << "expected: " << part << "\nfound: " << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error; expected: " << part;
  return "";
}

}  // namespace acm
