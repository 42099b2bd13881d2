// flags: -O1 -g -std=c++17 -fno-builtin
/* new and delete in all their forms. libstdc++ itself takes 72,704 bytes once, before main, for exceptions in need. */
#include "truth.h"
#include <cstdint>
#include <new>

struct Plain {
    char bytes[40];
};

/* Its arrays carry a count of elements in front: 8 bytes more are asked for. */
struct WithDestructor {
    char bytes[24];
    ~WithDestructor() { bytes[0] = 0; }
};

struct alignas(128) Wide {
    char bytes[256];
};

int main() {
    for (int i = 0; i < 1000; i++) {
        auto *plain = static_cast<Plain *>(took(new Plain, sizeof(Plain)));
        gave(sizeof(Plain));
        delete plain;

        auto *array = static_cast<Plain *>(took(new Plain[7], 7 * sizeof(Plain)));
        gave(7 * sizeof(Plain));
        delete[] array;

        auto *counted = static_cast<WithDestructor *>(took(new WithDestructor[5], 5 * 24 + 8));
        gave(5 * 24 + 8);
        delete[] counted;

        auto *wide = static_cast<Wide *>(took(new Wide, sizeof(Wide)));
        must(reinterpret_cast<uintptr_t>(wide) % 128 == 0);
        gave(sizeof(Wide));
        delete wide;

        auto *quiet = static_cast<Plain *>(took(new (std::nothrow) Plain, sizeof(Plain)));
        gave(sizeof(Plain));
        delete quiet;

        void *raw = took(::operator new(99), 99);
        gave(99);
        ::operator delete(raw, std::size_t{99});

        void *aligned = took(::operator new(96, std::align_val_t{32}), 96);
        gave(96);
        ::operator delete(aligned, std::size_t{96}, std::align_val_t{32});
    }
    /* A size of 0 is passed on as 1. */
    void *empty = took(::operator new(0), 1);
    gave(1);
    ::operator delete(empty);
    delete static_cast<Plain *>(nullptr);

    volatile std::size_t huge = SIZE_MAX / 4;
    must(::operator new(huge, std::nothrow) == nullptr);

    took(new Plain[100], 4000); /* live at exit */
    print_truth();
    return 0;
}
