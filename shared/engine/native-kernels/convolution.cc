#include "convolution.h"

#include <algorithm>

#include "gemm.h"
#include "scratch.h"
#include "thread-pool.h"
#include "tile-convolution.h"

namespace {

// Pixels that a thread takes at a time: the filter is read once for so many.
constexpr int kMostPixels = 48;
// Longer sums are made of sums of so many words, which lose less.
constexpr int kRun = 256;

constexpr int roundedUp(int value, int multiple) { return (value + multiple - 1) / multiple * multiple; }

template <typename Numbers>
void pack(int depth, int out, const float* filter, float* packed) {
  const Panels panels{packedColumns(out), packedWords(depth, Numbers::kFactors)};
  for (int word = 0; word < panels.words; word++)
    for (int column = 0; column < panels.columns; column += kLanes) {
      Vec values[Numbers::kDepth] = {};
      for (int each = 0; each < Numbers::kDepth; each++) {
        const int row = word * Numbers::kDepth + each;
        for (int lane = 0; row < depth && lane < std::min(kLanes, out - column); lane++) values[each][lane] = filter[1L * row * out + column + lane];
      }
      for (Vec& each : values) each = Numbers::factors(each);
      store(packed + panels.at(word, column), Numbers::pack(values));
    }
}

template <typename Numbers>
void convolve(const Convolution& conv, const float* x, const float* packed, const float* bias, float* y) {
  const long pixels = 1L * conv.images * conv.outHeight * conv.outWidth;
  const int depth = conv.depth(), gathered = roundedUp(depth, kLanes);
  const Panels panels{packedColumns(conv.out), packedWords(depth, Numbers::kFactors)};
  // Few pixels are divided too, so that all threads have some. No result depends on it.
  const int quarter = static_cast<int>(std::min<long>((pixels + 3) / 4, kMostPixels));
  const int blockPixels = roundedUp(quarter, kRows);
  const int blocks = static_cast<int>((pixels + blockPixels - 1) / blockPixels);
  parallelFor(blocks, [&](int block) {
    const long first = 1L * block * blockPixels;
    const int count = static_cast<int>(std::min<long>(blockPixels, pixels - first));
    const int rows = roundedUp(count, kRows), rowWords = gathered / Numbers::kDepth;
    float* seen = scratch(0, gathered);
    float* a = scratch(1, 1L * blockPixels * rowWords);
    float* c = scratch(2, 1L * blockPixels * panels.columns);
    std::fill(seen + depth, seen + gathered, 0.0f);
    for (int i = 0; i < count; i++) {
      gatherWindow(conv, x, first + i, seen);
      for (int at = 0; at < gathered; at += kLanes) Numbers::storeNeighbours(a + 1L * i * rowWords + at / Numbers::kDepth, Numbers::factors(load(seen + at)));
    }
    const int words = static_cast<int>(panels.words);
    multiplyPanels<Numbers, false>(rows, 0, std::min(kRun, words), a, 1, rowWords, packed, panels, c, panels.columns);
    for (int from = kRun; from < words; from += kRun)
      multiplyPanels<Numbers, true>(rows, from, std::min(kRun, words - from), a + from, 1, rowWords, packed, panels, c, panels.columns);
    for (int i = 0; i < count; i++) {
      float* to = y + (first + i) * conv.out;
      for (int channel = 0; channel < conv.out; channel++) to[channel] = c[1L * i * panels.columns + channel] + (bias ? bias[channel] : 0.0f);
    }
  });
}

}  // namespace

void gatherWindow(const Convolution& conv, const float* x, long pixel, float* to) {
  const long image = pixel / (1L * conv.outHeight * conv.outWidth);
  const int within = static_cast<int>(pixel % (1L * conv.outHeight * conv.outWidth));
  const int top = within / conv.outWidth * conv.stride - conv.above, left = within % conv.outWidth * conv.stride - conv.left;
  for (int row = top; row < top + conv.windowHeight; row++)
    for (int column = left; column < left + conv.windowWidth; column++, to += conv.in) {
      const bool inside = row >= 0 && row < conv.height && column >= 0 && column < conv.width;
      if (inside) std::copy_n(x + ((image * conv.height + row) * conv.width + column) * conv.in, conv.in, to);
      else std::fill_n(to, conv.in, 0.0f);
    }
}

int packedWords(int depth, Factors factors) {
  const int inWord = factors == Factors::kPairs ? Bfloat16::kDepth : Float32::kDepth;
  return (depth + inWord - 1) / inWord;
}

int packedColumns(int out) { return roundedUp(out, kPackedColumns); }

void packFilter(int depth, int out, Factors factors, const float* filter, float* packed) {
  withNumbers(factors, [&](auto numbers) { pack<decltype(numbers)>(depth, out, filter, packed); });
}

void convolvePacked(const Convolution& conv, const float* x, const float* packed, const float* bias, float* y) {
  if (fitsTiles(conv)) return convolveOnTiles(conv, x, packed, bias, y);
  withNumbers(conv.factors, [&](auto numbers) { convolve<decltype(numbers)>(conv, x, packed, bias, y); });
}
