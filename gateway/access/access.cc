#include "gateway/access/access.h"

#include <sodium.h>

#include "gateway/json.h"

namespace sluice::access {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kCached = 10'000;       // logins that are remembered
constexpr std::size_t kHashed = 64 << 10;     // bytes of arguments that are hashed for the audit log
constexpr std::size_t kLongest = 8 << 10;     // of an Authorization header
constexpr std::int64_t kMisses = 20;          // lines a minute in the audit log of calls by one user of names that are not served
constexpr std::int64_t kStrangers = 1000;     // lines a minute there of those who did not show who they are
constexpr std::size_t kShownName = 100;       // bytes of such a name there

struct Basic {
  std::string name, password;
};

// RFC 7617: base64 of name:password.
std::optional<Basic> read_basic(std::string_view encoded) {
  std::string plain(encoded.size(), '\0');
  std::size_t length = 0;
  if (sodium_base642bin(reinterpret_cast<unsigned char*>(plain.data()), plain.size(), encoded.data(), encoded.size(), nullptr, &length, nullptr,
                        sodium_base64_VARIANT_ORIGINAL) != 0)
    return std::nullopt;
  plain.resize(length);
  const auto colon = plain.find(':');
  if (colon == plain.npos) return std::nullopt;
  return Basic{plain.substr(0, colon), plain.substr(colon + 1)};
}

// The rest of "Scheme rest" when the scheme is that one, in any case.
std::optional<std::string_view> after_scheme(std::string_view header, std::string_view scheme) {
  if (header.size() <= scheme.size() || header[scheme.size()] != ' ') return std::nullopt;
  for (std::size_t i = 0; i < scheme.size(); ++i)
    if ((header[i] | 0x20) != scheme[i]) return std::nullopt;
  header.remove_prefix(scheme.size());
  while (!header.empty() && header.front() == ' ') header.remove_prefix(1);
  return header;
}

std::string hash_of(const Value::Array& args) {
  const Value all(args);
  if (footprint(all) > kHashed) return {};
  return hash_token(to_json(all).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)).substr(0, 16);
}

void check_roles(const Settings& settings, const std::vector<std::string>& roles, const std::string& who) {
  for (const std::string& role : roles)
    if (!settings.roles.contains(role)) throw std::runtime_error(who + " has the role '" + role + "', but the configuration has no [role." + role + "]");
}

std::string address_field(const Credentials& shown) { return shown.address.empty() ? "" : ",\"address\":\"" + std::string(shown.address) + "\""; }

Fault slow_down(milliseconds wait, const std::string& why) {
  return Fault(Fault::Kind::overloaded, why + "; try again in " + std::to_string(wait.count()) + " ms", {{"retry_after_ms", wait.count()}});
}

}  // namespace

// All that a reload replaces.
struct Access::State {
  struct Cached {
    std::shared_ptr<const User> user;
    Clock::time_point until;
  };
  Settings settings;
  std::shared_ptr<const User> anonymous;                                                          // nullptr: refused
  std::unordered_multimap<std::string, std::pair<std::string, std::shared_ptr<const User>>> passwords;  // by name: hash, user
  std::unordered_map<std::string, std::shared_ptr<const User>> tokens, certificates, keys;
  std::unordered_map<std::string, std::shared_ptr<const User>> logins;  // all, by User::login()
  std::unordered_map<std::string, Cached> cache;  // by the fingerprint of a header that was right; under Access::mutex_
};

void check_anonymous(const Settings& settings) { check_roles(settings, settings.anonymous, "access.anonymous"); }

std::vector<Login> read_logins(const Settings& settings, MissingFile missing) {
  auto logins = load_users(settings.users, missing);
  for (const Login& login : logins) check_roles(settings, login.roles, settings.users + ": '" + login.user + "'");
  return logins;
}

Access::Access(const Dispatcher& methods, Workers& workers, Settings settings)
    : methods_(methods),
      workers_(workers),
      by_address_(Slowdown::Limits{}),
      // A name can be failed for by others: its owner waits a little, he is not locked out.
      by_name_(Slowdown::Limits{.free = 20, .most = milliseconds(5000)}),
      streams_([this](const User& user, const Method& method) { return withdrawn(user, method); }),
      logins_(std::make_shared<std::atomic<std::int64_t>>(0)) {
  if (!settings.audit.empty()) journal_ = std::make_unique<Journal>(settings.audit);
  state_ = make_state(std::move(settings), MissingFile::empty);
}

Access::~Access() = default;

std::shared_ptr<Access::State> Access::make_state(Settings settings, MissingFile missing) {
  auto state = std::make_shared<State>();
  check_anonymous(settings);
  const auto logins = read_logins(settings, missing);
  std::lock_guard lock(mutex_);
  auto user = [&](const std::string& name, const std::string& login, const std::vector<std::string>& roles) {
    std::vector<const Role*> held;
    for (const std::string& role : roles) held.push_back(&settings.roles.at(role));
    auto& usage = usages_[name];
    if (!usage) usage = std::make_shared<Usage>();
    auto made = std::make_shared<const User>(name, login, together(held), usage, methods_);
    state->logins[login] = made;
    return made;
  };
  if (!settings.anonymous.empty()) state->anonymous = user("anonymous", "anonymous", settings.anonymous);
  for (const Login& login : logins) {
    auto one = user(login.user, login.user + ":" + std::string(name_of(login.proof)) + ":" + login.secret, login.roles);
    switch (login.proof) {
      case Proof::password: state->passwords.emplace(login.user, std::pair(login.secret, std::move(one))); break;
      case Proof::token: state->tokens[login.secret] = std::move(one); break;
      case Proof::certificate: state->certificates[login.secret] = std::move(one); break;
      case Proof::key: state->keys[login.secret] = std::move(one); break;
    }
  }
  state->settings = std::move(settings);
  return state;
}

UniqueFunction<void()> Access::prepare_reload(Settings settings) {
  // It was there, or it would be no reload: a file that is being replaced must not lock everyone out.
  auto fresh = make_state(std::move(settings), MissingFile::refused);
  UniqueFunction<void()> reopen;
  if (journal_) reopen = journal_->prepare_reopening();
  return [this, fresh = std::move(fresh), reopen = std::move(reopen)]() mutable {
    if (reopen) reopen();
    {
      std::lock_guard lock(mutex_);
      state_ = std::move(fresh);
    }
    streams_.judge_all();
  };
}

// By the login that a stream was opened with: a user may have others, with other roles.
std::optional<Fault> Access::withdrawn(const User& user, const Method& method) {
  const auto state = this->state();
  const auto found = state->logins.find(user.login());
  if (found == state->logins.end())
    return Fault(Fault::Kind::unauthenticated, "the login of " + user.name() + " was removed or replaced; what he had open ends");
  const User& now = *found->second;
  if (!now.may_call(method))
    return Fault(Fault::Kind::denied, user.name() + " may no more call " + method.name + "; what he had open ends");
  if (now.role().databases != user.role().databases)  // which of them the stream reads is not known here
    return Fault(Fault::Kind::denied, "the databases that " + user.name() + " may use have changed; call " + method.name + " again");
  return std::nullopt;
}

std::shared_ptr<Access::State> Access::state() {
  std::lock_guard lock(mutex_);
  return state_;
}

std::optional<Authenticator::Verdict> Access::known(const Credentials& shown) {
  const auto now = Clock::now();
  auto in = [](const auto& table, std::string_view key) -> std::shared_ptr<const Principal> {
    const auto found = table.find(std::string(key));
    return found == table.end() ? nullptr : found->second;
  };
  if (!shown.authorization.empty()) {
    if (shown.authorization.size() > kLongest) return refused(shown, "", "the Authorization header is longer than " + std::to_string(kLongest) + " bytes");
    const std::string print = fingerprint(shown.authorization);
    std::shared_ptr<State> state;
    {
      std::lock_guard lock(mutex_);
      state = state_;
      if (auto found = state->cache.find(print); found != state->cache.end() && found->second.until > now) return found->second.user;
    }
    const auto token = after_scheme(shown.authorization, "bearer");
    if (token)  // nobody guesses one: the failures of others do not hold up its owner
      if (auto user = in(state->tokens, hash_token(*token))) return user;
    const auto basic = read_basic(after_scheme(shown.authorization, "basic").value_or(""));
    if (basic)  // a token stands in the place of a password, too, where a client has no room for a header of its own
      if (auto user = in(state->tokens, hash_token(basic->password)); user && user->name() == basic->name) return user;
    if (auto wait = must_wait(shown, "")) return *wait;
    if (token) {
      return refused(shown, "", "the bearer token is none of those that are known here");
    }
    if (!after_scheme(shown.authorization, "basic")) return refused(shown, "", "the Authorization header is neither Basic nor Bearer");
    return std::nullopt;
  }
  auto state = this->state();
  if (!shown.certificate.empty()) {
    if (auto user = in(state->certificates, shown.certificate)) return user;
    return refused(shown, "", "no user has the certificate '" + std::string(shown.certificate.substr(0, 100)) + "' (`sluice user add --certificate`)");
  }
  if (!shown.key.empty()) {
    if (auto user = in(state->keys, shown.key)) return user;
    return refused(shown, "", "no user has the key '" + std::string(shown.key) + "' (`sluice user add --key`)");
  }
  if (state->anonymous) return state->anonymous;
  Fault stranger(Fault::Kind::unauthenticated, "who calls? Send a password (HTTP Basic), a bearer token, a certificate or a key; anonymous callers have no role here");
  note_stranger(shown, "", stranger);
  return stranger;
}

void Access::prove(const Credentials& shown, Loop& loop, UniqueFunction<void(Verdict)> then) {
  auto basic = read_basic(after_scheme(shown.authorization, "basic").value_or(""));
  auto answer = [&](Verdict verdict) { loop.post([then = std::move(then), verdict = std::move(verdict)]() mutable { then(std::move(verdict)); }); };
  if (!basic) return answer(refused(shown, "", "the Basic Authorization header is not base64 of NAME:PASSWORD"));
  if (auto wait = must_wait(shown, basic->name)) return answer(*wait);
  auto state = this->state();
  if (logins_->load() >= state->settings.logins_waiting) {
    Fault busy = slow_down(milliseconds(500), "too many are logging in");
    note_stranger(shown, basic->name, busy);
    return answer(std::move(busy));
  }

  struct Proven {  // counts itself among those that wait
    explicit Proven(std::shared_ptr<std::atomic<std::int64_t>> count) : count(std::move(count)) { ++*this->count; }
    ~Proven() { --*count; }
    std::shared_ptr<std::atomic<std::int64_t>> count;
  };
  workers_.run([this, waiting = std::make_unique<Proven>(logins_), state, basic = std::move(*basic), header = std::string(shown.authorization),
                address = std::string(shown.address), &loop, then = std::move(then)]() mutable {
    std::shared_ptr<const User> user;
    auto [first, last] = state->passwords.equal_range(basic.name);
    // Of an unknown name something is hashed too: how long the answer takes must not tell who is known.
    if (first == last) hash_password(basic.password);
    for (; first != last && !user; ++first)
      if (password_fits(first->second.first, basic.password)) user = first->second.second;
    Verdict verdict = user;
    if (user) {
      const auto now = Clock::now();
      std::lock_guard lock(mutex_);
      by_address_.succeeded(address);
      by_name_.succeeded(basic.name);
      if (state->cache.size() >= kCached) std::erase_if(state->cache, [&](const auto& entry) { return entry.second.until <= now; });
      if (state->cache.size() < kCached) state->cache[fingerprint(header)] = {user, deadline_in(milliseconds(state->settings.login_cached_ms), now)};
    } else {
      verdict = refused({.address = address}, basic.name, "the name or the password is wrong");
    }
    loop.post([then = std::move(then), verdict = std::move(verdict)]() mutable { then(std::move(verdict)); });
  });
}

std::optional<Fault> Access::must_wait(const Credentials& shown, const std::string& name) {
  const auto now = Clock::now();
  milliseconds wait{};
  {
    std::lock_guard lock(mutex_);
    wait = by_address_.wait(std::string(shown.address), now);
    if (!name.empty()) wait = std::max(wait, by_name_.wait(name, now));
  }
  if (wait.count() == 0) return std::nullopt;
  Fault fault = slow_down(wait, "too many logins failed");
  note_stranger(shown, name, fault);
  return fault;
}

Authenticator::Verdict Access::refused(const Credentials& shown, std::string_view name, std::string why) {
  const auto now = Clock::now();
  {
    std::lock_guard lock(mutex_);
    by_address_.failed(std::string(shown.address), now);
    if (!name.empty()) by_name_.failed(std::string(name.substr(0, 64)), now);
  }
  Fault fault(Fault::Kind::unauthenticated, std::move(why));
  note_stranger(shown, name, fault);
  return fault;
}

void Access::note_stranger(const Credentials& shown, std::string_view name, const Fault& fault) {
  if (!journal_) return;
  if (const auto more = strangers_.take(kStrangers, Clock::now()))
    journal_->add(audit_line(name.substr(0, 64), "", "", codes(fault.kind()).name, address_field(shown) + *more));
}

Reply Access::deny(const Method& method, const Call& call, Reply reply, Fault fault) {
  if (journal_) {
    const auto& who = reply.principal();
    journal_->add(audit_line(who ? who->name() : "", method.name, call.transport, codes(fault.kind()).name, {}));
  }
  reply(std::move(fault));
  return {};
}

// Every principal there is was made by us: the transports take them from known() and prove().
Reply Access::admit(const Method& method, const Call& call, Reply reply) {
  auto user = std::static_pointer_cast<const User>(reply.principal());
  if (!user) return deny(method, call, std::move(reply), Fault(Fault::Kind::denied, "nobody vouched for the caller of " + method.name));
  if (!user->may_call(method))
    return deny(method, call, std::move(reply),
                Fault(Fault::Kind::denied, user->name() + " may not call " + method.name + "; an operator can give him a role that lists it"));
  if (method.name == "system.multicall") return reply;  // what it calls comes here call by call, and is counted then

  const Role& role = user->role();
  if (!user->usage().calls.take(role.calls_per_s, std::chrono::seconds(1), reply.loop().now())) {
    reply(slow_down(milliseconds(std::max<std::int64_t>(1, 1000 / role.calls_per_s)),
                    user->name() + " makes more than " + std::to_string(role.calls_per_s) + " calls a second (role calls_per_s)"));
    return {};
  }
  if (role.in_flight > 0 && user->usage().in_flight.load(std::memory_order_relaxed) >= role.in_flight) {
    reply(slow_down(milliseconds(50), user->name() + " has " + std::to_string(role.in_flight) + " calls in flight, the most he may (role in_flight)"));
    return {};
  }
  const bool writes = method.effect == Effect::write;
  const bool limited = role.in_flight > 0 || role.answer_rows > 0 || role.answer_bytes > 0 || role.call_ms > 0;
  // With a journal every call is watched: what it turns out to be denied, only its handler knows. A stream is, as it may outlive its right.
  if (!journal_ && !limited && !method.signature.streams) return reply;
  const bool hashed = journal_ && (writes || method.free_sql);
  return watch(std::move(reply), {std::move(user), method, call.transport, hashed ? hash_of(call.args) : std::string(), writes}, journal_.get(), streams_);
}

void Access::missed(std::string_view method, std::string_view transport, const Principal* caller) {
  const auto* user = static_cast<const User*>(caller);
  if (!journal_ || !user) return;
  // Who tries names out shows by the first of them: the rest is counted, so that he cannot fill the disk.
  if (const auto more = user->usage().misses.take(kMisses, Clock::now()))
    journal_->add(audit_line(user->name(), method.substr(0, kShownName), transport, codes(Fault::Kind::no_such_method).name, *more));
}

}  // namespace sluice::access
