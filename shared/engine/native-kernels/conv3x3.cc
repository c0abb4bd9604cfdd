#include "conv3x3.h"

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "gemm.h"
#include "thread-pool.h"
#include "winograd.h"

namespace {

// Tiles that a thread takes through all stages at a time: their transforms stay in its cache.
constexpr int kTiles = 48;
constexpr int kGradientTiles = 96;
// Into how many jobs the filter's gradient is divided, where there are enough tiles and channels.
constexpr int kGradientJobs = 8;
// How much their sums may take together: beyond the cache, fewer tiles' parts and more channels' groups are faster.
constexpr long kGradientFloats = 2L << 20;

struct Free {
  void operator()(float* memory) const { std::free(memory); }
};
using Buffer = std::unique_ptr<float, Free>;

Buffer allocate(long floats) {
  const std::size_t bytes = (static_cast<std::size_t>(floats) * sizeof(float) + 63) / 64 * 64;
  return Buffer(static_cast<float*>(std::aligned_alloc(64, bytes)));
}

// Reused from call to call: fresh pages would cost more than the transforms.
float* scratch(int which, long floats) {
  thread_local Buffer buffers[3];
  thread_local long sizes[3] = {};
  if (sizes[which] < floats) {
    buffers[which] = allocate(floats);
    sizes[which] = floats;
  }
  return buffers[which].get();
}

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

// The 4x4 pixels around a tile, all channels: consume(channel, transformed).
template <typename Consume>
inline void inputTile(const Tiling& tiling, int channels, const float* x, long tile, Consume consume) {
  long image;
  int row, column;
  tiling.locate(tile, image, row, column);
  const float* pixels[4][4];
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++) {
      const int y = row + i - 1, at = column + j - 1;
      const bool inside = y >= 0 && y < tiling.height && at >= 0 && at < tiling.width;
      pixels[i][j] = inside ? x + ((image * tiling.height + y) * tiling.width + at) * channels : nullptr;
    }
  for (int c = 0; c < channels; c += kLanes) {
    Vec d[4][4], v[4][4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
#pragma GCC unroll 4
      for (int j = 0; j < 4; j++) d[i][j] = pixels[i][j] ? load(pixels[i][j] + c) : Vec{};
    transformInput(d, v);
    consume(c, v);
  }
}

// The channels [from, from + width) of a matrix product's result.
template <bool Accumulate>
inline void multiplyPanels(int rows, int columns, int depth, const float* a, long aStep, long aRow, const float* b, long bPanel,
                           long bStep, float* c, long cRow) {
  for (int column = 0; column < columns; column += kPanel) {
    const float* panel = b + column / kPanel * bPanel;
    for (int row = 0; row < rows; row += kRows) {
      const float* from = a + row * aRow;
      float* to = c + row * cRow + column;
      if (columns - column >= kPanel) multiply<kPanelVectors, Accumulate>(depth, from, aStep, aRow, panel, bStep, to, cRow);
      else multiply<1, Accumulate>(depth, from, aStep, aRow, panel, bStep, to, cRow);
    }
  }
}

// u [16][panels of out][in][kPanel] from what gives the filter's nine vectors at (in, first of kLanes out).
template <typename FilterAt>
Buffer transformedFilter(int in, int out, FilterAt filterAt) {
  const long panels = (out + kPanel - 1) / kPanel;
  const long frequency = panels * in * kPanel;
  Buffer u = allocate(kFrequencies * frequency);
  float* to = u.get();
  parallelFor((in + 15) / 16, [=](int block) {
    for (int i = 16 * block; i < std::min(in, 16 * block + 16); i++)
      for (int o = 0; o < out; o += kLanes) {
        Vec g[3][3], transformed[4][4];
        filterAt(i, o, g);
        transformFilter(g, transformed);
        float* at = to + (o / kPanel * in + i) * kPanel + o % kPanel;
        for (int f = 0; f < kFrequencies; f++) store(at + f * frequency, transformed[f / 4][f % 4]);
      }
  });
  return u;
}

void convolveTransformed(const Conv3x3& conv, const float* x, const float* u, const float* bias, float* y) {
  const Tiling tiling(conv.images, conv.height, conv.width);
  const int in = conv.in, out = conv.out;
  const long panels = (out + kPanel - 1) / kPanel;
  const int blocks = static_cast<int>((tiling.count + kTiles - 1) / kTiles);
  parallelFor(blocks, [&](int block) {
    const long first = 1L * block * kTiles;
    const int tiles = static_cast<int>(std::min<long>(kTiles, tiling.count - first));
    const int rows = (tiles + kRows - 1) / kRows * kRows;
    float* v = scratch(0, 1L * kFrequencies * kTiles * in);
    float* m = scratch(1, 1L * kFrequencies * kTiles * out);
    for (int tile = 0; tile < tiles; tile++)
      inputTile(tiling, in, x, first + tile, [=](int c, const Vec transformed[4][4]) {
        float* at = v + 1L * tile * in + c;
#pragma GCC unroll 16
        for (int f = 0; f < kFrequencies; f++) store(at + 1L * f * kTiles * in, transformed[f / 4][f % 4]);
      });
    for (int f = 0; f < kFrequencies; f++)
      multiplyPanels<false>(rows, out, in, v + 1L * f * kTiles * in, 1, in, u + f * panels * in * kPanel, 1L * in * kPanel, kPanel,
                            m + 1L * f * kTiles * out, out);
    for (int tile = 0; tile < tiles; tile++) {
      long image;
      int row, column;
      tiling.locate(first + tile, image, row, column);
      float* to = y + ((image * conv.height + row) * conv.width + column) * out;
      const bool below = row + 1 < conv.height, right = column + 1 < conv.width;
      for (int c = 0; c < out; c += kLanes) {
        Vec products[4][4], result[2][2];
#pragma GCC unroll 16
        for (int f = 0; f < kFrequencies; f++) products[f / 4][f % 4] = load(m + (1L * f * kTiles + tile) * out + c);
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
      for (int tile = 0; tile < tiles; tile++) {
        transformTile(first + tile, tile);
        transformGradient(first + tile, tile);
      }
      for (int f = 0; f < kFrequencies; f++)
        for (int i = 0; i < conv_.in; i += kRows)
          multiplyPanels<true>(kRows, channels_, tiles, v_ + f * vSize_ + 1L * (i - i % kLanes) * kGradientTiles + i % kLanes, kLanes, 1,
                               m_ + f * mSize_, 1L * kGradientTiles * kPanel, kPanel, u + f * rowSize + 1L * i * conv_.out, conv_.out);
    }
  }

 private:
  void transformTile(long tile, int row) {
    inputTile(tiling_, conv_.in, x_, tile, [=](int c, const Vec transformed[4][4]) {
      float* at = v_ + (1L * c * kGradientTiles + row * kLanes);
#pragma GCC unroll 16
      for (int f = 0; f < kFrequencies; f++) store(at + f * vSize_, transformed[f / 4][f % 4]);
    });
  }

  void transformGradient(long tile, int at) {
    long image;
    int row, column;
    tiling_.locate(tile, image, row, column);
    const float* from = dy_ + ((image * conv_.height + row) * conv_.width + column) * conv_.out;
    const float* under = from + 1L * conv_.width * conv_.out;
    const bool below = row + 1 < conv_.height, right = column + 1 < conv_.width;
    for (int c = 0; c < channels_; c += kLanes) {
      const Vec none{};
      const Vec gradient[2][2] = {{load(from + c), right ? load(from + conv_.out + c) : none},
                                  {below ? load(under + c) : none, below && right ? load(under + conv_.out + c) : none}};
      Vec products[4][4];
      transformOutputGradient(gradient, products);
      float* to = m_ + (1L * (c / kPanel) * kGradientTiles + at) * kPanel + c % kPanel;
#pragma GCC unroll 16
      for (int f = 0; f < kFrequencies; f++) store(to + f * mSize_, products[f / 4][f % 4]);
    }
  }

  const Conv3x3& conv_;
  const Tiling& tiling_;
  const float* x_;
  const float* dy_;
  const int channels_;
  // v [16][in / kLanes][tiles][kLanes], m [16][panels][tiles][kPanel].
  const long vSize_ = 1L * conv_.in * kGradientTiles;
  const long mSize_ = 1L * (channels_ + kPanel - 1) / kPanel * kPanel * kGradientTiles;
  float* const v_ = scratch(0, kFrequencies * vSize_);
  float* const m_ = scratch(1, kFrequencies * mSize_);
};

}  // namespace

void convolve(const Conv3x3& conv, const float* x, const float* filter, const float* bias, float* y) {
  const long in = conv.in, out = conv.out;
  const Buffer u = transformedFilter(conv.in, conv.out, [=](int i, int o, Vec g[3][3]) {
    for (int k = 0; k < 9; k++) g[k / 3][k % 3] = load(filter + (k * in + i) * out + o);
  });
  convolveTransformed(conv, x, u.get(), bias, y);
}

void convolveInputGradient(const Conv3x3& conv, const float* dy, const float* filter, float* dx) {
  const long in = conv.in, out = conv.out;
  // The same convolution with the filter turned by half a circle, from the outputs to the inputs.
  const Buffer u = transformedFilter(conv.out, conv.in, [=](int o, int i, Vec g[3][3]) {
    for (int k = 0; k < 9; k++)
      for (int lane = 0; lane < kLanes; lane++) g[2 - k / 3][2 - k % 3][lane] = filter[(k * in + i + lane) * out + o];
  });
  convolveTransformed({conv.images, conv.height, conv.width, conv.out, conv.in}, dy, u.get(), nullptr, dx);
}

void convolveFilterGradient(const Conv3x3& conv, const float* x, const float* dy, float* dFilter) {
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
    FilterGradientPart(conv, tiling, x, dy, fromChannel, channels)
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
