// Batch norm and ReLU of a map as a row of pixels.
#pragma once

#include <cmath>
#include <vector>

#include "numbers.h"

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

template <class Width>
void affine_relu(int channels, const bf16* x, int64_t pixels, const float* scale, const float* shift, int relu, bf16* y) {
  const int C = Width::get(channels);
  const float floor = relu ? 0.0f : -INFINITY;
  for (int64_t p = 0; p < pixels; ++p) {
    const bf16* row = x + p * C;
    bf16* out = y + p * C;
    #pragma omp simd
    for (int c = 0; c < C; ++c) {
      const float v = widen(row[c]) * scale[c] + shift[c];
      out[c] = narrow(v > floor ? v : floor);
    }
  }
}

// sum[c] = sum of g, dot[c] = sum of g * x, where g = dy with the entries cut by the ReLU left out.
template <class Width>
void masked_sums(int channels, const bf16* x, const bf16* dy, int64_t pixels, const float* scale, const float* shift,
                 int relu, double* sum, double* dot) {
  const int C = Width::get(channels);
  const float floor = relu ? 0.0f : -INFINITY;
  #pragma omp simd
  for (int c = 0; c < C; ++c) sum[c] = dot[c] = 0;
  alignas(64) float s[WIDEST], d[WIDEST];
  for (int64_t start = 0; start < pixels; start += BLOCK) {
    const int64_t end = start + BLOCK < pixels ? start + BLOCK : pixels;
    #pragma omp simd
    for (int c = 0; c < C; ++c) s[c] = d[c] = 0;
    for (int64_t p = start; p < end; ++p) {
      const bf16 *xs = x + p * C, *ds = dy + p * C;
      #pragma omp simd
      for (int c = 0; c < C; ++c) {
        const float v = widen(xs[c]);
        const float g = v * scale[c] + shift[c] > floor ? widen(ds[c]) : 0.0f;
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
template <class Width>
void masked_affine(int channels, const bf16* x, const bf16* dy, int64_t pixels, const float* scale, const float* shift,
                   int relu, const float* a, const float* b, const float* k, bf16* dx) {
  const int C = Width::get(channels);
  const float floor = relu ? 0.0f : -INFINITY;
  for (int64_t p = 0; p < pixels; ++p) {
    const bf16 *xs = x + p * C, *ds = dy + p * C;
    bf16* out = dx + p * C;
    #pragma omp simd
    for (int c = 0; c < C; ++c) {
      const float v = widen(xs[c]);
      const float g = v * scale[c] + shift[c] > floor ? widen(ds[c]) : 0.0f;
      out[c] = narrow(a[c] * g + b[c] * v + k[c]);
    }
  }
}

// Batch norm and ReLU. `kept` (4, C) carries mean, 1 / deviation, scale and shift to the backward pass; the running
// statistics move by `momentum` and take the unbiased variance.
template <class Width>
void norm_forward(int channels, const bf16* x, int64_t pixels, const float* weight, const float* bias, double eps,
                  double momentum, int relu, float* running_mean, float* running_variance, double* kept, bf16* y) {
  const int C = Width::get(channels);
  std::vector<double> sum(C), square(C);
  std::vector<float> scale(C), shift(C);
  moments<Width>(channels, x, pixels, sum.data(), square.data());
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
  affine_relu<Width>(channels, x, pixels, scale.data(), shift.data(), relu, y);
}

// dx = a (g - mean(g) - xhat mean(g xhat)) with a = weight / deviation (arXiv 1502.03167), as one affine map of g and x.
template <class Width>
void norm_backward(int channels, const bf16* x, const bf16* dy, int64_t pixels, const float* weight, const double* kept,
                   int relu, float* dweight, float* dbias, bf16* dx) {
  const int C = Width::get(channels);
  std::vector<double> sum(C), dot(C);
  std::vector<float> scale(C), shift(C), a(C), b(C), k(C);
  for (int c = 0; c < C; ++c) {
    scale[c] = float(kept[2 * C + c]);
    shift[c] = float(kept[3 * C + c]);
  }
  masked_sums<Width>(channels, x, dy, pixels, scale.data(), shift.data(), relu, sum.data(), dot.data());
  for (int c = 0; c < C; ++c) {
    const double mean = kept[c], inverse = kept[C + c], slope = weight[c] * inverse;
    const double dot_normed = inverse * (dot[c] - mean * sum[c]);
    dweight[c] = float(dot_normed);
    dbias[c] = float(sum[c]);
    a[c] = float(slope);
    b[c] = float(-slope * inverse * dot_normed / pixels);
    k[c] = float(-slope * sum[c] / pixels + slope * inverse * dot_normed / pixels * mean);
  }
  masked_affine<Width>(channels, x, dy, pixels, scale.data(), shift.data(), relu, a.data(), b.data(), k.data(), dx);
}
