// exp and the logistic function of each lane, within two units in the last place.
#pragma once

#include "simd.h"

typedef std::int32_t IntVec __attribute__((vector_size(kLanes * sizeof(std::int32_t))));

inline Vec broadcast(float value) { return Vec{} + value; }

inline Vec clamp(Vec x, float least, float most) {
  const Vec low = broadcast(least), high = broadcast(most);
  x = x < low ? low : x;
  return x > high ? high : x;
}

// exp(x) = 2^n exp(r), |r| <= ln(2) / 2, and a polynomial for exp(r).
// Source: S. L. Moshier, Cephes Mathematical Library, expf.
inline Vec exponential(Vec x) {
  x = clamp(x, -87.0f, 88.0f);
  // Adding and taking away 1.5 * 2^23 rounds to an integer.
  const float rounding = 12582912.0f;
  const Vec n = (x * 1.44269504088896341f + rounding) - rounding;
  const Vec r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Vec p = broadcast(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const Vec fraction = p * (r * r) + r + 1.0f;
  const IntVec power = (__builtin_convertvector(n, IntVec) + 127) << 23;
  return fraction * reinterpret_cast<Vec>(power);
}

inline Vec logistic(Vec x) { return 1.0f / (1.0f + exponential(-x)); }
