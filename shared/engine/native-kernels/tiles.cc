#include "tiles.h"

#if COMPILED_FOR_TILES
#include <sys/syscall.h>
#include <unistd.h>

// Linux keeps room for tiles only in processes that ask for it.
// Source: Linux, Documentation/arch/x86/xstate.rst.
bool hasTiles() {
  constexpr int kRequestPermission = 0x1023, kTileData = 18;
  static const bool granted = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return granted;
}
#else
bool hasTiles() { return false; }
#endif
