#include "handlers/zookeeper/path.h"

#include <gtest/gtest.h>

#include "rpc/fault.h"

namespace sluice::zookeeper {
namespace {

TEST(ZooKeeperPath, AUrlNamesServersAndARoot) {
  const Place place = parse_place("zookeeper://a:2181,10.0.0.1:2182/prod/sluice");
  EXPECT_EQ(place.hosts, "a:2181,10.0.0.1:2182");
  EXPECT_EQ(place.root, "/prod/sluice");
}

TEST(ZooKeeperPath, WhatIsWrongWithAUrlIsTold) {
  const std::pair<const char*, const char*> kWrong[] = {
      {"zookeeper://a:2181", "names no root"},
      {"zookeeper://a:2181/", "names no root"},
      {"zookeeper://a/x", "holds 'a', which is not HOST:PORT"},
      {"zookeeper:/a:1/x", "does not begin with"},
      {"zookeeper://a:1,:2/x", "holds ':2'"},
      {"zookeeper://a:70000/x", "holds 'a:70000'"},
      {"zookeeper://a:1/x/", "an empty part"},
      {"zookeeper://a:1/x//y", "an empty part"},
      {"zookeeper://a:1/../x", "other than letters"},
      {"zookeeper://a:1,/x", "holds ''"},
  };
  for (const auto& [url, why] : kWrong) {
    try {
      parse_place(url);
      ADD_FAILURE() << url;
    } catch (const Fault& fault) {
      EXPECT_NE(fault.message().find(why), std::string::npos) << fault.message();
    }
  }
}

TEST(ZooKeeperPath, AnyNameIsTheNameOfANode) {
  EXPECT_EQ(node_name("invoice-7_a:b"), "invoice-7_a:b");
  EXPECT_EQ(node_name("/a/../b%"), "%2Fa%2F%2E%2E%2Fb%25");
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(plain_name(node_name(all)), all);
  for (const char* other : {"a.b", "%2", "%zz", "%2x", "a b"}) EXPECT_EQ(plain_name(other), std::nullopt) << other;
}

}  // namespace
}  // namespace sluice::zookeeper
