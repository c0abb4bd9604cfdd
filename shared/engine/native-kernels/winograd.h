// Winograd's minimal filtering with windows of 3, F(2, 3) and F(4, 3), in each direction of an image on its own.
// Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", arXiv 1509.09308, section 4.1.
#pragma once

#include "gemm.h"

// The transforms of a line that gives so many outputs. What the source calls B^T d, A^T m and G g is `input`, `output`
// and `filter`; the transposes A y and G^T u are `outputGradient` and `filterGradient`.
template <int Outputs>
struct Filtering;

// By the points 0, 1, -1 and infinity: 4 multiplications where the definition has 6.
template <>
struct Filtering<2> {
  INLINED static void input(const Vec d[4], Vec v[4]) {
    v[0] = d[0] - d[2];
    v[1] = d[1] + d[2];
    v[2] = d[2] - d[1];
    v[3] = d[1] - d[3];
  }

  INLINED static void output(const Vec m[4], Vec y[2]) {
    y[0] = m[0] + m[1] + m[2];
    y[1] = m[1] - m[2] - m[3];
  }

  INLINED static void outputGradient(const Vec y[2], Vec m[4]) {
    m[0] = y[0];
    m[1] = y[0] + y[1];
    m[2] = y[0] - y[1];
    m[3] = -y[1];
  }

  INLINED static void filter(const Vec g[3], Vec u[4]) {
    const Vec ends = g[0] + g[2];
    u[0] = g[0];
    u[1] = (ends + g[1]) * 0.5f;
    u[2] = (ends - g[1]) * 0.5f;
    u[3] = g[2];
  }

  INLINED static void filterGradient(const Vec u[4], Vec g[3]) {
    const Vec sum = (u[1] + u[2]) * 0.5f;
    g[0] = u[0] + sum;
    g[1] = (u[1] - u[2]) * 0.5f;
    g[2] = sum + u[3];
  }
};

// By 0, a, -a, b, -b and infinity: 6 multiplications where the definition has 12. With 3/4 and 3/2 results are off by
// a third to a half of what the source's 1 and 2 cost, and all factors but the filter's are exact.
template <>
struct Filtering<4> {
  static constexpr float a = 0.75f, b = 1.5f, a2 = a * a, b2 = b * b;
  // Of a filter: one over the product of a point's distances to the other points.
  static constexpr float atZero = 1 / (a2 * b2), atA = 1 / (2 * a2 * (a2 - b2)), atB = 1 / (2 * b2 * (b2 - a2));

  INLINED static void input(const Vec d[6], Vec v[6]) {
    const Vec evenA = d[4] - b2 * d[2], oddA = d[3] - b2 * d[1];
    const Vec evenB = d[4] - a2 * d[2], oddB = d[3] - a2 * d[1];
    v[0] = a2 * b2 * d[0] - (a2 + b2) * d[2] + d[4];
    v[1] = evenA + a * oddA;
    v[2] = evenA - a * oddA;
    v[3] = evenB + b * oddB;
    v[4] = evenB - b * oddB;
    v[5] = a2 * b2 * d[1] - (a2 + b2) * d[3] + d[5];
  }

  INLINED static void output(const Vec m[6], Vec y[4]) {
    const Vec evenA = m[1] + m[2], oddA = m[1] - m[2], evenB = m[3] + m[4], oddB = m[3] - m[4];
    y[0] = m[0] + evenA + evenB;
    y[1] = a * oddA + b * oddB;
    y[2] = a2 * evenA + b2 * evenB;
    y[3] = a2 * a * oddA + b2 * b * oddB + m[5];
  }

  INLINED static void outputGradient(const Vec y[4], Vec m[6]) {
    const Vec evenA = y[0] + a2 * y[2], oddA = y[1] + a2 * y[3];
    const Vec evenB = y[0] + b2 * y[2], oddB = y[1] + b2 * y[3];
    m[0] = y[0];
    m[1] = evenA + a * oddA;
    m[2] = evenA - a * oddA;
    m[3] = evenB + b * oddB;
    m[4] = evenB - b * oddB;
    m[5] = y[3];
  }

  INLINED static void filter(const Vec g[3], Vec u[6]) {
    const Vec evenA = (g[0] + a2 * g[2]) * atA, oddA = g[1] * (a * atA);
    const Vec evenB = (g[0] + b2 * g[2]) * atB, oddB = g[1] * (b * atB);
    u[0] = g[0] * atZero;
    u[1] = evenA + oddA;
    u[2] = evenA - oddA;
    u[3] = evenB + oddB;
    u[4] = evenB - oddB;
    u[5] = g[2];
  }

  INLINED static void filterGradient(const Vec u[6], Vec g[3]) {
    const Vec evenA = (u[1] + u[2]) * atA, oddA = (u[1] - u[2]) * (a * atA);
    const Vec evenB = (u[3] + u[4]) * atB, oddB = (u[3] - u[4]) * (b * atB);
    g[0] = atZero * u[0] + evenA + evenB;
    g[1] = oddA + oddB;
    g[2] = a2 * evenA + b2 * evenB + u[5];
  }
};

// to [toRows][toColumns] from [rows][columns]: `down` each column, then `across` each row of that.
template <int rows, int columns, int toRows, int toColumns, typename Down, typename Across>
INLINED void inBothDirections(const Vec from[rows][columns], Vec to[toRows][toColumns], Down down, Across across) {
  Vec half[toRows][columns];
#pragma GCC unroll 6
  for (int j = 0; j < columns; j++) {
    Vec column[rows], transformed[toRows];
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++) column[i] = from[i][j];
    down(column, transformed);
#pragma GCC unroll 6
    for (int i = 0; i < toRows; i++) half[i][j] = transformed[i];
  }
#pragma GCC unroll 6
  for (int i = 0; i < toRows; i++) across(half[i], to[i]);
}

// A tile of outputs, and what becomes of it and of the filter.
template <int Rows, int Columns>
struct Tile {
  using Down = Filtering<Rows>;
  using Across = Filtering<Columns>;
  static constexpr int kOutRows = Rows, kOutColumns = Columns;
  // Of the inputs that it depends on, and of the products that it takes.
  static constexpr int kInRows = Rows + 2, kInColumns = Columns + 2, kFrequencies = kInRows * kInColumns;
  using Inputs = Vec[kInRows][kInColumns];
  using Outputs = Vec[Rows][Columns];
  using Products = Vec[kInRows][kInColumns];
  using Filter = Vec[3][3];

  INLINED static void transformInput(const Inputs d, Products v) {
    inBothDirections<kInRows, kInColumns, kInRows, kInColumns>(d, v, Down::input, Across::input);
  }
  INLINED static void transformOutput(const Products m, Outputs y) {
    inBothDirections<kInRows, kInColumns, Rows, Columns>(m, y, Down::output, Across::output);
  }
  INLINED static void transformOutputGradient(const Outputs y, Products m) {
    inBothDirections<Rows, Columns, kInRows, kInColumns>(y, m, Down::outputGradient, Across::outputGradient);
  }
  INLINED static void transformFilter(const Filter g, Products u) {
    inBothDirections<3, 3, kInRows, kInColumns>(g, u, Down::filter, Across::filter);
  }
  INLINED static void transformFilterGradient(const Products u, Filter g) {
    inBothDirections<kInRows, kInColumns, 3, 3>(u, g, Down::filterGradient, Across::filterGradient);
  }
};
