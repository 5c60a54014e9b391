#include "handlers/zookeeper/session.h"

#include <sys/time.h>
#include <zookeeper/zookeeper.h>

#include <algorithm>

#include "rpc/fault.h"

namespace sluice::zookeeper {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSilence{50};

Code code_of(int rc) {
  switch (rc) {
    case ZOK: return Code::ok;
    case ZNONODE: return Code::no_node;
    case ZNODEEXISTS: return Code::node_exists;
    case ZBADVERSION: return Code::bad_version;
    case ZCONNECTIONLOSS:
    case ZOPERATIONTIMEOUT:
    case ZSESSIONEXPIRED:
    case ZSESSIONMOVED:
    case ZCLOSING:
    case ZINVALIDSTATE: return Code::lost;
    default: return Code::refused;
  }
}

Answer answer_of(int rc, const Stat* stat) {
  Answer answer;
  answer.code = code_of(rc);
  if (answer.code != Code::ok) answer.why = zerror(rc);
  if (stat) {
    answer.version = stat->version;
    answer.zxid = stat->mzxid;
    answer.mtime_ms = stat->mtime;
  }
  return answer;
}

}  // namespace

// One call of the library: what it fills, and who is told.
struct Session::Call {
  Call(Session& session, Answered done) : session(session), done(std::move(done)) {}
  Session& session;
  Answered done;
  std::vector<zoo_op_t> operations;
  std::vector<zoo_op_result_t> results;
  std::vector<std::string> created;  // room for the paths of new nodes
  Stat stat{};
};

struct Session::Library {
  static std::unique_ptr<Call> take(const void* data) {
    auto call = std::unique_ptr<Call>(static_cast<Call*>(const_cast<void*>(data)));
    --call->session.unanswered_;
    call->session.answered_ = true;
    return call;
  }

  static void session_event(zhandle_t*, int type, int state, const char* path, void* context) {
    static_cast<Session*>(context)->event(type, state, path);
  }
  static void ignored(int, const char*, const void*) {}
  static void got(int rc, const char* value, int length, const Stat* stat, const void* data) {
    Answer answer = answer_of(rc, rc == ZOK ? stat : nullptr);
    if (rc == ZOK && length > 0) answer.data.assign(value, static_cast<std::size_t>(length));
    take(data)->done(std::move(answer));
  }
  static void exists(int, const Stat*, const void*) {}
  static void listed(int rc, const String_vector* names, const void* data) {
    Answer answer = answer_of(rc, nullptr);
    for (int i = 0; rc == ZOK && i < names->count; ++i) answer.children.emplace_back(names->data[i]);
    take(data)->done(std::move(answer));
  }
  static void made(int rc, const char*, const void* data) { take(data)->done(answer_of(rc, nullptr)); }
  static void wrote(int rc, const void* data) {
    const auto call = take(data);
    call->done(answer_of(rc, rc == ZOK ? &call->stat : nullptr));
  }
};

Session::Session(Loop& loop, std::string hosts, milliseconds timeout)
    : loop_(loop), hosts_(std::move(hosts)), timeout_(timeout), timer_(loop), reminder_(loop) {
  zoo_set_debug_level(static_cast<ZooLogLevel>(0));  // it would write to stderr; what goes wrong is in the faults
  open();
}

Session::~Session() {
  alive_.reset();
  look_at(-1, 0);
  loop_.forget(*this);
  if (handle_) zookeeper_close(std::exchange(handle_, nullptr));
}

void Session::open() {
  handle_ = zookeeper_init(hosts_.c_str(), &Library::session_event, static_cast<int>(timeout_.count()), nullptr, this, 0);
  if (!handle_)
    throw Fault(Fault::Kind::unavailable, "the ZooKeeper servers '" + hosts_ + "' cannot be resolved; expected HOST:PORT,HOST:PORT");
  // Else the library resolves the names, and blocks, each time it is told of an event. Without a connection it still does.
  zoo_set_servers_resolution_delay(handle_, -1);
  flush_later();
}

// The session has ended at the servers. Whatever was asked of it is lost.
void Session::reopen() {
  look_at(-1, 0);
  inside_ = true;
  zookeeper_close(std::exchange(handle_, nullptr));
  inside_ = false;
  try {
    open();
  } catch (const Fault&) {  // a name that could be resolved before will be again
    timer_.start(milliseconds(1000), [this] { reopen(); });
  }
}

// `result` is what the library said to the beginning of a call; one that it did not take is told so, later.
int Session::begun(int result, Call* call) {
  flush_later();
  if (result == ZOK) {
    ++unanswered_;
    if (!reminder_.running()) {
      answered_ = false;
      remind_later();
    }
    return result;
  }
  loop_.post([call = std::unique_ptr<Call>(call), result, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired()) call->done(answer_of(result, nullptr));
  });
  return result;
}

// A server before 3.8.1 may let a request lie until another one reaches it (ZOOKEEPER-4537), and the library does not ping while it
// waits for an answer. So when there was none for a while, something is asked that changes nothing.
void Session::remind_later() {
  reminder_.start(kSilence, [this] {
    if (unanswered_ == 0) return;
    if (!std::exchange(answered_, false) && handle_ && zoo_state(handle_) == ZOO_CONNECTED_STATE) {
      zoo_aexists(handle_, "/", 0, &Library::exists, nullptr);
      flush_later();
    }
    remind_later();
  });
}

// A follower may be behind; sync has it catch up with what the leader had when it was asked.
int Session::catch_up() { return handle_ ? zoo_async(handle_, "/", &Library::ignored, nullptr) : static_cast<int>(ZINVALIDSTATE); }

void Session::get(const std::string& path, Answered done) {
  auto* call = new Call(*this, std::move(done));
  const int synced = catch_up();
  begun(synced == ZOK ? zoo_aget(handle_, path.c_str(), 0, &Library::got, call) : synced, call);
}

void Session::children(const std::string& path, Answered done) {
  auto* call = new Call(*this, std::move(done));
  const int synced = catch_up();
  begun(synced == ZOK ? zoo_aget_children(handle_, path.c_str(), 0, &Library::listed, call) : synced, call);
}

void Session::make(const std::string& path, Answered done) {
  auto* call = new Call(*this, std::move(done));
  begun(
      handle_ ? zoo_acreate(handle_, path.c_str(), "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, &Library::made, call) : static_cast<int>(ZINVALIDSTATE),
      call);
}

void Session::write(std::vector<Change> changes, Answered done) {
  auto* call = new Call(*this, std::move(done));
  call->operations.reserve(2 * changes.size());
  call->created.reserve(changes.size());  // the library keeps pointers into it
  for (const Change& each : changes) {
    const auto size = static_cast<int>(each.data.size());
    if (each.kind == Change::Kind::remove) {
      zoo_delete_op_init(&call->operations.emplace_back(), each.path.c_str(), each.version);
      continue;
    }
    std::int32_t version = each.version;
    if (each.kind == Change::Kind::create) {
      std::string& room = call->created.emplace_back(each.path.size() + 1, '\0');
      zoo_create_op_init(&call->operations.emplace_back(), each.path.c_str(), "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, room.data(),
                         static_cast<int>(room.size()));
      version = 0;
    }
    // Only a set tells the time and number of the whole.
    zoo_set_op_init(&call->operations.emplace_back(), each.path.c_str(), each.data.data(), size, version, &call->stat);
  }
  call->results.resize(call->operations.size());
  begun(handle_ ? zoo_amulti(handle_, static_cast<int>(call->operations.size()), call->operations.data(), call->results.data(),
                             &Library::wrote, call)
                : static_cast<int>(ZINVALIDSTATE),
        call);
}

void Session::flush_later() {
  if (inside_ || flushing_) return;
  flushing_ = true;
  if (Loop::current() == &loop_)
    loop_.at_turn_end(*this);
  else  // before it runs
    loop_.post([this, alive = std::weak_ptr<bool>(alive_)] {
      if (!alive.expired()) on_turn_end();
    });
}

void Session::on_turn_end() {
  flushing_ = false;
  pump(-1);
}

void Session::on_ready(std::uint32_t events) {
  int what = 0;
  if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) what |= ZOOKEEPER_READ;
  if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) what |= ZOOKEEPER_WRITE;
  pump(what);
}

// Lets the library do what it can (events < 0: nothing new happened), and asks what it waits for next.
void Session::pump(int events) {
  if (!handle_ || inside_) return;
  inside_ = true;
  int rc = events < 0 ? static_cast<int>(ZOK) : zookeeper_process(handle_, events);
  int fd = -1, interest = 0;
  timeval until{};
  // A connection that is given up is told by an error, and closes its descriptor; the next question opens another.
  for (int i = 0; i < 2 && !is_unrecoverable(handle_); ++i) {
    if (rc != ZOK && rc != ZNOTHING) look_at(-1, 0);
    rc = zookeeper_interest(handle_, &fd, &interest, &until);
    if (rc == ZOK) break;
    fd = -1;
    zookeeper_process(handle_, 0);  // tells those who wait of the loss
  }
  inside_ = false;
  if (is_unrecoverable(handle_)) return reopen();
  look_at(fd, (interest & ZOOKEEPER_READ ? EPOLLIN : 0u) | (interest & ZOOKEEPER_WRITE ? EPOLLOUT : 0u));
  milliseconds pause(until.tv_sec * 1000 + until.tv_usec / 1000);
  if (rc != ZOK) pause = milliseconds(10);
  timer_.start(std::max(pause, milliseconds(1)), [this] { pump(0); });
}

void Session::look_at(int fd, std::uint32_t events) {
  if (fd == fd_ && events == events_) return;
  if (fd == fd_) {
    loop_.rewatch(fd, events, *this);
  } else {
    if (fd_ >= 0) loop_.unwatch(fd_, *this);
    if (fd >= 0) loop_.watch(fd, events, *this);
  }
  fd_ = fd;
  events_ = events;
}

void Session::event(int type, int state, const char* path) {
  if (!handle_) return;  // it is being closed
  if (type == ZOO_SESSION_EVENT) {
    if (state == ZOO_CONNECTED_STATE) arm_all();
    return;
  }
  if (path) poke(path);
}

void Session::arm(const std::string& path) {
  if (!handle_) return;
  zoo_awexists(handle_, path.c_str(), &Library::session_event, this, &Library::exists, nullptr);
  flush_later();
}

// What was watched before may have been told to nobody.
void Session::arm_all() {
  std::vector<std::string> paths;
  for (const auto& [path, all] : watches_) paths.push_back(path);
  for (const std::string& path : paths) poke(path);
}

void Session::poke(const std::string& path) {
  const auto found = watches_.find(path);
  if (found == watches_.end()) return;
  arm(path);
  std::vector<std::weak_ptr<UniqueFunction<void()>>> all;
  for (Watch* watch : found->second) all.push_back(watch->changed_);
  for (const auto& each : all)
    if (const auto changed = each.lock()) (*changed)();  // may destroy any of them
}

std::unique_ptr<Session::Watch> Session::watch(std::string path, UniqueFunction<void()> changed) {
  auto watch = std::unique_ptr<Watch>(new Watch(*this, std::move(path), std::move(changed)));
  auto& all = watches_[watch->path_];
  all.insert(watch.get());
  if (all.size() == 1) arm(watch->path_);
  // Whoever read the node before now may have missed a change; what he reads from now on is behind the watch in the server's line.
  loop_.post([changed = std::weak_ptr<UniqueFunction<void()>>(watch->changed_)] {
    if (const auto call = changed.lock()) (*call)();
  });
  return watch;
}

Session::Watch::Watch(Session& session, std::string path, UniqueFunction<void()> changed)
    : session_(session), path_(std::move(path)), changed_(std::make_shared<UniqueFunction<void()>>(std::move(changed))) {}

Session::Watch::~Watch() {
  const auto found = session_.watches_.find(path_);
  found->second.erase(this);
  if (found->second.empty()) session_.watches_.erase(found);
}

}  // namespace sluice::zookeeper
