#pragma once
// UniqueFunction: a callable that is moved, never copied, so that it may own a Reply or a socket.
// Small callables live inside; std::move_only_function will replace it when the compiler has C++23.

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace sluice {

template <class Signature>
class UniqueFunction;

template <class R, class... A>
class UniqueFunction<R(A...)> {
 public:
  UniqueFunction() noexcept = default;

  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, UniqueFunction> && std::is_invocable_r_v<R, std::decay_t<F>&, A...>)
  UniqueFunction(F&& f) {  // implicit: a lambda stands wherever one is expected
    using Callable = std::decay_t<F>;
    if constexpr (fits_inside<Callable>) {
      ::new (storage_) Callable(std::forward<F>(f));
      operations_ = &kInside<Callable>;
    } else {
      ::new (storage_) Callable*(new Callable(std::forward<F>(f)));
      operations_ = &kOutside<Callable>;
    }
  }

  UniqueFunction(UniqueFunction&& other) noexcept { take(other); }
  UniqueFunction& operator=(UniqueFunction&& other) noexcept {
    if (this != &other) {
      reset();
      take(other);
    }
    return *this;
  }
  ~UniqueFunction() { reset(); }

  explicit operator bool() const noexcept { return operations_ != nullptr; }

  // Calling an empty one is a bug of the caller's and undefined.
  R operator()(A... a) { return operations_->call(storage_, std::forward<A>(a)...); }

  void reset() noexcept {
    if (operations_) std::exchange(operations_, nullptr)->destroy(storage_);
  }

 private:
  struct Operations {
    R (*call)(void*, A&&...);
    void (*move)(void* from, void* to) noexcept;  // leaves nothing to destroy in `from`
    void (*destroy)(void*) noexcept;
  };

  static constexpr std::size_t kRoom = 6 * sizeof(void*);

  template <class F>
  static constexpr bool fits_inside =
      sizeof(F) <= kRoom && alignof(F) <= alignof(std::max_align_t) && std::is_nothrow_move_constructible_v<F>;

  template <class F>
  static constexpr Operations kInside{
      [](void* at, A&&... a) -> R { return (*static_cast<F*>(at))(std::forward<A>(a)...); },
      [](void* from, void* to) noexcept {
        ::new (to) F(std::move(*static_cast<F*>(from)));
        static_cast<F*>(from)->~F();
      },
      [](void* at) noexcept { static_cast<F*>(at)->~F(); }};

  template <class F>
  static constexpr Operations kOutside{
      [](void* at, A&&... a) -> R { return (**static_cast<F**>(at))(std::forward<A>(a)...); },
      [](void* from, void* to) noexcept { ::new (to) F*(*static_cast<F**>(from)); },
      [](void* at) noexcept { delete *static_cast<F**>(at); }};

  void take(UniqueFunction& other) noexcept {
    operations_ = std::exchange(other.operations_, nullptr);
    if (operations_) operations_->move(other.storage_, storage_);
  }

  alignas(std::max_align_t) std::byte storage_[kRoom];
  const Operations* operations_ = nullptr;
};

}  // namespace sluice
