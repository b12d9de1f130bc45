// Batch norm and the activation behind it, of a map as rows of columns.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "numbers.h"

enum Activation { PLAIN = 0, RELU = 1, SILU = 2 };

#define BY_ACTIVATION(FUNCTION, ACT, ...)           \
  switch (ACT) {                                    \
    case SILU: FUNCTION<SILU>(__VA_ARGS__); break;  \
    case RELU: FUNCTION<RELU>(__VA_ARGS__); break;  \
    default: FUNCTION<PLAIN>(__VA_ARGS__);          \
  }

// Sums over blocks of rows in float, over blocks in double: single precision with the error of double.
constexpr int64_t BLOCK = 512;

// How many pixels are taken as one row, so that a row is a whole number of vectors, and of several where it can be.
inline int pixels_as_one(int channels, int64_t pixels) {
  int best = 1;
  for (int together = 2; together <= 16 && pixels % together == 0; together *= 2) {
    const bool better = channels * best % 16 != 0 && channels * together % 16 == 0;
    if (better || (channels * together % 16 == 0 && channels * together <= 64)) best = together;
  }
  return best;
}

// A vector per channel repeated for each pixel of a row, and sums over a row's pixels added up for each channel.
struct Repeated {
  int channels, row;
  std::vector<float> operator()(const float* values) const {
    std::vector<float> out(row);
    for (int i = 0; i < row; ++i) out[i] = values[i % channels];
    return out;
  }
  void fold(std::vector<double>& values) const {
    for (int i = channels; i < row; ++i) values[i % channels] += values[i];
  }
};

template <class Floats> struct Two {
  Floats one, other;
};

// Two sums by column: `prepare(tile, first)` gives a function from a place in the map, and which vector of the tile is
// there, to what is added.
template <class Prepare>
void sum_columns(int64_t rows, int row, double* one, double* other, Prepare prepare) {
  std::fill(one, one + row, 0.0);
  std::fill(other, other + row, 0.0);
  by_columns<4>(row, [&](auto tile, int first) {
    using T = decltype(tile);
    using L = typename T::L;
    const auto at = prepare(tile, first);
    for (int64_t start = 0; start < rows; start += BLOCK) {
      const int64_t end = std::min(start + BLOCK, rows);
      typename L::Floats s[T::VECTORS] = {}, q[T::VECTORS] = {};
      for (int64_t p = start; p < end; ++p)
        #pragma GCC unroll 4
        for (int v = 0; v < T::VECTORS; ++v) {
          const Two<typename L::Floats> found = at(p * row + first + v * T::LANES, v);
          s[v] += found.one;
          q[v] += found.other;
        }
      for (int v = 0; v < T::VECTORS; ++v) {
        L::add(one + first + v * T::LANES, s[v]);
        L::add(other + first + v * T::LANES, q[v]);
      }
    }
  });
}

inline void moments(const bf16* x, int64_t rows, int row, double* sum, double* square) {
  sum_columns(rows, row, sum, square, [x](auto tile, int) {
    using L = typename decltype(tile)::L;
    return [x](int64_t place, int) {
      const auto value = L::load(x + place);
      return Two<typename L::Floats>{value, value * value};
    };
  });
}

// y = act(x * scale + shift); for SiLU also its slope there, which costs an exponential and is needed twice later on.
template <int ACT>
void activate(const bf16* x, int64_t rows, int row, const float* scale, const float* shift, bf16* slope, bf16* y) {
  if (ACT == SILU) {
    for (int64_t p = 0; p < rows; ++p)
      #pragma omp simd
      for (int c = 0; c < row; ++c) {
        const float z = widen(x[p * row + c]) * scale[c] + shift[c], share = sigmoid(z), product = z * share;
        y[p * row + c] = narrow(product);
        slope[p * row + c] = narrow(share + product - product * share);
      }
    return;
  }
  by_columns<4>(row, [&](auto tile, int first) {
    using T = decltype(tile);
    using L = typename T::L;
    typename L::Floats a[T::VECTORS], b[T::VECTORS];
    for (int v = 0; v < T::VECTORS; ++v) {
      a[v] = L::load(scale + first + v * T::LANES);
      b[v] = L::load(shift + first + v * T::LANES);
    }
    for (int64_t p = 0; p < rows; ++p)
      #pragma GCC unroll 4
      for (int v = 0; v < T::VECTORS; ++v) {
        const int64_t place = p * row + first + v * T::LANES;
        const typename L::Floats z = L::load(x + place) * a[v] + b[v], zero = {};
        L::store(y + place, ACT == RELU ? (z < zero ? zero : z) : z);
      }
  });
}

// The gradient before the activation, of values x and the gradient behind it.
template <int ACT, class L, class Floats>
inline Floats before(Floats x, Floats gradient, Floats scale, Floats shift, const bf16* slope) {
  const Floats zero = {};
  if constexpr (ACT == SILU) return gradient * L::load(slope);
  if constexpr (ACT == RELU) return x * scale + shift > zero ? gradient : zero;
  return gradient;
}

// sum = sum of g, dot = sum of g * x by column, where g is the gradient before the activation.
template <int ACT>
void gradient_sums(const bf16* x, const bf16* dy, const bf16* slope, int64_t rows, int row, const float* scale,
                   const float* shift, double* sum, double* dot) {
  sum_columns(rows, row, sum, dot, [=](auto tile, int first) {
    using T = decltype(tile);
    using L = typename T::L;
    struct Scales {
      typename L::Floats a[T::VECTORS], b[T::VECTORS];
    } scales;
    for (int v = 0; v < T::VECTORS; ++v) {
      scales.a[v] = L::load(scale + first + v * T::LANES);
      scales.b[v] = L::load(shift + first + v * T::LANES);
    }
    return [=](int64_t place, int v) {
      const auto value = L::load(x + place);
      const auto g = before<ACT, L>(value, L::load(dy + place), scales.a[v], scales.b[v], slope + place);
      return Two<typename L::Floats>{g, g * value};
    };
  });
}

// dx = a * g + b * x + k by column: the gradient of batch norm once its sums are known.
template <int ACT>
void gradient_map(const bf16* x, const bf16* dy, const bf16* slope, int64_t rows, int row, const float* scale,
                  const float* shift, const float* a, const float* b, const float* k, bf16* dx) {
  by_columns<4>(row, [&](auto tile, int first) {
    using T = decltype(tile);
    using L = typename T::L;
    constexpr int V = T::VECTORS;
    typename L::Floats scales[V], shifts[V], as[V], bs[V], ks[V];
    for (int v = 0; v < V; ++v) {
      const int c = first + v * T::LANES;
      scales[v] = L::load(scale + c), shifts[v] = L::load(shift + c);
      as[v] = L::load(a + c), bs[v] = L::load(b + c), ks[v] = L::load(k + c);
    }
    for (int64_t p = 0; p < rows; ++p)
      #pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        const int64_t place = p * row + first + v * T::LANES;
        const auto value = L::load(x + place);
        const auto g = before<ACT, L>(value, L::load(dy + place), scales[v], shifts[v], slope + place);
        L::store(dx + place, as[v] * g + bs[v] * value + ks[v]);
      }
  });
}

// A norm's parameters; the running statistics may be missing. As `_Norm` in fused.py.
struct Norm {
  const float *weight, *bias;
  float *running_mean, *running_variance;
  int64_t* batches;
  float *dweight, *dbias;
  double eps, momentum;
};

// What the forward pass of a norm leaves for the backward pass, by channel.
struct Kept {
  double mean, inverse;
  float scale, shift;
};

// From the sums over `pixels`: what is kept, and the running statistics, which take the unbiased variance.
inline void settle(const Norm& norm, int channels, const double* sum, const double* square, int64_t pixels, Kept* kept,
                   float* scale, float* shift) {
  for (int c = 0; c < channels; ++c) {
    const double mean = sum[c] / pixels, variance = std::fmax(square[c] / pixels - mean * mean, 0.0);
    const double inverse = 1.0 / std::sqrt(variance + norm.eps);
    scale[c] = float(norm.weight[c] * inverse);
    shift[c] = float(norm.bias[c] - mean * norm.weight[c] * inverse);
    kept[c] = {mean, inverse, scale[c], shift[c]};
    if (norm.running_mean) {
      const double unbiased = variance * pixels / (pixels > 1 ? pixels - 1 : 1);
      norm.running_mean[c] += float(norm.momentum * (mean - norm.running_mean[c]));
      norm.running_variance[c] += float(norm.momentum * (unbiased - norm.running_variance[c]));
    }
  }
}

// dx = slant (g - mean(g) - xhat mean(g xhat)), slant = weight / deviation (arXiv 1502.03167), as a g + b x + k. Adds to
// the gradients of the parameters.
inline void settle_gradient(const Norm& norm, int channels, const double* sum, const double* dot, int64_t pixels,
                            const Kept* kept, float* a, float* b, float* k) {
  for (int c = 0; c < channels; ++c) {
    const double mean = kept[c].mean, inverse = kept[c].inverse, slant = norm.weight[c] * inverse;
    const double dot_normed = inverse * (dot[c] - mean * sum[c]);
    norm.dweight[c] += float(dot_normed);
    norm.dbias[c] += float(sum[c]);
    a[c] = float(slant);
    b[c] = float(-slant * inverse * dot_normed / pixels);
    k[c] = float(-slant * sum[c] / pixels + slant * inverse * dot_normed / pixels * mean);
  }
}

// Sums, constants and running statistics of one group of pixels; leaves scale and shift by column.
inline void settle_map(const Norm& norm, const Repeated& repeated, const bf16* x, int64_t pixels, Kept* kept,
                       std::vector<float>& scale, std::vector<float>& shift) {
  const int row = repeated.row, channels = repeated.channels;
  std::vector<double> sum(row), square(row);
  std::vector<float> own_scale(channels), own_shift(channels);
  moments(x, pixels * channels / row, row, sum.data(), square.data());
  repeated.fold(sum);
  repeated.fold(square);
  settle(norm, channels, sum.data(), square.data(), pixels, kept, own_scale.data(), own_shift.data());
  scale = repeated(own_scale.data());
  shift = repeated(own_shift.data());
}

// The constants of a gradient by column: dx = a * g + b * x + k. `sum` and `dot` are folded.
struct GradientMap {
  std::vector<float> a, b, k;
  GradientMap(const Norm& norm, const Repeated& repeated, std::vector<double>& sum, std::vector<double>& dot,
              int64_t pixels, const Kept* kept)
      : a(repeated.channels), b(repeated.channels), k(repeated.channels) {
    repeated.fold(sum);
    repeated.fold(dot);
    settle_gradient(norm, repeated.channels, sum.data(), dot.data(), pixels, kept, a.data(), b.data(), k.data());
    a = repeated(a.data()), b = repeated(b.data()), k = repeated(k.data());
  }
};

// Norm and activation of one group of pixels. `slope` is written for SiLU alone.
inline void norm_forward(const Norm& norm, int channels, const bf16* x, int64_t pixels, int act, Kept* kept, bf16* slope,
                         bf16* y) {
  const int together = pixels_as_one(channels, pixels), row = channels * together;
  std::vector<float> scale, shift;
  settle_map(norm, {channels, row}, x, pixels, kept, scale, shift);
  BY_ACTIVATION(activate, act, x, pixels / together, row, scale.data(), shift.data(), slope, y)
}

inline void norm_backward(const Norm& norm, int channels, const bf16* x, const bf16* dy, const bf16* slope,
                          int64_t pixels, const Kept* kept, int act, bf16* dx) {
  const int together = pixels_as_one(channels, pixels), row = channels * together;
  const Repeated repeated{channels, row};
  std::vector<double> sum(row), dot(row);
  std::vector<float> scale(row), shift(row);
  for (int c = 0; c < row; ++c) scale[c] = kept[c % channels].scale, shift[c] = kept[c % channels].shift;
  const int64_t rows = pixels / together;
  BY_ACTIVATION(gradient_sums, act, x, dy, slope, rows, row, scale.data(), shift.data(), sum.data(), dot.data())
  const GradientMap map(norm, repeated, sum, dot, pixels, kept);
  BY_ACTIVATION(gradient_map, act, x, dy, slope, rows, row, scale.data(), shift.data(), map.a.data(), map.b.data(),
                map.k.data(), dx)
}
