#pragma once
// Scanner: the XML below XML-RPC: tags, character data, references, comments. Works on a document that is known to be
// valid UTF-8 without forbidden characters (to_utf8).

#include <string>
#include <string_view>

#include "rpc/fault.h"

namespace sluice::xmlrpc {

class Scanner {
 public:
  explicit Scanner(std::string_view document) : begin_(document.data()), at_(begin_), end_(begin_ + document.size()) {}

  struct Tag {
    std::string_view name;
    bool closing = false;  // </name>
    bool empty = false;    // <name/>
  };

  void prolog();  // the XML declaration and what may stand before the root

  // Skips white space, comments and processing instructions, and takes the tag that must follow. Text there is refused.
  Tag tag();
  // The same for a tag that must be exactly this one.
  void open(std::string_view name);
  void close(std::string_view name);

  // Appends the character data up to the next tag, references resolved and line ends made LF (XML 1.0, 2.11).
  void text(std::string& out);

  void end();  // nothing but white space, comments and processing instructions may follow

  [[noreturn]] void fail(Fault::Kind, const std::string& what) const;  // with the line and column

 private:
  bool starts(std::string_view with) const { return std::string_view(at_, static_cast<std::size_t>(end_ - at_)).starts_with(with); }
  bool skip_misc();  // one comment or processing instruction, if one stands here
  void skip_past(std::string_view terminator, std::string_view what);
  void skip_space();
  void attributes();
  Tag take_tag();
  void reference(std::string& out);
  std::string near() const;  // a short look at what stands here, for messages

  const char* begin_;
  const char* at_;
  const char* end_;
};

}  // namespace sluice::xmlrpc
