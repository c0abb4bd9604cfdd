#include "conv3x3.h"

#include <algorithm>

#include "gemm.h"
#include "scratch.h"
#include "thread-pool.h"
#include "winograd.h"

namespace {

// What the transforms of the tiles that a thread takes through all stages at a time may fill: its cache.
constexpr int kBlockFloats = 256 << 10;
constexpr int kGradientTiles = 96;
// Into how many jobs the filter's gradient is divided, where there are enough tiles and channels.
constexpr int kGradientJobs = 8;
// How much their sums may take together: beyond the cache, fewer tiles' parts and more channels' groups are faster.
constexpr long kGradientFloats = 2L << 20;

struct Tiling {
  int height, width, across, down;
  long count;

  Tiling(int images, int height, int width)
      : height(height), width(width), across((width + 1) / 2), down((height + 1) / 2), count(1L * images * across * down) {}

  // The image and the upper left pixel of a tile of the output.
  void locate(long tile, long& image, int& row, int& column) const {
    image = tile / (1L * across * down);
    const int within = static_cast<int>(tile % (1L * across * down));
    row = 2 * (within / across);
    column = 2 * (within % across);
  }
};

// The 4x4 pixels around a tile.
class InputTile {
 public:
  InputTile(const Tiling& tiling, int channels, const float* x, long tile) {
    long image;
    int row, column;
    tiling.locate(tile, image, row, column);
    for (int i = 0; i < 4; i++)
      for (int j = 0; j < 4; j++) {
        const int y = row + i - 1, at = column + j - 1;
        const bool inside = y >= 0 && y < tiling.height && at >= 0 && at < tiling.width;
        pixels_[i][j] = inside ? x + ((image * tiling.height + y) * tiling.width + at) * channels : nullptr;
      }
  }

  void transform(int channel, Vec transformed[4][4]) const {
    Vec d[4][4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
#pragma GCC unroll 4
      for (int j = 0; j < 4; j++) d[i][j] = pixels_[i][j] ? load(pixels_[i][j] + channel) : Vec{};
    transformInput(d, transformed);
  }

 private:
  const float* pixels_[4][4];
};

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

// The sum of some tiles' products of input and output gradient, for some of the output's channels.
template <typename Numbers>
class FilterGradientPart {
 public:
  FilterGradientPart(const Conv3x3& conv, const Tiling& tiling, const float* x, const float* dy, int fromChannel, int channels)
      : conv_(conv), tiling_(tiling), x_(x), dy_(dy + fromChannel), channels_(channels) {}

  // u [16][in][out], of which `channels` are set.
  void sum(long firstTile, long endTile, float* u) {
    const long rowSize = 1L * conv_.in * conv_.out;
    for (int f = 0; f < kFrequencies; f++)
      for (int i = 0; i < conv_.in; i++) std::fill_n(u + f * rowSize + 1L * i * conv_.out, channels_, 0.0f);
    for (long first = firstTile; first < endTile; first += kGradientTiles) {
      const int tiles = static_cast<int>(std::min<long>(kGradientTiles, endTile - first));
      const int words = (tiles + Numbers::kDepth - 1) / Numbers::kDepth;
      for (int word = 0; word < words; word++) {
        transformTiles(first, tiles, word);
        transformGradients(first, tiles, word);
      }
      for (int f = 0; f < kFrequencies; f++)
        for (int i = 0; i < conv_.in; i += kRows)
          multiplyPanels<Numbers, true>(kRows, 0, words, v_ + f * vSize_ + 1L * (i - i % kLanes) * kWords + i % kLanes, kLanes, 1, m_ + f * mSize_,
                                        panels_, u + f * rowSize + 1L * i * conv_.out, conv_.out);
    }
  }

 private:
  static constexpr int kWords = kGradientTiles / Numbers::kDepth;

  // The tiles of one word, for all channels; where there are no more tiles, zeros.
  void transformTiles(long first, int tiles, int word) {
    Vec none[4][4] = {};
    const int tile = word * Numbers::kDepth;
    const InputTile one(tiling_, conv_.in, x_, first + tile);
    const InputTile other(tiling_, conv_.in, x_, first + std::min(tile + Numbers::kDepth, tiles) - 1);
    for (int c = 0; c < conv_.in; c += kLanes) {
      Vec transformed[2][4][4];
      one.transform(c, transformed[0]);
      if (Numbers::kDepth == 2) {
        if (tile + 1 < tiles) other.transform(c, transformed[1]);
        else std::copy(none[0], none[0] + 16, transformed[1][0]);
      }
      storeWords(transformed, v_ + (1L * c * kWords + word * kLanes), vSize_);
    }
  }

  void transformGradients(long first, int tiles, int word) {
    for (int c = 0; c < channels_; c += kLanes) {
      Vec products[2][4][4] = {};
      for (int each = 0; each < Numbers::kDepth; each++) {
        const int tile = word * Numbers::kDepth + each;
        if (tile < tiles) outputGradient(first + tile, c, products[each]);
      }
      storeWords(products, m_ + panels_.at(word, c), mSize_);
    }
  }

  static void storeWords(const Vec values[2][4][4], float* to, long frequency) {
#pragma GCC unroll 16
    for (int f = 0; f < kFrequencies; f++) {
      const Vec together[2] = {values[0][f / 4][f % 4], values[Numbers::kDepth - 1][f / 4][f % 4]};
      store(to + f * frequency, Numbers::pack(together));
    }
  }

  void outputGradient(long tile, int c, Vec products[4][4]) const {
    long image;
    int row, column;
    tiling_.locate(tile, image, row, column);
    const float* from = dy_ + ((image * conv_.height + row) * conv_.width + column) * conv_.out + c;
    const float* under = from + 1L * conv_.width * conv_.out;
    const bool below = row + 1 < conv_.height, right = column + 1 < conv_.width;
    const Vec none{};
    const Vec gradient[2][2] = {{load(from), right ? load(from + conv_.out) : none},
                                {below ? load(under) : none, below && right ? load(under + conv_.out) : none}};
    transformOutputGradient(gradient, products);
  }

  const Conv3x3& conv_;
  const Tiling& tiling_;
  const float* x_;
  const float* dy_;
  const int channels_;
  const Panels panels_{channels_, kWords};
  // v [16][in / kLanes][words of tiles][kLanes], m [16][panels of channels, of words of tiles].
  const long vSize_ = 1L * conv_.in * kWords;
  const long mSize_ = 1L * channels_ * kWords;
  float* const v_ = scratch(0, kFrequencies * vSize_);
  float* const m_ = scratch(1, kFrequencies * mSize_);
};

template <typename Numbers>
void transformed(int in, int out, const float* filter, float* u) {
  const auto fill = [=](int i, int o, FilterBlock filters) {
    for (int k = 0; k < 9; k++)
      for (int row = 0; row < kLanes; row++) filters[k / 3][k % 3][row] = load(filter + (1L * k * in + i + row) * out + o);
  };
  transformFilters<Numbers>(in, out, fill, u);
}

template <typename Numbers>
void inputGradient(const Conv3x3& conv, const float* dy, const float* filter, float* dx) {
  const long in = conv.in, out = conv.out;
  // The same convolution with the filter turned by half a circle, from the outputs to the inputs.
  const auto fill = [=](int o, int i, FilterBlock filters) {
    for (int k = 0; k < 9; k++) {
      Vec* turned = filters[2 - k / 3][2 - k % 3];
      for (int row = 0; row < kLanes; row++) turned[row] = load(filter + (k * in + i + row) * out + o);
      transpose(turned);
    }
  };
  const Buffer u = allocate(transformedFloats(conv.out, conv.in, conv.bfloat16));
  transformFilters<Numbers>(conv.out, conv.in, fill, u.get());
  forwardTransformed<Numbers>({conv.images, conv.height, conv.width, conv.out, conv.in, conv.bfloat16}, dy, u.get(), nullptr, dx);
}

template <typename Numbers>
void filterGradient(const Conv3x3& conv, const float* x, const float* dy, float* dFilter) {
  const Tiling tiling(conv.images, conv.height, conv.width);
  const int in = conv.in, out = conv.out;
  const int panels = (out + kPanel - 1) / kPanel;
  // Jobs are parts of the tiles times groups of the output's channels. How many there are, and with it the order of all
  // sums, follows from the sizes alone and not from the number of threads.
  const long uSize = 1L * in * out;
  const long fitting = std::max(1L, kGradientFloats / (kFrequencies * uSize));
  const int parts = static_cast<int>(std::clamp<long>(tiling.count / (2 * kGradientTiles), 1, std::min<long>(kGradientJobs, fitting)));
  const int groups = std::min(panels, kGradientJobs / parts);
  float* u = scratch(2, parts * kFrequencies * uSize);

  parallelFor(parts * groups, [&](int job) {
    const int part = job / groups, group = job % groups;
    const int fromChannel = panels * group / groups * kPanel;
    const int channels = std::min(out, panels * (group + 1) / groups * kPanel) - fromChannel;
    FilterGradientPart<Numbers>(conv, tiling, x, dy, fromChannel, channels)
        .sum(tiling.count * part / parts, tiling.count * (part + 1) / parts, u + part * kFrequencies * uSize + fromChannel);
  });

  parallelFor(in, [&](int i) {
    for (int o = 0; o < out; o += kLanes) {
      Vec products[4][4], g[3][3];
      for (int f = 0; f < kFrequencies; f++) {
        const float* from = u + f * uSize + 1L * i * out + o;
        Vec sum = load(from);
        for (int part = 1; part < parts; part++) sum += load(from + part * kFrequencies * uSize);
        products[f / 4][f % 4] = sum;
      }
      transformFilterGradient(products, g);
      for (int k = 0; k < 9; k++) store(dFilter + (1L * k * in + i) * out + o, g[k / 3][k % 3]);
    }
  });
}

}  // namespace

#define IN_NUMBERS_OF(bfloat16, call) (bfloat16 ? call<Bfloat16> : call<Float32>)

long transformedFloats(int in, int out, bool bfloat16) {
  return 1L * kFrequencies * in * out / (bfloat16 ? Bfloat16::kDepth : Float32::kDepth);
}

void transformFilter(int in, int out, bool bfloat16, const float* filter, float* u) {
  IN_NUMBERS_OF(bfloat16, transformed)(in, out, filter, u);
}

void convolveTransformed(const Conv3x3& conv, const float* x, const float* u, const float* bias, float* y) {
  IN_NUMBERS_OF(conv.bfloat16, forwardTransformed)(conv, x, u, bias, y);
}

void convolve(const Conv3x3& conv, const float* x, const float* filter, const float* bias, float* y) {
  const Buffer u = allocate(transformedFloats(conv.in, conv.out, conv.bfloat16));
  transformFilter(conv.in, conv.out, conv.bfloat16, filter, u.get());
  convolveTransformed(conv, x, u.get(), bias, y);
}

void convolveInputGradient(const Conv3x3& conv, const float* dy, const float* filter, float* dx) {
  IN_NUMBERS_OF(conv.bfloat16, inputGradient)(conv, dy, filter, dx);
}

void convolveFilterGradient(const Conv3x3& conv, const float* x, const float* dy, float* dFilter) {
  IN_NUMBERS_OF(conv.bfloat16, filterGradient)(conv, x, dy, dFilter);
}
