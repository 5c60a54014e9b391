#include "transports/net/request_parser.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <utility>

namespace sluice::http {
namespace {

namespace beast = boost::beast;
using beast::http::field;

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

bool same(std::string_view a, std::string_view lower_case) {
  return a.size() == lower_case.size() &&
         std::equal(a.begin(), a.end(), lower_case.begin(), [](char x, char y) { return (x >= 'A' && x <= 'Z' ? x + 32 : x) == y; });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Accept-Encoding (RFC 9110, 12.5.3): is gzip in the list, with a weight above 0?
bool lists_gzip(std::string_view value) {
  while (!value.empty()) {
    auto item = value.substr(0, value.find(','));
    value.remove_prefix(std::min(value.size(), item.size() + 1));
    auto coding = trimmed(item.substr(0, item.find(';')));
    if (!same(coding, "gzip") && !same(coding, "x-gzip") && coding != "*") continue;
    auto q = item.find("q=");
    if (q == item.npos) return true;
    return item.find_first_of("123456789", q) != item.npos;
  }
  return false;
}

// Does a line end with LF alone? What stands between two readers takes such a byte for the end of a line, or does not: a request that
// each reads otherwise can hide another one in it.
bool has_bare_lf(std::string_view text) {
  for (auto at = text.find('\n'); at != text.npos; at = text.find('\n', at + 1))
    if (at == 0 || text[at - 1] != '\r') return true;
  return false;
}

constexpr const char* kTwoLengths = "Content-Length and Transfer-Encoding, each of which says where the body ends; send one of them";
constexpr const char* kBareLf = "lines end with CR LF in HTTP, not with LF alone";

// RFC 9112, 3.2.2: "http://host/path", as proxies are asked, means the same as "/path", which is what is left of it here.
std::string_view origin_form(std::string_view target) {
  if (target.starts_with('/')) return target;
  const auto scheme = target.find("://");
  if (scheme == target.npos || (!same(target.substr(0, scheme), "http") && !same(target.substr(0, scheme), "https"))) return target;
  const auto path = target.find_first_of("/?", scheme + 3);
  return path == target.npos || target[path] == '?' ? "/" : target.substr(path);  // a query means nothing here
}

}  // namespace

RequestParser::RequestParser(const Limits& limits) : limits_(limits) {
  eager(true);
  header_limit(limits.header_bytes);
  body_limit(limits.body_bytes);
}

std::size_t RequestParser::feed(std::string_view bytes) {
  std::size_t used = 0;
  fed_ = bytes;
  // put() may stop between two parts of a message: it is fed again until it wants more than there is.
  while (!is_done() && used < bytes.size()) {
    Error error;
    const std::size_t taken = put(boost::asio::const_buffer(bytes.data() + used, bytes.size() - used), error);
    used += taken;
    if (error == beast::http::error::need_more) {
      // What is kept is an unfinished line of the headers or of a chunk's head; it must not grow for ever.
      const std::string_view rest = bytes.substr(used);
      if (!refusal_.status && rest.size() > limits_.header_bytes) explain(beast::http::error::header_limit);
      // Beast would wait for a CR LF until the time is up.
      if (!refusal_.status && is_header_done() && chunked() && has_bare_lf(rest)) refusal_ = {400, kBareLf};
      break;
    }
    if (error) {
      explain(error);
      break;
    }
  }
  fed_ = {};
  return used;
}

void RequestParser::on_request_impl(beast::http::verb, Text method, Text target, int version, Error& error) {
  method_ = view(method);
  target_ = origin_form(view(target));
  http_1_0_ = version == 10;
  header_bytes_ = method_.size() + target.size() + 12;
  if (header_bytes_ > limits_.header_bytes) refuse(414, "the request's target is too long", error);
}

void RequestParser::on_field_impl(field name, Text name_text, Text value_text, Error& error) {
  const std::string_view value = view(value_text);
  header_bytes_ += name_text.size() + value.size() + 4;
  if (++fields_ > limits_.headers) return refuse(431, "more than " + std::to_string(limits_.headers) + " headers", error);
  if (header_bytes_ > limits_.header_bytes) return explain(error = beast::http::error::header_limit);
  // Beast joins a folded value in a buffer of its own; RFC 9112, 5.2 has a server refuse folding.
  if (!value.empty() && (value.data() < fed_.data() || value.data() >= fed_.data() + fed_.size()))
    return refuse(400, "a header is folded over two lines, which HTTP/1.1 has given up", error);
  if (is_header_done()) return;  // a trailer: read and ignored

  switch (name) {
    case field::host:
      if (host_) return refuse(400, "two Host headers", error);
      host_ = true;
      break;
    case field::content_length:
      if (length_ || value.find(',') != value.npos) return refuse(400, "two Content-Lengths", error);
      if (chunked_) return refuse(400, kTwoLengths, error);
      length_ = true;
      break;
    case field::transfer_encoding:
      // RFC 9112, 6.1: a proxy of that version may have passed it on without a look at it.
      if (http_1_0_) return refuse(400, "HTTP/1.0 has no Transfer-Encoding; send a Content-Length, or HTTP/1.1", error);
      if (chunked_) return refuse(400, "two Transfer-Encodings", error);
      if (length_) return refuse(400, kTwoLengths, error);
      chunked_ = true;
      if (!same(trimmed(value), "chunked"))
        return refuse(501, "Transfer-Encoding '" + std::string(value.substr(0, 40)) + "' is not served; send 'chunked' or a Content-Length", error);
      break;
    case field::content_type: content_type_ = value; break;
    case field::authorization:
      if (!authorization_.empty()) return refuse(400, "two Authorization headers", error);
      authorization_ = value;
      break;
    case field::content_encoding:
      if (std::exchange(encoded_, true)) return refuse(415, "two Content-Encodings; a body that is packed twice is not served", error);
      if (same(value, "gzip") || same(value, "x-gzip") || same(value, "deflate"))
        gzipped_ = true;
      else if (!same(value, "identity"))
        return refuse(415, "Content-Encoding '" + std::string(value.substr(0, 40)) + "' is not served; send gzip, deflate or none", error);
      break;
    case field::accept_encoding: accepts_gzip_ = accepts_gzip_ || lists_gzip(value); break;
    case field::expect:
      if (!same(value, "100-continue"))
        return refuse(417, "Expect '" + std::string(value.substr(0, 40)) + "' is not served, only 100-continue", error);
      expects_continue_ = !http_1_0_;
      break;
    default: break;
  }
}

void RequestParser::on_header_impl(Error& error) {
  if (!host_ && !http_1_0_) refuse(400, "an HTTP/1.1 request needs a Host header", error);
}

std::size_t RequestParser::on_body_impl(Text part, Error&) {
  if (body_.empty() && part.size() == content_length().value_or(0))
    body_view_ = view(part);
  else
    body_.append(part.data(), part.size());
  return part.size();
}

void RequestParser::on_chunk_header_impl(std::uint64_t, Text extension, Error& error) {
  if (view(extension).find('\n') != std::string_view::npos) refuse(400, kBareLf, error);  // in a quoted string, as Beast sees it
}

std::size_t RequestParser::on_chunk_body_impl(std::uint64_t, Text part, Error&) {
  body_.append(part.data(), part.size());
  return part.size();
}

void RequestParser::refuse(int status, std::string reason, Error& error) {
  refusal_ = {status, std::move(reason)};
  error = beast::http::error::bad_value;  // any error stops Beast; explain() keeps the first refusal
}

void RequestParser::explain(const Error& error) {
  namespace http = beast::http;
  if (refusal_.status) return;
  if (error == http::error::header_limit)
    refusal_ = {431, "the headers are longer than " + std::to_string(limits_.header_bytes) + " bytes (limits.header_bytes)"};
  else if (error == http::error::body_limit)
    refusal_ = {413, "the body is longer than " + std::to_string(limits_.body_bytes) + " bytes (limits.body_bytes)"};
  else if (error == http::error::bad_version && (fed_.find("HTTP/1.1\n") != fed_.npos || fed_.find("HTTP/1.0\n") != fed_.npos))
    refusal_ = {400, kBareLf};
  else if (error == http::error::bad_version)
    refusal_ = {505, "only HTTP/1.0 and HTTP/1.1 are served"};
  else
    refusal_ = {400, "not an HTTP/1.1 request: " + error.message()};
}

}  // namespace sluice::http
