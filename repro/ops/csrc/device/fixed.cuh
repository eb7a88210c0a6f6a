// Sums that do not depend on the order of their terms: 64-bit fixed point, because integers add associatively.
//
// The unit of the last place is 2^-shift with shift = 62 - room - e_g - e_a, where 2^e_g > max |grad|,
// 2^e_a > max |weight| (1 after a softmax) and 2^room >= Q*P, the most terms that may meet in one cell. So no sum
// overflows, and a sum of n terms is off by at most n * 2^-(shift + 1): with 40,000 queries of 8 points that is
// n * 2^-44 of the largest term possible, where float32 sums are off by up to n * 2^-24 of the sum's own size.
// Values that fit no number (NaN or infinity among grads, weights or locations) make the whole gradient NaN.
#pragma once

#include "types.cuh"

namespace bevready {

constexpr unsigned NOT_A_NUMBER = 0x7fc00000u;

// Keep the largest magnitude as a float's bits: those of positive floats are ordered as integers, NaN above all.
template <class T>
__device__ inline void bound(const T* from, long long count, unsigned* most) {
  unsigned found = 0;
  const long long step = static_cast<long long>(gridDim.x) * blockDim.x;
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) {
    const unsigned bits = __float_as_uint(static_cast<float>(widen(from[i]))) & 0x7fffffffu;
    found = bits > found ? bits : found;
  }
  found = group_max<32>(found);
  if (threadIdx.x % 32 == 0) atomicMax(most, found);
}

// The smallest e with 2^e > x, for a float given by its bits; of a subnormal one -126.
__device__ inline int exponent_above(unsigned bits) { return static_cast<int>((bits >> 23) & 255u) - 126; }

__device__ inline int fixed_shift(const Problem& p) {
  const int of_weights = p.mode == MODE_LOCATIONS ? exponent_above(p.bounds[1]) : 1;
  const int shift = 62 - p.head_room - exponent_above(p.bounds[0]) - of_weights;
  return shift < -126 ? -126 : (shift > 126 ? 126 : shift);
}

__device__ inline float power_of_two(int e) { return __uint_as_float(static_cast<unsigned>(e + 127) << 23); }

template <class C>
__device__ inline void add_fixed(const Problem& p, long long i, C x, float scale) {
  const C units = x * C(scale);
  if (!(units < C(4.7e18f) && units > C(-4.7e18f))) { // cannot happen with finite inputs
    atomicMax(p.bounds, NOT_A_NUMBER);
    return;
  }
  const long long whole = sizeof(C) == 8 ? __double2ll_rn(units) : __float2ll_rn(static_cast<float>(units));
  atomicAdd(static_cast<unsigned long long*>(p.grad_value) + i, static_cast<unsigned long long>(whole));
}

// Turn the sums of grad_value into numbers of type C.
template <class C>
__device__ inline void from_fixed(const Problem& p, C* to, long long count) {
  const bool lost = (p.bounds[0] & 0x7fffffffu) >= 0x7f800000u ||
                    (p.mode == MODE_LOCATIONS && (p.bounds[1] & 0x7fffffffu) >= 0x7f800000u);
  const double unit = power_of_two(-fixed_shift(p));
  const long long step = static_cast<long long>(gridDim.x) * blockDim.x;
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step)
    to[i] = lost ? C(__uint_as_float(NOT_A_NUMBER)) : C(static_cast<double>(static_cast<const long long*>(p.grad_value)[i]) * unit);
}

} // namespace bevready
