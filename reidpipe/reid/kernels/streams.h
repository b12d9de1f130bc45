// The streams of an OSNet block as one operation: chains of Lite 3x3 (pointwise, depthwise, batch norm, ReLU) that read one
// map, and their gated sum. Norm and ReLU are never stored: whoever reads a layer computes them from what is in front
// of them. Work goes image by image, so that what lies between two norms stays in the cache.
#pragma once

#include <vector>

#include "gates.h"
#include "lite.h"

// A Lite 3x3; `starts` if it reads the map rather than the layer before it. As `_Lite` in fused.py.
struct Lite {
  const float *point, *depth;  // (C, C) by output, (C, 9)
  float *dpoint, *ddepth;
  Norm norm;
  int starts;
};

struct Streams {
  Size size;
  int channels, images, layers;
  const Lite* lite;
  const Gate* gate;  // or null: plain sum
  bf16* maps;        // (layers, 2, images, pixels, columns): behind the pointwise and behind the depthwise convolution
  Kept* kept;        // (layers, columns)
  float* gates;      // (2, streams, images, columns): means and gates
  std::vector<int> ends;
  Buffer<float> scale, shift;  // (layers, columns)

  Streams(int channels, int images, int height, int width, int layers, const Lite* lite, const Gate* gate, bf16* maps,
          Kept* kept, float* gates)
      : size{height, width, round_up(channels, 8)}, channels(channels), images(images), layers(layers), lite(lite),
        gate(gate), maps(maps), kept(kept), gates(gates), scale(layers * size.columns), shift(layers * size.columns) {
    for (int l = 0; l < layers; ++l) {
      if (l + 1 == layers || lite[l + 1].starts) ends.push_back(l);
      for (int c = 0; c < channels; ++c) {
        scale[l * size.columns + c] = kept[l * size.columns + c].scale;
        shift[l * size.columns + c] = kept[l * size.columns + c].shift;
      }
    }
  }

  int64_t pixels() const { return images * size.pixels(); }
  bf16* reduced(int l, int n) const { return maps + (int64_t(2 * l) * images + n) * size.values(); }
  bf16* filtered(int l, int n) const { return maps + (int64_t(2 * l + 1) * images + n) * size.values(); }
  float* mean(size_t s, int n) const { return gates + (int64_t(s) * images + n) * size.columns; }
  float* value(size_t s, int n) const { return mean(ends.size() + s, n); }
  Stream stream(int l, int n) const { return {filtered(l, n), scale_of(l), shift_of(l)}; }
  const float* scale_of(int l) const { return scale.data() + l * size.columns; }
  const float* shift_of(int l) const { return shift.data() + l * size.columns; }
};

// Image n of a map of `channels`, widened to `columns` in `spare` where they differ; and back.
inline const bf16* spread(const bf16* map, int n, int channels, const Size& size, bf16* spare) {
  const bf16* image = map + n * size.pixels() * channels;
  if (channels == size.columns) return image;
  std::memset(spare, 0, sizeof(bf16) * size.values());
  for (int64_t p = 0; p < size.pixels(); ++p)
    std::memcpy(spare + p * size.columns, image + p * channels, sizeof(bf16) * channels);
  return spare;
}
inline void gather(const bf16* spare, int n, int channels, const Size& size, bf16* map) {
  bf16* image = map + n * size.pixels() * channels;
  for (int64_t p = 0; p < size.pixels() && spare != image; ++p)
    std::memcpy(image + p * channels, spare + p * size.columns, sizeof(bf16) * channels);
}
// Where image n of a map may be written: in its place, or in `spare`, to be gathered from there.
inline bf16* target(bf16* map, int n, int channels, const Size& size, bf16* spare) {
  return channels == size.columns ? map + n * size.values() : spare;
}

// Pairs of rows of w (columns, columns) as words; `row` and `column` give a value's place in `point`.
inline Buffer<uint32_t> pair_weights(const float* point, int channels, int columns, int row, int column) {
  Buffer<uint32_t> words(columns / 2 * columns, 0);
  for (int i = 0; i < channels; ++i)
    for (int c = 0; c < channels; ++c)
      words[i / 2 * columns + c] |= uint32_t(narrow(point[i * row + c * column])) << (i % 2 * 16);
  return words;
}

inline Buffer<float> taps_by_column(const float* depth, int channels, int columns) {
  Buffer<float> taps(9 * columns, 0.0f);
  for (int t = 0; t < 9; ++t)
    for (int c = 0; c < channels; ++c) taps[t * columns + c] = depth[c * 9 + t];
  return taps;
}

inline void layer_forward(Streams& all, int l, const bf16* x) {
  const Size& size = all.size;
  const int C = size.columns;
  const Lite& lite = all.lite[l];
  const auto words = pair_weights(lite.point, all.channels, C, 1, all.channels);
  const auto taps = taps_by_column(lite.depth, all.channels, C);
  Buffer<bf16> input(size.values());
  Buffer<float> padded(size.padded(), 0.0f);
  std::vector<double> sum(C, 0.0), square(C, 0.0);
  for (int n = 0; n < all.images; ++n) {
    const bf16* from = input.data();
    if (lite.starts) from = spread(x, n, all.channels, size, input.data());
    else activate<RELU>(all.filtered(l - 1, n), size.pixels(), C, all.scale_of(l - 1), all.shift_of(l - 1), nullptr, input.data());
    bf16* reduced = all.reduced(l, n);
    multiply<false>(from, size.pixels(), C, words.data(), reduced);
    pad_image(size, padded.data(), [=](auto tile, int) {
      return [=](int64_t place) { return decltype(tile)::L::load(reduced + place); };
    });
    depthwise(size, padded.data(), taps.data(), all.filtered(l, n), sum.data(), square.data());
  }
  settle(lite.norm, all.channels, sum.data(), square.data(), all.pixels(), all.kept + l * C, all.scale.data() + l * C,
         all.shift.data() + l * C);
  if (lite.norm.batches) ++*lite.norm.batches;
}

inline void streams_forward(Streams& all, const bf16* x, bf16* y) {
  for (int l = 0; l < all.layers; ++l) layer_forward(all, l, x);
  const Size& size = all.size;
  Buffer<bf16> spare(size.values());
  Buffer<float> ones(size.columns, 1.0f);
  for (int n = 0; n < all.images; ++n) {
    std::vector<Stream> streams;
    std::vector<const float*> values;
    for (size_t s = 0; s < all.ends.size(); ++s) {
      streams.push_back(all.stream(all.ends[s], n));
      values.push_back(all.gate ? all.value(s, n) : ones.data());
      if (!all.gate) continue;
      stream_mean(streams[s], size.pixels(), size.columns, all.mean(s, n));
      gate_values(*all.gate, all.channels, all.mean(s, n), all.value(s, n));
    }
    bf16* to = target(y, n, all.channels, size, spare.data());
    gated_sum(streams, values.data(), size.pixels(), size.columns, to);
    gather(to, n, all.channels, size, y);
  }
}

// Sums for a norm's gradient over one image: g is `value * up + add`, behind the ReLU of layer l.
inline void layer_sums(const Streams& all, int l, int n, const bf16* up, const float* value, const float* add, double* sum,
                       double* dot) {
  const int C = all.size.columns;
  const bf16* map = all.filtered(l, n);
  by_columns<2>(C, [&](auto tile, int first) {
    using T = decltype(tile);
    using L = typename T::L;
    constexpr int V = T::VECTORS;
    typename L::Floats a[V], b[V], m[V], k[V], s[V] = {}, d[V] = {}, zero = {};
    for (int v = 0; v < V; ++v) {
      const int c = first + v * T::LANES;
      a[v] = L::load(all.scale_of(l) + c), b[v] = L::load(all.shift_of(l) + c);
      m[v] = L::load(value + c), k[v] = L::load(add + c);
    }
    for (int64_t p = 0; p < all.size.pixels(); ++p)
      #pragma GCC unroll 2
      for (int v = 0; v < V; ++v) {
        const int64_t place = p * C + first + v * T::LANES;
        const auto x = L::load(map + place);
        const typename L::Floats g = L::load(up + place) * m[v] + k[v], kept = x * a[v] + b[v] > zero ? g : zero;
        s[v] += kept;
        d[v] += kept * x;
      }
    for (int v = 0; v < V; ++v) {
      L::add(sum + first + v * T::LANES, s[v]);
      L::add(dot + first + v * T::LANES, d[v]);
    }
  });
}

// The backward pass of one layer, image by image: what it needs of the layer and what it adds up.
struct LayerBackward {
  const Streams& all;
  const int l;
  Buffer<uint32_t> words, input, gradient;
  Buffer<float> taps, dtaps, dwords, padded, a, b, k;
  Buffer<bf16> reduced;

  LayerBackward(const Streams& all, int l, const double* sum, const double* dot)
      : all(all), l(l), words(pair_weights(all.lite[l].point, all.channels, all.size.columns, all.channels, 1)),
        input(all.size.pair_words()), gradient(all.size.pair_words()),
        taps(taps_by_column(all.lite[l].depth, all.channels, all.size.columns)), dtaps(taps.size(), 0.0f),
        dwords(all.size.columns * all.size.columns, 0.0f), padded(all.size.padded(), 0.0f), a(all.size.columns, 0.0f),
        b(a), k(a), reduced(all.size.values()) {
    settle_gradient(all.lite[l].norm, all.channels, sum, dot, all.pixels(), all.kept + l * all.size.columns, a.data(),
                    b.data(), k.data());
  }

  // up: gradient behind the layer, times `value` plus `add`. x: the layer's input, or null: the layer before.
  template <bool ADD> void run(int n, const bf16* up, const float* value, const float* add, const bf16* x, bf16* dx) {
    const Size& size = all.size;
    pad_gradient(n, up, value, add);
    depthwise_backward(size, padded.data(), taps.data(), all.reduced(l, n), reduced.data(), dtaps.data());
    if (x) pair_pixels(x, size.pixels(), size.columns, nullptr, nullptr, input.data());
    else pair_pixels(all.filtered(l - 1, n), size.pixels(), size.columns, all.scale_of(l - 1), all.shift_of(l - 1), input.data());
    pair_pixels(reduced.data(), size.pixels(), size.columns, nullptr, nullptr, gradient.data());
    multiply_weights(input.data(), gradient.data(), (size.pixels() + 1) / 2, size.columns, dwords.data());
    multiply<ADD>(reduced.data(), size.pixels(), size.columns, words.data(), dx);
  }

  void pad_gradient(int n, const bf16* up, const float* value, const float* add) {
    const bf16* map = all.filtered(l, n);
    pad_image(all.size, padded.data(), [=](auto tile, int c) {
      using L = typename decltype(tile)::L;
      using Floats = typename L::Floats;
      const Floats scale = L::load(all.scale_of(l) + c), shift = L::load(all.shift_of(l) + c), m = L::load(value + c),
                   plus = L::load(add + c), as = L::load(a.data() + c), bs = L::load(b.data() + c), ks = L::load(k.data() + c);
      return [=](int64_t place) {
        const Floats x = L::load(map + place), g = L::load(up + place) * m + plus, zero = {};
        const Floats kept = x * scale + shift > zero ? g : zero;
        return Floats(as * kept + bs * x + ks);
      };
    });
  }

  void finish() const {
    const int C = all.size.columns, channels = all.channels;
    for (int t = 0; t < 9; ++t)
      for (int c = 0; c < channels; ++c) all.lite[l].ddepth[c * 9 + t] = dtaps[t * C + c];
    for (int i = 0; i < channels; ++i)
      for (int c = 0; c < channels; ++c) all.lite[l].dpoint[c * channels + i] = dwords[i * C + c];
  }
};

// The gradients of all parameters and of x. maps (streams, images, pixels, columns): room for what goes up the streams.
inline void streams_backward(const Streams& all, const bf16* x, const bf16* dy, bf16* maps, bf16* dx) {
  const Size& size = all.size;
  const int C = size.columns, T = int(all.ends.size()), images = all.images;
  std::vector<double> sum(all.layers * C, 0.0), dot(sum);
  Buffer<float> ones(C, 1.0f), zeros(C, 0.0f), add(size_t(T) * images * C, 0.0f), dvalue(C), dmean(C);
  Buffer<bf16> spare(size.values()), spare_up(size.values()), spare_x(size.values());
  auto value_of = [&](int s, int n) { return all.gate ? all.value(s, n) : ones.data(); };
  auto add_of = [&](int s, int n) { return add.data() + (int64_t(s) * images + n) * C; };
  auto map_of = [&](int s, int n) { return maps + (int64_t(s) * images + n) * size.values(); };
  for (int n = 0; n < images; ++n) {
    const bf16* up = spread(dy, n, all.channels, size, spare.data());
    for (int s = 0; s < T; ++s) {
      const int l = all.ends[s];
      if (all.gate) {
        value_gradient(all.stream(l, n), up, size.pixels(), C, dvalue.data());
        gate_backward(*all.gate, all.channels, all.mean(s, n), all.value(s, n), dvalue.data(), dmean.data());
        for (int c = 0; c < all.channels; ++c) add_of(s, n)[c] = dmean[c] / float(size.pixels());
      }
      layer_sums(all, l, n, up, value_of(s, n), add_of(s, n), &sum[l * C], &dot[l * C]);
    }
  }
  std::vector<LayerBackward> starts;
  for (int s = 0; s < T; ++s) {
    int l = all.ends[s];
    for (; !all.lite[l].starts; --l) {
      LayerBackward layer(all, l, &sum[l * C], &dot[l * C]);
      const bool last = l == all.ends[s];
      for (int n = 0; n < images; ++n) {
        const bf16* up = last ? spread(dy, n, all.channels, size, spare.data()) : map_of(s, n);
        layer.run<false>(n, up, last ? value_of(s, n) : ones.data(), last ? add_of(s, n) : zeros.data(), nullptr, map_of(s, n));
        layer_sums(all, l - 1, n, map_of(s, n), ones.data(), zeros.data(), &sum[(l - 1) * C], &dot[(l - 1) * C]);
      }
      layer.finish();
    }
    starts.emplace_back(all, l, &sum[l * C], &dot[l * C]);
  }
  for (int n = 0; n < images; ++n) {
    const bf16* up = spread(dy, n, all.channels, size, spare_up.data());
    const bf16* from = spread(x, n, all.channels, size, spare_x.data());
    bf16* to = target(dx, n, all.channels, size, spare.data());
    for (int s = 0; s < T; ++s) {
      const bool last = all.lite[all.ends[s]].starts;
      const bf16* behind = last ? up : map_of(s, n);
      const float *value = last ? value_of(s, n) : ones.data(), *plus = last ? add_of(s, n) : zeros.data();
      if (s == 0) starts[s].run<false>(n, behind, value, plus, from, to);
      else starts[s].run<true>(n, behind, value, plus, from, to);
    }
    gather(to, n, all.channels, size, dx);
  }
  for (const auto& layer : starts) layer.finish();
}
