// The first and the last convolution, in float32 arithmetic: 3 × 3, zero padding, few channels on one side.

struct FirstConvolutionArguments {
    const float* source;   // [inputs][rows][columns]
    const float* weights;  // [inputs][column of taps][row of taps][64]
    const float* bias;     // [64]
    half_bits* target;     // two planes
    long long target_stride;
    int inputs, rows, columns;
};

struct LastConvolutionArguments {
    const half_bits* source;  // planes
    const void* weights;      // float32 [chunk][column of taps][unit][row of taps][3][8]
    const float* bias;        // [3]
    float* target;            // row y of the input's size belongs at y · columns + offset, in each channel
    long long source_stride, target_stride, offset;
    int chunks, rows, columns;
    int first, last;  // the rows to be made: [first, last)
};

constexpr int END_ROWS = 4;  // rows of pixels that a thread makes

// 256 threads: 8 groups of 8 channels, 32 columns. A block makes 4 rows of 32 pixels.
KERNEL(first_convolution, 256, 1, FirstConvolutionArguments) {
    const int group = threadIdx.x & 7, x = blockIdx.x * 32 + (threadIdx.x >> 3), y0 = blockIdx.y * END_ROWS;
    float sums[END_ROWS][8];
#pragma unroll
    for (int row = 0; row < END_ROWS; ++row) {
#pragma unroll
        for (int i = 0; i < 8; ++i) sums[row][i] = global_float(args.bias + group * 8 + i);
    }
    for (int input = 0; input < args.inputs; ++input) {
        for (int across = 0; across < 3; ++across) {
            const int column = x + across - 1;
            float seen[END_ROWS + 2];
#pragma unroll
            for (int i = 0; i < END_ROWS + 2; ++i) {
                const int row = y0 + i - 1;
                const bool inside = 0 <= row && row < args.rows && 0 <= column && column < args.columns;
                seen[i] = inside ? global_float(args.source + (static_cast<long long>(input) * args.rows + row) *
                                                                 args.columns + column)
                                 : 0.0f;
            }
#pragma unroll
            for (int down = 0; down < 3; ++down) {
                const float* tap = args.weights + ((input * 3 + across) * 3 + down) * 64 + group * 8;
                const float4 low = global_floats(tap), high = global_floats(tap + 4);
                const float weights[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
                for (int row = 0; row < END_ROWS; ++row) {
#pragma unroll
                    for (int i = 0; i < 8; ++i) sums[row][i] = fmaf(weights[i], seen[row + down], sums[row][i]);
                }
            }
        }
    }
#pragma unroll
    for (int row = 0; row < END_ROWS; ++row) {
        if (y0 + row < args.rows && x < args.columns) {
            const long long pixel = static_cast<long long>(y0 + row) * args.columns + x;
            store_values(args.target + (group >> 2) * PARTS * args.target_stride + pixel * PLANE + (group & 3) * 8,
                         args.target_stride, sums[row]);
        }
    }
}

constexpr int LAST_HEIGHT = 16, LAST_WIDTH = 32, LAST_THREADS = 128;
constexpr int LAST_PATCH = (LAST_HEIGHT + 2) * (LAST_WIDTH + 2) * PIXEL;
constexpr int LAST_WEIGHTS = 9 * CHUNK * 3 * 4;
constexpr int LAST_STAGE = LAST_PATCH + LAST_WEIGHTS;

using LastPatch = Patch<LAST_HEIGHT + 2, LAST_WIDTH + 2, LAST_THREADS>;

__device__ __forceinline__ void start_last(const LastConvolutionArguments& args, const LastPatch& patch, int chunk,
                                           unsigned stage) {
    patch.copy(stage, args.source + (chunk >> 1) * args.source_stride + (chunk & 1) * CHUNK);
    copy_bytes<LAST_WEIGHTS, LAST_THREADS>(
        stage + LAST_PATCH, static_cast<const char*>(args.weights) + chunk * LAST_WEIGHTS);
}

// Eight channels of one tap column: `seen` are the rows of this thread, its neighbours included.
__device__ __forceinline__ void add_last(float (&sums)[END_ROWS][3], const float (&seen)[END_ROWS + 2][8],
                                         unsigned weights) {
#pragma unroll
    for (int down = 0; down < 3; ++down) {
#pragma unroll
        for (int output = 0; output < 3; ++output) {
            const float4 low = shared_floats(weights + (down * 3 + output) * 32);
            const float4 high = shared_floats(weights + (down * 3 + output) * 32 + 16);
            const float w[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
            for (int row = 0; row < END_ROWS; ++row) {
#pragma unroll
                for (int i = 0; i < 8; ++i)
                    sums[row][output] = fmaf(w[i], seen[row + down][i], sums[row][output]);
            }
        }
    }
}

// 128 threads: 32 columns, 4 times 4 rows of pixels. Two stages of shared memory.
KERNEL(last_convolution, LAST_THREADS, 1, LastConvolutionArguments) {
    const int column = threadIdx.x & 31, row0 = (threadIdx.x >> 5) * END_ROWS;
    const int y0 = args.first + blockIdx.y * LAST_HEIGHT, x0 = blockIdx.x * LAST_WIDTH;
    const unsigned memory = shared_start();
    float sums[END_ROWS][3];
#pragma unroll
    for (int row = 0; row < END_ROWS; ++row) {
#pragma unroll
        for (int output = 0; output < 3; ++output) sums[row][output] = global_float(args.bias + output);
    }
    const LastPatch patch(y0 - 1, x0 - 1, args.rows, args.columns);
    start_last(args, patch, 0, memory);
    commit_copies();
    for (int chunk = 0; chunk < args.chunks; ++chunk) {
        wait_copies<0>();
        __syncthreads();
        const unsigned stage = memory + (chunk & 1) * LAST_STAGE;
        if (chunk + 1 < args.chunks) start_last(args, patch, chunk + 1, memory + ((chunk + 1) & 1) * LAST_STAGE);
        commit_copies();
        for (int across = 0; across < 3; ++across) {
            for (int unit = 0; unit < 2; ++unit) {
                float seen[END_ROWS + 2][8];
#pragma unroll
                for (int i = 0; i < END_ROWS + 2; ++i) {
                    const uint4 bits =
                        shared16(stage + (row0 + i) * ((LAST_WIDTH + 2) * PIXEL) + place(column + across, unit));
                    const unsigned pairs[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
                    for (int k = 0; k < 4; ++k) {
                        seen[i][2 * k] = low_half(pairs[k]);
                        seen[i][2 * k + 1] = high_half(pairs[k]);
                    }
                }
                add_last(sums, seen, stage + LAST_PATCH + (across * 2 + unit) * 288);
            }
        }
    }
#pragma unroll
    for (int row = 0; row < END_ROWS; ++row) {
        const int y = y0 + row0 + row, x = x0 + column;
        if (y < args.last && x < args.columns) {
#pragma unroll
            for (int output = 0; output < 3; ++output)
                store_float(args.target + output * args.target_stride + args.offset +
                                static_cast<long long>(y) * args.columns + x,
                            sums[row][output]);
        }
    }
}
