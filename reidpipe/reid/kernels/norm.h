// Batch norm and the activation behind it, of a map as a row of pixels.
#pragma once

#include <cmath>
#include <vector>

#include "numbers.h"

enum Activation { PLAIN = 0, RELU = 1, SILU = 2 };

#define BY_ACTIVATION(FUNCTION, ACT, ...)                  \
  switch (ACT) {                                           \
    case SILU: FUNCTION<Width, SILU>(__VA_ARGS__); break;  \
    case RELU: FUNCTION<Width, RELU>(__VA_ARGS__); break;  \
    default: FUNCTION<Width, PLAIN>(__VA_ARGS__);          \
  }

// Sums over blocks of pixels in float, over blocks in double: single precision with the error of double.
constexpr int64_t BLOCK = 512;

template <class Width>
void moments(int channels, const bf16* x, int64_t pixels, double* sum, double* square) {
  const int C = Width::get(channels);
  #pragma omp simd
  for (int c = 0; c < C; ++c) sum[c] = square[c] = 0;
  alignas(64) float s[WIDEST], q[WIDEST];
  for (int64_t start = 0; start < pixels; start += BLOCK) {
    const int64_t end = start + BLOCK < pixels ? start + BLOCK : pixels;
    #pragma omp simd
    for (int c = 0; c < C; ++c) s[c] = q[c] = 0;
    for (int64_t p = start; p < end; ++p) {
      const bf16* row = x + p * C;
      #pragma omp simd
      for (int c = 0; c < C; ++c) {
        const float v = widen(row[c]);
        s[c] += v;
        q[c] += v * v;
      }
    }
    #pragma omp simd
    for (int c = 0; c < C; ++c) {
      sum[c] += s[c];
      square[c] += q[c];
    }
  }
}

// y = act(x * scale + shift); for SiLU also its slope there, which costs an exponential and is needed twice later on.
template <class Width, int ACT>
void activate(int channels, const bf16* x, int64_t pixels, const float* scale, const float* shift, bf16* slope, bf16* y) {
  const int C = Width::get(channels);
  for (int64_t p = 0; p < pixels; ++p) {
    const bf16* row = x + p * C;
    bf16 *out = y + p * C, *steep = slope + (ACT == SILU ? p * C : 0);
    #pragma omp simd
    for (int c = 0; c < C; ++c) {
      const float z = widen(row[c]) * scale[c] + shift[c];
      if (ACT == SILU) {
        const float share = sigmoid(z), product = z * share;
        out[c] = narrow(product);
        steep[c] = narrow(share + product - product * share);
      } else {
        out[c] = narrow(ACT == RELU && !(z > 0.0f) ? 0.0f : z);
      }
    }
  }
}

// The gradient before the activation, of one value x and the gradient behind it.
template <int ACT> inline float before(float x, bf16 gradient, float scale, float shift, const bf16* slope) {
  if (ACT == SILU) return widen(gradient) * widen(*slope);
  return ACT == RELU && !(x * scale + shift > 0.0f) ? 0.0f : widen(gradient);
}

// sum[c] = sum of g, dot[c] = sum of g * x, where g is the gradient before the activation.
template <class Width, int ACT>
void gradient_sums(int channels, const bf16* x, const bf16* dy, const bf16* slope, int64_t pixels, const float* scale,
                   const float* shift, double* sum, double* dot) {
  const int C = Width::get(channels);
  #pragma omp simd
  for (int c = 0; c < C; ++c) sum[c] = dot[c] = 0;
  alignas(64) float s[WIDEST], d[WIDEST];
  for (int64_t start = 0; start < pixels; start += BLOCK) {
    const int64_t end = start + BLOCK < pixels ? start + BLOCK : pixels;
    #pragma omp simd
    for (int c = 0; c < C; ++c) s[c] = d[c] = 0;
    for (int64_t p = start; p < end; ++p) {
      const bf16 *xs = x + p * C, *ds = dy + p * C, *steep = slope + (ACT == SILU ? p * C : 0);
      #pragma omp simd
      for (int c = 0; c < C; ++c) {
        const float v = widen(xs[c]), g = before<ACT>(v, ds[c], scale[c], shift[c], steep + c);
        s[c] += g;
        d[c] += g * v;
      }
    }
    #pragma omp simd
    for (int c = 0; c < C; ++c) {
      sum[c] += s[c];
      dot[c] += d[c];
    }
  }
}

// dx = a * g + b * x + k, per channel: the gradient of batch norm once its sums are known.
template <class Width, int ACT>
void gradient_map(int channels, const bf16* x, const bf16* dy, const bf16* slope, int64_t pixels, const float* scale,
                  const float* shift, const float* a, const float* b, const float* k, bf16* dx) {
  const int C = Width::get(channels);
  for (int64_t p = 0; p < pixels; ++p) {
    const bf16 *xs = x + p * C, *ds = dy + p * C, *steep = slope + (ACT == SILU ? p * C : 0);
    bf16* out = dx + p * C;
    #pragma omp simd
    for (int c = 0; c < C; ++c) {
      const float v = widen(xs[c]), g = before<ACT>(v, ds[c], scale[c], shift[c], steep + c);
      out[c] = narrow(a[c] * g + b[c] * v + k[c]);
    }
  }
}

template <class Width>
void activate_as(int channels, int act, const bf16* x, int64_t pixels, const float* scale, const float* shift, bf16* slope,
                 bf16* y) {
  BY_ACTIVATION(activate, act, channels, x, pixels, scale, shift, slope, y)
}

template <class Width>
void gradient_sums_as(int channels, int act, const bf16* x, const bf16* dy, const bf16* slope, int64_t pixels,
                      const float* scale, const float* shift, double* sum, double* dot) {
  BY_ACTIVATION(gradient_sums, act, channels, x, dy, slope, pixels, scale, shift, sum, dot)
}

template <class Width>
void gradient_map_as(int channels, int act, const bf16* x, const bf16* dy, const bf16* slope, int64_t pixels,
                     const float* scale, const float* shift, const float* a, const float* b, const float* k, bf16* dx) {
  BY_ACTIVATION(gradient_map, act, channels, x, dy, slope, pixels, scale, shift, a, b, k, dx)
}

// How many pixels are taken as one, so that a row is a whole number of vectors; 1 where they do not come out even.
inline int pixels_as_one(int channels, int64_t pixels) {
  for (int together = 1; together <= 16 && together * channels <= WIDEST; together *= 2)
    if (together * channels % 16 == 0) return pixels % together == 0 ? together : 1;
  return 1;
}

// `values` (channels) repeated, and sums over `values` (together, channels) added up in its first row.
inline void repeat(std::vector<float>& values, int together) {
  const size_t own = values.size();
  values.resize(own * together);
  for (size_t i = own; i < values.size(); ++i) values[i] = values[i - own];
}
inline void fold(std::vector<double>& values, int channels) {
  for (size_t i = channels; i < values.size(); ++i) values[i % channels] += values[i];
}

// Batch norm and activation. `kept` (4, C) carries mean, 1 / deviation, scale and shift to the backward pass; the running
// statistics move by `momentum` and take the unbiased variance. `slope` is written for SiLU alone.
inline void norm_forward(int C, const bf16* x, int64_t pixels, const float* weight, const float* bias, double eps,
                         double momentum, int act, float* running_mean, float* running_variance, double* kept, bf16* slope,
                         bf16* y) {
  const int together = pixels_as_one(C, pixels), row = C * together;
  std::vector<double> sum(row), square(row);
  std::vector<float> scale(C), shift(C);
  BY_WIDTH(moments, row, x, pixels / together, sum.data(), square.data())
  fold(sum, C);
  fold(square, C);
  for (int c = 0; c < C; ++c) {
    const double mean = sum[c] / pixels, variance = std::fmax(square[c] / pixels - mean * mean, 0.0);
    const double inverse = 1.0 / std::sqrt(variance + eps);
    kept[c] = mean;
    kept[C + c] = inverse;
    scale[c] = float(weight[c] * inverse);
    shift[c] = float(bias[c] - mean * weight[c] * inverse);
    kept[2 * C + c] = scale[c];
    kept[3 * C + c] = shift[c];
    if (running_mean) {
      const double unbiased = variance * pixels / (pixels > 1 ? pixels - 1 : 1);
      running_mean[c] += float(momentum * (mean - running_mean[c]));
      running_variance[c] += float(momentum * (unbiased - running_variance[c]));
    }
  }
  repeat(scale, together);
  repeat(shift, together);
  BY_WIDTH(activate_as, row, act, x, pixels / together, scale.data(), shift.data(), slope, y)
}

// dx = a (g - mean(g) - xhat mean(g xhat)) with a = weight / deviation (arXiv 1502.03167), as one affine map of g and x.
inline void norm_backward(int C, const bf16* x, const bf16* dy, const bf16* slope, int64_t pixels, const float* weight,
                          const double* kept, int act, float* dweight, float* dbias, bf16* dx) {
  const int together = pixels_as_one(C, pixels), row = C * together;
  std::vector<double> sum(row), dot(row);
  std::vector<float> scale(C), shift(C), a(C), b(C), k(C);
  for (int c = 0; c < C; ++c) {
    scale[c] = float(kept[2 * C + c]);
    shift[c] = float(kept[3 * C + c]);
  }
  repeat(scale, together);
  repeat(shift, together);
  BY_WIDTH(gradient_sums_as, row, act, x, dy, slope, pixels / together, scale.data(), shift.data(), sum.data(), dot.data())
  fold(sum, C);
  fold(dot, C);
  for (int c = 0; c < C; ++c) {
    const double mean = kept[c], inverse = kept[C + c], slant = weight[c] * inverse;
    const double dot_normed = inverse * (dot[c] - mean * sum[c]);
    dweight[c] = float(dot_normed);
    dbias[c] = float(sum[c]);
    a[c] = float(slant);
    b[c] = float(-slant * inverse * dot_normed / pixels);
    k[c] = float(-slant * sum[c] / pixels + slant * inverse * dot_normed / pixels * mean);
  }
  repeat(a, together);
  repeat(b, together);
  repeat(k, together);
  BY_WIDTH(gradient_map_as, row, act, x, dy, slope, pixels / together, scale.data(), shift.data(), a.data(), b.data(),
           k.data(), dx)
}
