// flags: -O2 -g -std=c++17 -pthread
/* C++ thread_local objects whose destructors free and allocate, one naming another that is already gone. */
#include "truth.h"
#include <thread>

thread_local bool first_is_gone;

struct Holder {
    void *block = nullptr;
    std::size_t bytes;
    explicit Holder(std::size_t bytes) : bytes(bytes) {}
    void fill() {
        if (!block) block = take(bytes);
    }
    ~Holder() {
        give(take(24), 24);
        if (block) give(block, bytes);
        first_is_gone = true;
    }
};

thread_local Holder first{100};

/* Made before `first`, so it outlives it. */
struct Second {
    void *block = take(60);
    ~Second() {
        must(first_is_gone);
        give(take(500), 500);
        give(block, 60);
    }
};

int main() {
    for (int i = 0; i < 100; i++) {
        std::thread([] {
            thread_local Second second;
            must(second.block != nullptr);
            first.fill();
        }).join();
    }
    must(truth_allocations == truth_frees);
    print_truth();
}
