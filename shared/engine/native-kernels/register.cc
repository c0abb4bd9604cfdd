// What the engine asks of the library: to register its operations, and what they do on this processor.
#include "numbers.h"
#include "registrar.h"
#include "tiles.h"

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
