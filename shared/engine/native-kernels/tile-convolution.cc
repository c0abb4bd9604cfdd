#include "tile-convolution.h"

#include <algorithm>

#include "gemm.h"
#include "image-stack.h"
#include "scratch.h"
#include "thread-pool.h"
#include "tiles.h"

#if COMPILED_FOR_TILES
namespace {

static_assert(kPanel == 2 * kTile, "a panel is two tiles");

// Pixels that a thread takes at a time, about, and how much of its cache they may fill.
constexpr int kPositions = 256;
constexpr long kHeldNumbers = 128 << 10;
// Fewer blocks than these are divided by the output's channels too, so that all threads have some.
constexpr int kLeastJobs = 4;

struct Block {
  TileRows rows;
  int positions;
  // The output's pixel at each position, or kNone.
  const int* pixels;
};

constexpr int kNone = -1;

void convert(const float* from, int channels, Half* to) {
  for (int c = 0; c < channels; c += kLanes) Bfloat16::storeNeighbours(to + c, load(from + c));
}

// Images as they are: every tap of a window sees the same numbers, some positions further on. Positions between rows
// and images are computed for nothing.
class StackedPixels {
 public:
  StackedPixels(const Convolution& conv, const float* x) : conv_(conv), x_(x), stack_(stackOf(conv)) {
    const long row = 1L * stack_.pitch() * conv.in;
    const int fitting = static_cast<int>(std::min<long>(kPositions / stack_.pitch(), kHeldNumbers / row));
    const int blocks = static_cast<int>((stack_.rows() + std::max(fitting, 1) - 1) / std::max(fitting, 1));
    rows_ = static_cast<int>((stack_.rows() + blocks - 1) / blocks);
  }

  int blocks() const { return static_cast<int>((stack_.rows() + rows_ - 1) / rows_); }

  Block fill(int number) const {
    const long first = 1L * number * rows_;
    const int rows = static_cast<int>(std::min<long>(rows_, stack_.rows() - first)), pitch = stack_.pitch(), in = conv_.in;
    const int inputRows = rows + conv_.windowHeight - 1;
    const long held = stack_.left + 1L * inputRows * pitch + conv_.windowWidth + 2 * kTile;
    Half* numbers = reinterpret_cast<Half*>(scratch(0, held * in / 2));
    int* pixels = reinterpret_cast<int*>(scratch(1, 1L * rows * pitch));
    std::fill_n(numbers, stack_.left * in, 0);
    for (int i = 0; i < inputRows; i++) {
      const float* from = stack_.pixels(x_, first + i - stack_.above);
      Half* to = numbers + (stack_.left + 1L * i * pitch) * in;
      if (from) convert(from, stack_.width * in, to);
      else std::fill_n(to, stack_.width * in, 0);
      std::fill_n(to + stack_.width * in, (pitch - stack_.width) * in, 0);
    }
    for (int i = 0; i < rows; i++) {
      const long image = (first + i) / stack_.rowsAnImage(), row = (first + i) % stack_.rowsAnImage();
      const bool there = row < conv_.outHeight;
      for (int j = 0; j < pitch; j++)
        pixels[i * pitch + j] = there && j < conv_.outWidth ? static_cast<int>((image * conv_.outHeight + row) * conv_.outWidth + j) : kNone;
    }
    return {{numbers, in, conv_.windowHeight, conv_.windowWidth, 1L * pitch * in, in, in / kTileDepth}, rows * pitch, pixels};
  }

 private:
  static ImageStack stackOf(const Convolution& conv) {
    const int below = conv.outHeight - 1 + conv.windowHeight - conv.above - conv.height;
    const int right = conv.outWidth - 1 + conv.windowWidth - conv.left - conv.width;
    return {conv.images, conv.height, conv.width, conv.in, conv.above, conv.left, below, right};
  }

  const Convolution& conv_;
  const float* x_;
  const ImageStack stack_;
  int rows_;
};

// What each window sees, copied together.
class GatheredWindows {
 public:
  GatheredWindows(const Convolution& conv, const float* x) : conv_(conv), x_(x), total_(1L * conv.images * conv.outHeight * conv.outWidth) {
    positions_ = static_cast<int>(std::clamp<long>(kHeldNumbers / conv.depth() / (2 * kTile) * (2 * kTile), 2 * kTile, kPositions));
  }

  int blocks() const { return static_cast<int>((total_ + positions_ - 1) / positions_); }

  Block fill(int number) const {
    const long first = 1L * number * positions_;
    const int positions = static_cast<int>(std::min<long>(positions_, total_ - first)), depth = conv_.depth();
    Half* numbers = reinterpret_cast<Half*>(scratch(0, 1L * positions_ * depth / 2));
    int* pixels = reinterpret_cast<int*>(scratch(1, positions_));
    float* seen = scratch(2, depth);
    for (int i = 0; i < positions; i++) {
      gatherWindow(conv_, x_, first + i, seen);
      convert(seen, depth, numbers + 1L * i * depth);
      pixels[i] = static_cast<int>(first + i);
    }
    return {{numbers, depth, 1, 1, 0, 0, depth / kTileDepth}, positions, pixels};
  }

 private:
  const Convolution& conv_;
  const float* x_;
  const long total_;
  int positions_;
};

void finish(const float* sums, const int* pixels, int positions, int columns, const float* bias, float* y, long out) {
  for (int i = 0; i < positions; i++) {
    if (pixels[i] == kNone) continue;
    const float* from = sums + i * kPanel;
    float* to = y + pixels[i] * out;
    int c = 0;
    for (; c + kLanes <= columns; c += kLanes) store(to + c, bias ? load(from + c) + load(bias + c) : load(from + c));
    for (; c < columns; c++) to[c] = from[c] + (bias ? bias[c] : 0.0f);
  }
}

template <typename Pixels>
void convolve(const Pixels& source, const Convolution& conv, const float* packed, const float* bias, float* y) {
  const Panels panels{packedColumns(conv.out), packedWords(conv.depth(), Factors::kPairs)};
  const int count = (panels.columns + kPanel - 1) / kPanel;
  const int groups = std::min(count, (kLeastJobs + source.blocks() - 1) / source.blocks());
  parallelFor(source.blocks() * groups, [&](int job) {
    const TileRegisters registers;
    const Block block = source.fill(job / groups);
    const int group = job % groups;
    alignas(64) float sums[2 * kTile * kPanel];
    for (int panel = count * group / groups; panel < count * (group + 1) / groups; panel++) {
      const int column = panel * kPanel, width = panels.widthAt(column), columns = std::min(width, conv.out - column);
      const float* filter = packed + panels.at(0, column);
      TileRows rows = block.rows;
      for (int position = 0; position < block.positions; position += 2 * kTile, rows.first += 2 * kTile * rows.row) {
        const int positions = std::min(2 * kTile, block.positions - position);
        if (positions > kTile) tileProduct<true, false>(rows, filter, width, sums, kPanel);
        else tileProduct<false, false>(rows, filter, width, sums, kPanel);
        finish(sums, block.pixels + position, positions, columns, bias ? bias + column : nullptr, y + column, conv.out);
      }
    }
  });
}

}  // namespace

bool fitsTiles(const Convolution& conv) { return conv.factors == Factors::kPairs && hasTiles() && conv.depth() % kTileDepth == 0; }

void convolveOnTiles(const Convolution& conv, const float* x, const float* packed, const float* bias, float* y) {
  if (conv.stride != 1 || conv.in % kTileDepth != 0) return convolve(GatheredWindows(conv, x), conv, packed, bias, y);
  if (conv.windowHeight != 1 || conv.windowWidth != 1) return convolve(StackedPixels(conv, x), conv, packed, bias, y);
  // Single pixels are rows of a product, wherever they are.
  Convolution rows = conv;
  rows.images = 1, rows.height = rows.outHeight = conv.images * conv.height * conv.width, rows.width = rows.outWidth = 1;
  convolve(StackedPixels(rows, x), rows, packed, bias, y);
}
#else
bool fitsTiles(const Convolution&) { return false; }

void convolveOnTiles(const Convolution&, const float*, const float*, const float*, float*) {}
#endif
