// One image of the Lite 3x3: its pointwise and depthwise products and their gradients, on maps that are zero-padded to a
// whole number of vectors ("columns", a multiple of 8).
#pragma once

#include <algorithm>
#include <type_traits>
#include <vector>

#include "norm.h"

struct Size {
  int height, width, columns;
  int64_t pixels() const { return int64_t(height) * width; }
  int64_t values() const { return pixels() * columns; }
  int64_t line() const { return int64_t(width + 2) * columns; }          // of a padded image
  int64_t padded() const { return line() * (height + 2); }
  int64_t pair_words() const { return (pixels() + 1) / 2 * columns; }
};

// Calls work(the number of columns as a constant) for usual widths, work(0) for others: addresses are then cheap.
template <class Work> inline void by_width(int columns, Work work) {
  switch (columns) {
    case 16: return work(std::integral_constant<int, 16>{});
    case 24: return work(std::integral_constant<int, 24>{});
    case 32: return work(std::integral_constant<int, 32>{});
    case 48: return work(std::integral_constant<int, 48>{});
    case 64: return work(std::integral_constant<int, 64>{});
    default: return work(std::integral_constant<int, 0>{});
  }
}

// y = x w for `pixels` rows; words (columns / 2, columns): pairs of w by input. ADD: adds to y.
template <bool ADD, int WIDTH>
inline void multiply_rows(const bf16* x, int64_t pixels, int any, const uint32_t* words, bf16* y) {
  const int columns = WIDTH ? WIDTH : any;
  by_columns<4>(columns, [&](auto tile, int first) {
    using T = decltype(tile);
    if constexpr (T::LANES > 1) {  // columns are a multiple of 8
      using L = typename T::L;
      constexpr int V = T::VECTORS, MOST = V == 1 ? 16 : V == 2 ? 8 : 4;
      auto rows = [&](auto count, int64_t p) {
        constexpr int R = decltype(count)::value;
        typename L::Floats sum[R][V];
        #pragma GCC unroll 16
        for (int r = 0; r < R; ++r)
          #pragma GCC unroll 4
          for (int v = 0; v < V; ++v)
            sum[r][v] = ADD ? L::load(y + (p + r) * columns + first + v * T::LANES) : typename L::Floats{};
        for (int i = 0; i < columns / 2; ++i) {
          typename L::Bits line[V];
          #pragma GCC unroll 4
          for (int v = 0; v < V; ++v) line[v] = L::words(words + int64_t(i) * columns + first + v * T::LANES);
          #pragma GCC unroll 16
          for (int r = 0; r < R; ++r) {
            uint32_t pair;
            std::memcpy(&pair, x + (p + r) * columns + 2 * i, sizeof pair);
            #pragma GCC unroll 4
            for (int v = 0; v < V; ++v) sum[r][v] = L::dot(sum[r][v], L::all(pair), line[v]);
          }
        }
        #pragma GCC unroll 16
        for (int r = 0; r < R; ++r)
          #pragma GCC unroll 4
          for (int v = 0; v < V; ++v) L::store(y + (p + r) * columns + first + v * T::LANES, sum[r][v]);
      };
      int64_t p = 0;
      for (; p + MOST <= pixels; p += MOST) rows(std::integral_constant<int, MOST>{}, p);
      for (; p < pixels; ++p) rows(std::integral_constant<int, 1>{}, p);
    }
  });
}

template <bool ADD> inline void multiply(const bf16* x, int64_t pixels, int columns, const uint32_t* words, bf16* y) {
  by_width(columns, [&](auto width) { multiply_rows<ADD, decltype(width)::value>(x, pixels, columns, words, y); });
}

// Pairs of pixels as words: (x[2p], x[2p + 1]) by column, for products that sum over pixels. With a scale:
// of relu(x * scale + shift).
inline void pair_pixels(const bf16* x, int64_t pixels, int columns, const float* scale, const float* shift,
                        uint32_t* words) {
  by_columns<1>(columns, [&](auto tile, int first) {
    using T = decltype(tile);
    if constexpr (T::LANES > 1) {
      using L = typename T::L;
      const typename L::Floats zero = {}, a = scale ? L::load(scale + first) : zero, b = scale ? L::load(shift + first) : zero;
      auto value = [&](const bf16* from) {
        if (!scale) return L::bits(from);
        const typename L::Floats z = L::load(from) * a + b;
        return L::narrowed(z < zero ? zero : z);
      };
      for (int64_t p = 0; p < pixels; p += 2) {
        const bf16* from = x + p * columns + first;
        auto word = value(from);
        if (p + 1 < pixels) word |= value(from + columns) << 16;
        L::store(words + p / 2 * columns + first, word);
      }
    }
  });
}

// dw[i][c] += sum over pixels of x[i] * dy[c], both as pair_pixels left them; `pairs` of them.
inline void multiply_weights(const uint32_t* x, const uint32_t* dy, int64_t pairs, int columns, float* dw) {
  by_columns<3>(columns, [&](auto tile, int first) {
    using T = decltype(tile);
    if constexpr (T::LANES > 1) {
      using L = typename T::L;
      constexpr int V = T::VECTORS, ROWS = 8;
      for (int i = 0; i < columns; i += ROWS) {
        typename L::Floats sum[ROWS][V];
        #pragma GCC unroll 8
        for (int r = 0; r < ROWS; ++r)
          #pragma GCC unroll 3
          for (int v = 0; v < V; ++v) sum[r][v] = L::load(dw + int64_t(i + r) * columns + first + v * T::LANES);
        for (int64_t p = 0; p < pairs; ++p) {
          typename L::Bits line[V];
          #pragma GCC unroll 3
          for (int v = 0; v < V; ++v) line[v] = L::words(dy + p * columns + first + v * T::LANES);
          #pragma GCC unroll 8
          for (int r = 0; r < ROWS; ++r)
            #pragma GCC unroll 3
            for (int v = 0; v < V; ++v) sum[r][v] = L::dot(sum[r][v], L::all(x[p * columns + i + r]), line[v]);
        }
        #pragma GCC unroll 8
        for (int r = 0; r < ROWS; ++r)
          #pragma GCC unroll 3
          for (int v = 0; v < V; ++v) L::store(dw + int64_t(i + r) * columns + first + v * T::LANES, sum[r][v]);
      }
    }
  });
}

// Inside of `padded`, whose border is zero already: the inner loops of the depthwise products then need no edge cases.
template <class Value> inline void pad_image(const Size& size, float* padded, Value value) {
  by_columns<1>(size.columns, [&](auto tile, int first) {
    using L = typename decltype(tile)::L;
    auto at = value(tile, first);
    for (int i = 0; i < size.height; ++i) {
      float* out = padded + (i + 1) * size.line() + size.columns + first;
      const int64_t place = int64_t(i) * size.width * size.columns + first;
      for (int64_t j = 0; j < int64_t(size.width) * size.columns; j += size.columns) L::store(out + j, at(place + j));
    }
  });
}

// y = depthwise 3x3 of the padded image, zero padding 1, stride 1; taps (9, columns). Adds y and its squares to the sums.
inline void depthwise(const Size& size, const float* padded, const float* taps, bf16* y, double* sum, double* square) {
  const int64_t line = size.line();
  const int C = size.columns;
  by_columns<1>(C, [&](auto tile, int first) {
    using L = typename decltype(tile)::L;
    typename L::Floats tap[9], s = {}, q = {};
    for (int t = 0; t < 9; ++t) tap[t] = L::load(taps + t * C + first);
    for (int i = 0; i < size.height; ++i)
      for (int j = 0; j < size.width; ++j) {
        const float* corner = padded + i * line + int64_t(j) * C + first;
        typename L::Floats v = {};
        #pragma GCC unroll 9
        for (int t = 0; t < 9; ++t) v += L::load(corner + t / 3 * line + t % 3 * C) * tap[t];
        s += v;
        q += v * v;
        L::store(y + (int64_t(i) * size.width + j) * C + first, v);
      }
    L::add(sum + first, s);
    L::add(square + first, q);
  });
}

// From the padded gradient behind the depthwise convolution: the gradient before it, and dtaps (9, columns), added to.
// Both read the same neighbourhood, with the taps turned by 180 degrees: x is what the convolution saw.
inline void depthwise_backward(const Size& size, const float* padded, const float* taps, const bf16* x, bf16* dx,
                               float* dtaps) {
  const int64_t line = size.line();
  const int C = size.columns;
  by_columns<1>(C, [&](auto tile, int first) {
    using L = typename decltype(tile)::L;
    typename L::Floats tap[9], sum[9];
    for (int t = 0; t < 9; ++t) {
      tap[t] = L::load(taps + (8 - t) * C + first);
      sum[t] = L::load(dtaps + (8 - t) * C + first);
    }
    for (int i = 0; i < size.height; ++i)
      for (int j = 0; j < size.width; ++j) {
        const float* corner = padded + i * line + int64_t(j) * C + first;
        const int64_t place = (int64_t(i) * size.width + j) * C + first;
        const typename L::Floats centre = L::load(x + place);
        typename L::Floats v = {};
        #pragma GCC unroll 9
        for (int t = 0; t < 9; ++t) {
          const typename L::Floats near = L::load(corner + t / 3 * line + t % 3 * C);
          v += near * tap[t];
          sum[t] += near * centre;
        }
        L::store(dx + place, v);
      }
    for (int t = 0; t < 9; ++t) L::store(dtaps + (8 - t) * C + first, sum[t]);
  });
}
