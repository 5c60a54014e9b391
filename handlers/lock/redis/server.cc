#include "handlers/lock/redis/server.h"

#include <algorithm>

#include "handlers/lock/redis/answers.h"

namespace sluice::lock {
namespace {

using redis::Answer;
using redis::Words;

constexpr std::size_t kTogether = 256;      // locks in one look
constexpr std::size_t kMostKeys = 100'000;  // names that a list goes through
constexpr milliseconds kPatience{2000};     // the link's own comes first

Words behind(const std::string& first, Words rest) {
  rest.insert(rest.begin(), first);
  return rest;
}

class Listening final : public LeaseStore::Watch {
 public:
  Listening(redis::Subscriber& subscriber, std::string channel, UniqueFunction<void()> freed)
      : listening_(subscriber, std::move(channel), std::move(freed)) {}

 private:
  redis::Subscriber::Listening listening_;
};

// A pattern of SCAN that stands for the text itself, and what follows.
std::string pattern(const std::string& prefix) {
  std::string out;
  for (const char c : prefix) {
    if (std::string_view("*?[]^\\").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out + "*";
}

}  // namespace

struct Server::Search {
  const redis::Script& script;
  std::string prefix;
  std::size_t most;
  milliseconds limit;
  UniqueFunction<void(Looks)> done;
  std::string cursor = "0";
  std::vector<std::string> names{};  // that have a key; few of them may be held
  std::size_t looked = 0;
  std::vector<std::pair<std::string, Value>> found{};
};

Server::Server(Loop& home, const redis::Address& address, Options options)
    : prefix_(options.prefix),
      link_(home, address, options.link),
      guard_(link_, prefix_ + "s", std::move(options.file), options.epoch),
      subscriber_(home, address) {}

void Server::start(std::vector<const redis::Script*> scripts, UniqueFunction<void()> before_open) {
  guard_.start([this, scripts = std::move(scripts), before_open = std::move(before_open)]() mutable {
    for (const redis::Script* script : scripts) link_.now({"SCRIPT", "LOAD", script->text}, kPatience, [](const Answer&) {});
    if (before_open) before_open();
  });
}

void Server::run(const redis::Script& script, Words keys, Words arguments, milliseconds limit, redis::Done done) {
  guard_.call(script, std::move(keys), std::move(arguments), limit, std::move(done));
}

void Server::run_first(const redis::Script& script, Words keys, Words arguments, milliseconds limit, redis::Done done) {
  link_.now(script, behind(guard_.key(), std::move(keys)), behind(guard_.id(), std::move(arguments)), limit, std::move(done));
}

void Server::look(const redis::Script& script, std::vector<std::string> names, milliseconds limit, UniqueFunction<void(Looks)> done) {
  Words keys;
  for (const std::string& name : names) keys.push_back(key(name));
  run(script, std::move(keys), {}, limit, [names = std::move(names), done = std::move(done)](Answer answer) mutable {
    if (auto* fault = std::get_if<Fault>(&answer)) return done(std::move(*fault));
    auto& told = *std::get<Value>(answer).get_if<Value::Array>();
    std::vector<std::pair<std::string, Value>> looks;
    for (std::size_t i = 0; i < names.size(); ++i) looks.emplace_back(std::move(names[i]), std::move(told[i + 1]));
    done(std::move(looks));
  });
}

void Server::list(const redis::Script& look, std::string prefix, std::size_t most, milliseconds limit, UniqueFunction<void(Looks)> done) {
  scan(std::shared_ptr<Search>(new Search{look, std::move(prefix), most, limit, std::move(done)}));
}

void Server::scan(std::shared_ptr<Search> search) {
  const std::string all = key("");
  Words words{"SCAN", search->cursor, "MATCH", pattern(all + search->prefix), "COUNT", "1000"};
  link_.call(std::move(words), search->limit, [this, search, from = all.size()](Answer answer) {
    if (auto* fault = std::get_if<Fault>(&answer)) return search->done(std::move(*fault));
    const auto& told = array(std::get<Value>(answer));
    for (const Value& each : array(told[1])) search->names.push_back(text(each).substr(from));
    if (search->names.size() > kMostKeys)
      return search->done(Fault(Fault::Kind::too_large,
                                "more than " + std::to_string(kMostKeys) + " locks of that prefix are known; ask for a longer one"));
    search->cursor = text(told[0]);
    if (search->cursor != "0") return scan(search);
    std::ranges::sort(search->names);
    search->names.erase(std::unique(search->names.begin(), search->names.end()), search->names.end());
    look_further(search);
  });
}

void Server::look_further(std::shared_ptr<Search> search) {
  if (search->found.size() >= search->most || search->looked == search->names.size()) {
    if (search->found.size() > search->most) search->found.resize(search->most);
    return search->done(std::move(search->found));
  }
  const auto from = search->names.begin() + static_cast<std::ptrdiff_t>(search->looked);
  const std::size_t count = std::min(kTogether, search->names.size() - search->looked);
  search->looked += count;
  look(search->script, {from, from + static_cast<std::ptrdiff_t>(count)}, search->limit, [this, search](Looks looks) {
    if (auto* fault = std::get_if<Fault>(&looks)) return search->done(std::move(*fault));
    for (auto& each : std::get<0>(looks))
      if (is_held(each.second)) search->found.push_back(std::move(each));
    look_further(search);
  });
}

std::unique_ptr<LeaseStore::Watch> Server::watch(const std::string& name, UniqueFunction<void()> freed) {
  return std::make_unique<Listening>(subscriber_, channel(name), std::move(freed));
}

}  // namespace sluice::lock
