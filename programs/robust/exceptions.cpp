// flags: -O2 -g -std=c++17 -pthread
/* Exceptions thrown through allocating frames, caught and thrown on, from destructors' frames, and carried to another
 * thread. The exception objects themselves are libstdc++'s, and so are its 72,704 bytes before main. */
#include "truth.h"
#include <exception>
#include <stdexcept>
#include <thread>

struct Guard {
    void *block = take(120);
    ~Guard() {
        give(take(130), 130);
        give(block, 120);
    }
};

__attribute__((noinline)) static void thrown(int depth) {
    Guard guard;
    if (depth == 0) throw std::runtime_error("a text that is longer than what is held in place");
    thrown(depth - 1);
    keep_frame();
}

__attribute__((noinline)) static void passed_on(int depth) {
    Guard guard;
    try {
        thrown(depth);
    } catch (const std::runtime_error &) {
        give(take(140), 140);
        throw;
    }
}

int main() {
    for (int i = 0; i < 2000; i++) {
        try {
            passed_on(i % 15);
            must(false);
        } catch (const std::exception &) {
            give(take(150), 150);
        }
    }
    for (int i = 0; i < 50; i++) {
        std::exception_ptr carried;
        std::thread([&] {
            try {
                thrown(5);
            } catch (...) {
                carried = std::current_exception();
            }
        }).join();
        try {
            std::rethrow_exception(carried);
        } catch (const std::runtime_error &) {
            give(take(160), 160);
        }
    }
    must(truth_allocations == truth_frees);
    print_truth();
}
