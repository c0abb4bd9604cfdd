#include "thread-pool.h"

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#define PAUSE() _mm_pause()
#else
#define PAUSE() std::this_thread::yield()
#endif

namespace {

// About as long as it takes to wake a sleeping thread: loops follow one another closely within a kernel.
constexpr int kSpins = 2000;

class Pool {
 public:
  explicit Pool(int helpers) {
    try {
      for (; helpers_ < helpers; helpers_++) std::thread([this] { help(); }).detach();
    } catch (const std::system_error&) {
      // With fewer it takes longer, and gives the same.
    }
  }

  void run(int count, const std::function<void(int)>& body) {
    std::unique_lock<std::mutex> alone(running_, std::try_to_lock);
    if (!alone.owns_lock() || helpers_ == 0 || count == 1) {
      for (int i = 0; i < count; i++) body(i);
      return;
    }
    body_ = &body;
    count_ = count;
    thrown_ = nullptr;
    next_.store(0);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      open_.store(true);
      generation_.fetch_add(1);
    }
    wake_.notify_all();
    share();
    // Whoever comes now finds nothing to do; those inside are waited for, since the body is the caller's.
    open_.store(false);
    while (inside_.load() != 0) PAUSE();
    if (thrown_ != nullptr) std::rethrow_exception(thrown_);
  }

 private:
  void share() {
    try {
      for (int i = next_.fetch_add(1); i < count_; i = next_.fetch_add(1)) (*body_)(i);
    } catch (...) {
      std::lock_guard<std::mutex> lock(mutex_);
      if (thrown_ == nullptr) thrown_ = std::current_exception();
      next_.store(count_);
    }
  }

  void help() {
    unsigned seen = 0;
    for (;;) {
      for (int spin = 0; spin < kSpins && generation_.load() == seen; spin++) PAUSE();
      if (generation_.load() == seen) {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return generation_.load() != seen; });
      }
      seen = generation_.load();
      inside_.fetch_add(1);
      if (open_.load()) share();
      inside_.fetch_sub(1);
    }
  }

  int helpers_ = 0;
  std::mutex running_, mutex_;
  std::condition_variable wake_;
  std::atomic<unsigned> generation_{0};
  std::atomic<bool> open_{false};
  std::atomic<int> inside_{0};
  std::atomic<int> next_{0};
  int count_ = 0;
  const std::function<void(int)>* body_ = nullptr;
  // By the first body that failed.
  std::exception_ptr thrown_;
};

int threads() {
  const char* set = std::getenv("TF_NUM_INTRAOP_THREADS");
  const int wanted = set == nullptr ? 0 : std::atoi(set);
  return wanted > 0 ? wanted : static_cast<int>(std::thread::hardware_concurrency());
}

}  // namespace

void parallelFor(int count, const std::function<void(int)>& body) {
  // Never freed: its threads may outlive whatever is destroyed at exit. They are started from a thread of TensorFlow's, and
  // inherit that it takes denormals for zero: a result doesn't depend on which of them made it.
  static Pool* pool = new Pool(threads() > 1 ? threads() - 1 : 0);
  pool->run(count, body);
}
