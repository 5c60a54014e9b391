#pragma once
// PostgreSQL behind a Cluster: how to connect, how to look at a node, and the dialect's texts.

#include <map>

#include "handlers/sql/cluster/engine.h"
#include "handlers/sql/postgres/learned.h"
#include "handlers/sql/postgres/statements.h"

namespace sluice::sql::postgres {

class Postgres final : public cluster::Engine {
 public:
  // `url`: anything that libpq takes as a connection string, hosts and ports apart, which are each Address's. Throws
  // std::runtime_error for one that it does not.
  Postgres(const std::string& url, AnswerLimits);

  // The nodes that `url` names: HOST:PORT each.
  static std::vector<std::pair<std::string, std::string>> hosts(const std::string& url);

  std::string_view dialect() const override { return "postgresql"; }
  bool origins_are_timelines() const noexcept override { return true; }
  std::unique_ptr<cluster::Link> dial(const cluster::Address&, cluster::Link::Use, Loop&, Events) override;
  void probe(cluster::Link&, UniqueFunction<void(std::variant<cluster::Report, cluster::Failure>)> done) override;
  std::optional<cluster::Trip> learn() override;
  Verdict classify(std::string_view statement) override { return statements_.look(statement).verdict; }
  void remember(std::string_view statement, Verdict verdict) override { statements_.look(statement).verdict = std::move(verdict); }
  cluster::Judgement judge(const cluster::Report& primary, const Position& wanted) const override;
  std::vector<Statement> keep_history(const cluster::Report&) const override;
  const Texts& texts() const override { return texts_; }

 private:
  using Done = UniqueFunction<void(std::variant<cluster::Report, cluster::Failure>)>;
  void read_history(cluster::Link&, cluster::Report, Done);
  void read_kept_history(cluster::Link&, cluster::Report, Done);
  bool complete(cluster::Report&);

  std::vector<std::pair<std::string, std::string>> parameters_;  // of the connection string, without hosts
  std::string options_;
  AnswerLimits limits_;
  Learned learned_;
  std::string mark_;  // of the catalogue that `learned_` is of
  Statements statements_{learned_};
  std::string system_;
  std::map<std::uint32_t, std::vector<Mark>> histories_;  // by timeline; complete, and they never change
  Texts texts_;
};

}  // namespace sluice::sql::postgres
