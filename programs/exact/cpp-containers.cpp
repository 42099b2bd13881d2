// flags: -O2 -g -std=c++17
/* The standard containers on an allocator that counts: strings, vectors, maps, queues and shared pointers. libstdc++ itself
 * takes 72,704 bytes once, before main, for exceptions in need. */
#include "truth.h"
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

template <class T> struct Counting {
    using value_type = T;
    Counting() = default;
    template <class U> Counting(const Counting<U> &) {}
    T *allocate(std::size_t count) {
        return static_cast<T *>(took(::operator new(count * sizeof(T)), count * sizeof(T)));
    }
    void deallocate(T *block, std::size_t count) {
        gave(count * sizeof(T));
        ::operator delete(block);
    }
    template <class U> bool operator==(const Counting<U> &) const { return true; }
    template <class U> bool operator!=(const Counting<U> &) const { return false; }
};

using String = std::basic_string<char, std::char_traits<char>, Counting<char>>;
template <class T> using Vector = std::vector<T, Counting<T>>;
template <class K, class V> using Map = std::map<K, V, std::less<K>, Counting<std::pair<const K, V>>>;

int main() {
    Vector<String> words;
    Map<String, int> tree;
    std::unordered_map<int, String, std::hash<int>, std::equal_to<int>, Counting<std::pair<const int, String>>> table;
    std::deque<int, Counting<int>> queue;
    std::list<String, Counting<String>> list;
    for (int i = 0; i < 5000; i++) {
        String word(static_cast<std::size_t>(i % 60), 'x');
        word += "-";
        word += std::to_string(i).c_str(); /* at most 4 digits: held in place */
        words.push_back(word);
        tree[word] = i;
        table[i] = word;
        queue.push_back(i);
        if (i % 3 == 0) queue.pop_front();
        if (i % 10 == 0) list.push_front(word);
        if (i % 7 == 0) table.erase(i / 2);
        auto shared = std::allocate_shared<String>(Counting<String>(), word);
    }
    words.shrink_to_fit();
    list.sort();
    auto *kept = new (took(::operator new(sizeof(Vector<int>)), sizeof(Vector<int>))) Vector<int>(1000); /* live at exit */
    must(kept->size() == 1000);
    tree.clear();
    words = Vector<String>();
    list.clear();
    queue = std::deque<int, Counting<int>>();
    table = decltype(table)();
    print_truth();
    _Exit(0); /* before the destructors of what is left */
}
