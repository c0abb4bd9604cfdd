// What the engine asks of the library: to register its operations, what they do on this processor, and the shapes of what one
// of them makes for another. Nowhere else are these known.
#include "conv3x3.h"
#include "convolution.h"
#include "group-norm.h"
#include "numbers.h"
#include "registrar.h"
#include "tiles.h"

namespace {

Factors factorsOf(int pairs) { return pairs ? Factors::kPairs : Factors::kFloat32; }

}  // namespace

// Floats of a vector, to which channel counts must be multiples; 0 where TensorFlow refused the operations.
extern "C" int registerKernels() {
  Registrar registrar;
  addConvolutions(registrar);
  addPackedConvolutions(registrar);
  addNormsAndAttention(registrar);
  addUpdates(registrar);
  return registrar.ok() ? kLanes : 0;
}

// Whether products of bfloat16 are in tiles, where their depth fills these, and else whether they are in pairs.
extern "C" int usesTiles() { return hasTiles(); }
extern "C" int usesPairs() { return multipliesPairs(); }

// Whether products whose sums have so many factors of bfloat16 are in tiles.
extern "C" int isInTiles(int depth) { return hasTiles() && depth % kTileDepth == 0; }

// Of a 3x3 filter transformed for images of so many pixels across: [frequencies][words][channels out].
extern "C" int transformedFrequencies(int width, int pairs) { return frequencies({1, 1, width, kLanes, kLanes, factorsOf(pairs)}); }
extern "C" int transformedWords(int in, int pairs) { return wordsOfTransformed({1, 1, 1, in, kLanes, factorsOf(pairs)}); }

// Of a packed filter: [words][columns].
extern "C" int packedFilterWords(int depth, int pairs) { return packedWords(depth, factorsOf(pairs)); }
extern "C" int packedFilterColumns(int out) { return packedColumns(out); }

// What group norms add to the variance.
extern "C" double normEpsilon() { return kNormEpsilon; }
