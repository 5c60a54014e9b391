#pragma once
// GTIDs: MariaDB's names for changes, domain-server-sequence, as positions of a Cluster.

#include <string_view>

#include "handlers/sql/cluster/engine.h"

namespace sluice::sql::mariadb {

// "0-1-100,5-3-7": each mark that is one; of a binary log's state, which names a domain more than once, all.
std::vector<Mark> read_gtids(std::string_view list);

// Is `wanted` part of what `primary`, whose server id is report.origin, carries on? By its history: the last change of each server in each
// domain, and, with origin 0, from which sequence on a domain's history is complete.
cluster::Judgement judge(const cluster::Report& primary, const Position& wanted);

}  // namespace sluice::sql::mariadb
