// The sum of gated streams (arXiv 1905.00953, equation 3), image by image.
#pragma once

#include <vector>

#include "numbers.h"

// A two-layer gate, shared by the streams; `outputs` is the number of channels or 1. As `_Gate` in fused.py.
struct Gate {
  const float *weight1, *bias1, *weight2, *bias2;  // (hidden, C), (hidden), (outputs, hidden), (outputs)
  float *dweight1, *dbias1, *dweight2, *dbias2;
  int hidden, outputs;
};

// One image of a stream: relu(map * scale + shift), or the map itself where there is no scale.
struct Stream {
  const bf16* map;
  const float *scale, *shift;
};

template <class L> inline typename L::Floats stream_value(const Stream& stream, int64_t place, int column) {
  const auto value = L::load(stream.map + place);
  if (!stream.scale) return value;
  const typename L::Floats z = value * L::load(stream.scale + column) + L::load(stream.shift + column), zero = {};
  return z < zero ? zero : z;
}

// out = sum over the pixels of value(lane, place, column), divided by `over`.
template <class Value> void sum_pixels(int64_t pixels, int columns, float over, float* out, Value value) {
  by_columns<2>(columns, [&](auto tile, int first) {
    using T = decltype(tile);
    using L = typename T::L;
    typename L::Floats sum[T::VECTORS] = {};
    for (int64_t p = 0; p < pixels; ++p)
      #pragma GCC unroll 2
      for (int v = 0; v < T::VECTORS; ++v) {
        const int column = first + v * T::LANES;
        sum[v] += value(L{}, p * columns + column, column);
      }
    for (int v = 0; v < T::VECTORS; ++v) L::store(out + first + v * T::LANES, sum[v] / over);
  });
}

inline void stream_mean(const Stream& stream, int64_t pixels, int columns, float* mean) {
  sum_pixels(pixels, columns, float(pixels), mean,
             [&](auto lane, int64_t place, int column) { return stream_value<decltype(lane)>(stream, place, column); });
}

// hidden (gate.hidden) behind its ReLU.
inline void gate_hidden(const Gate& gate, int channels, const float* mean, float* hidden) {
  for (int h = 0; h < gate.hidden; ++h) {
    float sum = gate.bias1[h];
    for (int c = 0; c < channels; ++c) sum += gate.weight1[h * channels + c] * mean[c];
    hidden[h] = sum > 0.0f ? sum : 0.0f;
  }
}

// value (channels): the gate of each channel of one image.
inline void gate_values(const Gate& gate, int channels, const float* mean, float* value) {
  std::vector<float> hidden(gate.hidden);
  gate_hidden(gate, channels, mean, hidden.data());
  for (int o = 0; o < gate.outputs; ++o) {
    float sum = gate.bias2[o];
    for (int h = 0; h < gate.hidden; ++h) sum += gate.weight2[o * gate.hidden + h] * hidden[h];
    value[o] = sum;
  }
  for (int o = 0; o < gate.outputs; ++o) value[o] = sigmoid(value[o]);
  for (int c = gate.outputs; c < channels; ++c) value[c] = value[0];
}

// From dvalue (channels) of one image: adds to the gate's gradients, writes dmean (channels).
inline void gate_backward(const Gate& gate, int channels, const float* mean, const float* value, const float* dvalue,
                          float* dmean) {
  std::vector<float> hidden(gate.hidden), dhidden(gate.hidden, 0.0f);
  gate_hidden(gate, channels, mean, hidden.data());
  float whole = 0;
  for (int c = 0; c < channels; ++c) whole += dvalue[c];
  for (int o = 0; o < gate.outputs; ++o) {
    const float up = gate.outputs == channels ? dvalue[o] : whole, dz = up * value[o] * (1.0f - value[o]);
    gate.dbias2[o] += dz;
    for (int h = 0; h < gate.hidden; ++h) {
      gate.dweight2[o * gate.hidden + h] += dz * hidden[h];
      dhidden[h] += dz * gate.weight2[o * gate.hidden + h];
    }
  }
  for (int c = 0; c < channels; ++c) dmean[c] = 0;
  for (int h = 0; h < gate.hidden; ++h) {
    if (!(hidden[h] > 0.0f)) continue;
    gate.dbias1[h] += dhidden[h];
    for (int c = 0; c < channels; ++c) {
      gate.dweight1[h * channels + c] += dhidden[h] * mean[c];
      dmean[c] += dhidden[h] * gate.weight1[h * channels + c];
    }
  }
}

// y = sum over streams of value * stream; values[s] points to one vector.
inline void gated_sum(const std::vector<Stream>& streams, const float* const* values, int64_t pixels, int columns,
                      bf16* y) {
  by_columns<1>(columns, [&](auto tile, int first) {
    using L = typename decltype(tile)::L;
    for (int64_t p = 0; p < pixels; ++p) {
      typename L::Floats sum = {};
      for (size_t s = 0; s < streams.size(); ++s)
        sum += L::load(values[s] + first) * stream_value<L>(streams[s], p * columns + first, first);
      L::store(y + p * columns + first, sum);
    }
  });
}

// dvalue = sum over the pixels of stream * dy
inline void value_gradient(const Stream& stream, const bf16* dy, int64_t pixels, int columns, float* dvalue) {
  sum_pixels(pixels, columns, 1.0f, dvalue, [&](auto lane, int64_t place, int column) {
    using L = decltype(lane);
    return stream_value<L>(stream, place, column) * L::load(dy + place);
  });
}

// dx = value * dy + add: the gradient of one stream, where add = dmean / pixels.
inline void stream_gradient(const bf16* dy, const float* value, const float* add, int64_t pixels, int columns, bf16* dx) {
  by_columns<2>(columns, [&](auto tile, int first) {
    using T = decltype(tile);
    using L = typename T::L;
    for (int64_t p = 0; p < pixels; ++p)
      #pragma GCC unroll 2
      for (int v = 0; v < T::VECTORS; ++v) {
        const int column = first + v * T::LANES;
        L::store(dx + p * columns + column, L::load(value + column) * L::load(dy + p * columns + column) + L::load(add + column));
      }
  });
}
