#include "gpu/pool.hpp"

#include <utility>

namespace detrt {

Pool::Pool(int threads, const std::function<void()>& begin) {
    for (int i = 0; i < threads; ++i)
        threads_.emplace_back([this, begin] {
            begin();
            run();
        });
}

Pool::~Pool() {
    {
        const std::lock_guard held(lock_);
        ends_ = true;
        waiting_.clear();
    }
    filled_.notify_all();
    for (auto& thread : threads_) thread.join();
}

std::future<void> Pool::submit(std::function<void()> work) {
    std::packaged_task<void()> task(std::move(work));
    auto future = task.get_future();
    {
        const std::lock_guard held(lock_);
        waiting_.push_back(std::move(task));
    }
    filled_.notify_one();
    return future;
}

void Pool::run() {
    while (true) {
        std::unique_lock held(lock_);
        filled_.wait(held, [this] { return ends_ || !waiting_.empty(); });
        if (ends_) return;
        auto task = std::move(waiting_.front());
        waiting_.pop_front();
        held.unlock();
        task();
    }
}

}  // namespace detrt
