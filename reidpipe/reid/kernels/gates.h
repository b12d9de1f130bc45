// The sum of gated streams.
#pragma once

#include "numbers.h"

// mean over the pixels of each image; mean (images, C)
template <class Width>
void image_means(int channels, const bf16* x, int images, int64_t pixels, float* mean) {
  const int C = Width::get(channels);
  for (int n = 0; n < images; ++n) {
    float* sum = mean + int64_t(n) * C;
    for (int c = 0; c < C; ++c) sum[c] = 0;
    for (int64_t p = 0; p < pixels; ++p) {
      const bf16* row = x + (n * pixels + p) * C;
      #pragma omp simd
      for (int c = 0; c < C; ++c) sum[c] += widen(row[c]);
    }
    for (int c = 0; c < C; ++c) sum[c] /= pixels;
  }
}

// y = sum over streams of gate * stream; gates (streams, images, C)
template <class Width>
void gated_sum(int channels, int streams, const bf16* const* x, const float* gates, int images, int64_t pixels,
               bf16* y) {
  const int C = Width::get(channels);
  alignas(64) float sum[WIDEST];
  for (int n = 0; n < images; ++n)
    for (int64_t p = 0; p < pixels; ++p) {
      const int64_t place = (n * pixels + p) * C;
      #pragma omp simd
      for (int c = 0; c < C; ++c) sum[c] = 0;
      for (int s = 0; s < streams; ++s) {
        const float* gate = gates + (int64_t(s) * images + n) * C;
        const bf16* row = x[s] + place;
        #pragma omp simd
        for (int c = 0; c < C; ++c) sum[c] += gate[c] * widen(row[c]);
      }
      #pragma omp simd
      for (int c = 0; c < C; ++c) y[place + c] = narrow(sum[c]);
    }
}

// dgates (images, C) of one stream
template <class Width>
void gate_gradients(int channels, const bf16* x, const bf16* dy, int images, int64_t pixels, float* dgates) {
  const int C = Width::get(channels);
  for (int n = 0; n < images; ++n) {
    float* sum = dgates + int64_t(n) * C;
    for (int c = 0; c < C; ++c) sum[c] = 0;
    for (int64_t p = 0; p < pixels; ++p) {
      const int64_t place = (n * pixels + p) * C;
      #pragma omp simd
      for (int c = 0; c < C; ++c) sum[c] += widen(x[place + c]) * widen(dy[place + c]);
    }
  }
}

// dx = gate * dy + dmean / pixels of one stream
template <class Width>
void stream_gradients(int channels, const bf16* dy, const float* gates, const float* dmean, int images, int64_t pixels,
                      bf16* dx) {
  const int C = Width::get(channels);
  alignas(64) float add[WIDEST];
  for (int n = 0; n < images; ++n) {
    const float* gate = gates + int64_t(n) * C;
    for (int c = 0; c < C; ++c) add[c] = dmean[int64_t(n) * C + c] / pixels;
    for (int64_t p = 0; p < pixels; ++p) {
      const int64_t place = (n * pixels + p) * C;
      #pragma omp simd
      for (int c = 0; c < C; ++c) dx[place + c] = narrow(gate[c] * widen(dy[place + c]) + add[c]);
    }
  }
}
