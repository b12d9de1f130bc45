// bfloat16, widths known at compile time, and vectors held in registers.
#pragma once

#include <cstdint>
#include <cstring>

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

// The number of channels, fixed at compile time where it is a usual one.
template <int C> struct Fixed {
  static constexpr bool FIXED = true;
  static constexpr int get(int) { return C; }
};
struct Free {
  static constexpr bool FIXED = false;
  static int get(int channels) { return channels; }
};

#define BY_WIDTH(FUNCTION, CHANNELS, ...)                       \
  switch (CHANNELS) {                                           \
    case 16: FUNCTION<Fixed<16>>(CHANNELS, __VA_ARGS__); break; \
    case 24: FUNCTION<Fixed<24>>(CHANNELS, __VA_ARGS__); break; \
    case 32: FUNCTION<Fixed<32>>(CHANNELS, __VA_ARGS__); break; \
    case 48: FUNCTION<Fixed<48>>(CHANNELS, __VA_ARGS__); break; \
    case 64: FUNCTION<Fixed<64>>(CHANNELS, __VA_ARGS__); break; \
    case 80: FUNCTION<Fixed<80>>(CHANNELS, __VA_ARGS__); break; \
    case 96: FUNCTION<Fixed<96>>(CHANNELS, __VA_ARGS__); break; \
    case 128: FUNCTION<Fixed<128>>(CHANNELS, __VA_ARGS__); break; \
    default: FUNCTION<Free>(CHANNELS, __VA_ARGS__);             \
  }

constexpr int WIDEST = 512;

// Vectors of `Lanes` floats held in registers, for the products of small matrices.
template <int Lanes> struct Lane;
#define LANE(N)                                                                                       \
  template <> struct Lane<N> {                                                                        \
    typedef float Floats __attribute__((vector_size(N * 4)));                                         \
    typedef uint32_t Bits __attribute__((vector_size(N * 4)));                                        \
    typedef uint16_t Halves __attribute__((vector_size(N * 2)));                                      \
    static Floats load(const float* from) {                                                           \
      Floats floats;                                                                                  \
      std::memcpy(&floats, from, sizeof floats);                                                      \
      return floats;                                                                                  \
    }                                                                                                 \
    static Floats load(const bf16* from) {                                                            \
      Halves halves;                                                                                  \
      std::memcpy(&halves, from, sizeof halves);                                                      \
      return (Floats)(__builtin_convertvector(halves, Bits) << 16);                                   \
    }                                                                                                 \
    static void store(bf16* to, Floats value) {                                                       \
      const Bits bits = (Bits)value;                                                                  \
      const Halves halves = __builtin_convertvector((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16, Halves); \
      std::memcpy(to, &halves, sizeof halves);                                                        \
    }                                                                                                 \
  }
LANE(8);
LANE(16);
#undef LANE
