// AdamW and averages of the parameters, in place and in one pass over memory.
#pragma once

struct AdamRates {
  float beta1, beta2, epsilon;
  // 1 - rate * decay; rate / correction1; 1 / sqrt(correction2).
  float shrink, stepSize, rootScale;
};

// All arrays have `size` values. averages[i] moves towards the new parameter by the share weights[i].
void adam(const AdamRates& rates, long size, const float* gradient, float* parameter, float* m, float* v, int averageCount,
          float* const* averages, const float* weights);

// sum of squares, in an order that depends on the size alone.
float sumOfSquares(const float* values, long size);
