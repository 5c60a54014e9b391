#include "transports/net/gzip.h"

#include <zlib.h>

#include <algorithm>

namespace sluice::http {
namespace {

// A stream of zlib's, ended also when an allocation of ours fails beside it.
template <int (*end)(z_stream*)>
struct Stream : z_stream {
  Stream() : z_stream{} {}
  ~Stream() { end(this); }
  Stream(const Stream&) = delete;
};

}  // namespace

Inflated inflate(std::string_view bytes, std::size_t most, std::string& out) {
  Stream<::inflateEnd> stream;
  if (::inflateInit2(&stream, 15 + 32) != Z_OK) return Inflated::damaged;  // +32: gzip or zlib by its header
  const bool of_members = bytes.starts_with('\x1f');  // gzip may have several (RFC 1952, 2.2)
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  // The room grows with what comes out, never with what the input claims.
  std::size_t room = std::min<std::size_t>(most + 1, std::max<std::size_t>(4096, bytes.size() * 3));
  std::size_t size = 0;
  int state = Z_OK;
  while (state == Z_OK && size <= most) {
    out.resize(room);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + size);
    stream.avail_out = static_cast<uInt>(room - size);
    state = ::inflate(&stream, Z_NO_FLUSH);
    size = room - stream.avail_out;
    const bool another = state == Z_STREAM_END && of_members && stream.avail_in > 0;
    if (another)
      state = ::inflateReset2(&stream, 15 + 16);
    else if (stream.avail_out > 0)
      break;  // the input is used up
    if (stream.avail_out == 0) room = std::min(most + 1, room * 2);
  }
  out.resize(std::min(size, most));
  if (size > most) return Inflated::too_large;
  return state == Z_STREAM_END && stream.avail_in == 0 ? Inflated::whole : Inflated::damaged;
}

std::string gzip(std::string_view bytes) {
  Stream<::deflateEnd> stream;
  if (::deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) return {};
  std::string out(::deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const bool whole = ::deflate(&stream, Z_FINISH) == Z_STREAM_END;
  out.resize(whole ? out.size() - stream.avail_out : 0);
  return out;
}

}  // namespace sluice::http
