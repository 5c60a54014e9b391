#pragma once
// Where things live in ZooKeeper: zookeeper://HOST:PORT,HOST:PORT/ROOT, and names of any bytes as names of nodes.

#include <optional>
#include <string>
#include <string_view>

namespace sluice::zookeeper {

struct Place {
  std::string hosts;  // HOST:PORT,HOST:PORT
  std::string root;   // /ROOT, of the nodes that are ours
};
Place parse_place(std::string_view url);  // throws Fault (bad_arguments)

// Letters, digits, '-', '_', ':' and %XX for every other byte: what the name of a node may hold.
std::string node_name(std::string_view name);
std::optional<std::string> plain_name(std::string_view node);  // nullopt: not made by node_name()

}  // namespace sluice::zookeeper
