// The reader beside Python's and xmlrpc-c's on the same documents: what two of them take with the same meaning, ours takes
// with that meaning. Documents are the fuzzer's corpus and seeded mutations of it.

#include <gtest/gtest.h>
#include <xmlrpc-c/base.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "transports/xmlrpc/reader.h"
#include "transports/xmlrpc/scalars.h"

namespace sluice::xmlrpc {
namespace {

std::string hex(std::string_view octets) {
  std::string out;
  for (unsigned char c : octets) (out += "0123456789abcdef"[c >> 4]) += "0123456789abcdef"[c & 15];
  return out;
}

// The same form as in second_opinions.py.
std::string canonical(const Value& value) {
  std::string out;
  if (value.is_nil()) return "n";
  if (auto* b = value.get_if<bool>()) return *b ? "b1" : "b0";
  if (auto* i = value.get_if<std::int64_t>()) return "i" + std::to_string(*i);
  if (auto* d = value.get_if<double>()) {
    if (std::isnan(*d)) return "dnan";
    char bits[17];
    std::snprintf(bits, sizeof bits, "%016llx", static_cast<unsigned long long>(std::bit_cast<std::uint64_t>(*d)));
    return "d" + std::string(bits);
  }
  if (auto* s = value.get_if<std::string>()) return "s" + hex(*s);
  if (auto* b = value.get_if<Bytes>()) return "x" + hex(b->octets);
  if (auto* t = value.get_if<DateTime>()) {
    write_datetime(*t, out);
    return "t" + out;
  }
  if (auto* items = value.get_if<Value::Array>()) {
    for (const Value& item : *items) out += (out.empty() ? "" : ",") + canonical(item);
    return "[" + out + "]";
  }
  std::vector<std::string> members;
  for (const auto& [name, member] : *value.get_if<Value::Struct>()) members.push_back(hex(name) + ":" + canonical(member));
  std::ranges::sort(members);
  for (const std::string& member : members) out += (out.empty() ? "" : ",") + member;
  return "{" + out + "}";
}

std::string ours(const std::string& document) {
  try {
    MethodCall call = read_call(document);
    return hex(call.method) + canonical(Value(std::move(call.params)));
  } catch (const Fault& fault) {
    return std::string("refused: ") + fault.what();
  }
}

Value from_xmlrpc_c(xmlrpc_env* env, xmlrpc_value* value) {
  switch (xmlrpc_value_type(value)) {
    case XMLRPC_TYPE_INT: {
      int i = 0;
      xmlrpc_read_int(env, value, &i);
      return i;
    }
    case XMLRPC_TYPE_I8: {
      xmlrpc_int64 i = 0;
      xmlrpc_read_i8(env, value, &i);
      return static_cast<std::int64_t>(i);
    }
    case XMLRPC_TYPE_BOOL: {
      xmlrpc_bool b = 0;
      xmlrpc_read_bool(env, value, &b);
      return b != 0;
    }
    case XMLRPC_TYPE_DOUBLE: {
      double d = 0;
      xmlrpc_read_double(env, value, &d);
      return d;
    }
    case XMLRPC_TYPE_NIL: return Value();
    case XMLRPC_TYPE_STRING: {
      std::size_t length = 0;
      const char* text = nullptr;
      xmlrpc_read_string_lp(env, value, &length, &text);
      std::string copy(text ? text : "", text ? length : 0);
      std::free(const_cast<char*>(text));
      return copy;
    }
    case XMLRPC_TYPE_BASE64: {
      std::size_t length = 0;
      const unsigned char* octets = nullptr;
      xmlrpc_read_base64(env, value, &length, &octets);
      Bytes copy{std::string(reinterpret_cast<const char*>(octets), octets ? length : 0)};
      std::free(const_cast<unsigned char*>(octets));
      return copy;
    }
    case XMLRPC_TYPE_DATETIME: {
      const char* text = nullptr;
      xmlrpc_read_datetime_8601(env, value, &text);
      DateTime when;
      const bool good = text && read_datetime(text, when);
      std::free(const_cast<char*>(text));
      return good ? Value(when) : Value();
    }
    case XMLRPC_TYPE_ARRAY: {
      Value::Array items;
      for (int i = 0, size = xmlrpc_array_size(env, value); i < size; ++i) {
        xmlrpc_value* item = nullptr;
        xmlrpc_array_read_item(env, value, static_cast<unsigned>(i), &item);
        items.push_back(from_xmlrpc_c(env, item));
        xmlrpc_DECREF(item);
      }
      return items;
    }
    default: {
      Value::Struct members;
      for (int i = 0, size = xmlrpc_struct_size(env, value); i < size; ++i) {
        xmlrpc_value *name = nullptr, *member = nullptr;
        xmlrpc_struct_read_member(env, value, static_cast<unsigned>(i), &name, &member);
        members.emplace_back(*from_xmlrpc_c(env, name).get_if<std::string>(), from_xmlrpc_c(env, member));
        xmlrpc_DECREF(name);
        xmlrpc_DECREF(member);
      }
      return members;
    }
  }
}

std::string of_xmlrpc_c(const std::string& document) {
  // It expands entities without a bound, overflows its stack on deep nesting and crashes while it reports a wrong <i8>.
  if (document.find("<!DOCTYPE") != document.npos || document.find("i8") != document.npos || document.size() > 8192) return "refused";
  xmlrpc_env env;
  xmlrpc_env_init(&env);
  const char* method = nullptr;
  xmlrpc_value* params = nullptr;
  xmlrpc_parse_call(&env, document.data(), document.size(), &method, &params);
  std::string out = "refused";
  if (!env.fault_occurred) {
    const Value value = from_xmlrpc_c(&env, params);
    if (!env.fault_occurred) out = hex(method) + canonical(value);
    std::free(const_cast<char*>(method));
    xmlrpc_DECREF(params);
  }
  xmlrpc_env_clean(&env);
  return out;
}

std::vector<std::string> documents() {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(SLUICE_CORPUS)) {
    std::ifstream file(entry.path(), std::ios::binary);
    out.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  std::ranges::sort(out);
  const std::size_t originals = out.size();
  const std::string_view pieces[] = {"<value>", "</value>", "<i4>", "</i4>", "<nil/>", " ", "\r\n", "1", "-", "+", ".", "e9", "&amp;", "<!-- -->", "&#65;",
                                     "<![CDATA[x]]>", "=", "T", ":", "\xC3\xA9", "<?p?>", "/", ">", "\"", "0"};
  std::mt19937 random(20261123);
  auto below = [&](std::size_t n) { return random() % n; };
  while (out.size() < 40'000) {
    std::string document = out[below(originals)];
    if (document.empty()) continue;
    for (std::size_t n = 1 + below(3); n > 0; --n) {
      const std::size_t at = below(document.size() + 1);
      switch (below(3)) {
        case 0: document.insert(at, pieces[below(std::size(pieces))]); break;
        case 1: document.erase(at, below(4)); break;
        default: document.replace(at, below(3), pieces[below(std::size(pieces))]);
      }
    }
    out.push_back(std::move(document));
  }
  return out;
}

// Where ours is stricter on purpose: both others drop text that stands where no text may, and what is no base64 within
// base64, and a caller's mistake with it.
bool on_purpose(std::string_view refusal) {
  return refusal.starts_with("refused: ") &&
         (refusal.find("text beside the type") != refusal.npos || refusal.find("where only a tag may stand") != refusal.npos ||
          refusal.find("must hold base64") != refusal.npos);
}

TEST(SecondOpinions, WhatBothOthersTakeIsTakenWithTheSameMeaning) {
  const std::vector<std::string> all = documents();
  std::string folder = (std::filesystem::temp_directory_path() / "sluice-opinions-XXXXXX").string();
  ASSERT_TRUE(::mkdtemp(folder.data()));
  {
    std::ofstream file(folder + "/documents", std::ios::binary);
    for (const std::string& document : all) file << document.size() << '\n' << document;
  }
  const std::string command = SLUICE_PYTHON " " SLUICE_OPINIONS " '" + folder + "/documents' > '" + folder + "/opinions'";
  ASSERT_EQ(std::system(command.c_str()), 0) << command;

  std::ifstream opinions(folder + "/opinions");
  std::size_t taken = 0;
  for (const std::string& document : all) {
    std::string python;
    ASSERT_TRUE(std::getline(opinions, python));
    if (python == "refused" || python != of_xmlrpc_c(document)) continue;
    ++taken;
    const std::string own = ours(document);
    if (!on_purpose(own)) {
      EXPECT_EQ(own, python) << document;
    }
  }
  EXPECT_GT(taken, 1000u) << "too few documents were taken by both to say anything";
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace sluice::xmlrpc
