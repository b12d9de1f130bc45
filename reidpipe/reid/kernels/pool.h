// Norm, ReLU and the pooling behind them: y = pool(relu(x * scale + shift)) image by image; what is pooled is never stored.
#pragma once

#include "norm.h"

enum Pool { AVERAGE = 0, MAXIMUM = 1 };  // 2x2 with stride 2, and 3x3 with stride 2 and padding 1
constexpr uint32_t NOWHERE = 9;          // in place of a position in the window: the maximum is the zero of the ReLU

struct Pooled {
  int kind, channels, height, width;
  int rows() const { return kind == AVERAGE ? height / 2 : (height + 1) / 2; }
  int columns() const { return kind == AVERAGE ? width / 2 : (width + 1) / 2; }
  int64_t inner() const { return int64_t(height) * width * channels; }
  int64_t outer() const { return int64_t(rows()) * columns() * channels; }
};

inline void average_forward(const Pooled& size, const bf16* x, const float* scale, const float* shift, bf16* y) {
  const int C = size.channels;
  const int64_t line = int64_t(size.width) * C;
  by_columns<2>(C, [&](auto tile, int first) {
    using T = decltype(tile);
    using L = typename T::L;
    using Floats = typename L::Floats;
    const Floats zero = {};
    for (int v = 0; v < T::VECTORS; ++v) {
      const int c = first + v * T::LANES;
      const Floats a = L::load(scale + c), b = L::load(shift + c);
      auto value = [&](const bf16* from) {
        const Floats z = L::load(from) * a + b;
        return Floats(z < zero ? zero : z);
      };
      for (int i = 0; i < size.rows(); ++i)
        for (int j = 0; j < size.columns(); ++j) {
          const bf16* from = x + 2 * i * line + int64_t(2) * j * C + c;
          const Floats sum = value(from) + value(from + C) + value(from + line) + value(from + line + C);
          L::store(y + (int64_t(i) * size.columns() + j) * C + c, sum * 0.25f);
        }
    }
  });
}

// Also which of the nine the maximum is, and the x there.
inline void maximum_forward(const Pooled& size, const bf16* x, const float* scale, const float* shift, bf16* y,
                            bf16* place, bf16* chosen) {
  const int C = size.channels;
  by_columns<1>(C, [&](auto tile, int c) {
    using L = typename decltype(tile)::L;
    using Floats = typename L::Floats;
    const Floats a = L::load(scale + c), b = L::load(shift + c), zero = {};
    for (int i = 0; i < size.rows(); ++i)
      for (int j = 0; j < size.columns(); ++j) {
        Floats best = zero, origin = zero;
        typename L::Bits where = L::all(NOWHERE);
        for (int di = i == 0; di < 3 && 2 * i + di - 1 < size.height; ++di)
          for (int dj = j == 0; dj < 3 && 2 * j + dj - 1 < size.width; ++dj) {
            const Floats value = L::load(x + (int64_t(2 * i + di - 1) * size.width + 2 * j + dj - 1) * C + c);
            const Floats z = value * a + b;
            where = z > best ? L::all(di * 3 + dj) : where;
            origin = z > best ? value : origin;
            best = z > best ? z : best;
          }
        const int64_t to = (int64_t(i) * size.columns() + j) * C + c;
        L::store(y + to, best);
        L::store(chosen + to, origin);
        L::mark(place + to, where);
      }
  });
}

// Sums of g and of g * x by channel, g being the gradient before the ReLU. Adds to them.
inline void average_sums(const Pooled& size, const bf16* x, const bf16* dy, const float* scale, const float* shift,
                         double* sum, double* dot) {
  const int C = size.channels;
  const int64_t line = int64_t(size.width) * C;
  by_columns<1>(C, [&](auto tile, int c) {
    using L = typename decltype(tile)::L;
    using Floats = typename L::Floats;
    const Floats a = L::load(scale + c), b = L::load(shift + c), zero = {};
    Floats s = zero, d = zero;
    for (int i = 0; i < size.rows(); ++i)
      for (int j = 0; j < size.columns(); ++j) {
        const Floats up = L::load(dy + (int64_t(i) * size.columns() + j) * C + c) * 0.25f;
        const bf16* from = x + 2 * i * line + int64_t(2) * j * C + c;
        #pragma GCC unroll 4
        for (int t = 0; t < 4; ++t) {
          const Floats value = L::load(from + t / 2 * line + t % 2 * C), g = value * a + b > zero ? up : zero;
          s += g;
          d += g * value;
        }
      }
    L::add(sum + c, s);
    L::add(dot + c, d);
  });
}

inline void maximum_sums(const Pooled& size, const bf16* place, const bf16* chosen, const bf16* dy, double* sum,
                         double* dot) {
  const int C = size.channels;
  by_columns<1>(C, [&](auto tile, int c) {
    using L = typename decltype(tile)::L;
    const typename L::Floats zero = {};
    typename L::Floats s = zero, d = zero;
    for (int64_t p = c; p < size.outer(); p += C) {
      const typename L::Floats g = L::bits(place + p) < L::all(NOWHERE) ? L::load(dy + p) : zero;
      s += g;
      d += g * L::load(chosen + p);
    }
    L::add(sum + c, s);
    L::add(dot + c, d);
  });
}

// dx = a * g + b * x + k. An inner pixel lies in one average, and in up to four windows of a maximum.
inline void pool_gradient(const Pooled& size, const bf16* x, const bf16* place, const bf16* dy, const float* scale,
                          const float* shift, const GradientMap& map, bf16* dx) {
  const int C = size.channels, rows = size.rows(), columns = size.columns();
  by_columns<1>(C, [&](auto tile, int c) {
    using L = typename decltype(tile)::L;
    using Floats = typename L::Floats;
    const Floats as = L::load(map.a.data() + c), bs = L::load(map.b.data() + c), ks = L::load(map.k.data() + c), zero = {};
    const Floats slant = L::load(scale + c), offset = L::load(shift + c);
    for (int i = 0; i < size.height; ++i)
      for (int j = 0; j < size.width; ++j) {
        const int64_t at = (int64_t(i) * size.width + j) * C + c;
        const Floats value = L::load(x + at);
        Floats g = zero;
        if (size.kind == AVERAGE) {
          if (i / 2 < rows && j / 2 < columns)
            g = value * slant + offset > zero ? Floats(L::load(dy + (int64_t(i / 2) * columns + j / 2) * C + c) * 0.25f) : zero;
        } else {
          for (int u = i / 2; u <= (i + 1) / 2 && u < rows; ++u)
            for (int w = j / 2; w <= (j + 1) / 2 && w < columns; ++w) {
              const int64_t from = (int64_t(u) * columns + w) * C + c;
              const uint32_t mine = (i - 2 * u + 1) * 3 + j - 2 * w + 1;
              g += L::bits(place + from) == L::all(mine) ? L::load(dy + from) : zero;
            }
        }
        L::store(dx + at, as * g + bs * value + ks);
      }
  });
}

// `groups` is 1 (batch norm) or the number of images (instance norm); kept (groups, C). place, chosen: for maxima.
inline void norm_pool_forward(const Pooled& size, int images, int groups, const Norm& norm, const bf16* x, Kept* kept,
                              bf16* place, bf16* chosen, bf16* y) {
  const int C = size.channels;
  const int64_t own = int64_t(images / groups) * size.height * size.width;
  const Repeated repeated{C, C * pixels_as_one(C, own)};
  std::vector<float> scale, shift;
  for (int n = 0; n < images; ++n) {
    const int64_t in = n * size.inner(), out = n * size.outer();
    if (n < groups) settle_map(norm, repeated, x + n * own * C, own, kept + int64_t(n) * C, scale, shift);
    if (size.kind == AVERAGE) average_forward(size, x + in, scale.data(), shift.data(), y + out);
    else maximum_forward(size, x + in, scale.data(), shift.data(), y + out, place + out, chosen + out);
  }
}

inline void norm_pool_backward(const Pooled& size, int images, int groups, const Norm& norm, const bf16* x, const Kept* kept,
                               const bf16* place, const bf16* chosen, const bf16* dy, bf16* dx) {
  const int C = size.channels, together = images / groups;
  std::vector<float> scale(C), shift(C);
  for (int g = 0; g < groups; ++g) {
    for (int c = 0; c < C; ++c) scale[c] = kept[int64_t(g) * C + c].scale, shift[c] = kept[int64_t(g) * C + c].shift;
    std::vector<double> sum(C, 0.0), dot(C, 0.0);
    for (int n = g * together; n < (g + 1) * together; ++n) {
      const int64_t in = n * size.inner(), out = n * size.outer();
      if (size.kind == AVERAGE) average_sums(size, x + in, dy + out, scale.data(), shift.data(), sum.data(), dot.data());
      else maximum_sums(size, place + out, chosen + out, dy + out, sum.data(), dot.data());
    }
    const int64_t own = int64_t(together) * size.height * size.width;
    const GradientMap map(norm, {C, C}, sum, dot, own, kept + int64_t(g) * C);
    for (int n = g * together; n < (g + 1) * together; ++n) {
      const int64_t in = n * size.inner(), out = n * size.outer();
      pool_gradient(size, x + in, place + (place ? out : 0), dy + out, scale.data(), shift.data(), map, dx + in);
    }
  }
}
