// Backward: the forward's mapping. Of every corner c of a point the group forms d_c = <grad, value at c>; from the four
// follow the gradients of weight and place (spec B.10), and corner weight times grad goes to grad_value.
//
// grad_where and grad_weights: each element has one owner lane, written without atomics. grad_value: atomic adds in
// float32 (float64), 16 bytes at once where the device can; or with p.fixed the order-free sums of fixed.cuh.
// grad_references with p.fixed: one copy a head, [B,Q,M,L,2 or 4] or [B,Q,M,N,D,2], whose owner is lane 0 of the
// group; the host adds up the heads in a fixed order.
#pragma once

#include "fixed.cuh"
#include "points.cuh"

namespace bevready {

__device__ inline void add(float* to, float x) { atomicAdd(to, x); }
__device__ inline void add(double* to, double x) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 600
  unsigned long long* word = reinterpret_cast<unsigned long long*>(to);
  unsigned long long seen = *word, expected;
  do {
    expected = seen;
    seen = atomicCAS(word, expected, __double_as_longlong(x + __longlong_as_double(expected)));
  } while (seen != expected);
#else
  atomicAdd(to, x);
#endif
}

template <int V, class C>
__device__ inline void add_pack(C* to, const C (&x)[V]) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  if constexpr (V % 4 == 0 && sizeof(C) == 4) {
#pragma unroll
    for (int v = 0; v < V; v += 4)
      asm volatile("red.relaxed.gpu.global.add.v4.f32 [%0], {%1, %2, %3, %4};"
                   :: "l"(__cvta_generic_to_global(to + v)), "f"(x[v]), "f"(x[v + 1]), "f"(x[v + 2]), "f"(x[v + 3])
                   : "memory");
  } else
#endif
  {
#pragma unroll
    for (int v = 0; v < V; ++v) add(to + v, x[v]);
  }
}

// What stays the same while a unit is worked on.
template <class T, int V, int R>
struct Pull {
  Compute<T> grad[R][V]; // of the unit's output, zero in channels beyond E and in idle groups
  float scale;           // of fixed point
};

// One corner: return this lane's part of d_c and send weight * grad on its way.
template <class T, int V, int G, int R>
__device__ inline Compute<T> corner(const Problem& p, const Pull<T, V, R>& pull, long long at, Compute<T> weight,
                                    int lane) {
  using C = Compute<T>;
  C dot = 0;
#pragma unroll
  for (int r = 0; r < R; ++r) {
    const int channel = (r * G + lane) * V;
    if (R * G * V != 32 && channel >= p.channels) continue;
    C seen[V], part[V];
    load_pack<T, V>(static_cast<const T*>(p.value) + at + channel, seen);
#pragma unroll
    for (int v = 0; v < V; ++v) {
      dot += seen[v] * pull.grad[r][v];
      part[v] = weight * pull.grad[r][v];
    }
    if (weight == C(0)) continue; // outside, or nothing to add
    if (p.fixed) {
      C copy[V]; // a short loop: unrolled it would be most of the kernel; and the fast way keeps its registers
#pragma unroll
      for (int v = 0; v < V; ++v) copy[v] = part[v];
#pragma unroll 1
      for (int v = 0; v < V; ++v) add_fixed(p, at + channel + v, copy[v], pull.scale);
    } else {
      add_pack<V>(static_cast<C*>(p.grad_value) + at + channel, part);
    }
  }
  return dot;
}

// The dots of the group's G points, each point's four left with its owner lane.
template <class T, int V, int G, int R>
__device__ inline void dots_of(const Problem& p, const Pull<T, V, R>& pull, const Point<Compute<T>>& mine,
                               long long head, long long token, long long row, int count, int lane,
                               Compute<T> (&dots)[4]) {
  using C = Compute<T>;
  constexpr bool SCATTER = G <= 8; // few enough to keep all parts in registers and add them up by exchange
  C parts[4][SCATTER ? G : 1] = {};
#pragma unroll(SCATTER ? G : 1)
  for (int j = 0; j < G; ++j) {
    if (j < count) {
      const Corners corners = corners_of(of_lane<G>(mine.packed, j), token, row);
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        const C weight = of_lane<G>(mine.corner[c], j);
        const C part = corner<T, V, G, R>(p, pull, head + corners.at[c], weight, lane);
        if constexpr (SCATTER) {
          parts[c][j] = part;
        } else {
          const C whole = group_sum<G>(part);
          if (j == lane) dots[c] = whole;
        }
      }
    }
  }
#pragma unroll
  for (int c = 0; c < 4; ++c) {
    if constexpr (SCATTER) dots[c] = group_sums_by_lane<G>(parts[c], lane);
    if (!(mine.inside >> c & 1)) dots[c] = C(0); // what was read there is not part of the map
  }
}

// d output / d pixel and d output / d weight of one point.
template <class C> struct Slopes { C x, y, attention; };

template <class C>
__device__ inline Slopes<C> slopes_of(const Point<C>& at, const C (&d)[4]) {
  const C one = 1, left = one - at.dx, above = one - at.dy;
  return {at.attention * (above * (d[1] - d[0]) + at.dy * (d[3] - d[2])),
          at.attention * (left * (d[2] - d[0]) + at.dx * (d[3] - d[1])),
          above * (left * d[0] + at.dx * d[1]) + at.dy * (left * d[2] + at.dx * d[3])};
}

// Gradient of the reference of one query and level, from its lanes' sums over the points.
template <int G, class C>
__device__ inline void add_reference(const Problem& p, const Unit& u, int l, const C (&sum)[4]) {
  C* all = static_cast<C*>(p.grad_references);
  C whole[4];
  for (int i = 0; i < 4; ++i) whole[i] = group_sum<G>(sum[i]);
  if (u.lane != 0 || !u.active) return;
  for (int i = 0; i < p.reference_width; ++i) {
    if (p.fixed)
      all[(u.number * p.levels + l) * p.reference_width + i] = whole[i];
    else
      add(all + ((u.item * p.queries + u.query) * p.levels + l) * p.reference_width + i, whole[i]);
  }
}

// Gradient of the anchors of one query in one camera; each lane brings its point's, zero without a point.
template <int G, class C>
__device__ inline void add_anchor(const Problem& p, const Unit& u, int n, int k, bool hit, C x, C y) {
  C* all = static_cast<C*>(p.grad_references);
  const int anchor = k % p.anchors;
  if (!p.fixed) {
    C* to = all + (((n * p.items + u.item) * p.queries + u.query) * p.anchors + anchor) * 2;
    if (!hit || k >= p.points) return;
    add(to, x);
    add(to + 1, y);
    return;
  }
  for (int d = 0; d < p.anchors; ++d) {
    const C whole_x = group_sum<G>(d == anchor ? x : C(0)), whole_y = group_sum<G>(d == anchor ? y : C(0));
    if (u.lane != 0 || !hit) continue;
    C* to = all + ((u.number * p.cameras + n) * p.anchors + d) * 2;
    to[0] += whole_x;
    to[1] += whole_y;
  }
}

// One level in one camera; returns this lane's sum of attention * d output / d attention.
template <class T, int V, int G, int R>
__device__ inline Compute<T> pull_level(const Problem& p, const Unit& u, const Pull<T, V, R>& pull,
                                        const Softmax<Compute<T>>& s, int n, int l, bool hit, bool again) {
  using C = Compute<T>;
  const Level at = level_of(p, l);
  const long long token = static_cast<long long>(p.heads) * p.channels, row = token * at.width;
  const long long head = ((n * p.items + u.item) * p.tokens * p.heads + u.head) * p.channels;
  C* to_where = static_cast<C*>(p.grad_where);
  C* to_weights = static_cast<C*>(p.grad_weights);
  C total = 0, reference[4] = {};
  for (int first = 0; first < p.points; first += G) {
    const int k = first + u.lane;
    const long long i = (u.number * p.levels + l) * p.points + k;
    const bool looks = hit && k < p.points;
    Point<C> mine = no_point<C>(at);
    Aim<C> aim = {};
    if (looks) {
      aim = aim_of<T>(p, u, at, n, l, k, i);
      mine = point_at<C>(at, aim.x, aim.y, attention_of<T>(p, s, i));
    }
    C dots[4] = {};
    dots_of<T, V, G, R>(p, pull, mine, head, token, row, p.points - first, u.lane, dots);
    const Slopes<C> slope = slopes_of(mine, dots);
    if (looks) {
      const C x = slope.x * aim.by_x, y = slope.y * aim.by_y;
      to_where[2 * i] = again ? to_where[2 * i] + x : x;
      to_where[2 * i + 1] = again ? to_where[2 * i + 1] + y : y;
      to_weights[i] = again ? to_weights[i] + slope.attention : slope.attention;
      total += mine.attention * slope.attention;
    }
    const C x = slope.x * at.width, y = slope.y * at.height;
    if (p.mode == MODE_SPATIAL) add_anchor<G>(p, u, n, k, hit, x, y);
    reference[0] += x;
    reference[1] += y;
    reference[2] += slope.x * aim.box_x;
    reference[3] += slope.y * aim.box_y;
  }
  if (p.mode == MODE_OFFSETS) add_reference<G>(p, u, l, reference);
  return total;
}

// grad_weights holds d output / d attention: turn it into d output / d logit. Each lane meets its own elements again.
template <class T, int G>
__device__ inline void pull_softmax(const Problem& p, const Unit& u, const Softmax<Compute<T>>& s, Compute<T> total,
                                    bool seen) {
  using C = Compute<T>;
  total = group_sum<G>(total);
  if (!u.active) return;
  C* to_weights = static_cast<C*>(p.grad_weights);
  C* to_where = static_cast<C*>(p.grad_where);
  for (int l = 0; l < p.levels; ++l) {
    for (int k = u.lane; k < p.points; k += G) {
      const long long i = (u.number * p.levels + l) * p.points + k;
      to_weights[i] = seen ? attention_of<T>(p, s, i) * (to_weights[i] - total) : C(0);
      if (!seen) to_where[2 * i] = to_where[2 * i + 1] = C(0);
    }
  }
}

template <class T, int V, int G, int R>
__device__ inline void backward(const Problem& p) {
  using C = Compute<T>;
  const Unit u = unit_of<G>(p);
  const Softmax<C> s = softmax_of<T, G>(p, u);
  int count = 0;
  for (int n = 0; n < p.cameras; ++n) count += sees(p, u, n);
  Pull<T, V, R> pull = {};
  pull.scale = p.fixed ? power_of_two(fixed_shift(p)) : 0.0f;
#pragma unroll
  for (int r = 0; r < R; ++r) {
    const int channel = (r * G + u.lane) * V;
    if (count == 0 || (R * G * V != 32 && channel >= p.channels)) continue;
    load_pack<T, V>(static_cast<const T*>(p.grad) + u.number * p.channels + channel, pull.grad[r]);
#pragma unroll
    for (int v = 0; v < V; ++v)
      if (count > 1) pull.grad[r][v] /= C(count);
  }
  int done = 0;
  C total = 0;
  for (int n = 0; n < p.cameras; ++n) {
    const bool hit = sees(p, u, n);
    if (!__any_sync(WARP, hit)) continue;
    for (int l = 0; l < p.levels; ++l) total += pull_level<T, V, G, R>(p, u, pull, s, n, l, hit, done > 0);
    done += hit;
  }
  if (p.mode != MODE_LOCATIONS) pull_softmax<T, G>(p, u, s, total, count > 0);
}

} // namespace bevready
