#include "handlers/sql/classify/mariadb_lexer.h"

#include <algorithm>

namespace sluice::sql::mariadb {
namespace {

constexpr unsigned kOfMySql = 50700, kEndOfMySql = 99999;  // versions of MySQL that MariaDB does not take for its own
constexpr unsigned kFirst = 100000;                        // MariaDB 10.0
constexpr std::size_t kMostVersions = 8;

bool digit(char c) { return c >= '0' && c <= '9'; }
bool word_part(char c) {
  return digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || static_cast<unsigned char>(c) >= 0x80;
}

class Lexer {
 public:
  Lexer(std::string_view text, Reading reading) : text_(text), reading_(reading) {}

  std::optional<std::vector<Token>> run() {
    while (at_ < text_.size())
      if (!step()) return std::nullopt;
    if (open_comments_ > 0) return std::nullopt;
    return std::move(out_);
  }

 private:
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  bool looking_at(std::string_view what) const { return text_.substr(at_).starts_with(what); }

  void add(Token::Kind kind, std::size_t from) { out_.push_back({kind, text_.substr(from, at_ - from)}); }

  bool step() {
    const char c = peek();
    if (static_cast<unsigned char>(c) <= ' ') return ++at_, true;
    // "--" needs a space or a control character after it; the end of the text will do.
    if (c == '#' || (looking_at("--") && static_cast<unsigned char>(peek(2)) <= ' ')) {
      at_ = std::min(text_.find('\n', at_), text_.size());
      return true;
    }
    if (looking_at("/*")) return comment();
    if (open_comments_ > 0 && looking_at("*/")) {
      --open_comments_;
      at_ += 2;
      return true;
    }
    if (c == '\'' || c == '"') return quoted(c, Token::Kind::string);
    if (c == '`') return quoted(c, Token::Kind::quoted_name);
    if (c == '@') return variable();
    if ((digit(c) && !behind_name()) || (c == '.' && digit(peek(1)) && !follows_word())) return number_or_word();
    if (word_part(c)) return word();
    const std::size_t from = at_;
    at_ += looking_at(":=") ? 2 : 1;
    add(Token::Kind::symbol, from);
    return true;
  }

  bool comment() {
    const bool ours = looking_at("/*M!");
    if (!ours && !looking_at("/*!")) {
      const auto end = text_.find("*/", at_ + 2);
      if (end == text_.npos) return false;
      at_ = end + 2;
      return true;
    }
    const std::size_t length = version_length(at_ + (ours ? 4 : 3));
    const unsigned version = number(at_ + (ours ? 4 : 3), length);
    if (length == 0 || (version <= reading_.version && (ours || version < kOfMySql || version > kEndOfMySql))) {
      at_ += (ours ? 4 : 3) + length;
      ++open_comments_;
      return true;
    }
    // Skipped as a whole; a comment within it counts, one deep.
    bool within = false;
    for (std::size_t i = at_ + 2; i + 1 < text_.size(); ++i) {
      const auto pair = text_.substr(i, 2);
      if (pair == "/*" && !within) {
        within = true;
        ++i;
      } else if (pair == "*/") {
        ++i;
        if (!within) return at_ = i + 1, true;
        within = false;
      }
    }
    return false;
  }

  // A version has five digits, or six; fewer are none.
  std::size_t version_length(std::size_t from) const {
    std::size_t length = 0;
    while (length < 6 && from + length < text_.size() && digit(text_[from + length])) ++length;
    return length < 5 ? 0 : length;
  }

  unsigned number(std::size_t from, std::size_t length) const {
    unsigned value = 0;
    for (const char c : text_.substr(from, length)) value = value * 10 + static_cast<unsigned>(c - '0');
    return value;
  }

  bool quoted(char quote, Token::Kind kind) {
    const std::size_t from = at_++;
    for (; at_ < text_.size(); ++at_) {
      if (peek() == '\\' && quote != '`' && reading_.backslash_escapes && !(quote == '"' && reading_.ansi_quotes)) {
        ++at_;
      } else if (peek() == quote) {
        if (peek(1) == quote) {
          ++at_;
          continue;
        }
        ++at_;
        add(kind, from);
        return true;
      }
    }
    return false;
  }

  bool variable() {
    const std::size_t from = at_++;
    const bool system = peek() == '@';
    if (system) ++at_;
    const char quote = peek();
    if (quote == '\'' || quote == '"' || quote == '`') {
      if (!quoted(quote, Token::Kind::variable)) return false;
      out_.pop_back();
    } else {
      while (word_part(peek()) || (peek() == '.' && !system)) ++at_;
    }
    add(system ? Token::Kind::system_variable : Token::Kind::variable, from);
    return true;
  }

  bool word() {
    const std::size_t from = at_;
    while (word_part(peek())) ++at_;
    add(Token::Kind::word, from);
    return true;
  }

  bool follows_word() const {
    return !out_.empty() && out_.back().kind == Token::Kind::word &&
           out_.back().text.data() + out_.back().text.size() == text_.data() + at_;
  }

  // A digit directly behind a name and its dot begins a name, not a number.
  bool behind_name() const {
    if (out_.size() < 2 || out_.back().text != "." || out_.back().text.data() + 1 != text_.data() + at_) return false;
    const Token& before = out_[out_.size() - 2];
    return before.kind == Token::Kind::word && before.text.data() + before.text.size() == out_.back().text.data();
  }

  // Whatever follows a number that cannot be a name is a token of its own: SELECT 1.INTO ..., SELECT 1e5INTO ...
  bool number_or_word() {
    const std::size_t from = at_;
    if (peek() == '0' && (peek(1) == 'x' || peek(1) == 'b')) return word();
    while (digit(peek())) ++at_;
    const bool point = peek() == '.';
    if (point)
      for (++at_; digit(peek()); ++at_) {
      }
    const bool sign = peek(1) == '+' || peek(1) == '-';
    if ((peek() == 'e' || peek() == 'E') && digit(peek(sign ? 2 : 1)))
      for (at_ += sign ? 3 : 2; digit(peek()); ++at_) {
      }
    else if (!point && word_part(peek()))
      return at_ = from, word();
    add(Token::Kind::number, from);
    return true;
  }

  std::string_view text_;
  const Reading reading_;
  std::size_t at_ = 0;
  std::size_t open_comments_ = 0;  // executable ones that we are within
  std::vector<Token> out_;
};

}  // namespace

std::vector<Reading> readings(std::string_view text) {
  // Of versions only those matter that some of these servers have and others have not.
  std::vector<unsigned> versions{kFirst};
  for (std::size_t at = text.find("/*"); at != text.npos; at = text.find("/*", at + 2)) {
    std::string_view rest = text.substr(at + 2);
    if (rest.starts_with('M')) rest.remove_prefix(1);
    if (!rest.starts_with('!')) continue;
    unsigned version = 0;
    for (const char c : rest.substr(1, 6)) {
      if (!digit(c)) break;
      version = version * 10 + static_cast<unsigned>(c - '0');
    }
    if (version > kFirst && std::ranges::find(versions, version) == versions.end()) versions.push_back(version);
    if (versions.size() > kMostVersions) return {};
  }
  std::vector<Reading> out;
  for (const unsigned version : versions) {
    out.push_back({true, version});
    if (text.find('\\') == text.npos) continue;
    out.push_back({false, version});
    if (text.find('"') != text.npos) out.push_back({true, version, true});
  }
  return out;
}

std::optional<std::vector<Token>> tokens(std::string_view text, Reading reading) { return Lexer(text, reading).run(); }

bool same_word(std::string_view text, std::string_view upper) noexcept {
  return text.size() == upper.size() && std::equal(text.begin(), text.end(), upper.begin(),
                                                   [](char a, char b) { return (a >= 'a' && a <= 'z' ? a - 'a' + 'A' : a) == b; });
}

}  // namespace sluice::sql::mariadb
