// Convolutions of 3x3 with stride 1 and one pixel of zeros around: images [images, height, width, channels], filters
// [3, 3, in, out]. Both channel counts are multiples of kLanes. An image's result doesn't depend on the other images.
#pragma once

struct Conv3x3 {
  int images, height, width, in, out;
  // Products of bfloat16, summed in float32, where the processor has them; else of float32.
  bool bfloat16 = false;
};

// y [images, height, width, out]; bias [out] or null.
void convolve(const Conv3x3& conv, const float* x, const float* filter, const float* bias, float* y);

// dx [images, height, width, in] from dy [images, height, width, out].
void convolveInputGradient(const Conv3x3& conv, const float* dy, const float* filter, float* dx);

// dFilter [3, 3, in, out].
void convolveFilterGradient(const Conv3x3& conv, const float* x, const float* dy, float* dFilter);
