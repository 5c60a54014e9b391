#pragma once
// OwnFolder: a folder for one test, gone with it.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>

namespace sluice::id {

class OwnFolder : public ::testing::Test {
 protected:
  OwnFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "sluice-test-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    file_ = (folder_ / "kept").string();
  }
  ~OwnFolder() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
  std::string file_;  // in it, and not there yet
};

}  // namespace sluice::id
