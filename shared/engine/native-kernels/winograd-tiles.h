// Which pixels the tiles of Winograd's algorithm are of.
#pragma once

#include "winograd.h"

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
