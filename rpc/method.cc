#include "rpc/method.h"

namespace sluice {
namespace {

std::string list_missing(const std::vector<Parameter>& parameters, std::size_t given) {
  std::vector<std::string> missing;
  for (std::size_t i = given; i < parameters.size(); ++i)
    if (!parameters[i].optional) missing.push_back("'" + parameters[i].name + "'");
  std::string out;
  for (std::size_t i = 0; i < missing.size(); ++i) out += (i == 0 ? "" : i + 1 == missing.size() ? " and " : ", ") + missing[i];
  return std::to_string(missing.size()) + " required positional argument" + (missing.size() == 1 ? ": " : "s: ") + out;
}

// "add(a: number, b: number)": what was expected, for the end of a message.
std::string usage(const Method& method) {
  std::string out = method.name + "(";
  for (std::size_t i = 0; i < method.signature.parameters.size(); ++i) {
    const Parameter& p = method.signature.parameters[i];
    out += (i ? ", " : "") + p.name + ": " + p.type + (p.optional ? " = nil" : "");
  }
  return out + ")";
}

}  // namespace

Fault wrong_count(const Method& method, std::size_t given) {
  const auto& parameters = method.signature.parameters;
  std::size_t least = 0;
  for (const Parameter& p : parameters) least += p.optional ? 0 : 1;
  std::string text = method.name + "() ";
  if (given < least) {
    text += "missing " + list_missing(parameters, given);
  } else {
    text += "takes ";
    if (least < parameters.size()) text += "from " + std::to_string(least) + " to ";
    text += std::to_string(parameters.size()) + " positional argument" + (parameters.size() == 1 ? "" : "s") + " but " +
            std::to_string(given) + (given == 1 ? " was given" : " were given");
  }
  return Fault(Fault::Kind::bad_arguments, text + "; expected " + usage(method));
}

Fault wrong_type(const Method& method, std::size_t index, const Value& came) {
  const Parameter& p = method.signature.parameters[index];
  return Fault(Fault::Kind::bad_arguments,
               method.name + "() argument '" + p.name + "' must be " + p.type + (p.optional ? " or nil" : "") + ", not " + describe(came));
}

}  // namespace sluice
