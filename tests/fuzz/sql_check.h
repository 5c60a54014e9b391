#pragma once
// What holds for the classifier of every dialect, whatever the text.

#include <cstdio>
#include <cstdlib>
#include <string>

#include "handlers/sql/classify/placeholders.h"
#include "handlers/sql/dialects.h"
#include "rpc/fault.h"

namespace sluice::sql {

inline void expect(bool holds, const char* what, const std::string& text) {
  if (holds) return;
  std::fprintf(stderr, "%s:\n%s\n", what, text.c_str());
  std::abort();
}

// A verdict always says why; asked again, it is the same; and whatever stands before a write makes no read of it, for a string or a comment
// that swallows the write is one that does not end.
template <class Classify>
void check(Classify classify, const std::string& text) {
  const Verdict verdict = classify(text);
  expect(!verdict.why.empty(), "no reason", text);
  const Verdict again = classify(text);
  expect(verdict.kind == again.kind && verdict.why == again.why, "another verdict the second time", text);
  const std::string with_write = text + "\n;DELETE FROM t";
  expect(classify(with_write).kind != Class::read, "a read that ends in a write", with_write);
}

// Parameters are found or refused, never more.
template <class Statement, class InOrder>
void check_parameters(const Statement& statement, InOrder in_order) {
  const auto taken = [&](const Value& params) {
    try {
      for (const Value* value : in_order(statement, params))
        if (!value) std::abort();
      return true;
    } catch (const Fault& fault) {
      if (fault.kind() != Fault::Kind::bad_arguments) std::abort();
      return false;
    }
  };
  taken(Value());
  Value::Array by_place(statement.parameters < 1000 ? statement.parameters : 1000);
  Value::Struct by_name;
  for (const std::string& name : statement.names) by_name.emplace_back(name, 1);
  const bool named = !statement.names.empty(), fits = taken(Value(std::move(by_name)));
  if (named && fits == statement.numbered) std::abort();  // names and marks that are mixed are refused
  if (!named && statement.parameters < 1000 && !taken(Value(std::move(by_place)))) std::abort();
}

}  // namespace sluice::sql
