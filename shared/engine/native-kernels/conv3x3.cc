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
// Transformed filters that are larger are not read again by each thread for each of its lots.
constexpr long kFilterFloats = 256 << 10;
// What the transforms of the tiles that all threads take together may fill, and of how many tiles each takes some.
constexpr int kTogetherFloats = 3 << 20;
constexpr int kLot = 2 * kRows;

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

// The stages of a convolution, for some tiles at a time: v [16][rows of words], a row a tile, times u is m [16][rows of sums].
template <typename Numbers>
class Stages {
 public:
  Stages(const Conv3x3& conv, const float* x, const float* u, const float* bias, float* y, int heldTiles, float* v, float* m)
      : conv_(conv), x_(x), u_(u), bias_(bias), y_(y), vSize_(1L * heldTiles * words_), mSize_(1L * heldTiles * conv.out), v_(v), m_(m) {}

  static long vFloats(const Conv3x3& conv, int heldTiles) { return 1L * kFrequencies * heldTiles * conv.in / Numbers::kDepth; }
  static long mFloats(const Conv3x3& conv, int heldTiles) { return 1L * kFrequencies * heldTiles * conv.out; }

  // The tile `first` is that of the row.
  void transformInputs(long first, int row, int rows) const {
    // Numbers of its own: for all the compiler knows, what is stored could change members.
    const int in = conv_.in;
    const long vSize = vSize_;
    for (int i = 0; i < rows; i++) {
      const InputTile pixels(tiling_, in, x_, first + i);
      float* const to = v_ + 1L * (row + i) * words_;
      for (int c = 0; c < in; c += kLanes) {
        Vec transformed[4][4];
        pixels.transform(c, transformed);
        float* at = to + c / Numbers::kDepth;
#pragma GCC unroll 16
        for (int f = 0; f < kFrequencies; f++) Numbers::storeNeighbours(at + f * vSize, transformed[f / 4][f % 4]);
      }
    }
  }

  void multiply(int frequency, int row, int rows) const {
    multiplyPanels<Numbers, false>((rows + kRows - 1) / kRows * kRows, 0, words_, v_ + frequency * vSize_ + 1L * row * words_, 1, words_,
                                   u_ + 1L * frequency * words_ * conv_.out, {conv_.out, words_},
                                   m_ + frequency * mSize_ + 1L * row * conv_.out, conv_.out);
  }

  void transformOutputs(long first, int row, int rows) const {
    const int out = conv_.out, line = conv_.width * out;
    const long mSize = mSize_;
    const float* const bias = bias_;
    for (int i = 0; i < rows; i++) {
      long image;
      int top, left;
      tiling_.locate(first + i, image, top, left);
      float* to = y_ + ((image * conv_.height + top) * conv_.width + left) * out;
      const bool below = top + 1 < conv_.height, right = left + 1 < conv_.width;
      const float* const from = m_ + 1L * (row + i) * out;
      for (int c = 0; c < out; c += kLanes) {
        Vec products[4][4], result[2][2];
#pragma GCC unroll 16
        for (int f = 0; f < kFrequencies; f++) products[f / 4][f % 4] = load(from + f * mSize + c);
        transformOutput(products, result);
        const Vec offset = bias ? load(bias + c) : Vec{};
        store(to + c, result[0][0] + offset);
        if (right) store(to + out + c, result[0][1] + offset);
        if (below) store(to + line + c, result[1][0] + offset);
        if (below && right) store(to + line + out + c, result[1][1] + offset);
      }
    }
  }

 private:
  const Conv3x3& conv_;
  const float *x_, *u_, *bias_;
  float* y_;
  const Tiling tiling_{conv_.images, conv_.height, conv_.width};
  const int words_ = conv_.in / Numbers::kDepth;
  const long vSize_, mSize_;
  float *v_, *m_;
};

// Each thread takes tiles of its own through all stages, within its cache; the filter is read once for each lot.
template <typename Numbers>
void forwardByTiles(const Conv3x3& conv, const float* x, const float* u, const float* bias, float* y) {
  const long count = Tiling(conv.images, conv.height, conv.width).count;
  const int fitting = std::clamp(kBlockFloats / (kFrequencies * (conv.in + conv.out)) / kRows * kRows, 2 * kRows, 12 * kRows);
  // Few tiles are divided too, so that all threads have some. No result depends on it.
  const int quarter = static_cast<int>((count / 4 + kRows - 1) / kRows) * kRows;
  const int held = std::clamp(quarter, kRows, fitting);
  parallelFor(static_cast<int>((count + held - 1) / held), [&](int block) {
    const long first = 1L * block * held;
    const int tiles = static_cast<int>(std::min<long>(held, count - first));
    const Stages<Numbers> stages(conv, x, u, bias, y, held, scratch(0, Stages<Numbers>::vFloats(conv, held)),
                                 scratch(1, Stages<Numbers>::mFloats(conv, held)));
    stages.transformInputs(first, 0, tiles);
    for (int f = 0; f < kFrequencies; f++) stages.multiply(f, 0, tiles);
    stages.transformOutputs(first, 0, tiles);
  });
}

// All threads go through each stage together, and the filter, of which each product takes a part, is read once for all.
template <typename Numbers>
void forwardByFrequencies(const Conv3x3& conv, const float* x, const float* u, const float* bias, float* y) {
  const long count = Tiling(conv.images, conv.height, conv.width).count;
  const int fitting = kTogetherFloats / (kFrequencies * (conv.in + conv.out)) / kLot * kLot;
  const int held = static_cast<int>(std::min<long>(fitting, (count + kLot - 1) / kLot * kLot));
  const Stages<Numbers> stages(conv, x, u, bias, y, held, scratch(0, Stages<Numbers>::vFloats(conv, held)),
                               scratch(1, Stages<Numbers>::mFloats(conv, held)));
  for (long first = 0; first < count; first += held) {
    const int tiles = static_cast<int>(std::min<long>(held, count - first)), lots = (tiles + kLot - 1) / kLot;
    const auto inLot = [=](int lot) { return std::min(kLot, tiles - lot * kLot); };
    parallelFor(lots, [&](int lot) { stages.transformInputs(first + lot * kLot, lot * kLot, inLot(lot)); });
    parallelFor(kFrequencies, [&](int f) { stages.multiply(f, 0, tiles); });
    parallelFor(lots, [&](int lot) { stages.transformOutputs(first + lot * kLot, lot * kLot, inLot(lot)); });
  }
}

template <typename Numbers>
void forwardTransformed(const Conv3x3& conv, const float* x, const float* u, const float* bias, float* y) {
  const bool large = transformedFloats(conv.in, conv.out, conv.bfloat16) > kFilterFloats;
  (large ? forwardByFrequencies<Numbers> : forwardByTiles<Numbers>)(conv, x, u, bias, y);
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
    float* packed = scratch(3, 1L * packedWords(9 * conv.in, true) * conv.out);
    packTaps(conv.in, conv.out, fill, packed);
    return convolveOnTiles(asConvolution(conv), x, packed, bias, y);
  }
  float* u = scratch(3, transformedFloats(conv.in, conv.out, conv.bfloat16));
  if (conv.bfloat16) transformFilters<Bfloat16>(conv.in, conv.out, fill, u);
  else transformFilters<Float32>(conv.in, conv.out, fill, u);
  convolveTransformed(conv, x, u, bias, y);
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
