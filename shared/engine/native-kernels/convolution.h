// Convolutions of any window, over images [images, height, width, in] with filters [windowHeight, windowWidth, in, out],
// and matrix products as those of single pixels. A pixel's result doesn't depend on the others.
#pragma once

#include "factors.h"

struct Convolution {
  int images, height, width, in, out, windowHeight, windowWidth, stride;
  // Rows and columns of zeros before an image. How many follow it is clear from the output's size.
  int above, left;
  int outHeight, outWidth;
  Factors factors;

  int depth() const { return windowHeight * windowWidth * in; }
};

// What the window over an output's pixel sees: [windowHeight, windowWidth, in], zeros outside of the image.
void gatherWindow(const Convolution& conv, const float* x, long pixel, float* to);

// A filter as `convolvePacked` reads it: [words][columns] floats in panels, of which each word is two factors where these are pairs,
// and the columns are the output's channels and zeros up to a multiple of kPackedColumns.
constexpr int kPackedColumns = 16;
int packedWords(int depth, Factors factors);
int packedColumns(int out);
void packFilter(int depth, int out, Factors factors, const float* filter, float* packed);

// y [images, outHeight, outWidth, out]; bias [out] or null.
void convolvePacked(const Convolution& conv, const float* x, const float* packed, const float* bias, float* y);
