#include "transports/net/request_parser.h"

#include <gtest/gtest.h>

#include "transports/net/gzip.h"

namespace sluice::http {
namespace {

struct Seen {
  int status = 0;  // refused
  bool done = false;
  std::string method, target, body;
  std::size_t used = 0;
  bool operator==(const Seen&) const = default;
};

// Feeds the bytes in two pieces, as a connection does: what is not used is fed again with what comes.
Seen fed(std::string_view bytes, std::size_t split, const Limits& limits = {}) {
  RequestParser parser(limits);
  std::string pending(bytes.substr(0, split));
  std::size_t used = parser.feed(pending);
  pending.erase(0, used);
  if (!parser.done() && !parser.refused().status) {
    pending += bytes.substr(split);
    used += parser.feed(pending);
  }
  return {parser.refused().status, parser.done(), std::string(parser.method()), std::string(parser.target()), std::string(parser.body()), used};
}

constexpr std::string_view kRequests[] = {
    "POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    "POST / HTTP/1.0\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\nTrailer: y\r\n\r\n",
    "GET /x?y=1 HTTP/1.1\r\nhost:x\r\nAccept-Encoding: gzip, deflate\r\n\r\n",
};

TEST(RequestParser, GivesTheSameWhereverTheBytesAreSplit) {
  for (std::string_view request : kRequests) {
    const Seen whole = fed(request, request.size());
    EXPECT_TRUE(whole.done) << request;
    EXPECT_EQ(whole.used, request.size());
    for (std::size_t split = 0; split < request.size(); ++split) EXPECT_EQ(fed(request, split), whole) << request.substr(0, split);
  }
}

TEST(RequestParser, LeavesWhatFollowsTheRequestAlone) {
  const std::string two = std::string(kRequests[0]) + std::string(kRequests[0]);
  EXPECT_EQ(fed(two, two.size()).used, kRequests[0].size());
}

TEST(RequestParser, RefusesTheSameWhereverTheBytesAreSplit) {
  const std::pair<int, std::string_view> cases[] = {
      {400, "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"},
      {400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx"},
      {400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\nx"},
      {400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nHost: x\r\nX: a\nTransfer-Encoding: chunked\r\n\r\n"},
      {400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nHost: x\r\nX : a\r\n\r\n"},
      {501, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n"},
      {501, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \x0b" "chunked\r\n\r\n"},
      {505, "POST / HTTP/2.0\r\nHost: x\r\n\r\n"},
      {413, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10737418240\r\n\r\n"},
      {415, "POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx"},
      {415, "POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip, gzip\r\nContent-Length: 1\r\n\r\nx"},
      {415, "POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx"},
      {415, "POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: identity\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx"},
      {417, "POST / HTTP/1.1\r\nHost: x\r\nExpect: more\r\n\r\n"},
  };
  for (const auto& [status, request] : cases)
    for (std::size_t split = 0; split <= request.size(); ++split) ASSERT_EQ(fed(request, split).status, status) << request << "\nsplit at " << split;
}

// Two readers that do not agree where a chunk ends do not agree where the next request begins.
TEST(RequestParser, RefusesChunksThatAnotherReaderMightReadOtherwise) {
  const std::string head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string chunks : {"5\nhello\r\n0\r\n\r\n", "5\nhello\n0\n\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhello\r\n0\n\r\n", "5\r\nhello\r\n0\n\n", "5\r\nhello\r\n0\r\n\n",
                                   "5\r\nhello\r\n0\r\nX: y\n\r\n", "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0;a=\"\n\"\r\n\r\n", "5 \r\r\nhello\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n",
                                   "+5\r\nhello\r\n0\r\n\r\n", " 5\r\nhello\r\n0\r\n\r\n", "10000000000000005\r\nhello\r\n0\r\n\r\n", "5\r\nhello!\r\n0\r\n\r\n", "5\r\nhell\r\n0\r\n\r\n"}) {
    const std::string request = head + chunks;
    for (std::size_t split = 0; split <= request.size(); ++split) ASSERT_EQ(fed(request, split).status, 400) << chunks << "\nsplit at " << split;
  }
}

TEST(RequestParser, KeepsToItsLimits) {
  Limits limits;
  limits.header_bytes = 200;
  limits.headers = 4;
  limits.body_bytes = 10;
  EXPECT_EQ(fed("POST / HTTP/1.1\r\nHost: x\r\nX: " + std::string(300, 'y'), 10, limits).status, 431);
  EXPECT_EQ(fed("POST / HTTP/1.1\r\nHost: x\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n", 20, limits).status, 431);
  EXPECT_EQ(fed("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n", 20, limits).status, 413);
  EXPECT_EQ(fed("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n8\r\n12345678\r\n0\r\n\r\n", 60, limits).status, 413);
  EXPECT_EQ(fed("POST /" + std::string(300, 'y') + " HTTP/1.1\r\nHost: x\r\n\r\n", 50, limits).status, 431);
}

TEST(Gzip, ReadsAllMembers) {
  const std::string one = gzip(std::string(5000, 'a')), two = gzip("b");
  for (std::size_t most : {std::size_t{5002}, std::size_t{10'000}, std::size_t{1} << 20}) {
    std::string out;
    EXPECT_EQ(inflate(one + two + two, most, out), Inflated::whole) << most;
    EXPECT_EQ(out, std::string(5000, 'a') + "bb");
  }
  std::string out;
  EXPECT_EQ(inflate(one + two + two, 5001, out), Inflated::too_large);
  EXPECT_EQ(inflate(one + two.substr(0, 5), 10'000, out), Inflated::damaged);
  EXPECT_EQ(inflate(one + "x", 10'000, out), Inflated::damaged);
}

TEST(Gzip, RoundTripsAndKeepsToTheLimit) {
  const std::string text(100'000, 'x');
  std::string out;
  EXPECT_EQ(inflate(gzip(text), text.size(), out), Inflated::whole);
  EXPECT_EQ(out, text);
  out.clear();
  EXPECT_EQ(inflate(gzip(text), text.size() - 1, out), Inflated::too_large);
  out.clear();
  EXPECT_EQ(inflate(gzip(text).substr(0, 50), text.size(), out), Inflated::damaged);
  out.clear();
  EXPECT_EQ(inflate(gzip(text) + "x", text.size(), out), Inflated::damaged);
  out.clear();
  EXPECT_EQ(inflate("nonsense", 100, out), Inflated::damaged);
  out.clear();
  EXPECT_EQ(inflate("", 100, out), Inflated::damaged);
}

}  // namespace
}  // namespace sluice::http
