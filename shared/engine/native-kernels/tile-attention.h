// Attention whose products are of bfloat16 in tiles, where `hasTiles`; softmax is of float32.
#pragma once

#include "attention.h"

// Whether an attention is of such sizes; nothing of it depends on how many images there are.
bool fitsTiles(const Attention& attention);

// As `attend` and `attendGradient`.
void attendOnTiles(const Attention& attention, const float* qkv, float* y);
void attendGradientOnTiles(const Attention& attention, const float* qkv, const float* dy, float* dQkv);
