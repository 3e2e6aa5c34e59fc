// The threads of a block as fibers: each runs until it waits, then the next one does. Shared memory checks that
// every access is inside, aligned and ordered by barriers; copies are performed no sooner than waited for.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

struct Stack {  // what switch_stack changes
    void* top;
};
extern "C" void switch_stack(Stack* from, Stack* to);
#if !defined(__x86_64__)
#error "tests/cuda_on_cpu knows the stacks of x86-64 only"
#endif
asm(R"(
.text
.globl switch_stack
.type switch_stack, @function
switch_stack:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov (%rsi), %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
.size switch_stack, .-switch_stack
)");

constexpr unsigned SHARED_START = 128;  // not zero, so that a forgotten start shows
constexpr int WARP = 32;

struct Copy {
    unsigned to;
    const void* from;  // null: zeros
};

struct Thread {
    int index = 0;
    bool done = false;
    const unsigned* waits_for = nullptr;  // runs again when this is no longer `was`
    unsigned was = 0;
    Stack stack{};
    std::unique_ptr<char[]> memory;
    std::vector<Copy> open;  // not yet in a group
    std::vector<std::vector<Copy>> groups;
};

struct Warp {
    unsigned generation = 0;
    int arrived = 0;
    void* operands[WARP] = {};
};

struct Unit {  // 16 bytes of shared memory; epochs count barriers
    int written = -1, writer = -1, read = -1, reader = -1, pending = 0;
};

struct Range {
    uintptr_t first, last;
};

struct Machine {
    static constexpr size_t STACK = 1 << 16;
    std::vector<Thread> threads;
    std::vector<Warp> warps;
    std::vector<unsigned char> shared;
    std::vector<Unit> units;
    std::map<uintptr_t, uintptr_t> memory;  // first byte → first byte after
    Range last_range{0, 0};
    Thread* now = nullptr;
    Stack scheduler{};
    void (*kernel)(const void*) = nullptr;
    const void* args = nullptr;
    int block_x = 0, block_y = 0, waiting = 0, epoch = 0;
    unsigned barrier = 0;
    long conflicts = 0;
    int guard_bits = -1;  // how `multiply` rounds; negative: to nearest
    std::string error;

    void pause() { switch_stack(&now->stack, &scheduler); }

    [[noreturn]] void fail(const std::string& what) {
        if (error.empty())
            error = what + " (thread " + std::to_string(now->index) + ", block " + std::to_string(block_x) + ", " +
                    std::to_string(block_y) + ")";
        for (;;) pause();
    }

    void wait_while(const unsigned& generation) {
        now->waits_for = &generation;
        now->was = generation;
        while (generation == now->was) pause();
        now->waits_for = nullptr;
    }

    void synchronize() {
        if (++waiting == static_cast<int>(threads.size())) {
            waiting = 0;
            ++epoch;
            ++barrier;
        } else {
            wait_while(barrier);
        }
    }

    // All lanes of a warp come here with their operands; the last one does the work for all.
    template <typename Operand, typename Work>
    void together(Operand& mine, Work work) {
        Warp& warp = warps[now->index / WARP];
        warp.operands[now->index % WARP] = &mine;
        if (++warp.arrived == WARP) {
            warp.arrived = 0;
            work(reinterpret_cast<Operand**>(warp.operands));
            ++warp.generation;
        } else {
            wait_while(warp.generation);
        }
    }

    size_t unit_at(unsigned address) {
        if (address % 16 != 0) fail("shared memory: not aligned");
        if (address < SHARED_START || address + 16 > SHARED_START + shared.size()) fail("shared memory: outside");
        return (address - SHARED_START) / 16;
    }

    const unsigned char* read_shared(unsigned address, int thread) {
        const size_t index = unit_at(address);
        Unit& unit = units[index];
        if (unit.pending > 0) fail("shared memory: read before its copy was waited for");
        if (unit.written == epoch && unit.writer != thread) fail("shared memory: read without a barrier after a copy");
        unit.reader = unit.read == epoch && unit.reader != thread ? -2 : thread;
        unit.read = epoch;
        return shared.data() + index * 16;
    }

    void start_copy(unsigned to, const void* from) {
        Unit& unit = units[unit_at(to)];
        if (unit.read == epoch && unit.reader != now->index) fail("shared memory: copied over while it is read");
        if (from) check_global(from, 16);
        ++unit.pending;
        now->open.push_back({to, from});
    }

    void finish_copies(size_t left) {
        auto& groups = now->groups;
        while (groups.size() > left) {
            for (const Copy& copy : groups.front()) {
                const size_t index = unit_at(copy.to);
                if (copy.from)
                    std::memcpy(shared.data() + index * 16, copy.from, 16);
                else
                    std::memset(shared.data() + index * 16, 0, 16);
                units[index].written = epoch;
                units[index].writer = now->index;
                --units[index].pending;
            }
            groups.erase(groups.begin());
        }
    }

    void check_global(const void* address, size_t bytes) {
        const auto first = reinterpret_cast<uintptr_t>(address);
        if (first % bytes != 0) fail("global memory: not aligned");
        if (last_range.first <= first && first + bytes <= last_range.last) return;
        auto after = memory.upper_bound(first);
        if (after == memory.begin()) fail("global memory: outside of every tensor");
        --after;
        if (first + bytes > after->second) fail("global memory: outside of every tensor");
        last_range = {after->first, after->second};
    }

    void run_block();
    void run(int grid_x, int grid_y, int count, int bytes);
};

inline Machine machine;

inline void thread_main() {
    machine.kernel(machine.args);
    Thread& thread = *machine.now;
    if (!thread.open.empty()) machine.fail("copies that no group holds at the end");
    for (const auto& group : thread.groups)
        if (!group.empty()) machine.fail("copies under way at the end");
    thread.done = true;
    for (;;) machine.pause();
}

inline void Machine::run_block() {
    std::memset(shared.data(), 0xff, shared.size());  // NaN as halves and as floats
    std::fill(units.begin(), units.end(), Unit{});
    std::fill(warps.begin(), warps.end(), Warp{});
    waiting = epoch = 0;
    for (Thread& thread : threads) {
        thread.done = false;
        thread.waits_for = nullptr;
        thread.open.clear();
        thread.groups.clear();
        // As if switch_stack had been called by thread_main: six registers, then where to go on.
        auto top = reinterpret_cast<uintptr_t>(thread.memory.get() + STACK) & ~uintptr_t{15};
        auto* words = reinterpret_cast<void**>(top) - 8;
        std::memset(words, 0, 64);
        words[6] = reinterpret_cast<void*>(&thread_main);
        thread.stack.top = words;
    }
    for (bool left = true; left && error.empty();) {
        left = false;
        bool moved = false;
        for (Thread& thread : threads) {
            if (thread.done) continue;
            left = true;
            if (thread.waits_for && *thread.waits_for == thread.was) continue;
            moved = true;
            now = &thread;
            switch_stack(&scheduler, &thread.stack);
            if (!error.empty()) return;
        }
        if (left && !moved) error = "every thread waits for another";
    }
}

inline void Machine::run(int grid_x, int grid_y, int count, int bytes) {
    if (static_cast<int>(threads.size()) != count) {
        threads.clear();
        threads.resize(count);
        warps.resize((count + WARP - 1) / WARP);
        for (int i = 0; i < count; ++i) {
            threads[i].index = i;
            threads[i].memory = std::make_unique<char[]>(STACK);
        }
    }
    shared.assign(bytes, 0);
    units.assign(bytes / 16, Unit{});
    error.clear();
    for (block_y = 0; block_y < grid_y && error.empty(); ++block_y)
        for (block_x = 0; block_x < grid_x && error.empty(); ++block_x) run_block();
}
