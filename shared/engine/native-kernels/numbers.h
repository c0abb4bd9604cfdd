// What the factors of a product are: float32, or bfloat16, of which pairs may be multiplied and added at once. Either way
// a vector has kLanes words of 32 bits and sums are float32.
#pragma once

#include <cstring>

#include "factors.h"
#include "simd.h"

struct Float32 {
  static constexpr Factors kFactors = Factors::kFloat32;
  // Factors in a word.
  static constexpr int kDepth = 1;

  // What numbers are taken for before anything else.
  static Vec factors(Vec values) { return values; }
  static Vec multiplyAdd(Vec sum, float word, Vec words) { return sum + word * words; }
  // Words from as many vectors as a word has factors.
  static Vec pack(const Vec* values) { return values[0]; }
  // kLanes neighbouring factors, one after the other.
  static void storeNeighbours(void* to, Vec values) { store(static_cast<float*>(to), values); }
};

// Pairs of bfloat16, the first of a pair in the lower half of its word.
struct Bfloat16 {
  static constexpr Factors kFactors = Factors::kPairs;
  static constexpr int kDepth = 2;

  static Vec factors(Vec values) { return values; }
  static Vec multiplyAdd(Vec sum, float word, Vec words) {
#if defined(__AVX512BF16__)
    const auto factors = reinterpret_cast<__m512bh>(everywhere(word)), values = reinterpret_cast<__m512bh>(words);
    return reinterpret_cast<Vec>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(sum), factors, values));
#else
    const Bits factors = everywhere(word), values = reinterpret_cast<Bits>(words);
    return sum + number(factors << 16) * number(values << 16) + number(factors & kUpper) * number(values & kUpper);
#endif
  }

  static Vec pack(const Vec* values) { return reinterpret_cast<Vec>(rounded(values[0]) >> 16 | (rounded(values[1]) & kUpper)); }

  static void storeNeighbours(void* to, Vec values) {
#if defined(__AVX512BF16__)
    const __m256bh narrow = _mm512_cvtneps_pbh(reinterpret_cast<__m512>(values));
#else
    const auto narrow = __builtin_convertvector(rounded(values) >> 16, Halves);
#endif
    std::memcpy(to, &narrow, sizeof(narrow));
  }

  // To the nearest, as float32.
  static Vec nearest(Vec values) { return reinterpret_cast<Vec>(rounded(values) & kUpper); }

 private:
  typedef std::uint32_t Bits __attribute__((vector_size(sizeof(Vec))));
  typedef std::uint16_t Halves __attribute__((vector_size(sizeof(Vec) / 2)));
  static constexpr std::uint32_t kUpper = 0xFFFF0000;

  static Vec number(Bits bits) { return reinterpret_cast<Vec>(bits); }

  // To the nearest bfloat16, ties to even, in the upper half of each word.
  static Bits rounded(Vec values) {
    const Bits bits = reinterpret_cast<Bits>(values);
    return bits + (bits >> 16 & 1) + 0x7FFF;
  }

  // By way of integers: as a float, a pair whose second is zero would be a denormal, which TensorFlow's threads flush.
  static Bits everywhere(float word) {
    std::uint32_t bits;
    std::memcpy(&bits, &word, sizeof(bits));
    return Bits{} + bits;
  }
};

// Numbers of bfloat16 as float32, for processors that multiply pairs no faster: rounded once, before any transform.
struct Rounded : Float32 {
  static constexpr Factors kFactors = Factors::kRounded;

  static Vec factors(Vec values) { return Bfloat16::nearest(values); }
};

template <typename F>
auto withNumbers(Factors factors, F f) {
  switch (factors) {
    case Factors::kPairs: return f(Bfloat16{});
    case Factors::kRounded: return f(Rounded{});
    default: return f(Float32{});
  }
}

// Whether the processor multiplies pairs of bfloat16 in less time than twice as many of float32 take. Intel's take as long.
inline bool multipliesPairs() {
#if defined(__AVX512BF16__)
  return !__builtin_cpu_is("intel");
#else
  return false;
#endif
}
