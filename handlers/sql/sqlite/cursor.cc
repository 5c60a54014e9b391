#include "handlers/sql/sqlite/cursor.h"

#include "handlers/sql/sqlite/classify.h"

namespace sluice::sql::sqlite {

constexpr std::size_t kBatchBytes = 4 << 20;  // of one batch, whatever was asked for

Cursor::Cursor(std::string file, Statement statement, std::shared_ptr<std::atomic<std::int64_t>> open_ones, std::int64_t most)
    : file_(std::move(file)), statement_(std::move(statement)), open_ones_(std::move(open_ones)), most_(most) {}

Cursor::~Cursor() {
  prepared_.reset();
  connection_.reset();
  if (counted_) open_ones_->fetch_sub(1);
}

void Cursor::open() {
  counted_ = true;
  if (open_ones_->fetch_add(1) >= most_)
    throw Fault(Fault::Kind::overloaded, std::to_string(most_) + " cursors and streams are open already (sql.cursors); close some, or try again in a moment");
  connection_ = std::make_unique<Connection>(file_, Connection::Mode::reader);
  prepared_.emplace(connection_->prepare(statement_.text));
  if (prepared_->verdict().kind != Class::read)
    throw Fault(Fault::Kind::bad_arguments, "only a read can be taken in parts; this is a " + std::string(name_of(prepared_->verdict().kind)) + ": " + prepared_->verdict().why + "; call sql.execute");
  connection_->bind(*prepared_, statement_.params);
  columns_ = Connection::columns(*prepared_);
  verdict_ = prepared_->verdict();
}

Source::Batch Cursor::next(std::size_t most) {
  Source::Batch batch;
  if (ended_) {
    batch.end = true;
    return batch;
  }
  try {
    if (!connection_) open();
    const Stop stop = [this] { return stopped_.load(std::memory_order_relaxed) ? std::optional(Fault::Kind::cancelled) : std::nullopt; };
    std::size_t bytes = 0;
    for (Value::Array row; batch.items.size() < most && bytes < kBatchBytes; row = {}) {
      if (!connection_->step(*prepared_, row, bytes, stop)) {
        batch.end = true;
        break;
      }
      batch.items.emplace_back(std::move(row));
    }
  } catch (const std::bad_alloc&) {
    batch.fault = Fault::out_of_memory();
    batch.end = true;
  } catch (const Fault& fault) {
    batch.fault = fault;
    batch.end = true;
  }
  if (batch.end) {  // the snapshot and the connection go as soon as they are not needed
    ended_ = true;
    prepared_.reset();
    connection_.reset();
    if (std::exchange(counted_, false)) open_ones_->fetch_sub(1);
  }
  return batch;
}

}  // namespace sluice::sql::sqlite
