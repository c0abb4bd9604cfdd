#include "attention.h"

#include <algorithm>

#include "attention-head.h"
#include "gemm.h"
#include "scratch.h"
#include "thread-pool.h"
#include "tile-attention.h"

namespace {

// Products of a head's matrices, in float32.
class Head : public AttentionHead {
 public:
  using AttentionHead::AttentionHead;

  // [panels][headChannels][kPanel] of a matrix turned over, so that products with it read it in order.
  void turn(const float* matrix, float* panels) const {
    for (int pixel = 0; pixel < pixels(); pixel += kLanes)
      for (int c = 0; c < channels(); c += kLanes) {
        Vec rows[kLanes];
        for (int i = 0; i < kLanes; i++) rows[i] = load(matrix + (pixel + i) * stride() + c);
        transpose(rows);
        float* to = panels + (1L * (pixel / kPanel) * channels() + c) * kPanel + pixel % kPanel;
        for (int i = 0; i < kLanes; i++) store(to + i * kPanel, rows[i]);
      }
  }

  // rows x pixels: the products of so many rows of `left` with all rows of the matrix that was turned over.
  void products(int rows, const float* left, long leftStride, const float* panels, float* result) const {
    for (int row = 0; row < rows; row += kRows)
      for (int column = 0; column < pixels(); column += kPanel) {
        const float* panel = panels + 1L * column * channels();
        float* to = result + 1L * row * pixels() + column;
        const float* from = left + row * leftStride;
        if (pixels() - column >= kPanel) multiply<Float32, kPanelVectors, false>(channels(), from, 1, leftStride, panel, kPanel, to, pixels());
        else multiply<Float32, 1, false>(channels(), from, 1, leftStride, panel, kPanel, to, pixels());
      }
  }

  // rows x headChannels (+)= left [rows][depth], in steps of leftRow and leftStep, times the matrix's first rows.
  template <bool Accumulate>
  void combine(int rows, int depth, const float* left, long leftStep, long leftRow, const float* matrix, long matrixStride, float* result,
               long resultStride) const {
    for (int row = 0; row < rows; row += kRows)
      for (int c = 0; c < channels(); c += kPanel) {
        float* to = result + row * resultStride + c;
        const float* from = left + row * leftRow;
        if (channels() - c >= kPanel) multiply<Float32, kPanelVectors, Accumulate>(depth, from, leftStep, leftRow, matrix + c, matrixStride, to, resultStride);
        else multiply<Float32, 1, Accumulate>(depth, from, leftStep, leftRow, matrix + c, matrixStride, to, resultStride);
      }
  }
};

long turnedSize(const Attention& attention) { return 1L * (attention.pixels + kPanel - 1) / kPanel * kPanel * attention.headChannels; }

}  // namespace

void attend(const Attention& attention, const float* qkv, float* y) {
  if (fitsTiles(attention)) return attendOnTiles(attention, qkv, y);
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
  if (fitsTiles(attention)) return attendGradientOnTiles(attention, qkv, dy, dQkv);
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
