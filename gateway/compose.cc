#include "gateway/compose.h"

#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <iostream>
#include <stdexcept>
#include <system_error>

#include "gateway/config/schema.h"
#include "gateway/listen.h"
#include "handlers/calc/calc.h"
#include "handlers/probe/probe.h"
#include "handlers/sql/named.h"
#include "transports/zerorpc/keys.h"

namespace sluice {

namespace {

sigset_t handled() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  return set;
}

}  // namespace

// SIGTERM, SIGINT and SIGHUP, read on the first loop like everything else.
class Gateway::Signals final : private Loop::Watcher {
 public:
  // Opened before there are callers, who may take all descriptors.
  explicit Signals(Gateway& gateway) : gateway_(gateway) {
    const sigset_t set = handled();
    fd_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "signals cannot be read");
  }
  ~Signals() {
    if (loop_) loop_->unwatch(fd_, *this);
    ::close(fd_);
  }

  void watch(Loop& loop) {
    loop_ = &loop;
    loop.watch(fd_, EPOLLIN, *this);
  }

 private:
  void on_ready(std::uint32_t) override {
    signalfd_siginfo info;
    while (::read(fd_, &info, sizeof info) == sizeof info) {
      if (info.ssi_signo == SIGHUP && gateway_.reread_)
        gateway_.reload();
      else
        gateway_.drain();
    }
  }
  Loop* loop_ = nullptr;
  Gateway& gateway_;
  int fd_;
};

Gateway::Gateway(config::Settings settings, std::vector<std::unique_ptr<Handler>> more) : settings_(std::move(settings)) {
  if (auto problem = exposed(settings_)) throw std::runtime_error(problem->why);
  // Before any thread starts: they inherit the mask, so that the signals come to signalfd alone.
  const sigset_t set = handled();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signals_ = std::make_unique<Signals>(*this);
  std::signal(SIGPIPE, SIG_IGN);
  // As many connections as the system lets us have; the soft limit is for programs that still use select().
  if (rlimit files{}; ::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }

  const auto cores = static_cast<std::int64_t>(std::thread::hardware_concurrency());
  const std::int64_t threads = settings_.threads > 0 ? settings_.threads : std::max<std::int64_t>(1, cores - 1);
  std::vector<Loop*> loops;
  for (std::int64_t i = 0; i < threads; ++i) loops.push_back(loops_.emplace_back(std::make_unique<Loop>()).get());
  workers_ = std::make_unique<Workers>(static_cast<std::size_t>(settings_.workers), Shedder::Limits{settings_.workers_waiting, settings_.queue_target});
  databases_ = std::make_unique<Databases>(settings_, *loops_.front(), *workers_);
  id_stores_ = std::make_unique<IdStores>(settings_, *databases_, *loops_.front());
  lock_stores_ = std::make_unique<LockStores>(settings_, *databases_, *loops_.front());
  dispatcher_ = std::make_unique<Dispatcher>(workers_.get(), settings_.dispatcher);

  // THE list: a handler is one line.
  auto serve = [this](std::unique_ptr<Handler> handler) -> Handler& {
    dispatcher_->add(*handler);
    return *handlers_.emplace_back(std::move(handler));
  };
  serve(std::make_unique<System>(*dispatcher_, settings_.system));
  serve(std::make_unique<Calc>());
  auto& sql = static_cast<sql::Sql&>(serve(std::make_unique<sql::Sql>(databases_->list(), settings_.sql)));
  if (!settings_.statements.empty()) serve(std::make_unique<sql::Named>(sql, load_statements(settings_)));
  serve(std::make_unique<lock::Locks>(*loops_.front(), lock_stores_->take(), settings_.lock));
  ids_ = static_cast<id::Id*>(&serve(id_stores_->handler(settings_, *loops_.front())));
  if (settings_.probe) serve(std::make_unique<Probe>());
  if (settings_.probe) serve(std::make_unique<Validator1>());
  for (auto& handler : more) serve(std::move(handler));

  if (!settings_.access.users.empty()) {
    access_ = std::make_unique<access::Access>(*dispatcher_, *workers_, settings_.access);
    dispatcher_->set_guard(*access_);
  }

  // A transport is one line, for each place it listens on.
  for (const std::string& listen : settings_.xmlrpc_listen) {
    xmlrpc::Options options = settings_.xmlrpc;
    options.authenticator = access_.get();
    options.ready = &ready_;
    const Listener at = read_listener(listen);
    options.http.host = at.host;
    options.http.port = at.port;
    if (at.security != Listener::Security::plain)
      options.http.tls = tls_.emplace_back(std::make_shared<http::Tls>(settings_.tls, at.security == Listener::Security::mutual));
    transports_.push_back(std::make_unique<xmlrpc::Transport>(*dispatcher_, loops, options));
  }
  if (!settings_.zerorpc_listen.empty()) {
    zerorpc::Options options = settings_.zerorpc;
    options.authenticator = access_.get();
    if (!settings_.curve_keys.empty()) options.router.curve_secret = zerorpc::load_keys(settings_.curve_keys).secret_key;
    transports_.push_back(std::make_unique<zerorpc::Transport>(*loops.front(), *dispatcher_, std::move(options)));
  }
  for (auto& transport : transports_) transport->start();
}

Gateway::~Gateway() {
  for (auto& loop : loops_) loop->stop();
  for (auto& thread : threads_) thread.join();
  signals_.reset();
  patience_.reset();
  watchdog_.reset();
  transports_.clear();
  workers_.reset();
  lock_stores_.reset();
  id_stores_.reset();
  databases_.reset();  // its threads still answer into the loops, which are there though they do not run
  // What waits on one loop may hold the answer to a caller of another, so all are emptied before the first goes.
  for (bool any = true; any;) {
    any = false;
    for (auto& loop : loops_) any = loop->discard() || any;
  }
}

std::vector<std::string> Gateway::endpoints(std::string_view name) const {
  std::vector<std::string> all;
  for (const auto& transport : transports_)
    if (transport->name() == name)
      for (std::string& endpoint : transport->endpoints()) all.push_back(std::move(endpoint));
  return all;
}

std::string Gateway::ready_line() const {
  std::string line = std::string("sluice ") + kVersion + " ready:";
  for (const auto& transport : transports_)
    for (const std::string& endpoint : transport->endpoints()) line += " " + std::string(transport->name()) + " " + endpoint + ",";
  return line + " sql " + databases_->describe();
}

void Gateway::run(bool on_signals, Reread reread) {
  reread_ = std::move(reread);
  if (on_signals) signals_->watch(*loops_.front());
  patience_ = std::make_unique<Timer>(*loops_.front());
  for (std::size_t i = 1; i < loops_.size(); ++i) threads_.emplace_back([loop = loops_[i].get()] { loop->run(); });
  std::vector<Loop*> loops;
  for (auto& loop : loops_) loops.push_back(loop.get());
  watchdog_ = std::make_unique<lifecycle::Watchdog>(std::move(loops));
  ready_ = true;
  lifecycle::notify("READY=1");
  loops_.front()->run();
}

void Gateway::stop() {
  loops_.front()->post([this] { drain(); });
}

// On the first loop.
void Gateway::drain() {
  auto end = [this] {
    for (auto& loop : loops_) loop->stop();
  };
  if (std::exchange(stopping_, true)) return end();  // asked twice
  ready_ = false;
  lifecycle::notify("STOPPING=1");
  // A load balancer has to notice before it is turned away.
  patience_->start(std::chrono::milliseconds(settings_.ready_ms), [this] { close_listeners(); });
}

void Gateway::close_listeners() {
  auto end = [this] {
    for (auto& loop : loops_) loop->stop();
  };
  draining_ = transports_.size();
  if (draining_ == 0) return end();
  patience_->start(std::chrono::milliseconds(settings_.drain_ms), end);
  for (auto& transport : transports_)
    transport->drain([this, end] {
      loops_.front()->post([this, end] {
        if (--draining_ == 0) ids_->release(end);
      });
    });
}

// On the first loop. Files are read and checked on a worker; of signals that come meanwhile one is remembered.
void Gateway::reload() {
  if (reloading_) {
    reload_again_ = true;
    return;
  }
  reloading_ = true;
  workers_->run([this] {
    {
      const lifecycle::Reloading telling;
      if (auto settings = reread_()) take_over(std::move(*settings));
    }
    loops_.front()->post([this] {
      reloading_ = false;
      if (std::exchange(reload_again_, false)) reload();
    });
  });
}

// Certificates, users and roles are taken over, all or none of them; the rest is told of, as it would need other listeners, threads or databases.
void Gateway::take_over(config::Settings fresh) {
  std::vector<const config::Key*> stay;
  for (const config::Key& key : config::keys()) {
    const bool live = key.section == "access" && key.name != "audit" && !(key.name == "users" && (settings_.access.users.empty() || fresh.access.users.empty()));
    if (live || key.get(settings_) == key.get(fresh)) continue;
    stay.push_back(&key);
  }
  std::vector<UniqueFunction<void()>> steps;
  try {
    for (const auto& tls : tls_) steps.push_back(tls->prepare_reload());
    if (access_ && !fresh.access.users.empty()) steps.push_back(access_->prepare_reload(std::move(fresh.access)));
  } catch (const std::exception& error) {
    std::cerr << "sluice: " << error.what() << "; everything stays as it was" << std::endl;
    return;
  }
  // All of it was read and is well: only now anything changes.
  for (auto& step : steps) step();
  for (const config::Key* key : stay) std::cerr << "sluice: " << key->full() << " is another now; that needs a restart\n";
  std::cerr << "sluice: reloaded" << (stay.empty() ? "" : ", as far as it can be without a restart") << std::endl;
}

}  // namespace sluice
