// Convolutions of bfloat16 by products in tiles, where `hasTiles`: each tap of the window is a product of its own, over
// pixels that are converted once.
#pragma once

#include "conv3x3.h"
#include "convolution.h"

inline Convolution asConvolution(const Conv3x3& conv) {
  return {conv.images, conv.height, conv.width, conv.in, conv.out, 3, 3, 1, 1, 1, conv.height, conv.width, conv.factors};
}

// Whether a convolution is of such sizes; nothing of it depends on how many images there are.
bool fitsTiles(const Convolution& conv);

// As `convolvePacked`, with a filter that was packed as pairs of bfloat16.
void convolveOnTiles(const Convolution& conv, const float* x, const float* packed, const float* bias, float* y);
