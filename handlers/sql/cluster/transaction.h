#pragma once
// Transaction: one that a caller opened with sql.begin: a connection of its own and a deadline.

#include "handlers/sql/cluster/cluster.h"

namespace sluice::sql::cluster {

struct Cluster::Transaction {
  Transaction(std::shared_ptr<Node::Lease> lease, Loop& loop) : lease(std::move(lease)), late(loop) {}
  std::shared_ptr<Node::Lease> lease;
  Timer late;
  bool busy = false;    // a statement is under way
  bool failed = false;  // only its end is accepted
  std::string why;      // it failed
};

}  // namespace sluice::sql::cluster
