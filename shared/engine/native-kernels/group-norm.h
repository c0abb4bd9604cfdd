// Group norm, and silu after it where asked: y = silu(normalised * gain + offset), silu(z) = z * logistic(z).
#pragma once

// Added to the variance.
constexpr double kNormEpsilon = 1e-5;

struct GroupNorm {
  int images, pixels, channels, groups;
  // Whether gain and offset are [images, channels], each image's own, or [channels], all images'.
  bool perImage;
  bool silu;
};

// x, y [images, pixels, channels]; mean, rstd [images, groups]. channels is a multiple of kLanes.
void normalise(const GroupNorm& norm, const float* x, const float* gain, const float* offset, float* y, float* mean, float* rstd);

// dx like x; dGain, dOffset like gain.
void normaliseGradient(const GroupNorm& norm, const float* x, const float* gain, const float* offset, const float* mean,
                       const float* rstd, const float* dy, float* dx, float* dGain, float* dOffset);
