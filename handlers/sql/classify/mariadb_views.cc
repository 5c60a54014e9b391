#include "handlers/sql/classify/mariadb_views.h"

#include "handlers/sql/classify/mariadb.h"

namespace sluice::sql::mariadb {
namespace {

std::string entry(std::string_view schema, std::string_view name) {
  std::string out(schema);
  out += '\0';
  out += name;
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

}  // namespace

Views::Views(const std::vector<View>& views, std::string_view database) : database_(database) {
  // A view may read another: until a round finds no more.
  for (bool more = true; more;) {
    more = false;
    for (const View& view : views) {
      if (act(view.schema, view.name)) continue;
      if (!view.text.empty() && classify_mariadb(view.text, this).kind == Class::read) continue;
      acting_.insert(entry(view.schema, view.name));
      more = true;
    }
  }
}

bool Views::act(std::string_view schema, std::string_view name) const {
  return !acting_.empty() && acting_.contains(entry(schema.empty() ? database_ : schema, name));
}

}  // namespace sluice::sql::mariadb
