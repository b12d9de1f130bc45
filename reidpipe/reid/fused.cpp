// Training kernels of OSNet's small layers on a CPU: channels-last maps, values in bfloat16, sums in float32.
//
// A map (N, H, W, C) is a row of N*H*W pixels of C values. One caller, one thread: nothing here starts threads. Plain C
// functions over pointers, so that no header of PyTorch is compiled and any version of it can call them.
// Loops over channels have a compile-time length for the widths of OSNet (16, 24, 32, ... ) and vectorise; others run
// through the same code with a length known at run time.

#include <algorithm>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

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
    case 64: FUNCTION<Fixed<64>>(CHANNELS, __VA_ARGS__); break; \
    case 96: FUNCTION<Fixed<96>>(CHANNELS, __VA_ARGS__); break; \
    case 128: FUNCTION<Fixed<128>>(CHANNELS, __VA_ARGS__); break; \
    default: FUNCTION<Free>(CHANNELS, __VA_ARGS__);             \
  }

constexpr int WIDEST = 512;

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
void multiply_any(int channels, const bf16* x, int64_t pixels, const float* w, bf16* y) {
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

void multiply_weights_any(int channels, const bf16* x, const bf16* dy, int64_t pixels, float* dw) {
  std::vector<double> total(int64_t(channels) * channels, 0.0);
  for (int64_t p = 0; p < pixels; ++p)
    for (int i = 0; i < channels; ++i) {
      const float factor = widen(x[p * channels + i]);
      for (int c = 0; c < channels; ++c) total[i * channels + c] += factor * widen(dy[p * channels + c]);
    }
  for (int t = 0; t < channels * channels; ++t) dw[t] = float(total[t]);
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
  norm_forward<Width>(channels, filtered, pixels, weight, bias, eps, momentum, 1, running_mean, running_variance, kept,
                      y);
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
  norm_backward<Width>(channels, filtered, dy, pixels, weight, kept, 1, dweight, dbias, dx);
  depthwise_taps<Width>(channels, reduced, dx, images, height, width, dtaps.data());
  depthwise<Width>(channels, dx, images, height, width, taps.data(), spare);
  pointwise_weights<Width>(channels, x, spare, pixels, dw.data());
  pointwise<Width>(channels, spare, pixels, point, dx);
  for (int t = 0; t < 9; ++t)
    for (int c = 0; c < C; ++c) ddepth[c * 9 + t] = dtaps[t * C + c];
  for (int i = 0; i < C; ++i)
    for (int c = 0; c < C; ++c) dpoint[c * C + i] = dw[i * C + c];
}

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

}  // namespace

extern "C" {

int fused_widest() { return WIDEST; }

// One group of all pixels is batch norm, a group per image instance norm; kept (groups, 4, C).
void fused_norm_forward(int channels, int groups, const bf16* x, int64_t pixels, const float* weight, const float* bias,
                        double eps, double momentum, int relu, float* running_mean, float* running_variance,
                        double* kept, bf16* y) {
  const int64_t own = pixels / groups;
  for (int g = 0; g < groups; ++g) {
    const int64_t place = g * own * channels;
    BY_WIDTH(norm_forward, channels, x + place, own, weight, bias, eps, momentum, relu, running_mean, running_variance,
             kept + g * 4 * int64_t(channels), y + place)
  }
}

void fused_norm_backward(int channels, int groups, const bf16* x, const bf16* dy, int64_t pixels, const float* weight,
                         const double* kept, int relu, float* dweight, float* dbias, bf16* dx) {
  const int64_t own = pixels / groups;
  std::vector<float> group_weight(channels), group_bias(channels);
  std::vector<double> weight_sum(channels, 0.0), bias_sum(channels, 0.0);
  for (int g = 0; g < groups; ++g) {
    const int64_t place = g * own * channels;
    BY_WIDTH(norm_backward, channels, x + place, dy + place, own, weight, kept + g * 4 * int64_t(channels), relu,
             group_weight.data(), group_bias.data(), dx + place)
    for (int c = 0; c < channels; ++c) {
      weight_sum[c] += group_weight[c];
      bias_sum[c] += group_bias[c];
    }
  }
  for (int c = 0; c < channels; ++c) {
    dweight[c] = float(weight_sum[c]);
    dbias[c] = float(bias_sum[c]);
  }
}

void fused_lite_forward(int channels, const bf16* x, int images, int height, int width, const float* point,
                        const float* depth, const float* weight, const float* bias, double eps, double momentum,
                        float* running_mean, float* running_variance, bf16* reduced, bf16* filtered, double* kept,
                        bf16* y) {
  BY_WIDTH(lite_forward, channels, x, images, height, width, point, depth, weight, bias, eps, momentum, running_mean,
           running_variance, reduced, filtered, kept, y)
}

void fused_lite_backward(int channels, const bf16* x, const bf16* reduced, const bf16* filtered, const bf16* dy,
                         int images, int height, int width, const float* point, const float* depth,
                         const float* weight, const double* kept, bf16* spare, bf16* dx, float* dpoint, float* ddepth,
                         float* dweight, float* dbias) {
  BY_WIDTH(lite_backward, channels, x, reduced, filtered, dy, images, height, width, point, depth, weight, kept, spare,
           dx, dpoint, ddepth, dweight, dbias)
}

void fused_image_means(int channels, const bf16* x, int images, int64_t pixels, float* mean) {
  BY_WIDTH(image_means, channels, x, images, pixels, mean)
}

void fused_gated_sum(int channels, int streams, const bf16* const* x, const float* gates, int images, int64_t pixels,
                     bf16* y) {
  BY_WIDTH(gated_sum, channels, streams, x, gates, images, pixels, y)
}

void fused_gate_gradients(int channels, const bf16* x, const bf16* dy, int images, int64_t pixels, float* dgates) {
  BY_WIDTH(gate_gradients, channels, x, dy, images, pixels, dgates)
}

void fused_stream_gradients(int channels, const bf16* dy, const float* gates, const float* dmean, int images,
                            int64_t pixels, bf16* dx) {
  BY_WIDTH(stream_gradients, channels, dy, gates, dmean, images, pixels, dx)
}
}
