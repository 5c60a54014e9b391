#include "handlers/zookeeper/path.h"

#include <charconv>

#include "rpc/fault.h"

namespace sluice::zookeeper {
namespace {

constexpr std::string_view kScheme = "zookeeper://";

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == ':';
}

bool is_host_and_port(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == text.npos || colon == 0) return false;
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data() + colon + 1, text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port >= 1 && port <= 65535;
}

}  // namespace

Place parse_place(std::string_view url) {
  auto refuse = [&](const std::string& what) {
    return Fault(Fault::Kind::bad_arguments,
                 "'" + std::string(url) + "' " + what +
                     "; expected zookeeper://HOST:PORT,HOST:PORT,HOST:PORT/ROOT, such as zookeeper://10.0.0.1:2181/sluice");
  };
  if (!url.starts_with(kScheme)) throw refuse("does not begin with zookeeper://");
  std::string_view rest = url.substr(kScheme.size());
  const auto slash = rest.find('/');
  if (slash == rest.npos || slash + 1 == rest.size()) throw refuse("names no root");
  Place place{std::string(rest.substr(0, slash)), std::string(rest.substr(slash))};
  for (std::string_view hosts = place.hosts;;) {
    const auto comma = hosts.find(',');
    if (!is_host_and_port(hosts.substr(0, comma)))
      throw refuse("holds '" + std::string(hosts.substr(0, comma)) + "', which is not HOST:PORT");
    if (comma == hosts.npos) break;
    hosts.remove_prefix(comma + 1);
  }
  for (const char c : place.root)
    if (!is_plain(c) && c != '/') throw refuse("has a root with other than letters, digits, - _ : and /");
  if (place.root.back() == '/' || place.root.find("//") != place.root.npos) throw refuse("has a root with an empty part");
  return place;
}

std::string node_name(std::string_view name) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : name) {
    if (is_plain(c)) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
  return out;
}

std::optional<std::string> plain_name(std::string_view node) {
  std::string out;
  for (std::size_t i = 0; i < node.size(); ++i) {
    if (is_plain(node[i])) {
      out += node[i];
      continue;
    }
    unsigned byte = 0;
    if (node[i] != '%' || node.size() - i < 3) return std::nullopt;
    const char* digits = node.data() + i + 1;
    const auto [end, error] = std::from_chars(digits, digits + 2, byte, 16);
    if (error != std::errc() || end != digits + 2) return std::nullopt;
    out += static_cast<char>(byte);
    i += 2;
  }
  return out;
}

}  // namespace sluice::zookeeper
