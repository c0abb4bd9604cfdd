#include "attention.h"

#include <algorithm>
#include <cmath>

#include "exponential.h"
#include "gemm.h"
#include "scratch.h"
#include "thread-pool.h"

namespace {

// Queries whose weights are at hand at a time.
constexpr int kQueries = 32;

float sum(Vec values) {
  float total = 0;
  for (int lane = 0; lane < kLanes; lane++) total += values[lane];
  return total;
}

float largest(Vec values) {
  float most = values[0];
  for (int lane = 1; lane < kLanes; lane++) most = std::max(most, values[lane]);
  return most;
}

// One head of one image. Matrices are [pixels][headChannels], a row every `stride` floats.
class Head {
 public:
  Head(const Attention& attention, int image, int head, const float* qkv)
      : pixels_(attention.pixels), channels_(attention.headChannels), stride_(3L * attention.heads * attention.headChannels) {
    const int part = attention.partsFirst ? attention.heads * channels_ : channels_;
    offset_ = 1L * image * pixels_ * stride_ + (attention.partsFirst ? 1L : 3L) * head * channels_;
    q_ = qkv + offset_;
    k_ = q_ + part;
    v_ = k_ + part;
    part_ = part;
    scale_ = 1 / std::sqrt(static_cast<float>(channels_));
  }

  long offset() const { return offset_; }
  long stride() const { return stride_; }
  int part() const { return part_; }
  const float* q() const { return q_; }
  const float* k() const { return k_; }
  const float* v() const { return v_; }
  float scale() const { return scale_; }

  // [panels][headChannels][kPanel] of a matrix turned over, so that products with it read it in order.
  void turn(const float* matrix, float* panels) const {
    for (int pixel = 0; pixel < pixels_; pixel++)
      for (int c = 0; c < channels_; c++)
        panels[(1L * (pixel / kPanel) * channels_ + c) * kPanel + pixel % kPanel] = matrix[pixel * stride_ + c];
  }

  // rows x pixels: the products of so many rows of `left` with all rows of the matrix that was turned over.
  void products(int rows, const float* left, long leftStride, const float* panels, float* result) const {
    for (int row = 0; row < rows; row += kRows)
      for (int column = 0; column < pixels_; column += kPanel) {
        const float* panel = panels + 1L * column * channels_;
        float* to = result + 1L * row * pixels_ + column;
        const float* from = left + row * leftStride;
        if (pixels_ - column >= kPanel) multiply<Float32, kPanelVectors, false>(channels_, from, 1, leftStride, panel, kPanel, to, pixels_);
        else multiply<Float32, 1, false>(channels_, from, 1, leftStride, panel, kPanel, to, pixels_);
      }
  }

  // rows x headChannels (+)= left [rows][depth], in steps of leftRow and leftStep, times the matrix's first rows.
  template <bool Accumulate>
  void combine(int rows, int depth, const float* left, long leftStep, long leftRow, const float* matrix, long matrixStride, float* result,
               long resultStride) const {
    for (int row = 0; row < rows; row += kRows)
      for (int c = 0; c < channels_; c += kPanel) {
        float* to = result + row * resultStride + c;
        const float* from = left + row * leftRow;
        if (channels_ - c >= kPanel) multiply<Float32, kPanelVectors, Accumulate>(depth, from, leftStep, leftRow, matrix + c, matrixStride, to, resultStride);
        else multiply<Float32, 1, Accumulate>(depth, from, leftStep, leftRow, matrix + c, matrixStride, to, resultStride);
      }
  }

  void softmax(int rows, float* scores) const {
    for (int row = 0; row < rows; row++) {
      float* values = scores + 1L * row * pixels_;
      Vec most = load(values);
      for (int i = kLanes; i < pixels_; i += kLanes) {
        const Vec each = load(values + i);
        most = each > most ? each : most;
      }
      const float top = largest(most);
      Vec total{};
      for (int i = 0; i < pixels_; i += kLanes) {
        const Vec each = exponential((load(values + i) - top) * scale_);
        store(values + i, each);
        total += each;
      }
      const float share = 1 / sum(total);
      for (int i = 0; i < pixels_; i += kLanes) store(values + i, load(values + i) * share);
    }
  }

  // The weights' gradient becomes that of the scores before softmax, times the scale.
  void softmaxGradient(int rows, const float* weights, float* gradients) const {
    for (int row = 0; row < rows; row++) {
      const float* w = weights + 1L * row * pixels_;
      float* g = gradients + 1L * row * pixels_;
      Vec total{};
      for (int i = 0; i < pixels_; i += kLanes) total += load(w + i) * load(g + i);
      const float mean = sum(total);
      for (int i = 0; i < pixels_; i += kLanes) store(g + i, load(w + i) * (load(g + i) - mean) * scale_);
    }
  }

 private:
  int pixels_, channels_, part_;
  long stride_, offset_;
  const float *q_, *k_, *v_;
  float scale_;
};

long turnedSize(const Attention& attention) { return 1L * (attention.pixels + kPanel - 1) / kPanel * kPanel * attention.headChannels; }

}  // namespace

void attend(const Attention& attention, const float* qkv, float* y) {
  const long channels = 1L * attention.heads * attention.headChannels;
  parallelFor(attention.images * attention.heads, [&](int job) {
    const int image = job / attention.heads, number = job % attention.heads;
    const Head head(attention, image, number, qkv);
    float* turned = scratch(0, turnedSize(attention));
    float* scores = scratch(1, 1L * kQueries * attention.pixels);
    head.turn(head.k(), turned);
    float* to = y + 1L * image * attention.pixels * channels + 1L * number * attention.headChannels;
    for (int first = 0; first < attention.pixels; first += kQueries) {
      const int rows = std::min(kQueries, attention.pixels - first);
      head.products(rows, head.q() + first * head.stride(), head.stride(), turned, scores);
      head.softmax(rows, scores);
      head.combine<false>(rows, attention.pixels, scores, 1, attention.pixels, head.v(), head.stride(), to + first * channels, channels);
    }
  });
}

void attendGradient(const Attention& attention, const float* qkv, const float* dy, float* dQkv) {
  const long channels = 1L * attention.heads * attention.headChannels;
  const int pixels = attention.pixels;
  parallelFor(attention.images * attention.heads, [&](int job) {
    const int image = job / attention.heads, number = job % attention.heads;
    const Head head(attention, image, number, qkv);
    float* turnedK = scratch(0, 2 * turnedSize(attention));
    float* turnedV = turnedK + turnedSize(attention);
    float* weights = scratch(1, 2L * kQueries * pixels);
    float* gradients = weights + 1L * kQueries * pixels;
    head.turn(head.k(), turnedK);
    head.turn(head.v(), turnedV);
    const long stride = head.stride();
    float* dQ = dQkv + head.offset();
    float* dK = dQ + head.part();
    float* dV = dK + head.part();
    for (int pixel = 0; pixel < pixels; pixel++) {
      std::fill_n(dK + pixel * stride, attention.headChannels, 0.0f);
      std::fill_n(dV + pixel * stride, attention.headChannels, 0.0f);
    }
    const float* from = dy + 1L * image * pixels * channels + 1L * number * attention.headChannels;
    for (int first = 0; first < pixels; first += kQueries) {
      const int rows = std::min(kQueries, pixels - first);
      const float* q = head.q() + first * stride;
      const float* d = from + first * channels;
      head.products(rows, q, stride, turnedK, weights);
      head.softmax(rows, weights);
      head.products(rows, d, channels, turnedV, gradients);
      head.combine<true>(pixels, rows, weights, pixels, 1, d, channels, dV, stride);
      head.softmaxGradient(rows, weights, gradients);
      head.combine<false>(rows, pixels, gradients, 1, pixels, head.k(), stride, dQ + first * stride, stride);
      head.combine<true>(pixels, rows, gradients, pixels, 1, q, stride, dK, stride);
    }
  });
}
