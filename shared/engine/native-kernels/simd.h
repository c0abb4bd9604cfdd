// One vector of floats, as wide as the processor that this is compiled for has them.
#pragma once

#include <cstdint>
#include <utility>

#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

// GCC's and Clang's vectors: element by element, and in registers where they fit.
typedef float Vec __attribute__((vector_size(kLanes * sizeof(float))));
typedef float UnalignedVec __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));

inline Vec load(const float* from) { return *reinterpret_cast<const UnalignedVec*>(from); }
inline void store(float* to, Vec value) { *reinterpret_cast<UnalignedVec*>(to) = value; }

template <int from, int... I>
inline Vec interleaved(Vec a, Vec b, std::integer_sequence<int, I...>) {
  // GCC before 12 has a builtin of its own, which Clang lacks.
#if defined(__clang__) || __GNUC__ >= 12
  return __builtin_shufflevector(a, b, (I % 2 * kLanes + from + I / 2)...);
#else
  typedef std::int32_t Lanes __attribute__((vector_size(sizeof(Vec))));
  return __builtin_shuffle(a, b, Lanes{(I % 2 * kLanes + from + I / 2)...});
#endif
}

// Rows become columns: log2(kLanes) rounds, each of which interleaves the rows of both halves.
inline void transpose(Vec rows[kLanes]) {
  using Lanes = std::make_integer_sequence<int, kLanes>;
  for (int round = 1; round < kLanes; round *= 2) {
    Vec next[kLanes];
#pragma GCC unroll 16
    for (int i = 0; i < kLanes / 2; i++) {
      next[2 * i] = interleaved<0>(rows[i], rows[i + kLanes / 2], Lanes{});
      next[2 * i + 1] = interleaved<kLanes / 2>(rows[i], rows[i + kLanes / 2], Lanes{});
    }
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; i++) rows[i] = next[i];
  }
}
