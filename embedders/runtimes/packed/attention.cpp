// Attention over packed sequences on a CPU, one task per (sequence, head).
//
// A row of queries meets all keys of its sequence at once, so no padding and no mask enters. Keys
// and values are repacked once per task so that the inner loops read 16 lanes at a time:
//
//   scores  lanes are 16 keys,          a step covers one cell of the head's width
//   output  lanes are 16 output columns, a step covers one cell of the keys
//
// A cell is 32 bits: one float, or a pair of bfloat16 where the machine multiplies such pairs.
// Both kinds share every loop; they differ in `multiply_add` and in how cells are filled.
// Sums, the softmax and the rotary turn are float32 in either case.

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <cmath>
#include <memory>
#include <algorithm>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

namespace {

constexpr int LANES = 16;
constexpr int ROWS = 8;  // queries that share one pass over the keys
constexpr float OUTSIDE = -1e30f;  // score of a key beyond the end: its weight is exactly 0

typedef float floats __attribute__((vector_size(64)));
typedef int32_t ints __attribute__((vector_size(64)));
struct bfloat16 { uint16_t bits; };

inline float to_float(float x) { return x; }
inline float to_float(bfloat16 x) {
    const uint32_t bits = uint32_t(x.bits) << 16;
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}
inline uint32_t round_bits(float x) {  // to nearest, ties to even; NaN stays NaN
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    if (x != x) return 0x7fc0;
    return (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
}
inline void store(float* to, float x) { *to = x; }
inline void store(bfloat16* to, float x) { to->bits = uint16_t(round_bits(x)); }

template <class Storage>
inline void store_lanes(Storage* to, floats lanes, int count) {
    alignas(64) float values[LANES];
    *reinterpret_cast<floats*>(values) = lanes;
    if (count == LANES)  // a fixed count is what the compiler turns into vector instructions
        for (int j = 0; j < LANES; ++j) store(to + j, values[j]);
    else
        for (int j = 0; j < count; ++j) store(to + j, values[j]);
}

template <class Combine>
inline float reduce(floats lanes, Combine combine) {
    alignas(64) float values[LANES];
    *reinterpret_cast<floats*>(values) = lanes;
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int j = 0; j < width; ++j) values[j] = combine(values[j], values[j + width]);
    return values[0];
}

// ---- the two kinds of cell -------------------------------------------------------------------

struct One {
    static constexpr int PER_CELL = 1;
    typedef float cell;
    static floats multiply_add(floats sum, cell scalar, const cell* lanes) {
        return sum + scalar * *reinterpret_cast<const floats*>(lanes);
    }
    static void save(cell* to, floats weights) { *reinterpret_cast<floats*>(to) = weights; }
};

#ifdef __AVX512BF16__
struct Pair {
    static constexpr int PER_CELL = 2;
    typedef uint32_t cell;
    static floats multiply_add(floats sum, cell scalar, const cell* lanes) {
        return (floats)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32(int(scalar)),
                                        (__m512bh)_mm512_load_si512(lanes));
    }
    static void save(cell* to, floats weights) {
        _mm256_store_si256(reinterpret_cast<__m256i*>(to),
                           (__m256i)_mm512_cvtneps_pbh((__m512)weights));
    }
};
#endif

// ---- exponential -----------------------------------------------------------------------------

inline floats splat(float x) { return floats{} + x; }

inline floats larger(floats a, floats b) {
#ifdef __AVX512F__
    return (floats)_mm512_max_ps((__m512)a, (__m512)b);
#else
    return a > b ? a : b;
#endif
}

// 2^x for x <= 0
template <int DEGREE>
inline floats exp2(floats x) {
#ifdef __AVX512F__
    const floats whole = (floats)_mm512_roundscale_ps((__m512)x, 8);
#else
    x = x > -126.0f ? x : splat(-126.0f);
    const floats shift = splat(12582912.0f);  // 1.5 * 2^23: adding it leaves the nearest integer
    const floats whole = (x + shift) - shift;
#endif
    const floats part = x - whole;
    floats sum;
    if constexpr (DEGREE == 4) {
        sum = splat(9.6720e-3f);
        sum = sum * part + 5.5890e-2f;
        sum = sum * part + 2.40221e-1f;
        sum = sum * part + 6.93147e-1f;
    } else {
        sum = splat(1.5403530e-4f);
        sum = sum * part + 1.3333558e-3f;
        sum = sum * part + 9.6181291e-3f;
        sum = sum * part + 5.5504109e-2f;
        sum = sum * part + 2.4022651e-1f;
        sum = sum * part + 6.9314718e-1f;
    }
    sum = sum * part + 1.0f;
#ifdef __AVX512F__
    return (floats)_mm512_scalef_ps((__m512)sum, (__m512)whole);
#else
    const ints power = (__builtin_convertvector(whole, ints) + 127) << 23;
    return sum * (floats)power;
#endif
}

// ---- filling cells ---------------------------------------------------------------------------

// One row of queries or keys, turned by its position: cells in any order, so long as queries and
// keys share it, since a dot product does not mind.
template <class Storage>
inline void turn(const Storage* row, const float* cosine, const float* sine, int half, float* to) {
    for (int c = 0; c < half; ++c) {
        const float first = to_float(row[c]), second = to_float(row[c + half]);
        to[c] = first * cosine[c] - second * sine[c];
        to[c + half] = second * cosine[c] + first * sine[c];
    }
}
#ifdef __AVX512BF16__
template <class Storage>
inline void turn(const Storage* row, const float* cosine, const float* sine, int half,
                 uint32_t* to) {
    for (int c = 0; c < half; ++c) {
        const float first = to_float(row[c]), second = to_float(row[c + half]);
        to[c] = round_bits(first * cosine[c] - second * sine[c]) |
                round_bits(second * cosine[c] + first * sine[c]) << 16;
    }
}
#endif

template <class T> struct Free { void operator()(T* p) const { std::free(p); } };
template <class T>
std::unique_ptr<T[], Free<T>> aligned(size_t count) {
    const size_t bytes = (count * sizeof(T) + 63) / 64 * 64;
    return std::unique_ptr<T[], Free<T>>(static_cast<T*>(std::aligned_alloc(64, bytes)));
}

template <class Storage, class Kind>
class Head {
    typedef typename Kind::cell cell;
    static constexpr int PER = Kind::PER_CELL;
    static constexpr int STEPS = LANES / PER;  // cells in a block of 16 keys

  public:
    Head(int longest, int width)
        : width_(width), half_(width / 2), cells_(width / PER), columns_((width + 15) / 16),
          keys_(aligned<cell>(size_t(blocks(longest)) * cells_ * LANES)),
          values_(aligned<cell>(size_t(blocks(longest)) * STEPS * columns_ * LANES)),
          scores_(aligned<float>(size_t(blocks(longest)) * ROWS * LANES)),
          weights_(aligned<cell>(size_t(blocks(longest)) * ROWS * STEPS)),
          queries_(aligned<cell>(size_t(ROWS) * cells_)),
          turned_(aligned<cell>(cells_)) {}

    bool has_memory() const {
        return keys_ && values_ && scores_ && weights_ && queries_ && turned_;
    }

    static int blocks(int length) { return (length + LANES - 1) / LANES; }

    // query, key, value: first row of this sequence and head; rows `stride` apart
    void run(const Storage* query, const Storage* key, const Storage* value, size_t stride,
             int length, const float* cosine, const float* sine, Storage* out, size_t out_stride) {
        pack_keys(key, stride, length, cosine, sine);
        pack_values(value, stride, length);
        for (int first = 0; first < length; first += ROWS) {
            const int rows = std::min(ROWS, length - first);
            for (int i = 0; i < ROWS; ++i) {
                const int t = first + std::min(i, rows - 1);
                turn(query + t * stride, cosine + size_t(t) * half_, sine + size_t(t) * half_,
                     half_, &queries_[i * cells_]);
            }
            float scale[ROWS];
            soften(length, scale);
            sum_up(length, rows, scale, out + first * out_stride, out_stride);
        }
    }

  private:
    void pack_keys(const Storage* key, size_t stride, int length, const float* cosine,
                   const float* sine) {
        for (int b = 0; b < blocks(length); ++b) {
            const int here = std::min(LANES, length - b * LANES);
            cell* block = &keys_[size_t(b) * cells_ * LANES];
            if (here < LANES) std::fill(block, block + cells_ * LANES, cell(0));
            for (int j = 0; j < here; ++j) {
                const size_t t = b * LANES + j;
                turn(key + t * stride, cosine + t * half_, sine + t * half_, half_, turned_.get());
                for (int c = 0; c < cells_; ++c) block[c * LANES + j] = turned_[c];
            }
        }
    }

    void pack_values(const Storage* value, size_t stride, int length) {
        const int whole = columns_ * LANES;
        for (int s = 0; s < blocks(length) * STEPS; ++s) {
            cell* step = &values_[size_t(s) * whole];
            const int t = s * PER;
            const Storage* row = value + size_t(t) * stride;
            if constexpr (PER == 2) {
                if (t + 1 < length)
                    for (int x = 0; x < width_; ++x)
                        step[x] = row[x].bits | uint32_t(row[stride + x].bits) << 16;
                else if (t < length)
                    for (int x = 0; x < width_; ++x) step[x] = row[x].bits;
                else
                    std::fill(step, step + width_, 0);
            } else {
                for (int x = 0; x < width_; ++x) step[x] = t < length ? to_float(row[x]) : 0.0f;
            }
            std::fill(step + width_, step + whole, cell(0));
        }
    }

    // scores, their softmax, and its reciprocal sum per row
    void soften(int length, float* reciprocal) {
        const int count = blocks(length);
        const float scale = 1.4426950408889634f / std::sqrt(float(width_));
        floats highest[ROWS];
        for (auto& each : highest) each = splat(OUTSIDE);
        for (int b = 0; b < count; ++b) {
            floats sum[ROWS] = {};
            const cell* keys = &keys_[size_t(b) * cells_ * LANES];
            for (int c = 0; c < cells_; ++c)
#pragma GCC unroll 8
                for (int i = 0; i < ROWS; ++i)
                    sum[i] = Kind::multiply_add(sum[i], queries_[i * cells_ + c], keys + c * LANES);
            if (b == count - 1) {
                const ints inside = ints{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15} <
                                    length - b * LANES;
#pragma GCC unroll 8
                for (int i = 0; i < ROWS; ++i) sum[i] = inside ? sum[i] : splat(OUTSIDE);
            }
            floats* scores = reinterpret_cast<floats*>(&scores_[size_t(b) * ROWS * LANES]);
#pragma GCC unroll 8
            for (int i = 0; i < ROWS; ++i) {
                highest[i] = larger(sum[i], highest[i]);
                scores[i] = sum[i];
            }
        }
        floats shift[ROWS], total[ROWS] = {};
        for (int i = 0; i < ROWS; ++i) {
            const float top = reduce(highest[i], [](float a, float b) { return a > b ? a : b; });
            shift[i] = splat(-top * scale);
        }
        for (int b = 0; b < count; ++b) {
            const floats* scores = reinterpret_cast<floats*>(&scores_[size_t(b) * ROWS * LANES]);
#pragma GCC unroll 8
            for (int i = 0; i < ROWS; ++i) {
                const floats weight = exp2<PER == 2 ? 4 : 6>(scores[i] * scale + shift[i]);
                total[i] += weight;
                Kind::save(&weights_[(size_t(b) * ROWS + i) * STEPS], weight);
            }
        }
        for (int i = 0; i < ROWS; ++i) {
            reciprocal[i] = 1.0f / reduce(total[i], [](float a, float b) { return a + b; });
        }
    }

    void sum_up(int length, int rows, const float* reciprocal, Storage* out, size_t stride) {
        for (int x = 0; x < columns_; ++x) {
            floats sum[ROWS] = {};
            for (int b = 0; b < blocks(length); ++b) {
                const cell* weights = &weights_[size_t(b) * ROWS * STEPS];
                for (int k = 0; k < STEPS; ++k) {
                    const cell* values =
                        &values_[((size_t(b) * STEPS + k) * columns_ + x) * LANES];
#pragma GCC unroll 8
                    for (int i = 0; i < ROWS; ++i)
                        sum[i] = Kind::multiply_add(sum[i], weights[i * STEPS + k], values);
                }
            }
            const int columns = std::min(LANES, width_ - x * LANES);
            for (int i = 0; i < rows; ++i) {
                store_lanes(&out[i * stride + x * LANES], sum[i] * reciprocal[i], columns);
            }
        }
    }

    int width_, half_, cells_, columns_;
    std::unique_ptr<cell[], Free<cell>> keys_, values_;
    std::unique_ptr<float[], Free<float>> scores_;
    std::unique_ptr<cell[], Free<cell>> weights_, queries_, turned_;
};

// qkv (tokens, 3, heads, width); starts (sequences + 1); cosine, sine (longest, width / 2);
// out (tokens, heads, width); 0, or 1 if memory ran out
template <class Storage, class Kind>
int attend(const Storage* qkv, const int32_t* starts, int sequences, int heads, int width,
            const float* cosine, const float* sine, Storage* out) {
    int longest = 0;
    for (int s = 0; s < sequences; ++s) longest = std::max(longest, starts[s + 1] - starts[s]);
    const size_t row = size_t(heads) * width;
    int failed = 0;
#pragma omp parallel
    {
        Head<Storage, Kind> head(longest, width);
#pragma omp for schedule(dynamic, 1)
        for (int task = 0; task < sequences * heads; ++task) {
            if (!head.has_memory()) {
#pragma omp atomic write
                failed = 1;
                continue;
            }
            const int s = task / heads, h = task % heads;
            const Storage* first = qkv + size_t(starts[s]) * 3 * row + size_t(h) * width;
            head.run(first, first + row, first + 2 * row, 3 * row, starts[s + 1] - starts[s],
                     cosine, sine, out + size_t(starts[s]) * row + size_t(h) * width, row);
        }
    }
    return failed;
}

}  // namespace

extern "C" {

int attend_float32(const float* qkv, const int32_t* starts, int sequences, int heads, int width,
                   const float* cosine, const float* sine, float* out) {
    return attend<float, One>(qkv, starts, sequences, heads, width, cosine, sine, out);
}

int attend_bfloat16(const bfloat16* qkv, const int32_t* starts, int sequences, int heads,
                    int width, const float* cosine, const float* sine, bfloat16* out) {
#ifdef __AVX512BF16__
    return attend<bfloat16, Pair>(qkv, starts, sequences, heads, width, cosine, sine, out);
#else
    return attend<bfloat16, One>(qkv, starts, sequences, heads, width, cosine, sine, out);
#endif
}

}
