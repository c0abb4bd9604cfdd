#include "conv3x3.h"

#include <algorithm>

#include "gemm.h"
#include "scratch.h"
#include "thread-pool.h"
#include "tile-convolution.h"
#include "winograd-tiles.h"

namespace {

// What the transforms of the tiles that a thread takes through all stages at a time may fill: its cache.
constexpr int kBlockFloats = 256 << 10;

// kLanes x kLanes filters: of so many rows (a product's depth) and, in the lanes, columns.
using FilterBlock = Vec[3][3][kLanes];

// u [16][panels of columns, of words of rows] from what fills the block of filters that begins at (row, column).
template <typename Numbers, typename Fill>
void transformFilters(int rows, int columns, Fill fill, float* u) {
  const Panels panels{columns, rows / Numbers::kDepth};
  const long frequency = panels.words * columns;
  parallelFor(rows / kLanes, [=](int block) {
    for (int column = 0; column < columns; column += kLanes) {
      FilterBlock filters;
      fill(block * kLanes, column, filters);
      for (int row = 0; row < kLanes; row += Numbers::kDepth) {
        Vec together[kFrequencies][Numbers::kDepth];
        for (int each = 0; each < Numbers::kDepth; each++) {
          Vec g[3][3], transformed[4][4];
          for (int k = 0; k < 9; k++) g[k / 3][k % 3] = filters[k / 3][k % 3][row + each];
          transformFilter(g, transformed);
          for (int f = 0; f < kFrequencies; f++) together[f][each] = transformed[f / 4][f % 4];
        }
        float* to = u + panels.at((block * kLanes + row) / Numbers::kDepth, column);
#pragma GCC unroll 16
        for (int f = 0; f < kFrequencies; f++) store(to + f * frequency, Numbers::pack(together[f]));
      }
    }
  });
}

template <typename Numbers>
void forwardTransformed(const Conv3x3& conv, const float* x, const float* u, const float* bias, float* y) {
  const Tiling tiling(conv.images, conv.height, conv.width);
  const int in = conv.in, out = conv.out, words = in / Numbers::kDepth;
  const Panels panels{out, words};
  const int fitting = std::clamp(kBlockFloats / (kFrequencies * (in + out)) / kRows * kRows, 2 * kRows, 12 * kRows);
  // Few tiles are divided too, so that all threads have some. No result depends on it.
  const int quarter = static_cast<int>((tiling.count / 4 + kRows - 1) / kRows) * kRows;
  const int blockTiles = std::clamp(quarter, kRows, fitting);
  const int blocks = static_cast<int>((tiling.count + blockTiles - 1) / blockTiles);
  parallelFor(blocks, [&](int block) {
    const long first = 1L * block * blockTiles;
    const int tiles = static_cast<int>(std::min<long>(blockTiles, tiling.count - first));
    const int rows = (tiles + kRows - 1) / kRows * kRows;
    float* v = scratch(0, 1L * kFrequencies * blockTiles * words);
    float* m = scratch(1, 1L * kFrequencies * blockTiles * out);
    for (int tile = 0; tile < tiles; tile++) {
      const InputTile pixels(tiling, in, x, first + tile);
      for (int c = 0; c < in; c += kLanes) {
        Vec transformed[4][4];
        pixels.transform(c, transformed);
        float* at = v + 1L * tile * words + c / Numbers::kDepth;
#pragma GCC unroll 16
        for (int f = 0; f < kFrequencies; f++) Numbers::storeNeighbours(at + 1L * f * blockTiles * words, transformed[f / 4][f % 4]);
      }
    }
    for (int f = 0; f < kFrequencies; f++)
      multiplyPanels<Numbers, false>(rows, 0, words, v + 1L * f * blockTiles * words, 1, words, u + 1L * f * words * out, panels,
                                     m + 1L * f * blockTiles * out, out);
    for (int tile = 0; tile < tiles; tile++) {
      long image;
      int row, column;
      tiling.locate(first + tile, image, row, column);
      float* to = y + ((image * conv.height + row) * conv.width + column) * out;
      const bool below = row + 1 < conv.height, right = column + 1 < conv.width;
      for (int c = 0; c < out; c += kLanes) {
        Vec products[4][4], result[2][2];
#pragma GCC unroll 16
        for (int f = 0; f < kFrequencies; f++) products[f / 4][f % 4] = load(m + (1L * f * blockTiles + tile) * out + c);
        transformOutput(products, result);
        const Vec offset = bias ? load(bias + c) : Vec{};
        store(to + c, result[0][0] + offset);
        if (right) store(to + out + c, result[0][1] + offset);
        if (below) store(to + 1L * conv.width * out + c, result[1][0] + offset);
        if (below && right) store(to + 1L * conv.width * out + out + c, result[1][1] + offset);
      }
    }
  });
}

// Words of a filter's taps, as `convolvePacked` reads them, from what fills the block of filters that begins at (row, column).
template <typename Fill>
void packTaps(int rows, int columns, Fill fill, float* packed) {
  const Panels panels{columns, packedWords(9 * rows, true)};
  parallelFor(rows / kLanes, [=](int block) {
    for (int column = 0; column < columns; column += kLanes) {
      FilterBlock filters;
      fill(block * kLanes, column, filters);
      for (int k = 0; k < 9; k++)
        for (int row = 0; row < kLanes; row += Bfloat16::kDepth)
          store(packed + panels.at((k * rows + block * kLanes + row) / Bfloat16::kDepth, column), Bfloat16::pack(filters[k / 3][k % 3] + row));
    }
  });
}

// The filters as they are.
auto straight(int in, int out, const float* filter) {
  return [=](int i, int o, FilterBlock filters) {
    for (int k = 0; k < 9; k++)
      for (int row = 0; row < kLanes; row++) filters[k / 3][k % 3][row] = load(filter + (1L * k * in + i + row) * out + o);
  };
}

// Turned by half a circle, and from the outputs to the inputs.
auto turned(int in, int out, const float* filter) {
  return [=](int o, int i, FilterBlock filters) {
    for (int k = 0; k < 9; k++) {
      Vec* each = filters[2 - k / 3][2 - k % 3];
      for (int row = 0; row < kLanes; row++) each[row] = load(filter + (1L * k * in + i + row) * out + o);
      transpose(each);
    }
  };
}

template <typename Fill>
void convolveFilled(const Conv3x3& conv, const float* x, Fill fill, const float* bias, float* y) {
  if (fitsTiles(asConvolution(conv))) {
    const Buffer packed = allocate(1L * packedWords(9 * conv.in, true) * conv.out);
    packTaps(conv.in, conv.out, fill, packed.get());
    return convolveOnTiles(asConvolution(conv), x, packed.get(), bias, y);
  }
  const Buffer u = allocate(transformedFloats(conv.in, conv.out, conv.bfloat16));
  if (conv.bfloat16) transformFilters<Bfloat16>(conv.in, conv.out, fill, u.get());
  else transformFilters<Float32>(conv.in, conv.out, fill, u.get());
  convolveTransformed(conv, x, u.get(), bias, y);
}

}  // namespace

long transformedFloats(int in, int out, bool bfloat16) {
  return 1L * kFrequencies * in * out / (bfloat16 ? Bfloat16::kDepth : Float32::kDepth);
}

void transformFilter(int in, int out, bool bfloat16, const float* filter, float* u) {
  if (bfloat16) transformFilters<Bfloat16>(in, out, straight(in, out, filter), u);
  else transformFilters<Float32>(in, out, straight(in, out, filter), u);
}

void convolveTransformed(const Conv3x3& conv, const float* x, const float* u, const float* bias, float* y) {
  (conv.bfloat16 ? forwardTransformed<Bfloat16> : forwardTransformed<Float32>)(conv, x, u, bias, y);
}

void convolve(const Conv3x3& conv, const float* x, const float* filter, const float* bias, float* y) {
  convolveFilled(conv, x, straight(conv.in, conv.out, filter), bias, y);
}

void convolveInputGradient(const Conv3x3& conv, const float* dy, const float* filter, float* dx) {
  // The same convolution the other way.
  convolveFilled({conv.images, conv.height, conv.width, conv.out, conv.in, conv.bfloat16}, dy, turned(conv.in, conv.out, filter), nullptr, dx);
}
