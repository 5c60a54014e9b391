#include "handlers/id/local/store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <sstream>

#include "handlers/id/file_identity.h"

namespace sluice::id {
namespace {

// The file has two places. A write goes to the older one, so that one that is cut off leaves the newer one as it was.
constexpr std::size_t kPlace = 65'536;
constexpr std::string_view kFormat = "sluice-worker-1";

Fault failed(const std::string& file, const char* what) {
  return Fault(Fault::Kind::unavailable,
               "the file '" + file + "' that keeps the mark of this gateway's worker id cannot be " + what + ": " + std::strerror(errno));
}

// Tells a write that was cut off, not one that was forged.
std::uint64_t checksum(std::string_view text) {
  std::uint64_t sum = 14695981039346656037u;
  for (const char c : text) sum = (sum ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return sum;
}

std::string sealed(const std::string& text) {
  return std::string(kFormat) + " " + std::to_string(checksum(text)) + " " + std::to_string(text.size()) + "\n" + text;
}

std::optional<std::string> unsealed(std::string_view place) {
  const auto line = place.find('\n');
  if (!place.starts_with(kFormat) || line == place.npos) return std::nullopt;
  std::istringstream in{std::string(place.substr(kFormat.size(), line - kFormat.size()))};
  std::uint64_t sum = 0;
  std::size_t size = 0;
  if (!(in >> sum >> size) || size > place.size() - line - 1) return std::nullopt;
  std::string text(place.substr(line + 1, size));
  if (checksum(text) != sum) return std::nullopt;
  return text;
}

Fault nothing_but_marks(std::string_view what) {
  return Fault(Fault::Kind::unavailable,
               std::string(what) +
                   " needs a store that gateways share, and id.backend = \"worker:N\" keeps nothing but the mark of a worker id; "
                   "set id.backend to sqlite, database:NAME or zookeeper://...");
}

}  // namespace

LocalStore::LocalStore(Loop& home, Options options) : home_(home), options_(std::move(options)) {
  file_ = ::open(options_.file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file_ < 0) throw failed(options_.file, "opened");
  try {
    if (::flock(file_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) throw failed(options_.file, "locked");
      throw Fault(Fault::Kind::conflict, "the file '" + options_.file +
                                             "' is used by another gateway, which has its worker id; give each gateway an id.file and a "
                                             "worker id (id.backend) of its own");
    }
    read();
    // A file is there after a crash only when its folder says so.
    const auto folder = std::filesystem::absolute(options_.file).parent_path();
    const int of = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (of < 0) throw failed(folder.string(), "opened");
    const bool synced = ::fsync(of) == 0;
    ::close(of);
    if (!synced) throw failed(folder.string(), "synced");
  } catch (...) {
    ::close(file_);
    throw;
  }
}

LocalStore::~LocalStore() {
  alive_.reset();
  // The file is closed when the last write is through: the writer is joined first.
  writer_.run([file = file_] { ::close(file); });
}

void LocalStore::read() {
  identity_ = identity_of(options_.file);
  std::optional<std::string> newest;
  std::string place(kPlace, '\0');
  bool any = false;
  for (const off_t at : {off_t{0}, static_cast<off_t>(kPlace)}) {
    const ssize_t got = ::pread(file_, place.data(), kPlace, at);
    if (got < 0) throw failed(options_.file, "read");
    any = any || got > 0;
    auto text = unsealed(std::string_view(place).substr(0, static_cast<std::size_t>(got)));
    if (!text) continue;
    const std::int64_t written = std::stoll(*text);
    if (written <= written_) continue;
    written_ = written;
    newest = std::move(text);
  }
  if (!newest) {
    if (!any) return;
    throw Fault(Fault::Kind::conflict, "the file '" + options_.file +
                                           "' is damaged, or not one that keeps the mark of a worker id. Restore it; or, if all ids of the "
                                           "worker id are older than this machine's clock, remove it");
  }
  std::istringstream in(*newest);
  std::string original, name;
  in >> written_ >> original;
  if (original != identity_ && !options_.accept_copy) throw copied(options_.file, original, identity_);
  std::int64_t worker = 0;
  in >> worker;
  // A worker id that is new here begins above all that the old one gave: more than it needs, and never less.
  Space space;
  while (in >> name >> space.epoch >> space.mark_ms && std::getline(in >> std::ws, space.layout)) spaces_[name] = space;
}

std::string LocalStore::content() const {
  std::string text = std::to_string(written_) + " " + identity_ + " " + std::to_string(options_.worker) + "\n";
  for (const auto& [name, space] : spaces_)
    text += name + " " + std::to_string(space.epoch) + " " + std::to_string(space.mark_ms) + " " + space.layout + "\n";
  return text;
}

void LocalStore::keep(Written done) {
  waiting_.push_back(std::move(done));
  if (!writing_) write_next();
}

void LocalStore::write_next() {
  writing_ = true;
  ++written_;
  std::string text = sealed(content());
  writer_.run([this, text = std::move(text), at = static_cast<off_t>(written_ % 2) * static_cast<off_t>(kPlace), file = file_,
               alive = std::weak_ptr<bool>(alive_), done = std::exchange(waiting_, {})]() mutable {
    std::optional<Fault> fault;
    if (text.size() > kPlace)
      fault.emplace(Fault::Kind::too_large, "the spaces of id.spaces need " + std::to_string(text.size()) + " bytes in the file '" +
                                                options_.file + "', which has " + std::to_string(kPlace) +
                                                "; have fewer, with shorter names");
    else if (::pwrite(file, text.data(), text.size(), at) != static_cast<ssize_t>(text.size()))
      fault = failed(options_.file, "written");
    else if (::fdatasync(file) != 0)
      fault = failed(options_.file, "synced");
    home_.post([this, alive, fault = std::move(fault), done = std::move(done)]() mutable {
      if (alive.expired()) return;
      writing_ = false;
      if (!waiting_.empty()) write_next();
      for (Written& each : done) each(fault ? &*fault : nullptr);
    });
  });
}

void LocalStore::claim(Claim claim, UniqueFunction<void(Claimed)> done) {
  if (options_.worker >= claim.workers)
    return done(Fault(Fault::Kind::conflict, "worker id " + std::to_string(options_.worker) + " of id.backend is none of the space '" +
                                                 claim.space + "' (" + claim.layout + "): those are 0 to " +
                                                 std::to_string(claim.workers - 1)));
  Space& space = spaces_[claim.space];
  if (space.layout.empty()) space.layout = claim.layout;
  if (space.layout != claim.layout) return done(another_layout(claim, space.layout));
  const std::int64_t start = std::max(claim.floor_ms, space.mark_ms);
  space.mark_ms = start + claim.window_ms;
  space.instance = claim.instance;
  const Tenure tenure{options_.worker, ++space.epoch, start, space.mark_ms};
  keep([tenure, done = std::move(done)](const Fault* fault) mutable {
    if (fault) return done(*fault);
    done(tenure);
  });
}

LocalStore::Space* LocalStore::mine(const Extend& extend) {
  const auto found = spaces_.find(extend.space);
  const bool is = found != spaces_.end() && found->second.instance == extend.instance && found->second.epoch == extend.epoch &&
                  extend.worker == options_.worker;
  return is ? &found->second : nullptr;
}

void LocalStore::extend(Extend extend, UniqueFunction<void(Extended)> done) {
  Space* space = mine(extend);
  if (!space) return done(Kept{false});
  space->mark_ms = std::max(space->mark_ms, extend.mark_ms);
  keep([done = std::move(done)](const Fault* fault) mutable {
    if (fault) return done(*fault);
    done(Kept{true});
  });
}

void LocalStore::release(Extend extend, UniqueFunction<void(Extended)> done) {
  Space* space = mine(extend);
  if (!space) return done(Kept{false});
  space->mark_ms = std::min(space->mark_ms, extend.mark_ms);
  space->instance.clear();
  keep([done = std::move(done)](const Fault* fault) mutable {
    if (fault) return done(*fault);
    done(Kept{true});
  });
}

void LocalStore::create(Tag, UniqueFunction<void(Creation)> done) { done(nothing_but_marks("id.create()")); }
void LocalStore::reserve(std::string, std::int64_t, UniqueFunction<void(Reserved)> done) { done(nothing_but_marks("id.segment()")); }
void LocalStore::sequence(std::string, UniqueFunction<void(Number)> done) { done(nothing_but_marks("id.sequence()")); }

}  // namespace sluice::id
