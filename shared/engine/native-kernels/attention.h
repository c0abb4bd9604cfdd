// Self-attention of every pixel to every pixel: softmax(q k^T / sqrt(channels of a head)) v, head by head.
#pragma once

struct Attention {
  // pixels and headChannels are multiples of kLanes.
  int images, pixels, heads, headChannels;
  // Whether a pixel's channels are ordered [q k v][head][channel], or [head][q k v][channel].
  bool partsFirst;
  // Products of bfloat16 where the processor has tiles for them; else of float32, as softmax always is.
  bool bfloat16 = false;
};

// qkv [images, pixels, 3 * heads * headChannels]; y [images, pixels, heads * headChannels].
void attend(const Attention& attention, const float* qkv, float* y);

// The weights are computed again: keeping them would take pixels^2 values for each head.
void attendGradient(const Attention& attention, const float* qkv, const float* dy, float* dQkv);
