// A small matrix product that stays in registers, from which the kernels build theirs.
#pragma once

#include <algorithm>

#include "numbers.h"

// Sums that fill the registers of the processor, 32 with AVX-512 and else 16, and leave some for what is multiplied.
constexpr int kRows = kLanes == 16 ? 8 : 4;
constexpr int kPanelVectors = 2;
constexpr int kPanel = kPanelVectors * kLanes;

// Whatever the compiler thinks of its length: a tenth of the speed comes from steps that are constants where it is called.
#define INLINED __attribute__((always_inline)) inline

// C[r][v] (+)= sum over k, a word of factors each, of A[k * aStep + r * aRow] * B[k * bStep + v], r < kRows, v < Vectors * kLanes, in the
// order of k: a result doesn't depend on what is computed beside it.
template <typename Numbers, int Vectors, bool Accumulate>
INLINED void multiply(int depth, const float* a, long aStep, long aRow, const float* b, long bStep, float* c, long cRow) {
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

// Where a word of some columns is in panels of `words` words each. A panel has kPanel columns, the last one what is left.
struct Panels {
  int columns;
  long words;

  int widthAt(int column) const { return std::min(kPanel, columns - column / kPanel * kPanel); }
  long at(long word, int column) const { return column / kPanel * kPanel * words + word * widthAt(column) + column % kPanel; }
};

// A matrix product in the pieces of `multiply`, of so many words of B's panels from one on.
template <typename Numbers, bool Accumulate>
INLINED void multiplyPanels(int rows, int fromWord, int words, const float* a, long aStep, long aRow, const float* b, const Panels& panels,
                            float* c, long cRow) {
  for (int column = 0; column < panels.columns; column += kPanel) {
    const float* panel = b + panels.at(fromWord, column);
    const int width = panels.widthAt(column);
    for (int row = 0; row < rows; row += kRows) {
      const float* from = a + row * aRow;
      float* to = c + row * cRow + column;
      if (width == kPanel) multiply<Numbers, kPanelVectors, Accumulate>(words, from, aStep, aRow, panel, width, to, cRow);
      else multiply<Numbers, 1, Accumulate>(words, from, aStep, aRow, panel, width, to, cRow);
    }
  }
}
