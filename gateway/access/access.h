#pragma once
// Access: who may call what. The authenticator of the transports and the guard of the dispatcher, over one table of users that is
// replaced as a whole at a reload.

#include <map>
#include <mutex>

#include "gateway/access/settings.h"
#include "gateway/access/slowdown.h"
#include "gateway/access/users.h"
#include "gateway/access/watch.h"
#include "rpc/authenticator.h"
#include "rpc/workers.h"

namespace sluice::access {

class Access final : public Guard, public Authenticator {
 public:
  // Both outlive us and every call. Throws std::runtime_error for a file that cannot be read, a line that is none, a role that
  // is not there.
  Access(const Dispatcher&, Workers&, Settings);
  ~Access() override;

  // Reads everything and throws like the constructor; what is answered puts it in place, and cannot fail. Passwords have to be
  // shown anew then; what is in use is kept. Streams of those who have no more right to them end.
  UniqueFunction<void()> prepare_reload(Settings);

  std::optional<Verdict> known(const Credentials&) override;
  void prove(const Credentials&, Loop&, UniqueFunction<void(Verdict)> then) override;
  Reply admit(const Method&, const Call&, Reply) override;
  void missed(std::string_view method, std::string_view transport, const Principal*) override;

 private:
  struct State;
  std::shared_ptr<State> make_state(Settings, MissingFile);
  std::shared_ptr<State> state();
  Verdict refused(const Credentials&, std::string_view name, std::string why);
  void note_stranger(const Credentials&, std::string_view name, const Fault&);
  std::optional<Fault> withdrawn(const User&, const Method&);
  std::optional<Fault> must_wait(const Credentials&, const std::string& name);
  Reply deny(const Method&, const Call&, Reply, Fault);

  const Dispatcher& methods_;
  Workers& workers_;
  std::unique_ptr<Journal> journal_;
  Thinned strangers_;
  std::mutex mutex_;  // guards all below; held for look-ups alone
  std::shared_ptr<State> state_;
  std::map<std::string, std::shared_ptr<Usage>> usages_;  // by name
  Slowdown by_address_, by_name_;
  OpenStreams streams_;
  std::shared_ptr<std::atomic<std::int64_t>> logins_;  // that wait to be hashed or are
};

// The settings as far as they can be checked without a gateway: do all roles exist that `anonymous`, and that the users, name?
// Throw std::runtime_error.
void check_anonymous(const Settings&);
std::vector<Login> read_logins(const Settings&, MissingFile = MissingFile::empty);

}  // namespace sluice::access
