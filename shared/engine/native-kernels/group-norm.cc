#include "group-norm.h"

#include <algorithm>
#include <cmath>

#include "exponential.h"
#include "scratch.h"
#include "thread-pool.h"

namespace {

// Pixels whose sums are taken in float32; sums of chunks are taken in float64.
constexpr int kChunk = 128;

int chunksOf(const GroupNorm& norm) { return (norm.pixels + kChunk - 1) / kChunk; }

// consume(image, chunk, first pixel, end) for every chunk, on all threads.
template <typename Consume>
void forEachChunk(const GroupNorm& norm, Consume consume) {
  const int chunks = chunksOf(norm);
  parallelFor(norm.images * chunks, [&](int job) {
    const int chunk = job % chunks;
    consume(job / chunks, chunk, kChunk * chunk, std::min(norm.pixels, kChunk * (chunk + 1)));
  });
}

// normalised * gain + offset as x * slope + intercept, [channels] each.
void lines(const GroupNorm& norm, int image, const float* gain, const float* offset, const float* mean, const float* rstd, float* slope,
           float* intercept) {
  const int size = norm.channels / norm.groups;
  const float* gains = gain + (norm.perImage ? 1L * image * norm.channels : 0);
  const float* offsets = offset + (norm.perImage ? 1L * image * norm.channels : 0);
  for (int c = 0; c < norm.channels; c++) {
    const int group = image * norm.groups + c / size;
    slope[c] = rstd[group] * gains[c];
    intercept[c] = offsets[c] - mean[group] * slope[c];
  }
}

}  // namespace

void normalise(const GroupNorm& norm, const float* x, const float* gain, const float* offset, float* y, float* mean, float* rstd) {
  const int channels = norm.channels, chunks = chunksOf(norm), size = channels / norm.groups;
  // Of each chunk and channel: the sum, and the sum of squares, of what is above the image's first pixel. Without that
  // shift a variance that is small beside the mean would be lost.
  float* sums = scratch(2, 2L * norm.images * chunks * channels);
  forEachChunk(norm, [&](int image, int chunk, int first, int end) {
    const float* shift = x + 1L * image * norm.pixels * channels;
    float* to = sums + 2L * (image * chunks + chunk) * channels;
    for (int c = 0; c < channels; c += kLanes) {
      Vec sum{}, squares{};
      const Vec zero = load(shift + c);
      for (int pixel = first; pixel < end; pixel++) {
        const Vec value = load(shift + 1L * pixel * channels + c) - zero;
        sum += value;
        squares += value * value;
      }
      store(to + c, sum);
      store(to + channels + c, squares);
    }
  });
  parallelFor(norm.images, [&](int image) {
    const float* shift = x + 1L * image * norm.pixels * channels;
    for (int group = 0; group < norm.groups; group++) {
      double total = 0, within = 0, squaredMeans = 0;
      for (int c = group * size; c < (group + 1) * size; c++) {
        double sum = 0, squares = 0;
        for (int chunk = 0; chunk < chunks; chunk++) {
          const float* from = sums + 2L * (image * chunks + chunk) * channels + c;
          sum += from[0];
          squares += from[channels];
        }
        const double mean = shift[c] + sum / norm.pixels;
        within += squares - sum * sum / norm.pixels;
        total += mean;
        squaredMeans += mean * mean;
      }
      const double average = total / size;
      const double between = squaredMeans / size - average * average;
      const double variance = std::max(0.0, within / (1.0 * norm.pixels * size) + std::max(0.0, between));
      mean[image * norm.groups + group] = static_cast<float>(average);
      rstd[image * norm.groups + group] = static_cast<float>(1 / std::sqrt(variance + kNormEpsilon));
    }
  });
  forEachChunk(norm, [&](int image, int, int first, int end) {
    float* slope = scratch(0, channels);
    float* intercept = scratch(1, channels);
    lines(norm, image, gain, offset, mean, rstd, slope, intercept);
    for (int pixel = first; pixel < end; pixel++) {
      const long at = (1L * image * norm.pixels + pixel) * channels;
      for (int c = 0; c < channels; c += kLanes) {
        const Vec z = load(x + at + c) * load(slope + c) + load(intercept + c);
        store(y + at + c, norm.silu ? z * logistic(z) : z);
      }
    }
  });
}

// With xhat = (x - mean) rstd, dz the gradient before silu, g = gain dz and means over each group:
// dx = rstd (g - mean(g) - xhat mean(g xhat)), d gain = sum dz xhat, d offset = sum dz.
void normaliseGradient(const GroupNorm& norm, const float* x, const float* gain, const float* offset, const float* mean, const float* rstd,
                       const float* dy, float* dx, float* dGain, float* dOffset) {
  const int channels = norm.channels, chunks = chunksOf(norm), size = channels / norm.groups;
  float* sums = scratch(2, 2L * norm.images * (chunks + 1) * channels);
  // Of each image and channel: sum dz and sum dz xhat.
  float* totals = sums + 2L * norm.images * chunks * channels;
  // dx holds dz until its own turn.
  forEachChunk(norm, [&](int image, int chunk, int first, int end) {
    float* slope = scratch(0, 2L * channels);
    float* middle = slope + channels;
    float* intercept = scratch(1, channels);
    lines(norm, image, gain, offset, mean, rstd, slope, intercept);
    for (int c = 0; c < channels; c++) middle[c] = mean[image * norm.groups + c / size];
    float* to = sums + 2L * (image * chunks + chunk) * channels;
    for (int c = 0; c < channels; c += kLanes) {
      Vec sum{}, products{};
      const Vec m = load(middle + c), a = load(slope + c), b = load(intercept + c);
      for (int pixel = first; pixel < end; pixel++) {
        const long at = (1L * image * norm.pixels + pixel) * channels + c;
        const Vec value = load(x + at);
        Vec gradient = load(dy + at);
        if (norm.silu) {
          const Vec z = value * a + b, s = logistic(z);
          gradient *= s + z * s * (1.0f - s);
          store(dx + at, gradient);
        }
        sum += gradient;
        products += gradient * (value - m);
      }
      store(to + c, sum);
      store(to + channels + c, products);
    }
  });
  parallelFor(norm.images, [&](int image) {
    float* total = totals + 2L * image * channels;
    for (int c = 0; c < channels; c++) {
      double sum = 0, products = 0;
      for (int chunk = 0; chunk < chunks; chunk++) {
        const float* from = sums + 2L * (image * chunks + chunk) * channels + c;
        sum += from[0];
        products += from[channels];
      }
      total[c] = static_cast<float>(sum);
      total[channels + c] = static_cast<float>(products * rstd[image * norm.groups + c / size]);
    }
  });
  forEachChunk(norm, [&](int image, int, int first, int end) {
    const float* total = totals + 2L * image * channels;
    const float* gains = gain + (norm.perImage ? 1L * image * channels : 0);
    float* ofGradient = scratch(0, 2L * channels);
    float* ofX = ofGradient + channels;
    float* constant = scratch(1, channels);
    for (int group = 0; group < norm.groups; group++) {
      double sum = 0, products = 0;
      for (int c = group * size; c < (group + 1) * size; c++) {
        sum += 1.0 * gains[c] * total[c];
        products += 1.0 * gains[c] * total[channels + c];
      }
      const double count = 1.0 * norm.pixels * size, r = rstd[image * norm.groups + group];
      const double slope = -r * r * products / count;
      for (int c = group * size; c < (group + 1) * size; c++) {
        ofGradient[c] = static_cast<float>(r * gains[c]);
        ofX[c] = static_cast<float>(slope);
        constant[c] = static_cast<float>(-r * sum / count - mean[image * norm.groups + group] * slope);
      }
    }
    const float* from = norm.silu ? dx : dy;
    for (int pixel = first; pixel < end; pixel++) {
      const long at = (1L * image * norm.pixels + pixel) * channels;
      for (int c = 0; c < channels; c += kLanes)
        store(dx + at + c, load(from + at + c) * load(ofGradient + c) + (load(x + at + c) * load(ofX + c) + load(constant + c)));
    }
  });
  parallelFor((channels + kLanes - 1) / kLanes, [&](int block) {
    const int c = block * kLanes;
    Vec sum{}, products{};
    for (int image = 0; image < norm.images; image++) {
      const Vec ofOffset = load(totals + 2L * image * channels + c), ofGain = load(totals + (2L * image + 1) * channels + c);
      if (norm.perImage) {
        store(dOffset + 1L * image * channels + c, ofOffset);
        store(dGain + 1L * image * channels + c, ofGain);
      }
      sum += ofOffset;
      products += ofGain;
    }
    if (norm.perImage) return;
    store(dOffset + c, sum);
    store(dGain + c, products);
  });
}
