// Forward: a group of G lanes serves one unit (b, q, m); lane i owns packs i, G + i, ... of V of its channels.
// The lanes compute G points at a time, one each, and pass them round by shuffles; every corner is then one load.
#pragma once

#include "points.cuh"

namespace bevready {

template <class T, int V, int G, int R>
__device__ inline void gather(const Problem& p, const T* head, const Corners& corners, const Compute<T> (&weight)[4],
                              int lane, Compute<T> (&sum)[R][V]) {
#pragma unroll
  for (int r = 0; r < R; ++r) {
    const int channel = (r * G + lane) * V;
    if (R * G * V != 32 && channel >= p.channels) continue;
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      Compute<T> seen[V];
      load_pack<T, V>(head + corners.at[c] + channel, seen);
#pragma unroll
      for (int v = 0; v < V; ++v) sum[r][v] += weight[c] * seen[v];
    }
  }
}

// Add what the unit sees of one level in one camera.
template <class T, int V, int G, int R>
__device__ inline void look(const Problem& p, const Unit& u, const Softmax<Compute<T>>& s, const T* head, int n, int l,
                            bool hit, Compute<T> (&sum)[R][V]) {
  using C = Compute<T>;
  const Level at = level_of(p, l);
  const long long token = static_cast<long long>(p.heads) * p.channels, row = token * at.width;
  for (int first = 0; first < p.points; first += G) {
    const int k = first + u.lane;
    Point<C> mine = no_point<C>(at);
    if (hit && k < p.points) {
      const long long i = (u.number * p.levels + l) * p.points + k;
      const Aim<C> aim = aim_of<T>(p, u, at, n, l, k, i);
      mine = point_at<C>(at, aim.x, aim.y, attention_of<T>(p, s, i));
    }
    for (int j = 0; j < G && first + j < p.points; j += 4) {
#pragma unroll(R == 1 ? 4 : 1)
      for (int i = 0; i < 4; ++i) { // sixteen loads in flight; lanes without a point weigh nothing
        C weight[4];
#pragma unroll
        for (int c = 0; c < 4; ++c) weight[c] = of_lane<G>(mine.corner[c], j + i);
        const Corners corners = corners_of(of_lane<G>(mine.packed, j + i), token, row);
        gather<T, V, G, R>(p, head, corners, weight, u.lane, sum);
      }
    }
  }
}

template <class T, int V, int G, int R>
__device__ inline void forward(const Problem& p) {
  using C = Compute<T>;
  const Unit u = unit_of<G>(p);
  const Softmax<C> s = softmax_of<T, G>(p, u);
  C sum[R][V] = {};
  int seen = 0;
  for (int n = 0; n < p.cameras; ++n) {
    const bool hit = sees(p, u, n);
    if (!__any_sync(WARP, hit)) continue;
    seen += hit;
    const T* head = static_cast<const T*>(p.value) +
                    ((n * p.items + u.item) * p.tokens * p.heads + u.head) * p.channels;
    for (int l = 0; l < p.levels; ++l) look<T, V, G, R>(p, u, s, head, n, l, hit, sum);
  }
  if (!u.active) return;
#pragma unroll
  for (int r = 0; r < R; ++r) {
    const int channel = (r * G + u.lane) * V;
    if (R * G * V != 32 && channel >= p.channels) continue;
#pragma unroll
    for (int v = 0; v < V; ++v)
      if (seen > 1) sum[r][v] /= C(seen); // mean over the cameras that see the query
    store_pack<T, V>(static_cast<T*>(p.output) + u.number * p.channels + channel, sum[r]);
  }
}

} // namespace bevready
