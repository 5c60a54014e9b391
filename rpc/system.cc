#include "rpc/system.h"

#include "rpc/introspection.h"

namespace sluice {
namespace {

Value fault_struct(const Fault& fault) {
  const std::string text = fault.xmlrpc_string();
  return Value::Struct{{"faultCode", fault.xmlrpc_code()}, {"faultString", (text.empty() ? std::string(fault.exception_name()) : text) + fault.retry_hint()}};
}

// One system.multicall under way: runs its calls one after the other, as their order may matter.
class Multicall : public Responder, public std::enable_shared_from_this<Multicall> {
 public:
  Multicall(const Dispatcher& dispatcher, const System::Limits& limits, Answer<Value::Array> answer, Value::Array calls)
      : Responder(answer.reply().loop()),
        dispatcher_(dispatcher),
        limits_(limits),
        answer_(std::move(answer)),
        calls_(std::move(calls)) {
    set_principal(answer_.reply().principal());
    set_deadline(answer_.reply().deadline());
    set_party(answer_.reply().party());
    results_.reserve(calls_.size());
  }

  void start() {
    answer_.reply().on_cancel([weak = weak_from_this()] {
      if (auto self = weak.lock()) self->cancel();
    });
    run();
  }

  void set_eager(bool eager) noexcept override {
    if (answer_.reply()) answer_.reply().set_eager(eager);
  }

  void respond(std::uint64_t, Outcome&& outcome) override {
    if (auto* source = std::get_if<std::unique_ptr<Source>>(&outcome)) {
      gather(std::move(*source), {limits_.gathered_items, limits_.answer_bytes}, [self = shared_from_this()](std::variant<Value, Fault> gathered) {
        std::visit([&](auto& result) { self->take(result); }, gathered);
      });
    } else if (auto* value = std::get_if<Value>(&outcome)) {
      take(*value);
    } else {
      take(std::get<Fault>(outcome));
    }
  }

 private:
  // Calls that answer at once are run in this loop and not one inside the other's answer.
  void run() {
    if (running_) return;
    running_ = true;
    while (results_.size() < calls_.size()) {
      if (cancelled()) break;
      const std::size_t before = results_.size();
      one(calls_[before]);
      if (results_.size() == before) break;  // answers later and comes back here
    }
    running_ = false;
    if (results_.size() == calls_.size() && !refused_) answer_(std::move(results_));
  }

  void one(Value& entry) {
    auto* name = entry.find("methodName");
    auto* params = entry.find("params");
    const std::string* method = name ? name->get_if<std::string>() : nullptr;
    if (!method || (params && !params->get_if<Value::Array>()))
      return take(Fault(Fault::Kind::bad_arguments,
                        "system.multicall: each call must be a struct {methodName: string, params: array}, not " + describe(entry)));
    if (*method == "system.multicall")
      return take(Fault(Fault::Kind::bad_arguments, "system.multicall: calls to system.multicall cannot be nested"));
    Call call;
    call.method = *method;
    call.transport = "multicall";
    if (params) call.args = *params->get_if<Value::Array>();
    entry = Value();  // a thousand calls need not be kept twice
    dispatcher_.call(call, Reply(shared_from_this()));
  }

  void take(Value& value) {
    Value::Array one;  // a braced list would copy the value
    one.push_back(std::move(value));
    add(std::move(one));
  }
  void take(const Fault& fault) { add(fault_struct(fault)); }
  void add(Value result) {
    bytes_ += footprint(result);
    results_.push_back(std::move(result));
    if (bytes_ > limits_.answer_bytes) return refuse();
    run();
  }

  // No wire would carry the answer: nothing more is run for it, and what there is goes at once.
  void refuse() {
    const std::size_t ran = results_.size(), all = calls_.size();
    results_ = {};
    calls_ = {};
    refused_ = true;
    answer_(Fault(Fault::Kind::too_large, "system.multicall: the results of the first " + std::to_string(ran) + " of " + std::to_string(all) +
                                              " calls have more than " + std::to_string(limits_.answer_bytes) +
                                              " bytes (limits.answer_bytes); those calls have run, the rest have not; ask for less at a time"));
  }

  const Dispatcher& dispatcher_;
  const System::Limits limits_;
  Answer<Value::Array> answer_;
  Value::Array calls_, results_;
  std::size_t bytes_ = 0;  // of results_
  bool refused_ = false;
  bool running_ = false;
};

}  // namespace

std::vector<Method> System::methods() {
  return {
      method("listMethods", this, &System::list_methods, {}, "The names of all methods that are served here, sorted."),
      method("methodHelp", this, &System::method_help, {"name"}, "The documentation of a method."),
      method("methodSignature", this, &System::method_signature, {"name"},
             "The signatures of a method: an array of [result, parameter types...], one for each way to call it."),
      method("methodExist", this, &System::method_exist, {"name"}, "Is a method of that name served here?"),
      method("getCapabilities", this, &System::get_capabilities, {}, "The specifications that this server follows."),
      method("multicall", this, &System::multicall, {"calls"},
             "Several calls in one: an array of {methodName, params}, run in order. Each answer is [value] or {faultCode, faultString}."),
  };
}

const Method& System::known(const std::string& name, const Reply& reply) const {
  if (const Method* found = dispatcher_.find(name, reply.principal().get())) return *found;
  throw dispatcher_.no_such_method(name, reply.principal().get());
}

void System::list_methods(Answer<Value::Array> answer) const {
  Value::Array names;
  for (const auto& [name, method] : dispatcher_.methods())
    if (dispatcher_.shows(method, answer.reply().principal().get())) names.emplace_back(name);
  answer(std::move(names));
}

void System::method_help(Answer<std::string> answer, std::string name) const { answer(known(name, answer.reply()).help); }

void System::method_signature(Answer<Value::Array> answer, std::string name) const {
  answer(xmlrpc_signatures(known(name, answer.reply()).signature));
}

void System::method_exist(Answer<bool> answer, std::string name) const {
  answer(dispatcher_.find(name, answer.reply().principal().get()) != nullptr);
}

Value::Struct System::get_capabilities() const {
  auto feature = [](const char* url, int version) { return Value(Value::Struct{{"specUrl", url}, {"specVersion", version}}); };
  return {
      {"xmlrpc", feature("http://www.xmlrpc.com/spec", 1)},
      {"faults_interop", feature("http://xmlrpc-epi.sourceforge.net/specs/rfc.fault_codes.php", 20010516)},
      {"introspection", feature("http://xmlrpc-c.sourceforge.net/introspection.html", 1)},
      {"system.multicall", feature("http://www.xmlrpc.com/discuss/msgReader$1208", 1)},
      {"nil", feature("http://www.ontosys.com/xml-rpc/extensions.php", 20010518)},
  };
}

void System::multicall(Answer<Value::Array> answer, Value::Array calls) const {
  if (calls.size() > limits_.multicall)
    return answer(Fault(Fault::Kind::too_large, "system.multicall takes at most " + std::to_string(limits_.multicall) + " calls, " +
                                                    std::to_string(calls.size()) + " came (limits.multicall); send them in parts"));
  std::make_shared<Multicall>(dispatcher_, limits_, std::move(answer), std::move(calls))->start();
}

}  // namespace sluice
