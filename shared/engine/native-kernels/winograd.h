// Winograd's minimal filtering F(2x2, 3x3): 16 multiplications where the definition has 36.
// Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", arXiv 1509.09308, section 4.1.
#pragma once

#include "simd.h"

constexpr int kFrequencies = 16;

// B^T d B: a tile of the input, 4x4.
inline void transformInput(const Vec d[4][4], Vec v[4][4]) {
  Vec t[4][4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) {
    t[0][j] = d[0][j] - d[2][j];
    t[1][j] = d[1][j] + d[2][j];
    t[2][j] = d[2][j] - d[1][j];
    t[3][j] = d[1][j] - d[3][j];
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    v[i][0] = t[i][0] - t[i][2];
    v[i][1] = t[i][1] + t[i][2];
    v[i][2] = t[i][2] - t[i][1];
    v[i][3] = t[i][1] - t[i][3];
  }
}

// A^T m A: a tile of the output, 2x2.
inline void transformOutput(const Vec m[4][4], Vec y[2][2]) {
  Vec t[2][4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) {
    t[0][j] = m[0][j] + m[1][j] + m[2][j];
    t[1][j] = m[1][j] - m[2][j] - m[3][j];
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; i++) {
    y[i][0] = t[i][0] + t[i][1] + t[i][2];
    y[i][1] = t[i][1] - t[i][2] - t[i][3];
  }
}

// A dy A^T: what a tile of the output's gradient is at the 16 products.
inline void transformOutputGradient(const Vec y[2][2], Vec m[4][4]) {
  Vec t[4][2];
#pragma GCC unroll 2
  for (int j = 0; j < 2; j++) {
    t[0][j] = y[0][j];
    t[1][j] = y[0][j] + y[1][j];
    t[2][j] = y[0][j] - y[1][j];
    t[3][j] = -y[1][j];
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    m[i][0] = t[i][0];
    m[i][1] = t[i][0] + t[i][1];
    m[i][2] = t[i][0] - t[i][1];
    m[i][3] = -t[i][1];
  }
}

// G g G^T: a filter, 3x3.
template <typename Number>
inline void transformFilter(const Number g[3][3], Number u[4][4]) {
  Number t[4][3];
  for (int j = 0; j < 3; j++) {
    const Number ends = g[0][j] + g[2][j];
    t[0][j] = g[0][j];
    t[1][j] = (ends + g[1][j]) * 0.5f;
    t[2][j] = (ends - g[1][j]) * 0.5f;
    t[3][j] = g[2][j];
  }
  for (int i = 0; i < 4; i++) {
    const Number ends = t[i][0] + t[i][2];
    u[i][0] = t[i][0];
    u[i][1] = (ends + t[i][1]) * 0.5f;
    u[i][2] = (ends - t[i][1]) * 0.5f;
    u[i][3] = t[i][2];
  }
}

// G^T u G: the filter's gradient from that at the 16 products.
inline void transformFilterGradient(const Vec u[4][4], Vec g[3][3]) {
  Vec t[3][4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) {
    const Vec sum = (u[1][j] + u[2][j]) * 0.5f;
    t[0][j] = u[0][j] + sum;
    t[1][j] = (u[1][j] - u[2][j]) * 0.5f;
    t[2][j] = sum + u[3][j];
  }
#pragma GCC unroll 3
  for (int i = 0; i < 3; i++) {
    const Vec sum = (t[i][1] + t[i][2]) * 0.5f;
    g[i][0] = t[i][0] + sum;
    g[i][1] = (t[i][1] - t[i][2]) * 0.5f;
    g[i][2] = sum + t[i][3];
  }
}
