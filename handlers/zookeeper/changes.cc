#include "handlers/zookeeper/changes.h"

#include <algorithm>
#include <set>

namespace sluice::zookeeper {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kAfterLoss{30};
constexpr milliseconds kBetweenTouches{200};

}  // namespace

struct Changes::Run {
  Run(Loop& loop, std::vector<std::string> paths, Decide decide, UniqueFunction<void(Done)> done, Age age)
      : paths(std::move(paths)), age(age), decide(std::move(decide)), done(std::move(done)), limit(loop), retry(loop) {}

  const std::vector<std::string> paths;  // full ones
  const Age age;
  Decide decide;
  UniqueFunction<void(Done)> done;
  bool started = false, over = false;
  bool current = false;  // enough, what is read from now on
  bool writing = false, in_doubt = false;
  std::size_t awaited = 0;
  int attempt = 0;
  std::vector<Node> nodes;
  std::optional<Answer> trouble;  // of this attempt, and then the last there was
  Timer limit, retry;
};

Changes::Changes(Loop& loop, Session& session, std::string root, milliseconds limit)
    : loop_(loop), session_(session), root_(std::move(root)), limit_(limit) {}
Changes::~Changes() = default;

Fault Changes::away(const Answer& answer) const {
  return Fault(Fault::Kind::unavailable, "ZooKeeper did not serve within " + std::to_string(limit_.count()) + " ms" +
                                             (answer.why.empty() ? std::string() : ": " + answer.why));
}

void Changes::run(std::vector<std::string> paths, Decide decide, UniqueFunction<void(Done)> done, Age age) {
  for (std::string& path : paths) path = full(path);
  auto run = std::make_shared<Run>(loop_, std::move(paths), std::move(decide), std::move(done), age);
  run->limit.start(limit_, [this, weak = std::weak_ptr<Run>(run)] {
    const auto late = weak.lock();
    if (!late) return;
    Done done;
    done.fault = away(late->trouble.value_or(Answer{}));
    if (late->writing || late->in_doubt)
      done.fault.emplace(Fault::Kind::outcome_unknown, "the answer of ZooKeeper to a change was lost: it may have happened or not");
    finish(late, std::move(done));
  });
  for (const std::string& path : run->paths) lines_[path].push_back(run);
  start_if_first(run);
}

void Changes::start_if_first(const Handle& run) {
  if (run->started) return;
  for (const std::string& path : run->paths)
    if (lines_.at(path).front() != run) return;
  run->started = true;
  attempt(run);
}

void Changes::attempt(const Handle& run) {
  ++run->attempt;
  run->current = run->age == Age::any;  // the session of an earlier attempt may have ended
  // A slow answer leaves the leader's clock in doubt, and leases would end late by as much: a quicker one is asked for now and then.
  const auto now = BootClock::now();
  if (clock_.closely(now) || (clock_.knows(now) && now - touched_ < kBetweenTouches)) return read(run);
  touched_ = now;
  set_clock(run);
}

void Changes::again(const Handle& run, milliseconds pause) {
  if (pause.count() == 0) return attempt(run);
  run->retry.start(pause, [this, weak = std::weak_ptr<Run>(run)] {
    if (const auto still = weak.lock()) attempt(still);
  });
}

// The nodes' times are by the leader's clock: any write tells what that shows. And what the session reads behind a write of its own is
// current. After a sync alone it is not when the server is the leader: that tells the followers what is committed before it has it itself.
void Changes::touch(Answered done) {
  std::vector<Change> touch(1);
  touch[0].path = full("clock");
  touch[0].version = -1;
  session_.write(std::move(touch),
                 [this, alive = std::weak_ptr<bool>(alive_), done = std::move(done), sent = BootClock::now()](Answer answer) mutable {
                   if (alive.expired()) return;
                   if (answer.code == Code::ok) learn(sent, answer);
                   done(std::move(answer));
                 });
}

void Changes::set_clock(const Handle& run) {
  touch([this, run, attempt_of = run->attempt](Answer answer) {
    if (run->over || run->attempt != attempt_of) return;
    if (answer.code == Code::ok) {
      run->current = true;
      return read(run);
    }
    run->trouble = answer;
    if (answer.code == Code::no_node) return make_folders(run, {full("clock") + "/"});
    again(run, kAfterLoss);
  });
}

void Changes::learn(BootClock::time_point sent, const Answer& answer) {
  // Another leader, another clock.
  if (const std::int64_t reign = answer.zxid >> 32; reign != reign_) {
    clock_.forget();
    reign_ = reign;
  }
  clock_.learn(sent, BootClock::now(), answer.mtime_ms);
}

// All that ends with a slash in front of a path's last part; those that are there stay as they are.
void Changes::make_folders(const Handle& run, const std::vector<std::string>& full_paths) {
  std::set<std::string> folders;
  for (const std::string& path : full_paths)
    for (auto slash = path.find('/', 1); slash != path.npos; slash = path.find('/', slash + 1)) folders.insert(path.substr(0, slash));
  run->awaited = folders.size();
  for (const std::string& folder : folders)  // a parent sorts before its children, and the session keeps that order
    session_.make(folder, [this, alive = std::weak_ptr<bool>(alive_), run, attempt_of = run->attempt](Answer answer) {
      if (alive.expired() || run->over || run->attempt != attempt_of) return;
      const bool bad = answer.code != Code::ok && answer.code != Code::node_exists;
      if (bad) run->trouble = std::move(answer);
      if (--run->awaited == 0) again(run, bad ? kAfterLoss : milliseconds(0));
    });
}

void Changes::read(const Handle& run) {
  run->trouble.reset();
  run->nodes.assign(run->paths.size(), Node{});
  run->awaited = run->paths.size();
  for (std::size_t i = 0; i < run->paths.size(); ++i)
    session_.get(run->paths[i], [this, alive = std::weak_ptr<bool>(alive_), run, i, attempt_of = run->attempt](Answer answer) {
      if (alive.expired() || run->over || run->attempt != attempt_of) return;
      if (answer.code == Code::ok)
        run->nodes[i] = {true, std::move(answer.data), answer.version, answer.zxid, answer.mtime_ms};
      else if (answer.code != Code::no_node)
        run->trouble = std::move(answer);
      if (--run->awaited > 0) return;
      if (run->trouble) return again(run, kAfterLoss);
      decide(run);
    });
}

void Changes::decide(const Handle& run) {
  const auto now = BootClock::now();
  if (!clock_.knows(now)) return again(run, milliseconds(0));  // the answers took so long
  const View view{run->nodes, now, clock_.earliest_ms(now), clock_.latest_ms(now), run->in_doubt};
  std::vector<Change> changes;
  for (Put& put : run->decide(view)) {
    const Node& node = run->nodes[put.node];
    Change& change = changes.emplace_back();
    change.kind = !put.data ? Change::Kind::remove : node.exists ? Change::Kind::set : Change::Kind::create;
    change.path = run->paths[put.node];
    change.version = node.version;
    if (put.data) change.data = std::move(*put.data);
  }
  if (changes.empty()) return run->current ? finish(run, {}) : set_clock(run);
  write(run, std::move(changes));
}

void Changes::write(const Handle& run, std::vector<Change> changes) {
  run->writing = true;
  session_.write(std::move(changes),
                 [this, alive = std::weak_ptr<bool>(alive_), run, attempt_of = run->attempt, sent = BootClock::now()](Answer answer) {
                   if (alive.expired()) return;
                   if (answer.code == Code::ok && answer.zxid != 0) learn(sent, answer);
                   if (run->over || run->attempt != attempt_of) return;
                   run->writing = false;
                   switch (answer.code) {
                     case Code::ok: {
                       Done done;
                       done.zxid = answer.zxid;
                       return finish(run, std::move(done));
                     }
                     case Code::bad_version:
                     case Code::node_exists: return again(run, milliseconds(0));
                     case Code::no_node: return make_folders(run, run->paths);
                     case Code::lost: run->in_doubt = true; break;
                     case Code::refused: break;
                   }
                   run->trouble = std::move(answer);
                   again(run, kAfterLoss);
                 });
}

void Changes::finish(const Handle& run, Done done) {
  run->over = true;
  run->limit.stop();
  run->retry.stop();
  std::vector<Handle> next;
  for (const std::string& path : run->paths) {
    const auto line = lines_.find(path);
    std::erase(line->second, run);
    if (line->second.empty())
      lines_.erase(line);
    else
      next.push_back(line->second.front());
  }
  const std::weak_ptr<bool> alive(alive_);
  auto tell = std::move(run->done);
  tell(std::move(done));
  for (const Handle& each : next)
    if (!alive.expired() && !each->over) start_if_first(each);
}

void Changes::children(const std::string& path, UniqueFunction<void(std::variant<std::vector<std::string>, Fault>)> done) {
  struct Question {
    explicit Question(Loop& loop) : limit(loop) {}
    UniqueFunction<void(std::variant<std::vector<std::string>, Fault>)> done;
    Timer limit;
  };
  auto question = std::make_shared<Question>(loop_);
  question->done = std::move(done);
  question->limit.start(limit_, [this, question] {
    if (auto tell = std::move(question->done)) tell(away(Answer{}));
  });
  auto answered = [this, question](Answer answer) {
    if (!question->done) return;
    question->limit.stop();
    auto tell = std::move(question->done);
    if (answer.code == Code::ok || answer.code == Code::no_node) return tell(std::move(answer.children));
    tell(away(answer));
  };
  touch([this, at = full(path), answered](Answer touched) {
    if (touched.code != Code::ok) return answered(std::move(touched));  // no node: nothing was ever written
    session_.children(at, [alive = std::weak_ptr<bool>(alive_), answered](Answer answer) {
      if (!alive.expired()) answered(std::move(answer));
    });
  });
}

}  // namespace sluice::zookeeper
