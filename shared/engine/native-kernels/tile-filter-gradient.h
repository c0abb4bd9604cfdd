// Filters' gradients of 3x3 convolutions of bfloat16 by products in tiles, where `hasTiles`.
#pragma once

#include "conv3x3.h"

// As `convolveFilterGradient`; channels that come in are a multiple of 32.
void filterGradientOnTiles(const Conv3x3& conv, const float* x, const float* dy, float* dFilter);
