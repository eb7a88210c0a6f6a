// Lets device code compile as plain C++ and run thread by thread: each CUDA thread is a coroutine; a shuffle, a vote or
// a barrier hands on until its warp or block has arrived. What device code asks of CUDA and is not here does not
// compile, so the list below is also the list of what the kernels use.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#define BEVREADY_EMULATOR 1
#define __device__
#define __global__
#define __shared__ static
#define __launch_bounds__(threads)

struct Index3 { unsigned x = 0, y = 0, z = 0; };
extern Index3 threadIdx, blockIdx, blockDim, gridDim;
struct alignas(16) uint4 { unsigned x, y, z, w; };

namespace emulator {
// Give `bytes` bytes to the warp, take those that lane `from` gave; every lane of the warp has to arrive, at the same
// kind of call.
void exchange(const void* mine, void* theirs, size_t bytes, int from, int kind);
int lane();
void barrier(); // of the block
} // namespace emulator

template <class N>
N __shfl_sync(unsigned, N x, int from, int width) {
  N result;
  const int first = emulator::lane() / width * width;
  emulator::exchange(&x, &result, sizeof(N), first + from % width, 1);
  return result;
}

template <class N>
N __shfl_xor_sync(unsigned, N x, int mask, int width) {
  N result;
  const int other = emulator::lane() ^ mask, first = emulator::lane() / width * width;
  emulator::exchange(&x, &result, sizeof(N), other < first + width ? other : emulator::lane(), 2);
  return result;
}

inline bool __any_sync(unsigned, bool mine) {
  int any = mine;
  for (int step = 16; step > 0; step /= 2) {
    int other;
    emulator::exchange(&any, &other, sizeof(int), emulator::lane() ^ step, 3);
    any |= other;
  }
  return any != 0;
}

inline void __syncthreads() { emulator::barrier(); }

inline unsigned __float_as_uint(float x) { unsigned bits; std::memcpy(&bits, &x, 4); return bits; }
inline float __uint_as_float(unsigned bits) { float x; std::memcpy(&x, &bits, 4); return x; }
inline long long __float2ll_rn(float x) { return std::llrintf(x); }
inline long long __double2ll_rn(double x) { return std::llrint(x); }
template <class N> N __ldg(const N* from) { return *from; }

// Coroutines run one at a time: plain code is atomic. `emulator_order` makes the order of a block's threads vary.
template <class N> N atomicAdd(N* to, N x) { N old = *to; *to = old + x; return old; }
inline unsigned atomicMax(unsigned* to, unsigned x) { unsigned old = *to; *to = std::max(old, x); return old; }

// IEEE half, by arithmetic: exact one way, round to nearest even the other.
inline float emulator_half_to_float(unsigned short bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const float sign = bits >> 15 ? -1.0f : 1.0f;
  if (exponent == 31) return mantissa ? NAN : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -24);
  return sign * std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
}

inline unsigned short emulator_float_to_half(float x) {
  const unsigned short sign = std::signbit(x) ? 0x8000 : 0;
  if (std::isnan(x)) return 0x7fff;
  x = std::fabs(x);
  if (x == 0.0f) return sign;
  if (x >= 65520.0f) return sign | 0x7c00;
  int exponent;
  std::frexp(x, &exponent); // x in [2^(exponent-1), 2^exponent)
  const int last = std::max(exponent - 11, -24); // the exponent of the last place
  const float units = std::nearbyint(std::ldexp(x, -last));
  const int whole = static_cast<int>(units); // up to 2048, where the mantissa overflows into the exponent
  return static_cast<unsigned short>(sign | (last == -24 ? whole : whole - 1024 + ((last + 25) << 10)));
}
