// What the factors of a product are: float32, or pairs of bfloat16 that are multiplied and added at once. Either way a
// vector has kLanes words of 32 bits and sums are float32.
#pragma once

#include <cstring>

#include "simd.h"

struct Float32 {
  // Factors in a word.
  static constexpr int kDepth = 1;

  static Vec multiplyAdd(Vec sum, float word, Vec words) { return sum + word * words; }
  // Words from as many vectors as a word has factors.
  static Vec pack(const Vec* values) { return values[0]; }
  // kLanes neighbouring factors, one after the other.
  static void storeNeighbours(float* to, Vec values) { store(to, values); }
};

#if defined(__AVX512BF16__)
constexpr bool kHasBfloat16 = true;

struct Bfloat16 {
  static constexpr int kDepth = 2;

  static Vec multiplyAdd(Vec sum, float word, Vec words) {
    return reinterpret_cast<Vec>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(sum), pairs(Vec{} + word), pairs(words)));
  }

  static Vec pack(const Vec* values) {
    const __m512i low = rounded(values[0]), high = rounded(values[1]);
    return reinterpret_cast<Vec>(_mm512_mask_blend_epi16(0xAAAAAAAA, _mm512_srli_epi32(low, 16), high));
  }

  static void storeNeighbours(float* to, Vec values) {
    const __m256bh narrow = _mm512_cvtneps_pbh(reinterpret_cast<__m512>(values));
    std::memcpy(to, &narrow, sizeof(narrow));
  }

 private:
  static __m512bh pairs(Vec words) { return reinterpret_cast<__m512bh>(words); }

  // To the nearest bfloat16, ties to even, in the upper half of each word.
  static __m512i rounded(Vec values) {
    const __m512i bits = reinterpret_cast<__m512i>(values);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    return _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
  }
};
#else
constexpr bool kHasBfloat16 = false;
#endif
