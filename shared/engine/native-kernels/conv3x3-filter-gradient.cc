#include <algorithm>

#include "conv3x3.h"
#include "gemm.h"
#include "scratch.h"
#include "thread-pool.h"
#include "tile-convolution.h"
#include "tile-filter-gradient.h"
#include "winograd-tiles.h"

namespace {

// Tiles whose products are summed in one run: sums of sums lose less than one long sum.
constexpr int kRun = 48;
// Into how many jobs the filter's gradient is divided, where there are enough tiles and channels.
constexpr int kJobs = 8;
// How much their sums may take together: beyond the cache, fewer tiles' parts and more channels' groups are faster.
constexpr long kSumFloats = 2L << 20;
// Gradients whose products take more are made product by product, and the tiles' transforms for all threads together.
constexpr long kLargeFloats = 256 << 10;
constexpr long kTogetherFloats = 3L << 20;

// Products of inputs and output gradients of some tiles at a time, for some of the output's channels: v
// [frequencies][in / kLanes][words of tiles][kLanes] times m [frequencies][panels of channels, of words of tiles].
template <typename Numbers, typename Tile>
class Products {
 public:
  Products(const Conv3x3& conv, const float* x, const float* dy, int fromChannel, int channels, int heldTiles)
      : conv_(conv), x_(x), dy_(dy + fromChannel), channels_(channels), words_(heldTiles / Numbers::kDepth) {}

  static constexpr int wordsOf(int tiles) { return (tiles + Numbers::kDepth - 1) / Numbers::kDepth; }

  // Of `tiles` from `first` on, those of some words.
  void transform(long first, int tiles, int fromWord, int endWord) const {
    for (int word = fromWord; word < endWord; word++) {
      transformTiles(first, tiles, word);
      transformGradients(first, tiles, word);
    }
  }

  // u [in][out] += one product, of which `channels` are set.
  void add(int frequency, int words, float* u) const {
    for (int from = 0; from < words; from += wordsOf(kRun))
      for (int i = 0; i < conv_.in; i += kRows)
        multiplyPanels<Numbers, true>(kRows, from, std::min(wordsOf(kRun), words - from),
                                      v_ + frequency * vSize_ + 1L * (i - i % kLanes) * words_ + 1L * from * kLanes + i % kLanes, kLanes, 1,
                                      m_ + frequency * mSize_, panels_, u + 1L * i * conv_.out, conv_.out);
  }

 private:
  using Values = typename Tile::Products;

  // The tiles of one word, for all channels; where there are no more tiles, zeros.
  void transformTiles(long first, int tiles, int word) const {
    const int tile = word * Numbers::kDepth;
    const auto one = inputTile<Tile>(conv_, x_, first + tile);
    const auto other = inputTile<Tile>(conv_, x_, first + std::min(tile + Numbers::kDepth, tiles) - 1);
    // Numbers of its own: for all the compiler knows, what is stored could change members.
    const int in = conv_.in, words = words_;
    const long vSize = vSize_;
    float* const to = v_ + word * kLanes;
    for (int c = 0; c < in; c += kLanes) {
      Values transformed[Numbers::kDepth] = {};
      transformInput(one, c, transformed[0]);
      if (Numbers::kDepth == 2 && tile + 1 < tiles) transformInput(other, c, transformed[Numbers::kDepth - 1]);
      storeWords(transformed, to + 1L * c * words, vSize);
    }
  }

  void transformGradients(long first, int tiles, int word) const {
    const int tile = word * Numbers::kDepth;
    const auto one = outputTile<Tile>(conv_, dy_, first + tile);
    const auto other = outputTile<Tile>(conv_, dy_, first + std::min(tile + Numbers::kDepth, tiles) - 1);
    for (int c = 0; c < channels_; c += kLanes) {
      Values transformed[Numbers::kDepth] = {};
      transformGradient(one, c, transformed[0]);
      if (Numbers::kDepth == 2 && tile + 1 < tiles) transformGradient(other, c, transformed[Numbers::kDepth - 1]);
      storeWords(transformed, m_ + panels_.at(word, c), mSize_);
    }
  }

  INLINED static void transformInput(const InputTile<Tile>& pixels, int c, Values transformed) {
    typename Tile::Inputs d;
    pixels.template read<Numbers>(c, d);
    Tile::transformInput(d, transformed);
  }

  INLINED static void transformGradient(const OutputTile<Tile, const float>& pixels, int c, Values transformed) {
    typename Tile::Outputs gradient;
    pixels.template read<Numbers>(c, gradient);
    Tile::transformOutputGradient(gradient, transformed);
  }

  INLINED static void storeWords(const Values values[Numbers::kDepth], float* to, long frequency) {
#pragma GCC unroll 36
    for (int f = 0; f < Tile::kFrequencies; f++) {
      Vec together[Numbers::kDepth];
      for (int each = 0; each < Numbers::kDepth; each++) together[each] = values[each][f / Tile::kInColumns][f % Tile::kInColumns];
      store(to + f * frequency, Numbers::pack(together));
    }
  }

  const Conv3x3& conv_;
  const float* x_;
  const float* dy_;
  const int channels_, words_;
  const Panels panels_{channels_, words_};
  const long vSize_ = 1L * conv_.in * words_;
  const long mSize_ = 1L * channels_ * words_;
  float* const v_ = scratch(0, Tile::kFrequencies * vSize_);
  float* const m_ = scratch(1, Tile::kFrequencies * mSize_);
};

// dFilter [3, 3, in, out] from the sums of the products, u [parts][frequencies][in][out].
template <typename Tile>
void transformSums(const Conv3x3& conv, int parts, const float* u, float* dFilter) {
  const long size = 1L * conv.in * conv.out;
  parallelFor(conv.in, [&](int i) {
    for (int o = 0; o < conv.out; o += kLanes) {
      typename Tile::Products products;
      typename Tile::Filter g;
      for (int f = 0; f < Tile::kFrequencies; f++) {
        const float* from = u + f * size + 1L * i * conv.out + o;
        Vec sum = load(from);
        for (int part = 1; part < parts; part++) sum += load(from + part * Tile::kFrequencies * size);
        products[f / Tile::kInColumns][f % Tile::kInColumns] = sum;
      }
      Tile::transformFilterGradient(products, g);
      for (int k = 0; k < 9; k++) store(dFilter + (1L * k * conv.in + i) * conv.out + o, g[k / 3][k % 3]);
    }
  });
}

// Jobs are parts of the tiles times groups of the output's channels, each within its thread's cache. How many there
// are, and with it the order of all sums, follows from the sizes alone and not from the number of threads.
template <typename Numbers, typename Tile>
void gradientByTiles(const Conv3x3& conv, const float* x, const float* dy, float* dFilter) {
  const long count = Tiling<Tile>(conv).count;
  const int panels = (conv.out + kPanel - 1) / kPanel;
  const long size = 1L * conv.in * conv.out;
  const long fitting = std::max(1L, kSumFloats / (Tile::kFrequencies * size));
  const int parts = static_cast<int>(std::clamp<long>(count / (4 * kRun), 1, std::min<long>(kJobs, fitting)));
  const int groups = std::min(panels, kJobs / parts);
  float* u = scratch(2, parts * Tile::kFrequencies * size);

  parallelFor(parts * groups, [&](int job) {
    const int part = job / groups, group = job % groups;
    const int fromChannel = panels * group / groups * kPanel;
    const int channels = std::min(conv.out, panels * (group + 1) / groups * kPanel) - fromChannel;
    float* sums = u + part * Tile::kFrequencies * size + fromChannel;
    for (int row = 0; row < Tile::kFrequencies * conv.in; row++) std::fill_n(sums + 1L * row * conv.out, channels, 0.0f);
    const Products<Numbers, Tile> products(conv, x, dy, fromChannel, channels, kRun);
    const long end = count * (part + 1) / parts;
    for (long first = count * part / parts; first < end; first += kRun) {
      const int tiles = static_cast<int>(std::min<long>(kRun, end - first)), words = products.wordsOf(tiles);
      products.transform(first, tiles, 0, words);
      for (int f = 0; f < Tile::kFrequencies; f++) products.add(f, words, sums + f * size);
    }
  });
  transformSums<Tile>(conv, parts, u, dFilter);
}

// All threads transform tiles, then each sums some of the products over all of these.
template <typename Numbers, typename Tile>
void gradientByFrequencies(const Conv3x3& conv, const float* x, const float* dy, float* dFilter) {
  const long count = Tiling<Tile>(conv).count, size = 1L * conv.in * conv.out;
  const int held = heldTiles(kTogetherFloats, 1L * Tile::kFrequencies * (conv.in + conv.out), kRun, count);
  float* u = scratch(2, Tile::kFrequencies * size);
  const Products<Numbers, Tile> products(conv, x, dy, 0, conv.out, held);
  for (long first = 0; first < count; first += held) {
    const int tiles = static_cast<int>(std::min<long>(held, count - first)), words = products.wordsOf(tiles);
    constexpr int kLot = 8;
    parallelFor((words + kLot - 1) / kLot, [&](int lot) { products.transform(first, tiles, lot * kLot, std::min(words, (lot + 1) * kLot)); });
    parallelFor(Tile::kFrequencies, [&](int f) {
      if (first == 0) std::fill_n(u + f * size, size, 0.0f);
      products.add(f, words, u + f * size);
    });
  }
  transformSums<Tile>(conv, 1, u, dFilter);
}

template <typename Numbers, typename Tile>
void filterGradient(const Conv3x3& conv, const float* x, const float* dy, float* dFilter) {
  const bool large = 1L * Tile::kFrequencies * conv.in * conv.out > kLargeFloats;
  (large ? gradientByFrequencies<Numbers, Tile> : gradientByTiles<Numbers, Tile>)(conv, x, dy, dFilter);
}

}  // namespace

void convolveFilterGradient(const Conv3x3& conv, const float* x, const float* dy, float* dFilter) {
  if (fitsTiles(asConvolution(conv))) filterGradientOnTiles(conv, x, dy, dFilter);
  else withTile(conv, [&](auto numbers, auto tile) { filterGradient<decltype(numbers), decltype(tile)>(conv, x, dy, dFilter); });
}
