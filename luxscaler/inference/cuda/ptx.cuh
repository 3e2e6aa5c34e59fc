// What the kernels need of the machine, one function an instruction. Nothing else holds PTX, so that another
// file with the same functions (tests/support/cuda_on_cpu/machine.h) runs the kernels where there is no card.
//
// Shared memory is addressed in bytes from its start by unsigned numbers, global memory by pointers. Half
// precision travels as bits: `half_bits`, or two of them in an unsigned. For compute capability 8.0 and above.

typedef unsigned short half_bits;

#define KERNEL(name, threads, blocks, Arguments) \
    extern "C" __global__ void __launch_bounds__(threads, blocks) name(const __grid_constant__ Arguments args)

// Address of this block's dynamic shared memory.
__device__ __forceinline__ unsigned shared_start() {
    extern __shared__ __align__(128) unsigned char shared_bytes[];
    return static_cast<unsigned>(__cvta_generic_to_shared(shared_bytes));
}

// threadIdx.x, read anew: what follows from it need not stay in registers.
__device__ __forceinline__ int thread_again() {
    int thread;
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(thread));
    return thread;
}

// Where `wanted`, start to copy 16 bytes from global to shared memory; where not `inside`, zeros instead.
__device__ __forceinline__ void copy16(unsigned to, const void* from, bool inside, bool wanted) {
    asm volatile(
        "{.reg .pred wanted; setp.ne.b32 wanted, %3, 0;"
        " @wanted cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;}" ::"r"(to),
        "l"(from), "r"(inside ? 16 : 0), "r"(static_cast<int>(wanted)));
}

// What was started since the last call becomes one group.
__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Wait for all groups of this thread but the last `LEFT`.
template <int LEFT>
__device__ __forceinline__ void wait_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}

// Four 8 × 8 matrices of halves; lane l gives the address of row l % 8 of matrix l / 8.
__device__ __forceinline__ void load_matrices(unsigned (&rows)[4], unsigned address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(rows[0]), "=r"(rows[1]), "=r"(rows[2]), "=r"(rows[3])
                 : "r"(address));
}

// sums += a · b: 16 × 16 halves times 16 × 8 halves, added in float32.
__device__ __forceinline__ void multiply(float (&sums)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ uint4 shared16(unsigned address) {
    uint4 value;
    asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
                 : "r"(address));
    return value;
}

__device__ __forceinline__ float4 shared_floats(unsigned address) {
    float4 value;
    asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(value.x), "=f"(value.y), "=f"(value.z), "=f"(value.w)
                 : "r"(address));
    return value;
}

// What a kernel reads here nothing writes while it runs.
__device__ __forceinline__ uint4 global16(const void* from) { return __ldg(static_cast<const uint4*>(from)); }
__device__ __forceinline__ float4 global_floats(const float* from) {
    return __ldg(reinterpret_cast<const float4*>(from));
}
__device__ __forceinline__ float global_float(const float* from) { return __ldg(from); }
__device__ __forceinline__ void store16(void* to, uint4 value) { *static_cast<uint4*>(to) = value; }
__device__ __forceinline__ void store_float(float* to, float value) { *to = value; }

// Two floats to halves (round to nearest even), `low` in the lower bits; and back.
__device__ __forceinline__ unsigned halves(float low, float high) {
    unsigned both;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
}
__device__ __forceinline__ float low_half(unsigned both) {
    float value;
    asm("{.reg .b16 low, high; mov.b32 {low, high}, %1; cvt.f32.f16 %0, low;}" : "=f"(value) : "r"(both));
    return value;
}
__device__ __forceinline__ float high_half(unsigned both) {
    float value;
    asm("{.reg .b16 low, high; mov.b32 {low, high}, %1; cvt.f32.f16 %0, high;}" : "=f"(value) : "r"(both));
    return value;
}
