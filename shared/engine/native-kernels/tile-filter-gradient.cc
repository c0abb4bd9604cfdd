#include "tile-filter-gradient.h"

#include <algorithm>

#include "gemm.h"
#include "image-stack.h"
#include "scratch.h"
#include "thread-pool.h"
#include "tiles.h"

#if COMPILED_FOR_TILES
namespace {

constexpr int kTaps = 9;
// Into how many jobs the work is divided, where there are enough pixels and channels, and what their sums may take together.
constexpr int kJobs = 8;
constexpr long kSums = 2L << 20;
// Numbers of both sides of the product that a thread takes at a time.
constexpr long kHeldNumbers = 384 << 10;

constexpr long roundedUp(long value, long multiple) { return (value + multiple - 1) / multiple * multiple; }

// Products of inputs and output gradients over all positions, tap by tap: the inputs turned, so that a channel's numbers
// are in a row and a tap is a shift; the gradients in words of two positions, zero between rows and images.
class TileFilterGradient {
 public:
  TileFilterGradient(const Conv3x3& conv, const float* x, const float* dy, int fromChannel, int channels)
      : conv_(conv), x_(x), dy_(dy + fromChannel), channels_(channels) {}

  long rows() const { return inputs_.rows(); }

  // u [9][in][out], of which `channels` are set: the sum over some rows of the stack.
  void sum(long firstRow, long endRow, float* u) {
    const long fitting = std::max(1L, kHeldNumbers / (conv_.in + channels_) / pitch_);
    for (long first = firstRow; first < endRow; first += fitting) {
      const int rows = static_cast<int>(std::min(fitting, endRow - first)), positions = static_cast<int>(roundedUp(1L * rows * pitch_, kTileDepth));
      // An odd number of cache lines, lest a tile's rows all fall into the same part of the cache.
      length_ = roundedUp(positions + 2 * pitch_ + 2 + kTile, 2 * kTileDepth) + kTileDepth;
      turned_ = reinterpret_cast<Half*>(scratch(0, 1L * conv_.in * length_ / 2));
      words_ = scratch(1, 1L * channels_ * positions / 2);
      turnInputs(first, rows);
      const Panels panels{channels_, positions / 2};
      packGradients(first, rows, panels);
      if (first == firstRow) multiplyAll<false>(panels, u);
      else multiplyAll<true>(panels, u);
    }
  }

 private:
  void turnInputs(long first, int rows) {
    for (int c = 0; c < conv_.in; c += kTile) {
      Half* to = turned_ + c * length_;
      // In order: what goes beyond a row's end is set anew with the next one.
      for (int i = 0; i < kTile; i++) to[i * length_] = 0;
      for (int i = 0; i < rows + 2; i++) {
        const float* pixels = inputs_.pixels(x_, first + i - 1);
        for (int j = 0; j < pitch_; j += kTile) {
          Vec block[kTile];
          for (int k = 0; k < kTile; k++) block[k] = pixels && j + k < conv_.width ? load(pixels + 1L * (j + k) * conv_.in + c) : Vec{};
          transpose(block);
          for (int k = 0; k < kTile; k++) Bfloat16::storeNeighbours(to + k * length_ + 1 + i * pitch_ + j, block[k]);
        }
      }
      // What is multiplied by nothing must be a number too.
      for (int k = 0; k < kTile; k++) {
        Half* row = to + k * length_;
        std::fill(row + 1 + (rows + 2) * pitch_, row + length_, 0);
      }
    }
  }

  void packGradients(long first, int rows, const Panels& panels) {
    const auto at = [&](int position) -> const float* {
      const int row = position / pitch_, column = position % pitch_;
      const float* pixels = row < rows && column < conv_.width ? gradients_.pixels(dy_, first + row) : nullptr;
      return pixels ? pixels + 1L * column * conv_.out : nullptr;
    };
    for (int word = 0; word < panels.words; word++) {
      const float* both[2] = {at(2 * word), at(2 * word + 1)};
      for (int c = 0; c < channels_; c += kLanes) {
        const Vec values[2] = {both[0] ? load(both[0] + c) : Vec{}, both[1] ? load(both[1] + c) : Vec{}};
        store(words_ + panels.at(word, c), Bfloat16::pack(values));
      }
    }
  }

  template <bool Accumulate>
  void multiplyAll(const Panels& panels, float* u) const {
    const int blocks = static_cast<int>(2 * panels.words / kTileDepth);
    for (int column = 0; column < channels_; column += kPanel)
      for (int tap = 0; tap < kTaps; tap++)
        for (int c = 0; c < conv_.in; c += 2 * kTile) {
          const Half* from = turned_ + c * length_ + tap / 3 * pitch_ + tap % 3;
          tileProduct<true, Accumulate>({from, length_, 1, 1, 0, 0, blocks}, words_ + panels.at(0, column), panels.widthAt(column),
                                        u + (1L * tap * conv_.in + c) * conv_.out + column, conv_.out);
        }
  }

  const Conv3x3& conv_;
  const float* x_;
  const float* dy_;
  const int channels_;
  const ImageStack inputs_{conv_.images, conv_.height, conv_.width, conv_.in, 1, 1, 1, 1};
  const ImageStack gradients_{conv_.images, conv_.height, conv_.width, conv_.out, 1, 1, 1, 1};
  const int pitch_ = inputs_.pitch();
  // [in][length]; what `panels` says.
  long length_ = 0;
  Half* turned_ = nullptr;
  float* words_ = nullptr;
};

}  // namespace

void filterGradientOnTiles(const Conv3x3& conv, const float* x, const float* dy, float* dFilter) {
  const long size = 1L * kTaps * conv.in * conv.out;
  const int panels = (conv.out + kPanel - 1) / kPanel;
  // As in `convolveFilterGradient`, the order of all sums follows from the sizes alone.
  const int parts = static_cast<int>(std::clamp<long>(std::min<long>(conv.images, kSums / size), 1, kJobs));
  const int groups = std::min(panels, kJobs / parts);
  float* u = parts > 1 ? scratch(2, parts * size) : dFilter;
  parallelFor(parts * groups, [&](int job) {
    const TileRegisters registers;
    const int part = job / groups, group = job % groups;
    const int fromChannel = panels * group / groups * kPanel;
    const int channels = std::min(conv.out, panels * (group + 1) / groups * kPanel) - fromChannel;
    TileFilterGradient gradient(conv, x, dy, fromChannel, channels);
    gradient.sum(gradient.rows() * part / parts, gradient.rows() * (part + 1) / parts, u + part * size + fromChannel);
  });
  if (parts == 1) return;
  parallelFor(kTaps, [&](int tap) {
    const long tapSize = size / kTaps;
    for (long i = tap * tapSize; i < (tap + 1) * tapSize; i += kLanes) {
      Vec sum = load(u + i);
      for (int part = 1; part < parts; part++) sum += load(u + part * size + i);
      store(dFilter + i, sum);
    }
  });
}
#else
void filterGradientOnTiles(const Conv3x3&, const float*, const float*, float*) {}
#endif
