// Convolutions of 3x3 with stride 1 and one pixel of zeros around: images [images, height, width, channels], filters
// [3, 3, in, out]. Both channel counts are multiples of kLanes. An image's result doesn't depend on the other images.
#pragma once

#include "factors.h"

struct Conv3x3 {
  int images, height, width, in, out;
  Factors factors = Factors::kFloat32;
};

// y [images, height, width, out]; bias [out] or null.
void convolve(const Conv3x3& conv, const float* x, const float* filter, const float* bias, float* y);

// dx [images, height, width, in] from dy [images, height, width, out].
void convolveInputGradient(const Conv3x3& conv, const float* dy, const float* filter, float* dx);

// dFilter [3, 3, in, out].
void convolveFilterGradient(const Conv3x3& conv, const float* x, const float* dy, float* dFilter);

// What `convolve` makes of its filter before anything else, for those who convolve images of one size with one again and
// again: u [frequencies][in][out], where they are pairs, of two along `in` to a word.
int frequencies(const Conv3x3& conv);
inline int wordsOfTransformed(const Conv3x3& conv) { return conv.in / (conv.factors == Factors::kPairs ? 2 : 1); }
void transformFilter(const Conv3x3& conv, const float* filter, float* u);

// `convolve` with a filter that was transformed before: the same y to the bit.
void convolveTransformed(const Conv3x3& conv, const float* x, const float* u, const float* bias, float* y);
