#include "adam.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "simd.h"
#include "thread-pool.h"

namespace {

constexpr long kChunk = 1 << 15;

int chunksOf(long size) { return static_cast<int>((size + kChunk - 1) / kChunk); }

}  // namespace

void adam(const AdamRates& rates, long size, const float* gradient, float* parameter, float* m, float* v, int averageCount,
          float* const* averages, const float* weights) {
  parallelFor(chunksOf(size), [&, rates](int chunk) {
    const long first = chunk * kChunk, end = std::min(size, first + kChunk);
    const float* __restrict g = gradient;
    float* __restrict p = parameter;
    float* __restrict mean = m;
    float* __restrict square = v;
    for (long i = first; i < end; i++) {
      const float nextMean = mean[i] + (1 - rates.beta1) * (g[i] - mean[i]);
      const float nextSquare = rates.beta2 * square[i] + (1 - rates.beta2) * (g[i] * g[i]);
      mean[i] = nextMean;
      square[i] = nextSquare;
      const float denominator = std::sqrt(nextSquare) * rates.rootScale + rates.epsilon;
      p[i] = p[i] * rates.shrink - nextMean / denominator * rates.stepSize;
    }
    for (int a = 0; a < averageCount; a++) {
      float* __restrict average = averages[a];
      const float weight = weights[a];
      for (long i = first; i < end; i++) average[i] += weight * (p[i] - average[i]);
    }
  });
}

float sumOfSquares(const float* values, long size) {
  std::vector<double> sums(chunksOf(size));
  parallelFor(chunksOf(size), [&](int chunk) {
    const long first = chunk * kChunk, end = std::min(size, first + kChunk), whole = first + (end - first) / kLanes * kLanes;
    Vec total{};
    for (long i = first; i < whole; i += kLanes) total += load(values + i) * load(values + i);
    double sum = 0;
    for (int lane = 0; lane < kLanes; lane++) sum += total[lane];
    for (long i = whole; i < end; i++) sum += 1.0 * values[i] * values[i];
    sums[chunk] = sum;
  });
  double sum = 0;
  for (const double each : sums) sum += each;
  return static_cast<float>(sum);
}
