#pragma once
// id: numbers and texts that are given once. See docs/ids.md for which kind promises what.

#include <memory>
#include <vector>

#include "handlers/id/generator.h"
#include "handlers/id/hide.h"
#include "handlers/id/options.h"
#include "handlers/id/tags.h"
#include "handlers/id/uuid.h"
#include "rpc/handler.h"

namespace sluice::id {

struct Limits {
  std::int64_t batch = 1'000'000;  // ids in one call
  Generator::Options generator;
  Tags::Options tags;
};

class Id final : public Handler {
 public:
  // The first space is that of callers who name none. `store` works on `home` and outlives the handler, and so does
  // `redis`, where id.redis counts; nullptr: nowhere. The first key hides, all of them reveal.
  Id(Loop& home, Store& store, Stamps* redis, std::vector<Space> spaces, std::vector<Hider> keys, Limits limits);

  std::string_view name() const override { return "id"; }
  std::vector<Method> methods() override;

  // On home, when no call comes any more: gives the worker ids back, so that the next gateway need not wait for their leases.
  void release(UniqueFunction<void()> done);

 private:
  using MaybeStruct = std::optional<Value::Struct>;

  void next(Answer<Value>, MaybeStruct options);
  void batch(Answer<Value::Array>, std::int64_t n, MaybeStruct options);
  class Batch;
  void segment(Answer<Value>, std::string tag, std::optional<std::int64_t> n, MaybeStruct options);
  void create(Answer<Value::Struct>, std::string tag, MaybeStruct options);
  std::string uuid(std::optional<Value> version, MaybeStruct options);
  void redis(Answer<Value>, std::string tag, MaybeStruct options);
  void sequence(Answer<Value>, std::string tag, MaybeStruct options);
  Value::Struct decode(Value id, MaybeStruct options);
  std::string hide(Value id, MaybeStruct options);
  Value reveal(std::string text, MaybeStruct options);
  void stats(Answer<Value::Struct>, MaybeStruct options);

  Generator& generator(const std::string& method, const std::string& space) const;
  std::int64_t count(const std::string& method, std::int64_t n) const;
  // A call that waits for the store, as long as callers wait for an id.
  class Pending;
  void on_home(Reply, UniqueFunction<void(std::shared_ptr<Pending>)>);

  Loop& home_;
  Store& store_;
  Stamps* const redis_;
  const std::vector<Hider> keys_;
  const Limits limits_;
  std::vector<std::unique_ptr<Generator>> generators_;
  Tags tags_;
  Uuids uuids_;
};

}  // namespace sluice::id
