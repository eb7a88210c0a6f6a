// For the benchmark only: the algorithm of the public kernels of 2020, one thread a channel, float32, nothing shared
// between lanes, in words of our own. Forward: thread (b, q, m, e) walks the L*P points and tests each corner.
// Backward: a block (b, q, m) of E threads; each point's three sums over channels go through shared memory, added up
// by thread 0 up to 32 channels (as there) and by halves beyond; grad_value by scalar atomics.
#pragma once

#include "backward.cuh"

namespace bevready {

struct PlainPoint {
  long long corner[4]; // element of the value, -1 outside
  float weight[4], dx, dy;
};

__device__ inline PlainPoint plain_point(const Problem& p, const Level& at, long long head, float x, float y) {
  PlainPoint point;
  const int left = static_cast<int>(floorf(x)), top = static_cast<int>(floorf(y));
  const long long token = static_cast<long long>(p.heads) * p.channels;
  point.dx = x - left;
  point.dy = y - top;
  for (int c = 0; c < 4; ++c) {
    const int column = left + (c & 1), row = top + (c >> 1);
    const bool inside = x > -1 && y > -1 && x < at.width && y < at.height && column >= 0 && column < at.width &&
                        row >= 0 && row < at.height;
    point.corner[c] = inside ? head + (at.first + static_cast<long long>(row) * at.width + column) * token : -1;
    point.weight[c] = ((c & 1) ? point.dx : 1 - point.dx) * ((c >> 1) ? point.dy : 1 - point.dy);
  }
  return point;
}

__device__ inline void plain2020_forward(const Problem& p) {
  const long long thread = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (thread >= p.units * p.channels) return;
  const long long unit = thread / p.channels, row = unit / p.heads;
  const float* value = static_cast<const float*>(p.value);
  const float *where = static_cast<const float*>(p.where), *weights = static_cast<const float*>(p.weights);
  const long long head = (row / p.queries * p.tokens * p.heads + unit % p.heads) * p.channels + thread % p.channels;
  long long i = unit * p.levels * p.points;
  float sum = 0;
  for (int l = 0; l < p.levels; ++l) {
    const Level at = level_of(p, l);
    for (int k = 0; k < p.points; ++k, ++i) {
      const float x = where[2 * i] * at.width - 0.5f, y = where[2 * i + 1] * at.height - 0.5f;
      const PlainPoint point = plain_point(p, at, head, x, y);
      float seen = 0;
      for (int c = 0; c < 4; ++c)
        if (point.corner[c] >= 0) seen += point.weight[c] * value[point.corner[c]];
      sum += weights[i] * seen;
    }
  }
  static_cast<float*>(p.output)[thread] = sum;
}

__device__ inline void plain2020_backward(const Problem& p) {
  __shared__ float shared[3][256];
  const long long unit = blockIdx.x, row = unit / p.heads;
  const int e = threadIdx.x;
  const float* value = static_cast<const float*>(p.value);
  const float *where = static_cast<const float*>(p.where), *weights = static_cast<const float*>(p.weights);
  const float grad = static_cast<const float*>(p.grad)[unit * p.channels + e];
  float *to_value = static_cast<float*>(p.grad_value), *to_where = static_cast<float*>(p.grad_where);
  const long long head = (row / p.queries * p.tokens * p.heads + unit % p.heads) * p.channels + e;
  long long i = unit * p.levels * p.points;
  for (int l = 0; l < p.levels; ++l) {
    const Level at = level_of(p, l);
    for (int k = 0; k < p.points; ++k, ++i) {
      const float weight = weights[i];
      const float x = where[2 * i] * at.width - 0.5f, y = where[2 * i + 1] * at.height - 0.5f;
      const PlainPoint point = plain_point(p, at, head, x, y);
      float d[4];
      for (int c = 0; c < 4; ++c) {
        d[c] = point.corner[c] >= 0 ? value[point.corner[c]] : 0.0f;
        if (point.corner[c] >= 0) atomicAdd(to_value + point.corner[c], point.weight[c] * weight * grad);
      }
      const float across = (1 - point.dy) * (d[1] - d[0]) + point.dy * (d[3] - d[2]);
      const float down = (1 - point.dx) * (d[2] - d[0]) + point.dx * (d[3] - d[1]);
      shared[0][e] = at.width * weight * grad * across;
      shared[1][e] = at.height * weight * grad * down;
      shared[2][e] = grad * (point.weight[0] * d[0] + point.weight[1] * d[1] + point.weight[2] * d[2] + point.weight[3] * d[3]);
      __syncthreads();
      int left = p.channels;
      for (; left > 32; left = (left + 1) / 2) {
        const int half = (left + 1) / 2;
        if (e + half < left)
          for (int which = 0; which < 3; ++which) shared[which][e] += shared[which][e + half];
        __syncthreads();
      }
      if (e == 0) {
        for (int other = 1; other < left; ++other)
          for (int which = 0; which < 3; ++which) shared[which][0] += shared[which][other];
        to_where[2 * i] = shared[0][0];
        to_where[2 * i + 1] = shared[1][0];
        static_cast<float*>(p.grad_weights)[i] = shared[2][0];
      }
      __syncthreads();
    }
  }
}

} // namespace bevready
