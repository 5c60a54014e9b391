#include "gateway/config/load.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "rpc/nearest.h"

namespace sluice::config {
namespace {

// The place in words, then the line itself with a caret below the column.
std::string at(const std::string& name, std::string_view content, const toml::source_position& place, const std::string& what) {
  std::string_view line = content;
  for (toml::source_index i = 1; i < place.line && !line.empty(); ++i) line.remove_prefix(std::min(line.find('\n'), line.size() - 1) + 1);
  line = line.substr(0, line.find('\n'));
  const std::size_t column = std::max<std::size_t>(place.column, 1);
  std::string shown(line.substr(0, 200));
  std::replace(shown.begin(), shown.end(), '\t', ' ');
  return name + ":" + std::to_string(place.line) + ":" + std::to_string(column) + ": " + what + "\n  " + shown + "\n  " + std::string(std::min<std::size_t>(column - 1, 200), ' ') + "^";
}

std::string did_you_mean(std::string_view name, const std::vector<std::string_view>& known) {
  const auto close = nearest(name, known);
  return close.empty() ? "" : "; did you mean '" + std::string(close) + "'?";
}

std::string range_problem(const Key& key, std::int64_t number) {
  if (number >= key.least && number <= key.most) return {};
  return key.full() + " must be from " + std::to_string(key.least) + " to " + std::to_string(key.most) + ", not " + std::to_string(number);
}

// The value of a node as the key wants it; else what is wrong with it.
std::variant<Setting, std::string> read(const Key& key, const toml::node& node) {
  const Setting kind = key.get(Settings{});
  auto wrong = [&] {
    std::ostringstream came;
    came << toml::node_view<const toml::node>(node);
    return key.full() + " must be " + std::string(kind_name(kind)) + ", not " + came.str().substr(0, 60);
  };
  if (std::holds_alternative<bool>(kind)) {
    if (auto flag = node.value_exact<bool>()) return Setting(*flag);
    return wrong();
  }
  if (std::holds_alternative<std::int64_t>(kind)) {
    auto number = node.value_exact<std::int64_t>();
    if (!number) return wrong();
    if (auto problem = range_problem(key, *number); !problem.empty()) return problem;
    return Setting(*number);
  }
  if (std::holds_alternative<std::string>(kind)) {
    if (auto text = node.value_exact<std::string>()) return Setting(*text);
    return wrong();
  }
  std::vector<std::string> list;
  if (auto one = node.value_exact<std::string>()) return Setting(std::vector<std::string>{*one});
  const toml::array* items = node.as_array();
  if (!items) return wrong();
  for (const toml::node& item : *items) {
    auto text = item.value_exact<std::string>();
    if (!text) return wrong();
    list.push_back(*text);
  }
  return Setting(std::move(list));
}

}  // namespace

void load_toml(std::string_view content, const std::string& name, Loaded& loaded) {
  toml::parse_result parsed = toml::parse(content, name);
  if (!parsed) {
    loaded.errors.push_back(at(name, content, parsed.error().source().begin, std::string(parsed.error().description())));
    return;
  }
  auto fail = [&](const toml::source_region& where, const std::string& what) { loaded.errors.push_back(at(name, content, where.begin, what)); };
  std::vector<std::string_view> sections;
  for (const Key& key : keys())
    if (std::ranges::find(sections, key.section) == sections.end()) sections.push_back(key.section);

  for (auto&& [section_key, section_node] : parsed.table()) {
    const std::string_view section = section_key.str();
    if (std::ranges::find(sections, section) == sections.end()) {
      fail(section_key.source(), "there is no section [" + std::string(section) + "]" + did_you_mean(section, sections));
      continue;
    }
    const toml::table* table = section_node.as_table();
    if (!table) {
      fail(section_key.source(), "'" + std::string(section) + "' is a section: write [" + std::string(section) + "] and its keys below");
      continue;
    }
    for (auto&& [name_key, node] : *table) {
      const Key* key = find_key(section, name_key.str());
      if (!key) {
        std::vector<std::string_view> known;
        for (const Key& k : keys())
          if (k.section == section) known.push_back(k.name);
        fail(name_key.source(), "[" + std::string(section) + "] has no key '" + std::string(name_key.str()) + "'" + did_you_mean(name_key.str(), known));
        continue;
      }
      auto value = read(*key, node);
      if (auto* problem = std::get_if<std::string>(&value)) {
        fail(node.source(), *problem);
      } else {
        key->set(loaded.settings, std::get<Setting>(value));
        loaded.origin[key->full()] = name + ":" + std::to_string(name_key.source().begin.line);
      }
    }
  }
  // toml++ walks a table by name; errors read better in the order of the file.
  std::ranges::stable_sort(loaded.errors, {}, [&](const std::string& error) {
    int line = 0;
    if (error.starts_with(name + ":")) std::from_chars(error.data() + name.size() + 1, error.data() + error.size(), line);
    return line;
  });
}

void load_file(const std::string& path, Loaded& loaded) {
  std::ifstream file(path, std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(file)), {});
  if (!file.is_open() || file.bad()) {
    loaded.errors.push_back(path + ": cannot be read: " + std::strerror(errno));
    return;
  }
  load_toml(content, path, loaded);
}

void load_environment(const char* const* environment, Loaded& loaded) {
  for (; *environment; ++environment) {
    const std::string_view entry = *environment;
    const std::string_view name = entry.substr(0, entry.find('='));
    if (!name.starts_with("SLUICE_") || name.size() == entry.size()) continue;
    const std::string_view text = entry.substr(name.size() + 1);
    const auto found = std::ranges::find_if(keys(), [&](const Key& key) { return key.environment() == name; });
    if (found == keys().end()) continue;  // SLUICE_PYTHON and the like belong to others
    auto fail = [&](const std::string& what) { loaded.errors.push_back(std::string(name) + ": " + what); };
    Setting kind = found->get(Settings{});
    if (std::holds_alternative<bool>(kind)) {
      if (text != "true" && text != "false" && text != "1" && text != "0") {
        fail(found->full() + " must be true or false, not '" + std::string(text) + "'");
        continue;
      }
      kind = text == "true" || text == "1";
    } else if (std::holds_alternative<std::int64_t>(kind)) {
      std::int64_t number = 0;
      auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      if (error != std::errc() || end != text.data() + text.size() || text.empty()) {
        fail(found->full() + " must be an integer, not '" + std::string(text) + "'");
        continue;
      }
      if (auto problem = range_problem(*found, number); !problem.empty()) {
        fail(problem);
        continue;
      }
      kind = number;
    } else if (std::holds_alternative<std::string>(kind)) {
      kind = std::string(text);
    } else {
      std::vector<std::string> list;  // separated by commas
      for (std::string_view rest = text; !rest.empty();) {
        const auto item = rest.substr(0, rest.find(','));
        if (!item.empty()) list.emplace_back(item);
        rest.remove_prefix(std::min(rest.size(), item.size() + 1));
      }
      kind = std::move(list);
    }
    found->set(loaded.settings, kind);
    loaded.origin[found->full()] = name;
  }
}

// One key for what two transports share.
void settle(Settings& settings) {
  settings.zerorpc.call_ms = static_cast<int>(settings.xmlrpc.call_ms);
  settings.zerorpc.answer_bytes = settings.xmlrpc.answer_bytes;
  settings.zerorpc.event.depth = settings.xmlrpc.reader.depth;
  settings.zerorpc.event.values = settings.xmlrpc.reader.values;
  settings.zerorpc.event.text_bytes = settings.xmlrpc.http.limits.body_bytes;
  settings.zerorpc.router.message_bytes = settings.xmlrpc.http.limits.body_bytes;
  settings.system.gathered_items = settings.xmlrpc.gathered_items;
  settings.zerorpc.endpoints = settings.zerorpc_listen;
}

}  // namespace sluice::config
