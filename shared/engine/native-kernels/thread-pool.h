// Threads that share the iterations of one loop at a time.
#pragma once

#include <functional>

// Calls body(0) ... body(count - 1), each once, on the calling thread and on those of the pool; returns when all are
// done. A call while another is going on runs on its own thread alone: TensorFlow then has both busy already. What a body
// throws is thrown here, once no other is at work; of the calls that follow it some may be left out.
void parallelFor(int count, const std::function<void(int)>& body);
