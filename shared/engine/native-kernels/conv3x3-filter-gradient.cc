#include <algorithm>

#include "conv3x3.h"
#include "gemm.h"
#include "scratch.h"
#include "thread-pool.h"
#include "tile-convolution.h"
#include "tile-filter-gradient.h"
#include "winograd-tiles.h"

namespace {

// Tiles whose transforms a thread holds at a time.
constexpr int kGradientTiles = 96;
// Into how many jobs the filter's gradient is divided, where there are enough tiles and channels.
constexpr int kGradientJobs = 8;
// How much their sums may take together: beyond the cache, fewer tiles' parts and more channels' groups are faster.
constexpr long kGradientFloats = 2L << 20;

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

void convolveFilterGradient(const Conv3x3& conv, const float* x, const float* dy, float* dFilter) {
  if (fitsTiles(asConvolution(conv))) filterGradientOnTiles(conv, x, dy, dFilter);
  else (conv.bfloat16 ? filterGradient<Bfloat16> : filterGradient<Float32>)(conv, x, dy, dFilter);
}
