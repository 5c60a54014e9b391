#include "rpc/source.h"

namespace sluice {
namespace {

// Owns itself between two batches: the receiver holds the only reference.
class Gathering : public std::enable_shared_from_this<Gathering> {
 public:
  Gathering(std::unique_ptr<Source> source, GatherLimits limits, UniqueFunction<void(std::variant<Value, Fault>)> done)
      : source_(std::move(source)), limits_(limits), done_(std::move(done)) {}

  // A source that answers at once must not deepen the stack batch by batch: `pulling_` turns that
  // recursion into this loop.
  void run() {
    if (pulling_) {
      again_ = true;
      return;
    }
    pulling_ = true;
    do {
      again_ = false;
      source_->pull(kBatch, [self = shared_from_this()](Source::Batch batch) { self->take(std::move(batch)); });
    } while (again_);
    pulling_ = false;
    if (outcome_) finish();
  }

 private:
  static constexpr std::size_t kBatch = 256;

  void take(Source::Batch batch) {
    if (batch.fault) return end(std::move(*batch.fault));
    if (items_.size() + batch.items.size() > limits_.items) return refuse(limits_.items, "items");
    for (Value& item : batch.items) {
      bytes_ += footprint(item);
      items_.push_back(std::move(item));
    }
    if (bytes_ > limits_.bytes) return refuse(limits_.bytes, "bytes");
    if (batch.end) return end(Value(std::move(items_)));
    run();
  }

  void refuse(std::size_t most, const char* of_what) {
    items_ = {};
    end(Fault(Fault::Kind::too_large, "the stream has more than " + std::to_string(most) + " " + of_what +
                                          ", the most that fit into one answer; ask for fewer or call over zerorpc, which streams"));
  }

  void end(std::variant<Value, Fault> outcome) {
    outcome_ = std::move(outcome);
    if (!pulling_) finish();
  }

  void finish() {
    source_.reset();
    auto outcome = std::move(*outcome_);
    outcome_.reset();
    done_(std::move(outcome));
  }

  std::unique_ptr<Source> source_;
  GatherLimits limits_;
  UniqueFunction<void(std::variant<Value, Fault>)> done_;
  Value::Array items_;
  std::size_t bytes_ = 0;  // of items_
  std::optional<std::variant<Value, Fault>> outcome_;
  bool pulling_ = false, again_ = false;
};

}  // namespace

void gather(std::unique_ptr<Source> source, GatherLimits limits, UniqueFunction<void(std::variant<Value, Fault>)> done) {
  std::make_shared<Gathering>(std::move(source), limits, std::move(done))->run();
}

}  // namespace sluice
