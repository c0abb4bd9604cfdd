#include "conv3x3.h"

#include <algorithm>

#include "gemm.h"
#include "scratch.h"
#include "thread-pool.h"
#include "tile-convolution.h"
#include "winograd-tiles.h"

namespace {

// What the transforms of the tiles that a thread takes through all stages at a time may fill: its cache.
constexpr long kBlockFloats = 256L << 10;
// Transformed filters that are larger are not read again by each thread for each of its lots.
constexpr long kFilterFloats = 256 << 10;
// What the transforms of the tiles that all threads take together may fill, and of how many tiles each takes some.
constexpr long kTogetherFloats = 3L << 20;
constexpr int kLot = 2 * kRows;

// kLanes x kLanes filters: of so many rows (a product's depth) and, in the lanes, columns.
using FilterBlock = Vec[3][3][kLanes];

template <typename Numbers, typename Tile>
constexpr long floatsOfFilter(int in, int out) {
  return 1L * Tile::kFrequencies * in * out / Numbers::kDepth;
}

// u [frequencies][panels of columns, of words of rows] from what fills the block of filters that begins at (row, column).
template <typename Numbers, typename Tile, typename Fill>
void transformFilters(int rows, int columns, Fill fill, float* u) {
  const Panels panels{columns, rows / Numbers::kDepth};
  const long frequency = panels.words * columns;
  parallelFor(rows / kLanes, [=](int block) {
    for (int column = 0; column < columns; column += kLanes) {
      FilterBlock filters;
      fill(block * kLanes, column, filters);
      for (int row = 0; row < kLanes; row += Numbers::kDepth) {
        Vec together[Tile::kFrequencies][Numbers::kDepth];
        for (int each = 0; each < Numbers::kDepth; each++) {
          typename Tile::Filter g;
          typename Tile::Products transformed;
          for (int k = 0; k < 9; k++) g[k / 3][k % 3] = Numbers::factors(filters[k / 3][k % 3][row + each]);
          Tile::transformFilter(g, transformed);
          for (int f = 0; f < Tile::kFrequencies; f++) together[f][each] = transformed[f / Tile::kInColumns][f % Tile::kInColumns];
        }
        float* to = u + panels.at((block * kLanes + row) / Numbers::kDepth, column);
#pragma GCC unroll 36
        for (int f = 0; f < Tile::kFrequencies; f++) store(to + f * frequency, Numbers::pack(together[f]));
      }
    }
  });
}

// The stages of a convolution, for some tiles at a time: v [frequencies][rows of words], a row a tile, times u is
// m [frequencies][rows of sums].
template <typename Numbers, typename Tile>
class Stages {
 public:
  Stages(const Conv3x3& conv, const float* x, const float* u, const float* bias, float* y, int heldTiles, float* v, float* m)
      : conv_(conv), x_(x), u_(u), bias_(bias), y_(y), vSize_(1L * heldTiles * words_), mSize_(1L * heldTiles * conv.out), v_(v), m_(m) {}

  static long vFloats(const Conv3x3& conv, int heldTiles) { return 1L * Tile::kFrequencies * heldTiles * conv.in / Numbers::kDepth; }
  static long mFloats(const Conv3x3& conv, int heldTiles) { return 1L * Tile::kFrequencies * heldTiles * conv.out; }

  // The tile `first` is that of the row.
  void transformInputs(long first, int row, int rows) const {
    // Numbers of its own: for all the compiler knows, what is stored could change members.
    const int in = conv_.in;
    const long vSize = vSize_;
    for (int i = 0; i < rows; i++) {
      const auto pixels = inputTile<Tile>(conv_, x_, first + i);
      float* const to = v_ + 1L * (row + i) * words_;
      for (int c = 0; c < in; c += kLanes) {
        typename Tile::Inputs d;
        typename Tile::Products transformed;
        pixels.template read<Numbers>(c, d);
        Tile::transformInput(d, transformed);
        float* at = to + c / Numbers::kDepth;
#pragma GCC unroll 36
        for (int f = 0; f < Tile::kFrequencies; f++)
          Numbers::storeNeighbours(at + f * vSize, transformed[f / Tile::kInColumns][f % Tile::kInColumns]);
      }
    }
  }

  void multiply(int frequency, int row, int rows) const {
    multiplyPanels<Numbers, false>((rows + kRows - 1) / kRows * kRows, 0, words_, v_ + frequency * vSize_ + 1L * row * words_, 1, words_,
                                   u_ + 1L * frequency * words_ * conv_.out, {conv_.out, words_},
                                   m_ + frequency * mSize_ + 1L * row * conv_.out, conv_.out);
  }

  void transformOutputs(long first, int row, int rows) const {
    const int out = conv_.out;
    const long mSize = mSize_;
    const float* const bias = bias_;
    for (int i = 0; i < rows; i++) {
      const auto pixels = outputTile<Tile>(conv_, y_, first + i);
      const float* const from = m_ + 1L * (row + i) * out;
      for (int c = 0; c < out; c += kLanes) {
        typename Tile::Products products;
        typename Tile::Outputs result;
#pragma GCC unroll 36
        for (int f = 0; f < Tile::kFrequencies; f++) products[f / Tile::kInColumns][f % Tile::kInColumns] = load(from + f * mSize + c);
        Tile::transformOutput(products, result);
        const Vec offset = bias ? load(bias + c) : Vec{};
        for (auto& line : result)
          for (Vec& pixel : line) pixel += offset;
        pixels.write(c, result);
      }
    }
  }

 private:
  const Conv3x3& conv_;
  const float *x_, *u_, *bias_;
  float* y_;
  const int words_ = conv_.in / Numbers::kDepth;
  const long vSize_, mSize_;
  float *v_, *m_;
};

// Each thread takes tiles of its own through all stages, within its cache; the filter is read once for each lot.
template <typename Numbers, typename Tile>
void forwardByTiles(const Conv3x3& conv, const float* x, const float* u, const float* bias, float* y) {
  const long count = Tiling<Tile>(conv).count;
  const long fitting = std::clamp(kBlockFloats / (1L * Tile::kFrequencies * (conv.in + conv.out)) / kRows * kRows, 2L * kRows, 12L * kRows);
  // Few tiles are divided too, so that all threads have some. No result depends on it.
  const long quarter = (count / 4 + kRows - 1) / kRows * kRows;
  const int held = static_cast<int>(std::clamp<long>(quarter, kRows, fitting));
  parallelFor(static_cast<int>((count + held - 1) / held), [&](int block) {
    const long first = 1L * block * held;
    const int tiles = static_cast<int>(std::min<long>(held, count - first));
    using Own = Stages<Numbers, Tile>;
    const Own stages(conv, x, u, bias, y, held, scratch(0, Own::vFloats(conv, held)), scratch(1, Own::mFloats(conv, held)));
    stages.transformInputs(first, 0, tiles);
    for (int f = 0; f < Tile::kFrequencies; f++) stages.multiply(f, 0, tiles);
    stages.transformOutputs(first, 0, tiles);
  });
}

// All threads go through each stage together, and the filter, of which each product takes a part, is read once for all.
template <typename Numbers, typename Tile>
void forwardByFrequencies(const Conv3x3& conv, const float* x, const float* u, const float* bias, float* y) {
  const long count = Tiling<Tile>(conv).count;
  const int held = heldTiles(kTogetherFloats, 1L * Tile::kFrequencies * (conv.in + conv.out), kLot, count);
  using All = Stages<Numbers, Tile>;
  const All stages(conv, x, u, bias, y, held, scratch(0, All::vFloats(conv, held)), scratch(1, All::mFloats(conv, held)));
  for (long first = 0; first < count; first += held) {
    const int tiles = static_cast<int>(std::min<long>(held, count - first)), lots = (tiles + kLot - 1) / kLot;
    const auto inLot = [=](int lot) { return std::min(kLot, tiles - lot * kLot); };
    parallelFor(lots, [&](int lot) { stages.transformInputs(first + lot * kLot, lot * kLot, inLot(lot)); });
    parallelFor(Tile::kFrequencies, [&](int f) { stages.multiply(f, 0, tiles); });
    parallelFor(lots, [&](int lot) { stages.transformOutputs(first + lot * kLot, lot * kLot, inLot(lot)); });
  }
}

template <typename Numbers, typename Tile>
void forwardTransformed(const Conv3x3& conv, const float* x, const float* u, const float* bias, float* y) {
  const bool large = floatsOfFilter<Numbers, Tile>(conv.in, conv.out) > kFilterFloats;
  (large ? forwardByFrequencies<Numbers, Tile> : forwardByTiles<Numbers, Tile>)(conv, x, u, bias, y);
}

// Words of a filter's taps, as `convolvePacked` reads them, from what fills the block of filters that begins at (row, column).
template <typename Fill>
void packTaps(int rows, int columns, Fill fill, float* packed) {
  const Panels panels{columns, packedWords(9 * rows, Factors::kPairs)};
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
    float* packed = scratch(3, 1L * packedWords(9 * conv.in, Factors::kPairs) * conv.out);
    packTaps(conv.in, conv.out, fill, packed);
    return convolveOnTiles(asConvolution(conv), x, packed, bias, y);
  }
  withTile(conv, [&](auto numbers, auto tile) {
    using Numbers = decltype(numbers);
    using Tile = decltype(tile);
    float* u = scratch(3, floatsOfFilter<Numbers, Tile>(conv.in, conv.out));
    transformFilters<Numbers, Tile>(conv.in, conv.out, fill, u);
    forwardTransformed<Numbers, Tile>(conv, x, u, bias, y);
  });
}

}  // namespace

int frequencies(const Conv3x3& conv) {
  return withTile(conv, [](auto, auto tile) { return decltype(tile)::kFrequencies; });
}

void transformFilter(const Conv3x3& conv, const float* filter, float* u) {
  withTile(conv, [&](auto numbers, auto tile) {
    transformFilters<decltype(numbers), decltype(tile)>(conv.in, conv.out, straight(conv.in, conv.out, filter), u);
  });
}

void convolveTransformed(const Conv3x3& conv, const float* x, const float* u, const float* bias, float* y) {
  withTile(conv, [&](auto numbers, auto tile) { forwardTransformed<decltype(numbers), decltype(tile)>(conv, x, u, bias, y); });
}

void convolve(const Conv3x3& conv, const float* x, const float* filter, const float* bias, float* y) {
  convolveFilled(conv, x, straight(conv.in, conv.out, filter), bias, y);
}

void convolveInputGradient(const Conv3x3& conv, const float* dy, const float* filter, float* dx) {
  // The same convolution the other way.
  convolveFilled({conv.images, conv.height, conv.width, conv.out, conv.in, conv.factors}, dy, turned(conv.in, conv.out, filter), nullptr, dx);
}
