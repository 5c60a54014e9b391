// What comes from outside about who calls: an Authorization header, a line of users. Any bytes give a verdict or an error with a
// place, and none of them lets anybody in.

#include <cstdlib>

#include "gateway/access/access.h"

namespace {

sluice::access::Settings settings() {
  sluice::access::Settings settings;
  settings.users = "/nonexistent/users";
  return settings;
}

struct Nobody {
  Nobody() : workers(1), access(dispatcher, workers, settings()) {}
  sluice::Dispatcher dispatcher;
  sluice::Workers workers;
  sluice::access::Access access;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Nobody nobody;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string address = std::to_string(size) + "." + (size ? std::to_string(data[0]) : "");
  const auto verdict = nobody.access.known({.authorization = text, .address = address});
  if (verdict && std::holds_alternative<std::shared_ptr<const sluice::Principal>>(*verdict)) std::abort();
  sluice::access::matches(text.substr(0, size / 2), text.substr(size / 2));
  try {
    for (const auto& login : sluice::access::parse_users("users", text))
      if (!sluice::access::is_user_name(login.user)) std::abort();
  } catch (const std::runtime_error& error) {
    if (!std::string_view(error.what()).starts_with("users:")) std::abort();
  }
  return 0;
}
