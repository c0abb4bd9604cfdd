// Convolutions of 3x3 with stride 1 and one pixel of zeros around: images [images, height, width, channels], filters
// [3, 3, in, out]. Both channel counts are multiples of kLanes. An image's result doesn't depend on the other images.
#pragma once

struct Conv3x3 {
  int images, height, width, in, out;
  // Products of bfloat16, summed in float32; else of float32.
  bool bfloat16 = false;
};

// y [images, height, width, out]; bias [out] or null.
void convolve(const Conv3x3& conv, const float* x, const float* filter, const float* bias, float* y);

// dx [images, height, width, in] from dy [images, height, width, out].
void convolveInputGradient(const Conv3x3& conv, const float* dy, const float* filter, float* dx);

// dFilter [3, 3, in, out].
void convolveFilterGradient(const Conv3x3& conv, const float* x, const float* dy, float* dFilter);

// What `convolve` makes of its filter before anything else, for those who convolve with one again and again: so many
// floats, of which each is a pair of bfloat16 where products are of these.
long transformedFloats(int in, int out, bool bfloat16);
void transformFilter(int in, int out, bool bfloat16, const float* filter, float* u);

// `convolve` with a filter that was transformed before: the same y to the bit.
void convolveTransformed(const Conv3x3& conv, const float* x, const float* u, const float* bias, float* y);
