// Which tiles a convolution goes by, and which pixels they are of.
#pragma once

#include <algorithm>

#include "conv3x3.h"
#include "winograd.h"

// From this width on tiles are 2x4, unless products are of pairs; narrower images have few of them beside what the filter costs.
constexpr int kWide = 8;

// Calls f with the numbers and the tile of a convolution. Nothing of it depends on how many images there are.
template <typename F>
auto withTile(const Conv3x3& conv, F f) {
  // Pairs are rounded after the transforms, and what that costs grows with the tile.
  const bool wide = conv.width >= kWide && conv.factors != Factors::kPairs;
  return withNumbers(conv.factors, [&](auto numbers) { return wide ? f(numbers, Tile<2, 4>{}) : f(numbers, Tile<2, 2>{}); });
}

// How many tiles are held at a time where each takes so many floats of `most`: whole lots, of which there are no more than
// `count` tiles fill, and one at least. However many channels there are, work goes on.
inline int heldTiles(long most, long floatsOfTile, int lot, long count) {
  const long lots = std::min(most / floatsOfTile / lot, (count + lot - 1) / lot);
  return static_cast<int>(std::max(lots, 1L)) * lot;
}

template <typename Tile>
struct Tiling {
  int height, width, across, down;
  long count;

  explicit Tiling(const Conv3x3& conv)
      : height(conv.height),
        width(conv.width),
        across((width + Tile::kOutColumns - 1) / Tile::kOutColumns),
        down((height + Tile::kOutRows - 1) / Tile::kOutRows),
        count(1L * conv.images * across * down) {}

  // The image and the upper left pixel of a tile of the output.
  void locate(long tile, long& image, int& row, int& column) const {
    image = tile / (1L * across * down);
    const int within = static_cast<int>(tile % (1L * across * down));
    row = Tile::kOutRows * (within / across);
    column = Tile::kOutColumns * (within % across);
  }
};

// The pixels of a tile of so many rows and columns; null where it reaches beyond its image.
template <int Rows, int Columns, typename Float>
class TilePixels {
 public:
  TilePixels(const Conv3x3& conv, int channels, Float* images, long image, int top, int left) {
    for (int i = 0; i < Rows; i++)
      for (int j = 0; j < Columns; j++) {
        const int y = top + i, x = left + j;
        const bool inside = y >= 0 && y < conv.height && x >= 0 && x < conv.width;
        at_[i][j] = inside ? images + ((image * conv.height + y) * conv.width + x) * channels : nullptr;
      }
  }

  template <typename Numbers>
  INLINED void read(int channel, Vec values[Rows][Columns]) const {
#pragma GCC unroll 6
    for (int i = 0; i < Rows; i++)
#pragma GCC unroll 6
      for (int j = 0; j < Columns; j++) values[i][j] = at_[i][j] ? Numbers::factors(load(at_[i][j] + channel)) : Vec{};
  }

  INLINED void write(int channel, const Vec values[Rows][Columns]) const {
#pragma GCC unroll 6
    for (int i = 0; i < Rows; i++)
#pragma GCC unroll 6
      for (int j = 0; j < Columns; j++)
        if (at_[i][j]) store(at_[i][j] + channel, values[i][j]);
  }

 private:
  Float* at_[Rows][Columns];
};

// Of the output, and of the input around it.
template <typename Tile, typename Float>
using OutputTile = TilePixels<Tile::kOutRows, Tile::kOutColumns, Float>;
template <typename Tile>
using InputTile = TilePixels<Tile::kInRows, Tile::kInColumns, const float>;

template <typename Tile, typename Float>
OutputTile<Tile, Float> outputTile(const Conv3x3& conv, Float* images, long tile) {
  long image;
  int row, column;
  Tiling<Tile>(conv).locate(tile, image, row, column);
  return {conv, conv.out, images, image, row, column};
}

template <typename Tile>
InputTile<Tile> inputTile(const Conv3x3& conv, const float* images, long tile) {
  long image;
  int row, column;
  Tiling<Tile>(conv).locate(tile, image, row, column);
  return {conv, conv.in, images, image, row - 1, column - 1};
}
