// What the factors of products are, which are summed in float32 in any case.
#pragma once

enum class Factors {
  kFloat32,
  // Of bfloat16, but kept and multiplied as float32.
  kRounded,
  // Of bfloat16, two in a word, which are multiplied and added at once.
  kPairs,
};
