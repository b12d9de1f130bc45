// Training kernels of OSNet's small layers on a CPU: channels-last maps, values in bfloat16, sums in float32.
//
// A map (N, H, W, C) is a row of N*H*W pixels of C values. One caller, one thread: nothing here starts threads. Plain C
// functions over pointers, so that no header of PyTorch is compiled and any version of it can call them.
// Gradients of parameters are added to what is there. `batches` of a norm counts the calls, as in PyTorch.

#include "norm.h"
#include "pool.h"
#include "residual.h"
#include "streams.h"

extern "C" {

// One group of all pixels is batch norm, a group per image instance norm; kept (groups, C).
void fused_norm_forward(int channels, int groups, const Norm* norm, const bf16* x, int64_t pixels, int act, Kept* kept,
                        bf16* slope, bf16* y) {
  const int64_t own = pixels / groups;
  for (int g = 0; g < groups; ++g) {
    const int64_t place = g * own * channels;
    norm_forward(*norm, channels, x + place, own, act, kept + int64_t(g) * channels, slope ? slope + place : nullptr,
                 y + place);
  }
  if (norm->batches) ++*norm->batches;
}

void fused_norm_backward(int channels, int groups, const Norm* norm, const bf16* x, const bf16* dy, const bf16* slope,
                         int64_t pixels, const Kept* kept, int act, bf16* dx) {
  const int64_t own = pixels / groups;
  for (int g = 0; g < groups; ++g) {
    const int64_t place = g * own * channels;
    norm_backward(*norm, channels, x + place, dy + place, slope ? slope + place : nullptr, own,
                  kept + int64_t(g) * channels, act, dx + place);
  }
}

void fused_residual_forward(int channels, int groups, const Norm* norm, const Norm* norm_b, const bf16* a, const bf16* b,
                            int64_t pixels, Kept* kept, Kept* kept_b, bf16* y) {
  residual_forward(channels, groups, *norm, norm_b, a, b, pixels, kept, kept_b, y);
  if (norm->batches) ++*norm->batches;
  if (norm_b && norm_b->batches) ++*norm_b->batches;
}

void fused_residual_backward(int channels, int groups, const Norm* norm, const Norm* norm_b, const bf16* a, const bf16* b,
                             const bf16* y, const bf16* dy, int64_t pixels, const Kept* kept, const Kept* kept_b, bf16* da,
                             bf16* db) {
  residual_backward(channels, groups, *norm, norm_b, a, b, y, dy, pixels, kept, kept_b, da, db);
}

void fused_pool_forward(int kind, int channels, int height, int width, int images, int groups, const Norm* norm,
                        const bf16* x, Kept* kept, bf16* place, bf16* chosen, bf16* y) {
  norm_pool_forward({kind, channels, height, width}, images, groups, *norm, x, kept, place, chosen, y);
  if (norm->batches) ++*norm->batches;
}

void fused_pool_backward(int kind, int channels, int height, int width, int images, int groups, const Norm* norm,
                         const bf16* x, const Kept* kept, const bf16* place, const bf16* chosen, const bf16* dy, bf16* dx) {
  norm_pool_backward({kind, channels, height, width}, images, groups, *norm, x, kept, place, chosen, dy, dx);
}

// maps (layers, 2, images, pixels, columns), kept (layers, columns), gates (2, streams, images, columns), zero at first;
// spare (streams, images, pixels, columns).
void fused_streams_forward(int channels, int images, int height, int width, int layers, const Lite* lite, const Gate* gate,
                           const bf16* x, bf16* maps, Kept* kept, float* gates, bf16* y) {
  Streams all(channels, images, height, width, layers, lite, gate, maps, kept, gates);
  streams_forward(all, x, y);
}

void fused_streams_backward(int channels, int images, int height, int width, int layers, const Lite* lite,
                            const Gate* gate, const bf16* x, bf16* maps, Kept* kept, float* gates, const bf16* dy,
                            bf16* spare, bf16* dx) {
  const Streams all(channels, images, height, width, layers, lite, gate, maps, kept, gates);
  streams_backward(all, x, dy, spare, dx);
}

// Maps (streams, images, pixels, C) by pointer; gates (2, streams, images, C).
void fused_gated_sum(int channels, int images, int64_t pixels, int streams, const Gate* gate, const bf16* const* x,
                     float* gates, bf16* y) {
  const int64_t image = pixels * channels, half = int64_t(streams) * images;
  for (int n = 0; n < images; ++n) {
    std::vector<Stream> maps;
    std::vector<const float*> values;
    for (int s = 0; s < streams; ++s) {
      float *mean = gates + (int64_t(s) * images + n) * channels, *value = mean + half * channels;
      maps.push_back({x[s] + n * image, nullptr, nullptr});
      values.push_back(value);
      stream_mean(maps[s], pixels, channels, mean);
      gate_values(*gate, channels, mean, value);
    }
    gated_sum(maps, values.data(), pixels, channels, y + n * image);
  }
}

void fused_gated_sum_backward(int channels, int images, int64_t pixels, int streams, const Gate* gate,
                              const bf16* const* x, const float* gates, const bf16* dy, bf16* const* dx) {
  const int64_t image = pixels * channels, half = int64_t(streams) * images;
  std::vector<float> dvalue(channels), add(channels);
  for (int n = 0; n < images; ++n)
    for (int s = 0; s < streams; ++s) {
      const float *mean = gates + (int64_t(s) * images + n) * channels, *value = mean + half * channels;
      value_gradient({x[s] + n * image, nullptr, nullptr}, dy + n * image, pixels, channels, dvalue.data());
      gate_backward(*gate, channels, mean, value, dvalue.data(), add.data());
      for (float& one : add) one /= float(pixels);
      stream_gradient(dy + n * image, value, add.data(), pixels, channels, dx[s] + n * image);
    }
}
}
