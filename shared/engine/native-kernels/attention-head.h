// One head of one image's attention: where its numbers are, and what is done to rows of scores.
#pragma once

#include <algorithm>
#include <cmath>

#include "attention.h"
#include "exponential.h"

// Queries whose weights are at hand at a time.
constexpr int kQueries = 32;

inline float sum(Vec values) {
  float total = 0;
  for (int lane = 0; lane < kLanes; lane++) total += values[lane];
  return total;
}

inline float largest(Vec values) {
  float most = values[0];
  for (int lane = 1; lane < kLanes; lane++) most = std::max(most, values[lane]);
  return most;
}

// One head of one image. Matrices are [pixels][headChannels], a row every `stride` floats.
class AttentionHead {
 public:
  AttentionHead(const Attention& attention, int image, int head, const float* qkv)
      : pixels_(attention.pixels), channels_(attention.headChannels), stride_(3L * attention.heads * attention.headChannels) {
    const int part = attention.partsFirst ? attention.heads * channels_ : channels_;
    offset_ = 1L * image * pixels_ * stride_ + (attention.partsFirst ? 1L : 3L) * head * channels_;
    q_ = qkv + offset_;
    k_ = q_ + part;
    v_ = k_ + part;
    part_ = part;
    scale_ = 1 / std::sqrt(static_cast<float>(channels_));
  }

  int pixels() const { return pixels_; }
  int channels() const { return channels_; }
  long offset() const { return offset_; }
  long stride() const { return stride_; }
  int part() const { return part_; }
  const float* q() const { return q_; }
  const float* k() const { return k_; }
  const float* v() const { return v_; }
  float scale() const { return scale_; }

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
