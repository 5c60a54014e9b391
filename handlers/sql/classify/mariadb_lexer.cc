#include "handlers/sql/classify/mariadb_lexer.h"

#include <algorithm>

namespace sluice::sql::mariadb {
namespace {

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
    if (reading_.executable) {
      at_ += ours ? 4 : 3;
      while (digit(peek())) ++at_;  // the version
      ++open_comments_;
      return true;
    }
    // Skipped as a whole; a comment within it counts, one deep.
    for (std::size_t i = at_ + 2, depth = 1; i + 1 < text_.size(); ++i) {
      const auto pair = text_.substr(i, 2);
      if (pair == "/*") {
        ++depth;
        ++i;
      } else if (pair == "*/") {
        ++i;
        if (--depth == 0) return at_ = i + 1, true;
      }
    }
    return false;
  }

  bool quoted(char quote, Token::Kind kind) {
    const std::size_t from = at_++;
    for (; at_ < text_.size(); ++at_) {
      if (peek() == '\\' && quote != '`' && reading_.backslash_escapes) {
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
    const auto text = text_.substr(from, at_ - from);
    add(std::ranges::all_of(text, digit) ? Token::Kind::number : Token::Kind::word, from);
    return true;
  }

  std::string_view text_;
  const Reading reading_;
  std::size_t at_ = 0;
  std::size_t open_comments_ = 0;  // executable ones that we are within
  std::vector<Token> out_;
};

}  // namespace

bool has_backslash(std::string_view text) noexcept { return text.find('\\') != text.npos; }
bool has_executable_comment(std::string_view text) noexcept { return text.find("/*!") != text.npos || text.find("/*M!") != text.npos; }

std::optional<std::vector<Token>> tokens(std::string_view text, Reading reading) { return Lexer(text, reading).run(); }

bool same_word(std::string_view text, std::string_view upper) noexcept {
  return text.size() == upper.size() && std::equal(text.begin(), text.end(), upper.begin(), [](char a, char b) { return (a >= 'a' && a <= 'z' ? a - 'a' + 'A' : a) == b; });
}

}  // namespace sluice::sql::mariadb
