// bfloat16, and vectors held in registers.
#pragma once

#include <cstdint>
#include <cstring>
#include <new>
#include <vector>

using bf16 = uint16_t;

inline float widen(bf16 value) {
  uint32_t bits = uint32_t(value) << 16;
  float out;
  std::memcpy(&out, &bits, 4);
  return out;
}

inline bf16 narrow(float value) {  // to nearest even; a NaN stays a NaN because its top mantissa bit is set
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return bf16((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

// 1 / (1 + exp(-z)) to 3e-7, in plain arithmetic that vectorises: exp is 2 to the whole part times a polynomial of the rest.
inline float sigmoid(float z) {
  float power = z * -1.44269504f;
  power = power < -126.0f ? -126.0f : power > 126.0f ? 126.0f : power;
  const int32_t whole = int32_t(power + (power < 0.0f ? -0.5f : 0.5f));
  const float rest = (power - float(whole)) * 0.69314718f;
  const float series =
      1.0f + rest * (1.0f + rest * (0.5f + rest * (1.0f / 6 + rest * (1.0f / 24 + rest * (1.0f / 120)))));
  const int32_t bits = (whole + 127) << 23;
  float scale;
  std::memcpy(&scale, &bits, 4);
  return 1.0f / (1.0f + series * scale);
}

constexpr int WIDEST = 512;

// Memory that starts on a cache line: vectors that lie across two of them load at half the speed.
template <class T> struct Aligned {
  using value_type = T;
  Aligned() = default;
  template <class U> Aligned(const Aligned<U>&) {}
  T* allocate(size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t(64))); }
  void deallocate(T* from, size_t) { ::operator delete(from, std::align_val_t(64)); }
  template <class U> bool operator==(const Aligned<U>&) const { return true; }
  template <class U> bool operator!=(const Aligned<U>&) const { return false; }
};
template <class T> using Buffer = std::vector<T, Aligned<T>>;

inline int round_up(int value, int to) { return (value + to - 1) / to * to; }

// Vectors of `Lanes` floats held in registers. A word is a pair of bfloat16 values: the lower half comes first in memory.
template <int Lanes> struct Lane;

#if defined(__AVX512BF16__) && defined(__AVX512VL__)
#include <immintrin.h>
#define NARROW(BITS, VALUE) (Halves) _mm##BITS##_cvtneps_pbh((__m##BITS)(VALUE))
#define DOT(BITS, SUM, A, B) (Floats) _mm##BITS##_dpbf16_ps((__m##BITS)(SUM), (__m##BITS##bh)(A), (__m##BITS##bh)(B))
#else
#define NARROW(BITS, VALUE) \
  __builtin_convertvector(((Bits)(VALUE) + 0x7fffu + (((Bits)(VALUE) >> 16) & 1u)) >> 16, Halves)
#define DOT(BITS, SUM, A, B) \
  (SUM) + (Floats)((A) << 16) * (Floats)((B) << 16) + (Floats)((A) & 0xffff0000u) * (Floats)((B) & 0xffff0000u)
#endif

#define LANE(N, BITS)                                                                                     \
  template <> struct Lane<N> {                                                                            \
    typedef float Floats __attribute__((vector_size(N * 4)));                                             \
    typedef uint32_t Bits __attribute__((vector_size(N * 4)));                                            \
    typedef uint16_t Halves __attribute__((vector_size(N * 2)));                                          \
    template <class Value> static Value read(const void* from) {                                          \
      Value value;                                                                                        \
      std::memcpy(&value, from, sizeof value);                                                            \
      return value;                                                                                       \
    }                                                                                                     \
    static Bits bits(const bf16* from) { return __builtin_convertvector(read<Halves>(from), Bits); }      \
    static Bits words(const uint32_t* from) { return read<Bits>(from); }                                  \
    static Bits all(uint32_t word) { return word + Bits{}; }                                              \
    static Floats load(const float* from) { return read<Floats>(from); }                                  \
    static Floats load(const bf16* from) { return (Floats)(bits(from) << 16); }                           \
    static void store(float* to, Floats value) { std::memcpy(to, &value, sizeof value); }                 \
    static void store(uint32_t* to, Bits value) { std::memcpy(to, &value, sizeof value); }                \
    static void store(bf16* to, Floats value) {                                                           \
      const Halves halves = NARROW(BITS, value);                                                          \
      std::memcpy(to, &halves, sizeof halves);                                                            \
    }                                                                                                     \
    static void mark(uint16_t* to, Bits value) {                                                          \
      const Halves halves = __builtin_convertvector(value, Halves);                                       \
      std::memcpy(to, &halves, sizeof halves);                                                            \
    }                                                                                                     \
    static Bits narrowed(Floats value) { return __builtin_convertvector(NARROW(BITS, value), Bits); }     \
    static Floats dot(Floats sum, Bits a, Bits b) { return DOT(BITS, sum, a, b); }                        \
    template <class Total> static void add(Total* to, Floats value) {                                     \
      for (int i = 0; i < N; ++i) to[i] += value[i];                                                      \
    }                                                                                                     \
  }
LANE(8, 256);
LANE(16, 512);
#undef LANE
#undef NARROW
#undef DOT

template <> struct Lane<1> {  // what is left of a row of an odd length
  typedef float Floats;
  typedef uint32_t Bits;
  static uint32_t bits(const bf16* from) { return *from; }
  static uint32_t all(uint32_t word) { return word; }
  static void mark(uint16_t* to, uint32_t value) { *to = uint16_t(value); }
  static float load(const float* from) { return *from; }
  static float load(const bf16* from) { return widen(*from); }
  static void store(float* to, float value) { *to = value; }
  static void store(bf16* to, float value) { *to = narrow(value); }
  template <class Total> static void add(Total* to, float value) { *to += value; }
};

template <int Lanes, int Vectors> struct Tile {
  static constexpr int LANES = Lanes, VECTORS = Vectors, COLUMNS = Lanes * Vectors;
  using L = Lane<Lanes>;
};

// Calls work(Tile, first column) until all columns are done, with at most `Most` vectors at a time.
template <int Most, class Work> inline void by_columns(int columns, Work work) {
  int c = 0;
  for (; c + 16 * Most <= columns; c += 16 * Most) work(Tile<16, Most>{}, c);
  if constexpr (Most > 3)
    if (c + 48 <= columns) {
      work(Tile<16, 3>{}, c);
      c += 48;
    }
  if constexpr (Most > 2)
    if (c + 32 <= columns) {
      work(Tile<16, 2>{}, c);
      c += 32;
    }
  if constexpr (Most > 1)
    if (c + 16 <= columns) {
      work(Tile<16, 1>{}, c);
      c += 16;
    }
  if (c + 8 <= columns) {
    work(Tile<8, 1>{}, c);
    c += 8;
  }
  for (; c < columns; ++c) work(Tile<1, 1>{}, c);
}
