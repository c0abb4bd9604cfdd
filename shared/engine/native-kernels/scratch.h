// Memory that a thread keeps from call to call: fresh pages would cost more than what is computed in them.
#pragma once

#include <cstdlib>
#include <memory>
#include <new>

struct Free {
  void operator()(float* memory) const { std::free(memory); }
};
using Buffer = std::unique_ptr<float, Free>;

inline Buffer allocate(long floats) {
  const std::size_t bytes = (static_cast<std::size_t>(floats) * sizeof(float) + 63) / 64 * 64;
  Buffer memory(static_cast<float*>(std::aligned_alloc(64, bytes)));
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

// The calling thread's buffer of that number, at least so large; what it held is lost when it grows. Throws bad_alloc
// where there is no memory.
inline float* scratch(int which, long floats) {
  thread_local Buffer buffers[4];
  thread_local long sizes[4] = {};
  if (sizes[which] < floats) {
    // First of all, lest both be in memory.
    buffers[which] = nullptr;
    sizes[which] = 0;
    buffers[which] = allocate(floats);
    sizes[which] = floats;
  }
  return buffers[which].get();
}
