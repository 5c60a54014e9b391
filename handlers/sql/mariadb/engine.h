#pragma once
// MariaDB behind a Cluster: how to connect, how to look at a node, and the dialect's texts.

#include <map>

#include "handlers/sql/cluster/engine.h"
#include "handlers/sql/mariadb/gtid.h"
#include "handlers/sql/mariadb/statements.h"
#include "handlers/sql/mariadb/url.h"

namespace sluice::sql::mariadb {

class MariaDb final : public cluster::Engine {
 public:
  MariaDb(Login, AnswerLimits);

  std::string_view dialect() const override { return "mariadb"; }
  bool origins_are_timelines() const noexcept override { return false; }
  std::unique_ptr<cluster::Link> dial(const cluster::Address&, cluster::Link::Use, Loop&, Events) override;
  void probe(cluster::Link&, UniqueFunction<void(std::variant<cluster::Report, cluster::Failure>)> done) override;
  std::optional<cluster::Trip> learn() override;
  Verdict classify(std::string_view statement) override { return statements_.look(statement).verdict; }
  void remember(std::string_view statement, Verdict verdict) override { statements_.look(statement).verdict = std::move(verdict); }
  cluster::Judgement judge(const cluster::Report& primary, const Position& wanted) const override { return mariadb::judge(primary, wanted); }
  const Texts& texts() const override { return texts_; }

 private:
  using Done = UniqueFunction<void(std::variant<cluster::Report, cluster::Failure>)>;
  void look_at_replication(cluster::Link&, cluster::Report, Done);
  void look_at_beginning(cluster::Link&, cluster::Report, Done);

  const Login login_;
  const AnswerLimits limits_;
  Views views_;
  std::string views_at_;  // the primary's position that they are of
  Statements statements_{views_};
  std::map<std::uint32_t, std::vector<Mark>> beginnings_;  // of the primaries' histories, by server id
  Texts texts_;
};

}  // namespace sluice::sql::mariadb
