// The kernels with AVX-512 (F, VL, DQ, BW):
// compiled so by pragma, whatever flags the builder passes; cpu.cpp asks the processor before it calls them.
#include "cpu.h"

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))

#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")
#endif
#define BEVREADY_AVX
#define BEVREADY_BYTES 64
#include "cpu_kernels.inc"

namespace bevready {

const Variant* avx512_variant() {
  static const Variant variant{
      "avx512", {forward<float>, backward<float>, scatter<float>}, {forward<double>, backward<double>, scatter<double>}};
  return &variant;
}

}  // namespace bevready
#if defined(__clang__)
#pragma clang attribute pop
#endif

#else

namespace bevready {
const Variant* avx512_variant() { return nullptr; }
}  // namespace bevready

#endif
