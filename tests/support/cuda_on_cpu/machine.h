// Stands where ptx.cuh stands: the same functions for a processor. What an instruction does follows the PTX ISA's
// description of cp.async, ldmatrix and mma.m16n8k16.
#pragma once
#include <algorithm>
#include <cmath>
#include "fibers.h"

#define __device__
#define __global__
#define __forceinline__ inline
#define __launch_bounds__(...)

using half_bits = unsigned short;
using std::max;

struct uint4 {
    unsigned x, y, z, w;
};
struct float4 {
    float x, y, z, w;
};
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

struct ThreadIndex {
    struct X {
        operator int() const { return machine.now->index; }
    } x;
};
struct BlockIndex {
    struct X {
        operator int() const { return machine.block_x; }
    } x;
    struct Y {
        operator int() const { return machine.block_y; }
    } y;
};
inline ThreadIndex threadIdx;
inline BlockIndex blockIdx;

struct Kernel {
    int threads;
    void (*run)(const void*);
};
inline std::map<std::string, Kernel>& kernels() {
    static std::map<std::string, Kernel> all;
    return all;
}

#define KERNEL(name, threads, blocks, Arguments)                                                      \
    void name(const Arguments& args);                                                                 \
    static const bool name##_known =                                                                  \
        kernels().insert({#name, {threads, [](const void* args) { name(*static_cast<const Arguments*>(args)); }}}).second; \
    void name(const Arguments& args)

inline float float_of(half_bits bits) {
    static const std::vector<float> table = [] {
        std::vector<float> all(65536);
        for (int i = 0; i < 65536; ++i) {
            const int exponent = i >> 10 & 31, mantissa = i & 1023;
            float value = exponent == 0    ? std::ldexp(static_cast<float>(mantissa), -24)
                          : exponent == 31 ? (mantissa ? NAN : INFINITY)
                                           : std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
            all[i] = i & 32768 ? -value : value;
        }
        return all;
    }();
    return table[bits];
}

inline half_bits half_of(float value) {  // to nearest, ties to even
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    const unsigned sign = bits >> 16 & 0x8000;
    const float size = std::fabs(value);
    if (std::isnan(value)) return sign | 0x7fff;
    if (size == 0.0f) return sign;  // its exponent would not be the least
    if (size >= 65520.0f) return sign | 0x7c00;
    int exponent;
    std::frexp(size, &exponent);
    const int step = std::max(exponent - 11, -24);                            // the last place's power of two
    const auto places = static_cast<unsigned>(std::nearbyint(std::ldexp(size, -step)));
    // A mantissa that was rounded up to 2048 carries into the exponent by itself.
    return sign | (step == -24 ? places : (static_cast<unsigned>(step + 24) << 10) + places);
}

inline int thread_again() { return machine.now->index; }
inline unsigned shared_start() { return SHARED_START; }
inline void __syncthreads() { machine.synchronize(); }

inline void copy16(unsigned to, const void* from, bool inside, bool wanted) {
    if (wanted) machine.start_copy(to, inside ? from : nullptr);
}
inline void commit_copies() {
    machine.now->groups.push_back(std::move(machine.now->open));
    machine.now->open.clear();
}
template <int LEFT>
inline void wait_copies() {
    machine.finish_copies(LEFT);
}

inline void load_matrices(unsigned (&rows)[4], unsigned address) {
    struct Operand {
        unsigned address;
        unsigned* rows;
    } mine{address, rows};
    machine.together(mine, [](Operand** lanes) {
        for (int matrix = 0; matrix < 4; ++matrix) {
            const unsigned char* data[8];
            unsigned banks[8] = {};
            for (int row = 0; row < 8; ++row) {
                const unsigned from = lanes[matrix * 8 + row]->address;
                // Whichever lane asks: a lane reads what others copied, so none of them is the writer.
                data[row] = machine.read_shared(from, -3);
                unsigned& bank = banks[from / 16 % 8];
                if (bank != 0 && bank != from) ++machine.conflicts;
                bank = from;
            }
            for (int lane = 0; lane < WARP; ++lane)
                std::memcpy(&lanes[lane]->rows[matrix], data[lane / 4] + lane % 4 * 4, 4);
        }
    });
}

// Of a normal number: ⌊log2 |value|⌋; and 2^exponent.
inline int exponent_of(double value) {
    uint64_t bits;
    std::memcpy(&bits, &value, 8);
    return static_cast<int>(bits >> 52 & 2047) - 1023;
}
inline double power_of_two(int exponent) {
    const uint64_t bits = static_cast<uint64_t>(exponent + 1023) << 52;
    double value;
    std::memcpy(&value, &bits, 8);
    return value;
}

// What lies below the bit that is worth 2^exponent is cut off.
inline double cut(double value, int exponent) {
    return std::trunc(value * power_of_two(-exponent)) * power_of_two(exponent);
}

// As tensor cores do (Fasi, Higham, Mikaitis and Pranesh, "Numerical behavior of NVIDIA tensor cores", 2021): 8
// products and the sum are aligned to the largest of them; what lies below its 24 bits and `guard` more is cut off,
// and so is what the result has beyond 24 bits. With many more bits every result is cut by half a bit on average,
// always toward zero, which adds up; with none it is products that are cut, whose signs differ.
inline float sum_toward_zero(float sum, const double (&products)[8], int guard) {
    double largest = std::fabs(sum), total = 0.0;
    for (double product : products) largest = std::max(largest, std::fabs(product));
    if (largest == 0.0 || !std::isfinite(largest)) {
        for (double product : products) total += product;
        return static_cast<float>(sum + total);
    }
    const int last = exponent_of(largest) - 23 - guard;
    for (double product : products) total += cut(product, last);
    total += cut(sum, last);
    return total == 0.0 ? 0.0f : static_cast<float>(cut(total, exponent_of(total) - 23));
}

// Products are exact; their sum is exact and rounded once, or as above.
inline void multiply(float (&sums)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    struct Operand {
        float* sums;
        const unsigned* a;
        unsigned b[2];
    } mine{sums, a, {b0, b1}};
    machine.together(mine, [](Operand** lanes) {
        float first[16][16], second[16][8];
        for (int lane = 0; lane < WARP; ++lane) {
            const int group = lane / 4, pair = lane % 4 * 2;
            for (int i = 0; i < 4; ++i)
                for (int odd = 0; odd < 2; ++odd)
                    first[group + i % 2 * 8][pair + i / 2 * 8 + odd] = float_of(lanes[lane]->a[i] >> 16 * odd & 0xffff);
            for (int i = 0; i < 2; ++i)
                for (int odd = 0; odd < 2; ++odd)
                    second[pair + i * 8 + odd][group] = float_of(lanes[lane]->b[i] >> 16 * odd & 0xffff);
        }
        if (machine.guard_bits >= 0) {
            for (int row = 0; row < 16; ++row)
                for (int column = 0; column < 8; ++column) {
                    float& sum = lanes[row % 8 * 4 + column / 2]->sums[row / 8 * 2 + column % 2];
                    for (int from = 0; from < 16; from += 8) {
                        double products[8];
                        for (int k = 0; k < 8; ++k)
                            products[k] = static_cast<double>(first[row][from + k]) * second[from + k][column];
                        sum = sum_toward_zero(sum, products, machine.guard_bits);
                    }
                }
            return;
        }
        for (int row = 0; row < 16; ++row) {
            double products[8] = {};
            for (int k = 0; k < 16; ++k)
                for (int column = 0; column < 8; ++column)
                    products[column] += static_cast<double>(first[row][k]) * second[k][column];
            for (int column = 0; column < 8; ++column) {
                float& sum = lanes[row % 8 * 4 + column / 2]->sums[row / 8 * 2 + column % 2];
                sum = static_cast<float>(sum + products[column]);
            }
        }
    });
}

template <typename Value>
inline Value shared_value(unsigned address) {
    Value value;
    std::memcpy(&value, machine.read_shared(address, machine.now->index), 16);
    return value;
}
inline uint4 shared16(unsigned address) { return shared_value<uint4>(address); }
inline float4 shared_floats(unsigned address) { return shared_value<float4>(address); }

template <typename Value>
inline Value global_value(const void* from) {
    machine.check_global(from, sizeof(Value));
    Value value;
    std::memcpy(&value, from, sizeof(Value));
    return value;
}
inline uint4 global16(const void* from) { return global_value<uint4>(from); }
inline float4 global_floats(const float* from) { return global_value<float4>(from); }
inline float global_float(const float* from) { return global_value<float>(from); }
inline void store16(void* to, uint4 value) {
    machine.check_global(to, 16);
    std::memcpy(to, &value, 16);
}
inline void store_float(float* to, float value) {
    machine.check_global(to, 4);
    *to = value;
}
inline unsigned halves(float low, float high) { return half_of(low) | half_of(high) << 16; }
inline float low_half(unsigned both) { return float_of(both & 0xffff); }
inline float high_half(unsigned both) { return float_of(both >> 16); }
