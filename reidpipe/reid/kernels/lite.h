// The Lite 3x3 of OSNet: pointwise, then depthwise convolution, batch norm, ReLU.
#pragma once

#include <algorithm>
#include <vector>

#include "norm.h"

// One image with a border of zeros, widened: the inner loops of the depthwise convolution then need no edge cases.
template <class Width>
void pad_image(int channels, const bf16* x, int height, int width, float* padded) {
  const int C = Width::get(channels);
  const int64_t line = int64_t(width + 2) * C;
  std::memset(padded, 0, sizeof(float) * line);
  std::memset(padded + (height + 1) * line, 0, sizeof(float) * line);
  for (int i = 0; i < height; ++i) {
    float* out = padded + (i + 1) * line;
    #pragma omp simd
    for (int c = 0; c < C; ++c) out[c] = out[line - C + c] = 0;
    const bf16* row = x + int64_t(i) * width * C;
    for (int64_t t = 0; t < int64_t(width) * C; ++t) out[C + t] = widen(row[t]);
  }
}

// y = depthwise 3x3 of x, zero padding 1, stride 1; taps (9, C).
template <class Width>
void depthwise(int channels, const bf16* x, int images, int height, int width, const float* taps, bf16* y) {
  const int C = Width::get(channels);
  const int64_t line = int64_t(width + 2) * C, image = int64_t(height) * width * C;
  std::vector<float> padded((height + 2) * line);
  for (int n = 0; n < images; ++n) {
    pad_image<Width>(channels, x + n * image, height, width, padded.data());
    for (int i = 0; i < height; ++i)
      for (int j = 0; j < width; ++j) {
        const float* corner = padded.data() + i * line + int64_t(j) * C;
        bf16* out = y + n * image + (int64_t(i) * width + j) * C;
        #pragma omp simd
        for (int c = 0; c < C; ++c) {
          float v = 0;
          for (int di = 0; di < 3; ++di)
            for (int dj = 0; dj < 3; ++dj) v += corner[di * line + dj * C + c] * taps[(di * 3 + dj) * C + c];
          out[c] = narrow(v);
        }
      }
  }
}

// dtaps (9, C) = sum over images and pixels of dy times the 3x3 neighbourhood of x.
template <class Width>
void depthwise_taps(int channels, const bf16* x, const bf16* dy, int images, int height, int width, float* dtaps) {
  const int C = Width::get(channels);
  const int64_t line = int64_t(width + 2) * C, image = int64_t(height) * width * C;
  std::vector<float> padded((height + 2) * line);
  std::vector<double> total(9 * C, 0.0);
  alignas(64) float part[9 * WIDEST];
  for (int n = 0; n < images; ++n) {
    pad_image<Width>(channels, x + n * image, height, width, padded.data());
    for (int t = 0; t < 9 * C; ++t) part[t] = 0;
    for (int i = 0; i < height; ++i)
      for (int j = 0; j < width; ++j) {
        const float* corner = padded.data() + i * line + int64_t(j) * C;
        const bf16* grad = dy + n * image + (int64_t(i) * width + j) * C;
        #pragma omp simd
        for (int c = 0; c < C; ++c) {
          const float g = widen(grad[c]);
          for (int di = 0; di < 3; ++di)
            for (int dj = 0; dj < 3; ++dj) part[(di * 3 + dj) * C + c] += corner[di * line + dj * C + c] * g;
        }
      }
    for (int t = 0; t < 9 * C; ++t) total[t] += part[t];
  }
  for (int t = 0; t < 9 * C; ++t) dtaps[t] = float(total[t]);
}

// y = x w, w (C, C) by input channel: the pointwise convolution. With w transposed: its gradient with respect to x.
template <int C>
void multiply(const bf16* x, int64_t pixels, const float* w, bf16* y) {
  constexpr int LANES = C % 16 == 0 ? 16 : 8, VECTORS = C / LANES, AT_ONCE = 16 / VECTORS;
  using L = Lane<LANES>;
  typename L::Floats sum[AT_ONCE][VECTORS];
  int64_t p = 0;
  for (; p + AT_ONCE <= pixels; p += AT_ONCE) {
    const bf16* rows = x + p * C;
    #pragma GCC unroll 16
    for (int r = 0; r < AT_ONCE; ++r)
      #pragma GCC unroll 16
      for (int v = 0; v < VECTORS; ++v) sum[r][v] = typename L::Floats{};
    for (int i = 0; i < C; ++i) {
      typename L::Floats line[VECTORS];
      #pragma GCC unroll 16
      for (int v = 0; v < VECTORS; ++v) line[v] = L::load(w + i * C + v * LANES);
      #pragma GCC unroll 16
      for (int r = 0; r < AT_ONCE; ++r) {
        const float factor = widen(rows[r * C + i]);
        #pragma GCC unroll 16
        for (int v = 0; v < VECTORS; ++v) sum[r][v] += factor * line[v];
      }
    }
    #pragma GCC unroll 16
    for (int r = 0; r < AT_ONCE; ++r)
      #pragma GCC unroll 16
      for (int v = 0; v < VECTORS; ++v) L::store(y + (p + r) * C + v * LANES, sum[r][v]);
  }
  for (; p < pixels; ++p)
    for (int c = 0; c < C; ++c) {
      float total = 0;
      for (int i = 0; i < C; ++i) total += widen(x[p * C + i]) * w[i * C + c];
      y[p * C + c] = narrow(total);
    }
}

// dw[i][c] = sum over pixels of x[i] * dy[c].
template <int C>
void multiply_weights(const bf16* x, const bf16* dy, int64_t pixels, float* dw) {
  constexpr int LANES = C % 16 == 0 ? 16 : 8, VECTORS = C / LANES, ROWS = 16 / VECTORS > 8 ? 16 : 8 / (VECTORS > 2 ? 2 : 1);
  static_assert(C % ROWS == 0);
  using L = Lane<LANES>;
  std::vector<double> total(C * C, 0.0);
  alignas(64) float part[ROWS * C];
  for (int64_t start = 0; start < pixels; start += BLOCK) {
    const int64_t end = start + BLOCK < pixels ? start + BLOCK : pixels;
    for (int first = 0; first < C; first += ROWS) {
      typename L::Floats sum[ROWS][VECTORS];
      #pragma GCC unroll 16
      for (int r = 0; r < ROWS; ++r)
        #pragma GCC unroll 16
        for (int v = 0; v < VECTORS; ++v) sum[r][v] = typename L::Floats{};
      for (int64_t p = start; p < end; ++p) {
        typename L::Floats grad[VECTORS];
        #pragma GCC unroll 16
        for (int v = 0; v < VECTORS; ++v) grad[v] = L::load(dy + p * C + v * LANES);
        #pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) {
          const float factor = widen(x[p * C + first + r]);
          #pragma GCC unroll 16
          for (int v = 0; v < VECTORS; ++v) sum[r][v] += factor * grad[v];
        }
      }
      std::memcpy(part, sum, sizeof(sum));
      for (int t = 0; t < ROWS * C; ++t) total[first * C + t] += part[t];
    }
  }
  for (int t = 0; t < C * C; ++t) dw[t] = float(total[t]);
}

// The same for a width that is not known when this is compiled.
inline void multiply_any(int channels, const bf16* x, int64_t pixels, const float* w, bf16* y) {
  std::vector<float> sum(channels);
  for (int64_t p = 0; p < pixels; ++p) {
    std::fill(sum.begin(), sum.end(), 0.0f);
    for (int i = 0; i < channels; ++i) {
      const float factor = widen(x[p * channels + i]);
      for (int c = 0; c < channels; ++c) sum[c] += factor * w[i * channels + c];
    }
    for (int c = 0; c < channels; ++c) y[p * channels + c] = narrow(sum[c]);
  }
}

inline void multiply_weights_any(int channels, const bf16* x, const bf16* dy, int64_t pixels, float* dw) {
  const size_t cells = size_t(channels) * channels;
  std::vector<double> total(cells, 0.0);
  for (int64_t p = 0; p < pixels; ++p)
    for (int i = 0; i < channels; ++i) {
      const float factor = widen(x[p * channels + i]);
      for (int c = 0; c < channels; ++c) total[i * channels + c] += factor * widen(dy[p * channels + c]);
    }
  for (size_t t = 0; t < cells; ++t) dw[t] = float(total[t]);
}

template <class Width>
void pointwise(int channels, const bf16* x, int64_t pixels, const float* w, bf16* y) {
  if constexpr (Width::FIXED) multiply<Width::get(0)>(x, pixels, w, y);
  else multiply_any(channels, x, pixels, w, y);
}

template <class Width>
void pointwise_weights(int channels, const bf16* x, const bf16* dy, int64_t pixels, float* dw) {
  if constexpr (Width::FIXED) multiply_weights<Width::get(0)>(x, dy, pixels, dw);
  else multiply_weights_any(channels, x, dy, pixels, dw);
}

// weights: pointwise (C_out, C_in), depthwise (C, 9), norm's weight and bias. reduced, filtered: kept for backward.
template <class Width>
void lite_forward(int channels, const bf16* x, int images, int height, int width, const float* point,
                  const float* depth, const float* weight, const float* bias, double eps, double momentum,
                  float* running_mean, float* running_variance, bf16* reduced, bf16* filtered, double* kept, bf16* y) {
  const int C = Width::get(channels);
  const int64_t pixels = int64_t(images) * height * width;
  std::vector<float> w(C * C), taps(9 * C);
  for (int i = 0; i < C; ++i)
    for (int c = 0; c < C; ++c) w[i * C + c] = point[c * C + i];
  for (int t = 0; t < 9; ++t)
    for (int c = 0; c < C; ++c) taps[t * C + c] = depth[c * 9 + t];
  pointwise<Width>(channels, x, pixels, w.data(), reduced);
  depthwise<Width>(channels, reduced, images, height, width, taps.data(), filtered);
  norm_forward(channels, filtered, pixels, weight, bias, eps, momentum, RELU, running_mean, running_variance, kept,
               nullptr, y);
}

template <class Width>
void lite_backward(int channels, const bf16* x, const bf16* reduced, const bf16* filtered, const bf16* dy, int images,
                   int height, int width, const float* point, const float* depth, const float* weight,
                   const double* kept, bf16* spare, bf16* dx, float* dpoint, float* ddepth, float* dweight,
                   float* dbias) {
  const int C = Width::get(channels);
  const int64_t pixels = int64_t(images) * height * width;
  std::vector<float> taps(9 * C), dtaps(9 * C), dw(C * C);
  for (int t = 0; t < 9; ++t)
    for (int c = 0; c < C; ++c) taps[t * C + c] = depth[c * 9 + 8 - t];  // turned by 180 degrees
  norm_backward(channels, filtered, dy, nullptr, pixels, weight, kept, RELU, dweight, dbias, dx);
  depthwise_taps<Width>(channels, reduced, dx, images, height, width, dtaps.data());
  depthwise<Width>(channels, dx, images, height, width, taps.data(), spare);
  pointwise_weights<Width>(channels, x, spare, pixels, dw.data());
  pointwise<Width>(channels, spare, pixels, point, dx);
  for (int t = 0; t < 9; ++t)
    for (int c = 0; c < C; ++c) ddepth[c * 9 + t] = dtaps[t * C + c];
  for (int i = 0; i < C; ++i)
    for (int c = 0; c < C; ++c) dpoint[c * C + i] = dw[i * C + c];
}
