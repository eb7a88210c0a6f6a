// Storage types, vectors of them, lanes: what the kernels need of the device, and nothing from CUDA's own headers,
// so that the run-time compiler parses two hundred lines and not twenty thousand.
#pragma once

#include "problem.h"

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 700
#define BEVREADY_PARAM const __grid_constant__ bevready::Problem // stays in constant memory, also when indexed
#else
#define BEVREADY_PARAM const bevready::Problem
#endif

namespace bevready {

struct Half { unsigned short bits; };
struct BFloat { unsigned short bits; };

// The type that is computed in.
template <class T> struct ComputeOf { using type = float; };
template <> struct ComputeOf<double> { using type = double; };
template <class T> using Compute = typename ComputeOf<T>::type;

__device__ inline float widen(float x) { return x; }
__device__ inline double widen(double x) { return x; }
__device__ inline float widen(BFloat x) { return __uint_as_float(static_cast<unsigned>(x.bits) << 16); }
__device__ inline float widen(Half x) {
#ifdef BEVREADY_EMULATOR
  return emulator_half_to_float(x.bits);
#else
  float wide;
  asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(x.bits));
  return wide;
#endif
}

// Round to nearest even.
__device__ inline void narrow(float x, float& to) { to = x; }
__device__ inline void narrow(double x, double& to) { to = x; }
__device__ inline void narrow(float x, BFloat& to) {
  unsigned bits = __float_as_uint(x);
  bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
  to.bits = is_nan ? 0x7fc0u : static_cast<unsigned short>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
__device__ inline void narrow(float x, Half& to) {
#ifdef BEVREADY_EMULATOR
  to.bits = emulator_float_to_half(x);
#else
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(to.bits) : "f"(x));
#endif
}

// V channels that move as one: 16 bytes where V says so.
template <class T, int V> struct alignas(sizeof(T) * V) Pack { T of[V]; };

// 16 bytes through the read-only path: nothing that is written meanwhile may be read so.
template <class P>
__device__ inline P load_constant(const void* from) {
  if constexpr (sizeof(P) == 16) {
    uint4 raw = __ldg(static_cast<const uint4*>(from));
    return *reinterpret_cast<P*>(&raw);
  } else {
    return *static_cast<const P*>(from);
  }
}

template <class T, int V, class C>
__device__ inline void load_pack(const T* from, C (&to)[V]) {
  Pack<T, V> pack = load_constant<Pack<T, V>>(from);
#pragma unroll
  for (int i = 0; i < V; ++i) to[i] = widen(pack.of[i]);
}

template <class T, int V, class C>
__device__ inline void store_pack(T* to, const C (&from)[V]) {
  Pack<T, V> pack;
#pragma unroll
  for (int i = 0; i < V; ++i) narrow(from[i], pack.of[i]);
  *reinterpret_cast<Pack<T, V>*>(to) = pack;
}

// Element i of an input that is stored in the value's type (narrow) or in the type that is computed in.
template <class T>
__device__ inline Compute<T> load_input(const void* from, long long i, int is_narrow) {
  if (sizeof(T) == 2 && is_narrow) return widen(static_cast<const T*>(from)[i]);
  return static_cast<const Compute<T>*>(from)[i];
}

constexpr unsigned WARP = 0xffffffffu;

// The value of lane `from` of this lane's group of G.
template <int G, class N>
__device__ inline N of_lane(N x, int from) { return __shfl_sync(WARP, x, from, G); }

template <int G, class C>
__device__ inline C group_sum(C x) {
#pragma unroll
  for (int step = G / 2; step > 0; step /= 2) x += __shfl_xor_sync(WARP, x, step, G);
  return x;
}

template <int G, class C>
__device__ inline C group_max(C x) {
#pragma unroll
  for (int step = G / 2; step > 0; step /= 2) {
    C other = __shfl_xor_sync(WARP, x, step, G);
    x = (other > x || other != other) ? other : x; // a NaN stays
  }
  return x;
}

// Every lane brings G numbers; lane i leaves with the sum over the group's lanes of number i: G - 1 shuffles.
template <int G, class C>
__device__ inline C group_sums_by_lane(C (&x)[G], int lane) {
#pragma unroll
  for (int step = G / 2; step > 0; step /= 2) {
    bool upper = (lane & step) != 0;
#pragma unroll
    for (int i = 0; i < step; ++i) {
      C give = upper ? x[i] : x[i + step];
      C keep = upper ? x[i + step] : x[i];
      x[i] = keep + __shfl_xor_sync(WARP, give, step, G);
    }
  }
  return x[0];
}

__device__ inline float exp_of(float x) { return expf(x); }
__device__ inline double exp_of(double x) { return exp(x); }
__device__ inline float fused(float a, float b, float c) { return fmaf(a, b, c); }
__device__ inline double fused(double a, double b, double c) { return fma(a, b, c); }
__device__ inline float floor_of(float x) { return floorf(x); }
__device__ inline double floor_of(double x) { return floor(x); }

} // namespace bevready
