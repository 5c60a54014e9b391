#pragma once
// RequestParser: one HTTP/1.1 request (RFC 9112), fed from a buffer. Beast's parser does the grammar; what
// it is lenient about, or leaves to its user, is decided here. Views point into the bytes that were fed
// and into this object; both stay put until the request was served.

#include <boost/beast/http/basic_parser.hpp>
#include <string>
#include <string_view>

#include "transports/net/http_limits.h"

namespace sluice::http {

// Why a request is refused: the status to answer and a sentence for the caller.
struct Refusal {
  int status = 0;  // 0: not refused
  std::string reason;
};

class RequestParser : public boost::beast::http::basic_parser<true> {
 public:
  explicit RequestParser(const Limits&);

  // Feeds what has arrived so far of this request and has not been consumed. Returns how many bytes were
  // used; call again with the rest and more when neither done() nor refused().
  std::size_t feed(std::string_view bytes);

  bool done() const noexcept { return is_done(); }
  bool headers_done() const noexcept { return is_header_done(); }
  const Refusal& refused() const noexcept { return refusal_; }

  std::string_view method() const noexcept { return method_; }
  std::string_view target() const noexcept { return target_; }
  std::string_view content_type() const noexcept { return content_type_; }
  std::string_view authorization() const noexcept { return authorization_; }
  std::string_view body() const noexcept { return body_.empty() ? body_view_ : std::string_view(body_); }
  bool accepts_gzip() const noexcept { return accepts_gzip_; }
  bool gzipped() const noexcept { return gzipped_; }
  bool expects_continue() const noexcept { return expects_continue_; }
  bool keeps_alive() const noexcept { return keep_alive(); }
  bool has_length() const noexcept { return length_ || chunked(); }
  bool http_1_0() const noexcept { return http_1_0_; }

 private:
  using Error = boost::beast::error_code;
  using Text = boost::beast::string_view;

  void on_request_impl(boost::beast::http::verb, Text method, Text target, int version, Error&) override;
  void on_response_impl(int, Text, int, Error&) override {}
  void on_field_impl(boost::beast::http::field, Text name, Text value, Error&) override;
  void on_header_impl(Error&) override;
  void on_body_init_impl(boost::optional<std::uint64_t> const&, Error&) override {}
  std::size_t on_body_impl(Text, Error&) override;
  void on_chunk_header_impl(std::uint64_t, Text, Error&) override;
  std::size_t on_chunk_body_impl(std::uint64_t, Text, Error&) override;
  void on_finish_impl(Error&) override {}

  void refuse(int status, std::string reason, Error&);
  void explain(const Error&);  // what Beast refused

  const Limits& limits_;
  std::string_view fed_;  // during feed(): where Beast's views point to
  std::string method_, target_;
  std::string content_type_, authorization_;
  std::string body_;            // when it came in pieces
  std::string_view body_view_;  // when it came whole
  std::size_t fields_ = 0, header_bytes_ = 0;
  Refusal refusal_;
  bool host_ = false, length_ = false, chunked_ = false, encoded_ = false, accepts_gzip_ = false, gzipped_ = false, expects_continue_ = false, http_1_0_ = false;
};

}  // namespace sluice::http
