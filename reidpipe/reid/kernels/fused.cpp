// Training kernels of OSNet's small layers on a CPU: channels-last maps, values in bfloat16, sums in float32.
//
// A map (N, H, W, C) is a row of N*H*W pixels of C values. One caller, one thread: nothing here starts threads. Plain C
// functions over pointers, so that no header of PyTorch is compiled and any version of it can call them.
// Loops over channels have a compile-time length for the widths of OSNet (16, 24, 32, ... ) and vectorise; others run
// through the same code with a length known at run time.

#include "gates.h"
#include "lite.h"
#include "norm.h"

extern "C" {

// One group of all pixels is batch norm, a group per image instance norm; kept (groups, 4, C).
void fused_norm_forward(int channels, int groups, const bf16* x, int64_t pixels, const float* weight, const float* bias,
                        double eps, double momentum, int act, float* running_mean, float* running_variance,
                        double* kept, bf16* slope, bf16* y) {
  const int64_t own = pixels / groups;
  for (int g = 0; g < groups; ++g) {
    const int64_t place = g * own * channels;
    norm_forward(channels, x + place, own, weight, bias, eps, momentum, act, running_mean, running_variance,
                 kept + g * 4 * int64_t(channels), slope ? slope + place : nullptr, y + place);
  }
}

void fused_norm_backward(int channels, int groups, const bf16* x, const bf16* dy, const bf16* slope, int64_t pixels,
                         const float* weight, const double* kept, int act, float* dweight, float* dbias, bf16* dx) {
  const int64_t own = pixels / groups;
  std::vector<float> group_weight(channels), group_bias(channels);
  std::vector<double> weight_sum(channels, 0.0), bias_sum(channels, 0.0);
  for (int g = 0; g < groups; ++g) {
    const int64_t place = g * own * channels;
    norm_backward(channels, x + place, dy + place, slope ? slope + place : nullptr, own, weight,
                  kept + g * 4 * int64_t(channels), act, group_weight.data(), group_bias.data(), dx + place);
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
