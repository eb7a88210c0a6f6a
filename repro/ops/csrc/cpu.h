// One call on the CPU as plain pointers, and the table of kernels that is compiled once per instruction set.
// No torch and no standard container here: what is compiled with wider instructions must not leak shared code.
#pragma once

#include <cstdint>

namespace bevready {

// All three entries are one: sample k of a query and head lies at pixel pairs[k] * scale[k] + base[k] - 1/2, where
//   locations    scale = level size,                  base = 0
//   points       scale = 1,                           base = reference * level size
//   boxes        scale = extent / (2P) * level size,  base = centre * level size
// K = L * P samples a head; n = M * K samples a query.
template <typename T>
struct Call {
  int64_t N, B, Q, S, M, E, K, P;
  int64_t R;             // numbers of a reference: 0 = locations are given, 2 = point, 4 = box
  int64_t anchors;       // references of a query: L, or D with cameras
  bool softmax;          // weights are logits
  const int32_t* width;  // [n] of the sample's level, the K of a head repeated M times; so the next three
  const int32_t* height;
  const int32_t* start;   // first token of the level
  const int32_t* anchor;  // [K] which reference of the query
  const T* value;         // [N, B, S, M, E]
  const T* references;    // [N, B, Q, anchors, R]
  const uint8_t* hit;     // [N, B, Q] whether the camera sees the query; null: one camera that sees all
  const T* pairs;         // [B, Q, M, K, 2] locations or offsets
  const T* weights;       // [B, Q, M, K]
  T* out;                 // [B, Q, M, E]
  const T* grad;          // [B, Q, M, E]
  T* grad_value;          // [N, B, S, M, E]
  T* grad_references;     // like references, zeros; null: not wanted
  T* grad_pairs;          // like pairs
  T* grad_weights;        // like weights
};

// One thread's own memory for one query: n samples each.
template <typename T>
struct Work {
  T *base_x, *base_y, *rest_x, *rest_y;  // base + rest is exact
  T *scale_x, *scale_y;
  T *weight, *dx, *dy;
  T* corner[4];  // weights of the corners: top left, top right, bottom left, bottom right
  T *dot, *grad_weight, *gx, *gy;
  T* row;          // [M, E]
  int32_t* at[4];  // first numbers of the corners in the map; negative outside
};

constexpr int64_t kWorkArrays = 20;  // of n numbers: bases, rests, scales 6, weight, dx, dy, corners 4, dot 4, gradients 3

template <typename T>
struct Kernels {
  // Rows are b * Q + q. Both return whether a location was not a number.
  bool (*forward)(const Call<T>&, Work<T>&, int64_t first, int64_t last);
  bool (*backward)(const Call<T>&, Work<T>&, int64_t first, int64_t last);  // all gradients but the value's
  // The value's gradient of one (camera, item, head), channels [from, to); map [S + 1, to - from] is scratch.
  void (*scatter)(const Call<T>&, Work<T>&, T* map, int64_t camera, int64_t item, int64_t head, int64_t from,
                  int64_t to);
};

struct Variant {
  const char* name;
  Kernels<float> single;
  Kernels<double> twice;
};

const Variant* plain_variant();
const Variant* avx2_variant();    // null where not compiled in
const Variant* avx512_variant();  // null where not compiled in

}  // namespace bevready
