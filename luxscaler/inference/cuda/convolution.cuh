// A 3 × 3 convolution with zero padding on tensor cores, activation and residuals included.
//
// Pictures lie in planes of 32 channels, [plane][row][column][32] halves, so that concatenation is counting
// planes further. A block makes a rectangle of pixels. It goes through the input in chunks of 16 channels; of each
// it brings the rectangle with a border of one pixel to shared memory once, and all nine taps read it there by
// other addresses. While one chunk is multiplied the next ones are on their way.
//
// A warp makes ROWS × 16 pixels × 32 channels. Of one column of taps it loads each row of the picture once
// and multiplies it for all three taps. Every sum is made in the order chunk, column of taps, row of taps,
// whatever the block's shape: results are equal to the bit for all of them.
//
// PARTS, a constant that stands before this file, is how many halves a number is kept as. 1: half precision. 2: a
// high half and a low one, x = high + low / LOW, 22 bits of float32's 24; planes of high and low halves take turns.
// Then x · w is high · w_low + low · w_high + high · w_high. Tensor cores round sums toward zero, so the two
// small products of all channels come first, while the sums are small, and the bias last, in the registers.

struct ConvolutionArguments {
    const half_bits* head;   // the first `head_planes` planes of the input
    const half_bits* tail;   // the planes that follow
    const void* weights;     // as packing.py puts them
    const float* bias;       // [OUTPUTS]
    const half_bits* inner;  // null, or: result = inner + inner_scale · result
    const half_bits* outer;  // null, or then: result = outer + outer_scale · result
    half_bits* target;
    long long source_stride;  // halves from one plane of the input to the next
    long long target_stride;  // the same of inner, outer and target
    int head_planes, chunks;  // chunks of 16 channels, all planes together; at least STAGES − 1
    int both;                 // chunks of all planes; PARTS 2: those after them are the high halves' again
    int rows, columns;        // of the input; what lies outside is zero
    int first, last;          // the rows of the result to be made: [first, last), `first` even
    int leaky;                // 1: LeakyReLU before the residuals
    int upwards;              // 1: from the last rows to the first, whose order decides what the cache still holds
    float inner_scale, outer_scale;
    float unscale;  // PARTS 2: what undoes the power of two that the weights were multiplied by
};

static_assert(PARTS == 1 || PARTS == 2);
constexpr float LEAK = 0.2f;
constexpr float LOW = 2048.0f;     // low halves are kept this many times as large, so that they lose no bits
constexpr int CHUNK = 16;          // channels
constexpr int PIXEL = CHUNK * 2;   // bytes of a pixel in shared memory: two units of 16 bytes
constexpr int PLANE = 32;          // channels of a plane

// Where a unit lies in its row. The swap makes 8 neighbouring pixels cover all 32 banks.
__device__ __forceinline__ unsigned place(int column, int unit) {
    return column * PIXEL + ((unit ^ (column >> 2)) & 1) * 16;
}

// A patch of HEIGHT × WIDTH pixels on its way to shared memory. Where each unit comes from is worked out once:
// from chunk to chunk only the address of the chunk changes.
template <int HEIGHT, int WIDTH, int THREADS>
struct Patch {
    static constexpr int UNITS = HEIGHT * WIDTH * 2, ROUNDS = (UNITS + THREADS - 1) / THREADS;
    int from[ROUNDS];  // halves from the start of a plane; negative: outside of the picture

    __device__ __forceinline__ Patch(int top, int left, int rows, int columns) {
#pragma unroll
        for (int round = 0; round < ROUNDS; ++round) {
            const int index = round * THREADS + threadIdx.x;
            const int row = (index >> 1) / WIDTH, column = (index >> 1) - row * WIDTH;
            const int unit = (index ^ (column >> 2)) & 1;  // place(column, unit) is this index's
            const int y = top + row, x = left + column;
            const bool inside = 0 <= y && y < rows && 0 <= x && x < columns;
            from[round] = inside ? (y * columns + x) * PLANE + unit * 8 : -1;
        }
    }

    // Start to bring the chunk that begins at that address.
    __device__ __forceinline__ void copy(unsigned to, const half_bits* chunk) const {
#pragma unroll
        for (int round = 0; round < ROUNDS; ++round) {
            const int index = round * THREADS + threadIdx.x;
            const bool wanted = (round + 1) * THREADS <= UNITS || index < UNITS;
            copy16(to + index * 16, chunk + max(from[round], 0), from[round] >= 0, wanted);
        }
    }
};

template <int BYTES, int THREADS>
__device__ __forceinline__ void copy_bytes(unsigned to, const void* from) {
#pragma unroll
    for (int round = 0; round < (BYTES / 16 + THREADS - 1) / THREADS; ++round) {
        const int index = round * THREADS + threadIdx.x;
        const bool wanted = (round + 1) * THREADS * 16 <= BYTES || index * 16 < BYTES;
        copy16(to + index * 16, static_cast<const char*>(from) + index * 16, true, wanted);
    }
}

// Eight channels of one pixel, as a feature map keeps them, to floats. Low halves lie a plane further.
__device__ __forceinline__ void load_values(float (&values)[8], const half_bits* from, long long stride) {
    const uint4 bits = global16(from);
    const unsigned pairs[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        values[2 * i] = low_half(pairs[i]);
        values[2 * i + 1] = high_half(pairs[i]);
    }
    if constexpr (PARTS == 2) {
        const uint4 low_bits = global16(from + stride);
        const unsigned lows[4] = {low_bits.x, low_bits.y, low_bits.z, low_bits.w};
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            values[2 * i] = fmaf(low_half(lows[i]), 1.0f / LOW, values[2 * i]);
            values[2 * i + 1] = fmaf(high_half(lows[i]), 1.0f / LOW, values[2 * i + 1]);
        }
    }
}

// The inverse, rounded. Beyond the range of a half the result is infinite, and what is made of it not a number.
__device__ __forceinline__ void store_values(half_bits* to, long long stride, const float (&values)[8]) {
    unsigned pairs[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) pairs[i] = halves(values[2 * i], values[2 * i + 1]);
    store16(to, make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]));
    if constexpr (PARTS == 2) {
#pragma unroll
        for (int i = 0; i < 4; ++i)
            pairs[i] = halves((values[2 * i] - low_half(pairs[i])) * LOW,
                              (values[2 * i + 1] - high_half(pairs[i])) * LOW);
        store16(to + stride, make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]));
    }
}

// OUTPUTS: 32 or 64 channels. DOWN × ACROSS warps of ROWS × 16 pixels. STAGES chunks are held at once.
// SHIFT 1: the input is seen enlarged twice by nearest neighbours, which is never written anywhere.
template <int OUTPUTS, int DOWN, int ACROSS, int ROWS, int STAGES, int SHIFT>
struct BlockShape {
    static constexpr int THREADS = DOWN * ACROSS * OUTPUTS;
    static constexpr int HEIGHT = DOWN * ROWS, WIDTH = ACROSS * 16;
    static constexpr int PATCH_HEIGHT = (HEIGHT >> SHIFT) + 2, PATCH_WIDTH = (WIDTH >> SHIFT) + 2;
    static constexpr int PATCH_BYTES = PATCH_HEIGHT * PATCH_WIDTH * PIXEL;
    static constexpr int TAP_BYTES = CHUNK * OUTPUTS * 2;
    static constexpr int STAGE_BYTES = PATCH_BYTES + 9 * TAP_BYTES, SHARED = STAGES * STAGE_BYTES;
    // Which 32 channels and which pixels a thread's warp makes.
    struct Place {
        int lane, group, row, column;  // in the block's pixels
        int y, x;                      // of the block's first pixel

        __device__ __forceinline__ Place(const ConvolutionArguments& args, int thread)
            : lane(thread & 31),
              group((thread >> 5) % (OUTPUTS / 32)),
              row((thread >> 5) / (OUTPUTS / 32) / ACROSS * ROWS),
              column((thread >> 5) / (OUTPUTS / 32) % ACROSS * 16),
              y(args.first +
                (args.upwards ? (args.last - args.first - 1) / HEIGHT - blockIdx.y : blockIdx.y) * HEIGHT),
              x(blockIdx.x * WIDTH) {}
    };
    using Source = Patch<PATCH_HEIGHT, PATCH_WIDTH, THREADS>;

    static __device__ __forceinline__ void start(const ConvolutionArguments& args, const Source& patch, int chunk,
                                                 unsigned stage) {
        const bool again = PARTS == 2 && chunk >= args.both;
        const int plane = again ? (chunk - args.both) & ~1 : chunk >> 1, later = plane - args.head_planes;
        const half_bits* from =
            (later < 0 ? args.head : args.tail) + (later < 0 ? plane : later) * args.source_stride;
        patch.copy(stage, from + (chunk & 1) * CHUNK);
        copy_bytes<9 * TAP_BYTES, THREADS>(
            stage + PATCH_BYTES, static_cast<const char*>(args.weights) + chunk * (9 * TAP_BYTES));
    }

    // One column of taps. `pixels`: where this lane's rows of the matrices begin; `weights`: its taps.
    static __device__ __forceinline__ void add(float (&sums)[ROWS][4][4], unsigned pixels, unsigned weights) {
        uint4 taps[3][2];
#pragma unroll
        for (int down = 0; down < 3; ++down) {
            taps[down][0] = shared16(weights + down * TAP_BYTES);
            taps[down][1] = shared16(weights + down * TAP_BYTES + 512);
        }
        unsigned picture[4];
#pragma unroll
        for (int seen = 0; seen < ROWS + 2; ++seen) {  // rows from the one above this warp's first
            if (SHIFT == 0 || seen == 0 || seen % 2 == 1)
                load_matrices(picture, pixels + (SHIFT ? (seen + 1) / 2 : seen) * (PATCH_WIDTH * PIXEL));
#pragma unroll
            for (int down = 0; down < 3; ++down) {
                const int row = seen - down;
                if (row < 0 || row >= ROWS) continue;
                multiply(sums[row][0], picture, taps[down][0].x, taps[down][0].y);
                multiply(sums[row][1], picture, taps[down][0].z, taps[down][0].w);
                multiply(sums[row][2], picture, taps[down][1].x, taps[down][1].y);
                multiply(sums[row][3], picture, taps[down][1].z, taps[down][1].w);
            }
        }
    }

    // Eight channels of one pixel: activation, residuals, rounding.
    static __device__ __forceinline__ void finish(const ConvolutionArguments& args, float (&values)[8],
                                                  long long at) {
        if (args.leaky) {
#pragma unroll
            for (int i = 0; i < 8; ++i) values[i] = fmaxf(values[i], LEAK * values[i]);
        }
        if (args.inner) add_to(values, args.inner + at, args.target_stride, args.inner_scale);
        if (args.outer) add_to(values, args.outer + at, args.target_stride, args.outer_scale);
        store_values(args.target + at, args.target_stride, values);
    }

    static __device__ __forceinline__ void add_to(float (&values)[8], const half_bits* base, long long stride,
                                                  float scale) {
        float found[8];
        load_values(found, base, stride);
#pragma unroll
        for (int i = 0; i < 8; ++i) values[i] = fmaf(scale, values[i], found[i]);
    }

    // The bias of the eight channels that this lane's sums are of: packing.py makes them neighbours.
    static __device__ __forceinline__ void load_bias(float (&bias)[8], const ConvolutionArguments& args,
                                                     const Place& at) {
        const float* from = args.bias + at.group * 32 + (at.lane & 3) * 8;
        const float4 low = global_floats(from), high = global_floats(from + 4);
        bias[0] = low.x, bias[1] = low.y, bias[2] = low.z, bias[3] = low.w;
        bias[4] = high.x, bias[5] = high.y, bias[6] = high.z, bias[7] = high.w;
    }

    static __device__ __forceinline__ void run(const ConvolutionArguments& args) {
        const Place at(args, threadIdx.x);
        const unsigned memory = shared_start();
        const Source patch((at.y >> SHIFT) - 1, (at.x >> SHIFT) - 1, args.rows, args.columns);
        // Where this lane's rows of the matrices begin, for each column of taps.
        const unsigned picture = memory + (at.row >> SHIFT) * (PATCH_WIDTH * PIXEL);
        const int column = at.column + (at.lane & 15) + SHIFT, unit = at.lane >> 4;
        const unsigned pixels[3] = {picture + place(column >> SHIFT, unit),
                                    picture + place((column + 1) >> SHIFT, unit),
                                    picture + place((column + 2) >> SHIFT, unit)};
        const unsigned weights = memory + PATCH_BYTES + at.group * 1024 + at.lane * 16;

        float bias[8] = {};
        if constexpr (PARTS == 1) load_bias(bias, args, at);
        float sums[ROWS][4][4];
#pragma unroll
        for (int row = 0; row < ROWS; ++row) {
#pragma unroll
            for (int i = 0; i < 16; ++i) sums[row][i >> 2][i & 3] = bias[(i >> 2) * 2 + (i & 1)];
        }

#pragma unroll
        for (int chunk = 0; chunk < STAGES - 1; ++chunk) {
            start(args, patch, chunk, memory + chunk * STAGE_BYTES);
            commit_copies();
        }
        unsigned stage = 0;  // where this chunk lies, in bytes
        for (int chunk = 0; chunk < args.chunks; ++chunk) {
            wait_copies<STAGES - 2>();
            __syncthreads();  // this chunk is there for all, and all are done with the one before
            add(sums, pixels[0] + stage, weights + stage);
            // Between products, so that the other warps keep the tensor cores busy meanwhile.
            if (chunk + STAGES - 1 < args.chunks)
                start(args, patch, chunk + STAGES - 1,
                      memory + (stage == 0 ? SHARED : stage) - STAGE_BYTES);
            commit_copies();
            add(sums, pixels[1] + stage, weights + stage + 3 * TAP_BYTES);
            add(sums, pixels[2] + stage, weights + stage + 6 * TAP_BYTES);
            stage = stage + STAGE_BYTES == SHARED ? 0 : stage + STAGE_BYTES;
        }

        store(args, sums);
    }

    static __device__ __forceinline__ void store(const ConvolutionArguments& args, const float (&sums)[ROWS][4][4]) {
        const Place at(args, thread_again());
        const int columns = args.columns << SHIFT, channel = (at.lane & 3) * 8;
        float bias[8];
        if constexpr (PARTS == 2) load_bias(bias, args, at);
#pragma unroll
        for (int row = 0; row < ROWS; ++row) {
#pragma unroll
            for (int side = 0; side < 2; ++side) {
                const int y = at.y + at.row + row, x = at.x + at.column + (at.lane >> 2) + side * 8;
                if (y < args.last && x < columns) {
                    float values[8];
#pragma unroll
                    for (int i = 0; i < 8; ++i) {
                        values[i] = sums[row][i >> 1][side * 2 + (i & 1)];
                        if constexpr (PARTS == 2) values[i] = fmaf(values[i], args.unscale, bias[i]);
                    }
                    const long long pixel = static_cast<long long>(y) * columns + x;
                    finish(args, values, at.group * PARTS * args.target_stride + pixel * PLANE + channel);
                }
            }
        }
    }
};

#define CONVOLUTION(name, threads, shared, blocks, ...)                                                  \
    static_assert(BlockShape<__VA_ARGS__>::THREADS == threads, #name);                                   \
    static_assert(BlockShape<__VA_ARGS__>::SHARED == shared, #name);                                     \
    KERNEL(name, threads, blocks, ConvolutionArguments) { BlockShape<__VA_ARGS__>::run(args); }
