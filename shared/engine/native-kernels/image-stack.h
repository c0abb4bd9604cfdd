// Images one above the other with zeros between, so that a pixel's window is at one distance from it wherever it is.
#pragma once

#include <algorithm>

#include "numbers.h"

struct ImageStack {
  int images, height, width, channels;
  // Rows and columns of zeros before an image, and how many of them are at least after it.
  int above, left, below, right;

  // Zeros after a row are those before the next one too.
  int pitch() const { return width + std::max(left, right); }
  int rowsAnImage() const { return height + std::max(above, below); }
  long rows() const { return 1L * images * rowsAnImage(); }

  // The pixels of a row; the one before the first row and whatever is between images have none.
  const float* pixels(const float* x, long row) const {
    if (row < 0 || row >= rows() || row % rowsAnImage() >= height) return nullptr;
    return x + (row / rowsAnImage() * height + row % rowsAnImage()) * width * channels;
  }
};
