// Threads that work off what is submitted, in order.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

namespace detrt {

class Pool {
  public:
    // `begin` is called by every thread before its first work.
    Pool(int threads, const std::function<void()>& begin);

    // Drops what has not begun, and waits for the rest.
    ~Pool();

    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    // An exception of the work comes out of the future.
    std::future<void> submit(std::function<void()> work);

  private:
    void run();

    std::mutex lock_;
    std::condition_variable filled_;
    std::deque<std::packaged_task<void()>> waiting_;
    bool ends_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace detrt
