// A small matrix product that stays in registers, from which the kernels build theirs.
#pragma once

#include "numbers.h"

// Sums that fill the registers of the processor and leave a few for what is multiplied.
constexpr int kRows = kLanes == 4 ? 4 : 8;
constexpr int kPanelVectors = 2;
constexpr int kPanel = kPanelVectors * kLanes;

// C[r][v] (+)= sum over k, a word of factors each, of A[k * aStep + r * aRow] * B[k * bStep + v], r < kRows, v < Vectors * kLanes, in the
// order of k: a result doesn't depend on what is computed beside it.
template <typename Numbers, int Vectors, bool Accumulate>
inline void multiply(int depth, const float* a, long aStep, long aRow, const float* b, long bStep, float* c, long cRow) {
  Vec sum[kRows][Vectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; v++) sum[r][v] = Vec{};
  for (int k = 0; k < depth; k++) {
    Vec values[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; v++) values[v] = load(b + k * bStep + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r++) {
      const float factor = a[k * aStep + r * aRow];
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; v++) sum[r][v] = Numbers::multiplyAdd(sum[r][v], factor, values[v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; v++) {
      float* at = c + r * cRow + v * kLanes;
      // Added at the end rather than begun with: sums of sums lose less than one long sum.
      store(at, Accumulate ? load(at) + sum[r][v] : sum[r][v]);
    }
}
