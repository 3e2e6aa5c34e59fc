// What Python calls. Stands after the kernels.
extern "C" {
void add_memory(uintptr_t first, size_t bytes) { machine.memory[first] = first + bytes; }
void drop_memory(uintptr_t first) {
    machine.memory.erase(first);
    machine.last_range = {0, 0};
}
void set_guard_bits(int bits) { machine.guard_bits = bits; }
long bank_conflicts() { return machine.conflicts; }
// Null, or the error.
const char* launch(const char* name, int across, int down, int threads, int shared, const void* args) {
    const auto found = kernels().find(name);
    if (found == kernels().end()) return "there is no such kernel";
    if (found->second.threads != threads) return "the kernel wants another number of threads";
    machine.kernel = found->second.run;
    machine.args = args;
    machine.run(across, down, threads, shared);
    return machine.error.empty() ? nullptr : machine.error.c_str();
}
}
