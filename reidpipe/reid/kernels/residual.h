// The end of a residual block: y = relu(norm(a) + shortcut), where the shortcut is a map or the norm of one.
#pragma once

#include "norm.h"

// Rows of both maps, added; without a scale of its own the shortcut is taken as it is.
inline void add_rows(const bf16* a, const bf16* b, int64_t rows, int row, const float* scale, const float* shift,
                     const float* scale_b, const float* shift_b, bf16* y) {
  by_columns<4>(row, [&](auto tile, int first) {
    using T = decltype(tile);
    using L = typename T::L;
    constexpr int V = T::VECTORS;
    typename L::Floats scales[V], shifts[V], scales_b[V], zero = {};
    for (int v = 0; v < V; ++v) {
      const int c = first + v * T::LANES;
      scales[v] = L::load(scale + c), shifts[v] = L::load(shift + c), scales_b[v] = zero + 1.0f;
      if (scale_b) shifts[v] += L::load(shift_b + c), scales_b[v] = L::load(scale_b + c);
    }
    for (int64_t p = 0; p < rows; ++p)
      #pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        const int64_t place = p * row + first + v * T::LANES;
        const typename L::Floats z = L::load(a + place) * scales[v] + L::load(b + place) * scales_b[v] + shifts[v];
        L::store(y + place, z < zero ? zero : z);
      }
  });
}

// By column, where g is the gradient before the ReLU: the sums of g, of g * a, and with `dot_b` of g * b. Adds to them.
inline void residual_sums(const bf16* a, const bf16* b, const bf16* y, const bf16* dy, int64_t rows, int row, double* sum,
                          double* dot, double* dot_b) {
  by_columns<4>(row, [&](auto tile, int first) {
    using T = decltype(tile);
    using L = typename T::L;
    constexpr int V = T::VECTORS;
    for (int64_t start = 0; start < rows; start += BLOCK) {
      const int64_t end = std::min(start + BLOCK, rows);
      typename L::Floats s[V] = {}, d[V] = {}, e[V] = {}, zero = {};
      for (int64_t p = start; p < end; ++p)
        #pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
          const int64_t place = p * row + first + v * T::LANES;
          const typename L::Floats g = L::load(y + place) > zero ? L::load(dy + place) : zero;
          s[v] += g;
          d[v] += g * L::load(a + place);
          if (dot_b) e[v] += g * L::load(b + place);
        }
      for (int v = 0; v < V; ++v) {
        const int c = first + v * T::LANES;
        L::add(sum + c, s[v]);
        L::add(dot + c, d[v]);
        if (dot_b) L::add(dot_b + c, e[v]);
      }
    }
  });
}

// dx = a * g + b * x + k of one of the maps; without a map of constants dx = g.
inline void residual_gradient(const bf16* x, const bf16* y, const bf16* dy, int64_t rows, int row, const GradientMap* map,
                              bf16* dx) {
  by_columns<4>(row, [&](auto tile, int first) {
    using T = decltype(tile);
    using L = typename T::L;
    constexpr int V = T::VECTORS;
    typename L::Floats a[V], b[V], k[V], zero = {};
    for (int v = 0; map && v < V; ++v) {
      const int c = first + v * T::LANES;
      a[v] = L::load(map->a.data() + c), b[v] = L::load(map->b.data() + c), k[v] = L::load(map->k.data() + c);
    }
    for (int64_t p = 0; p < rows; ++p)
      #pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        const int64_t place = p * row + first + v * T::LANES;
        const typename L::Floats g = L::load(y + place) > zero ? L::load(dy + place) : zero;
        L::store(dx + place, map ? typename L::Floats(a[v] * g + b[v] * L::load(x + place) + k[v]) : g);
      }
  });
}

// `groups` of pixels have a norm of their own in the first map, as in instance norm; kept (groups, C), kept_b (C).
inline void residual_forward(int channels, int groups, const Norm& norm, const Norm* norm_b, const bf16* a, const bf16* b,
                             int64_t pixels, Kept* kept, Kept* kept_b, bf16* y) {
  const int64_t own = pixels / groups;
  const Repeated repeated{channels, channels * pixels_as_one(channels, own)};
  std::vector<float> scale, shift, scale_b, shift_b;
  if (norm_b) settle_map(*norm_b, repeated, b, pixels, kept_b, scale_b, shift_b);
  for (int g = 0; g < groups; ++g) {
    const int64_t place = g * own * channels;
    settle_map(norm, repeated, a + place, own, kept + int64_t(g) * channels, scale, shift);
    add_rows(a + place, b + place, own * channels / repeated.row, repeated.row, scale.data(), shift.data(),
             norm_b ? scale_b.data() : nullptr, shift_b.data(), y + place);
  }
}

inline void residual_backward(int channels, int groups, const Norm& norm, const Norm* norm_b, const bf16* a, const bf16* b,
                              const bf16* y, const bf16* dy, int64_t pixels, const Kept* kept, const Kept* kept_b,
                              bf16* da, bf16* db) {
  const int64_t own = pixels / groups;
  const Repeated repeated{channels, channels * pixels_as_one(channels, own)};
  const int row = repeated.row;
  std::vector<double> all(row, 0.0), dot_b(row, 0.0);
  for (int g = 0; g < groups; ++g) {
    const int64_t place = g * own * channels, rows = own * channels / row;
    std::vector<double> sum(row, 0.0), dot(row, 0.0);
    residual_sums(a + place, b + place, y + place, dy + place, rows, row, sum.data(), dot.data(),
                  norm_b ? dot_b.data() : nullptr);
    for (int c = 0; c < row; ++c) all[c] += sum[c];
    const GradientMap map(norm, repeated, sum, dot, own, kept + int64_t(g) * channels);
    residual_gradient(a + place, y + place, dy + place, rows, row, &map, da + place);
  }
  const int64_t rows = pixels * channels / row;
  if (!norm_b) return residual_gradient(b, y, dy, rows, row, nullptr, db);
  const GradientMap map(*norm_b, repeated, all, dot_b, pixels, kept_b);
  residual_gradient(b, y, dy, rows, row, &map, db);
}
