#pragma once
// Transaction: one that a caller opened with sql.begin: a connection of its own and a deadline.

#include "handlers/sql/cluster/cluster.h"

namespace sluice::sql::cluster {

struct Cluster::Transaction {
  Transaction(std::shared_ptr<Node::Lease> lease, std::string owner, Loop& loop) : lease(std::move(lease)), owner(std::move(owner)), late(loop) {}
  std::shared_ptr<Node::Lease> lease;
  const std::string owner;  // Options::caller of who began it; to others it is not there
  Timer late;
  bool busy = false;    // a statement is under way
  bool failed = false;  // only its end is accepted
  bool defines = false;  // Job::defines of its commit
  bool opaque = false;   // Job::opaque of a statement in it
  std::string why;      // it failed
  std::string session;  // that is told of its commit
};

}  // namespace sluice::sql::cluster
