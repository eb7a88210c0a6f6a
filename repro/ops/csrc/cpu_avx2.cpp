// The kernels with AVX2 and FMA:
// compiled so by pragma, whatever flags the builder passes; cpu.cpp asks the processor before it calls them.
#include "cpu.h"

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))

#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#define BEVREADY_AVX
#define BEVREADY_BYTES 32
#include "cpu_kernels.inc"

namespace bevready {

const Variant* avx2_variant() {
  static const Variant variant{
      "avx2", {forward<float>, backward<float>, scatter<float>}, {forward<double>, backward<double>, scatter<double>}};
  return &variant;
}

}  // namespace bevready
#if defined(__clang__)
#pragma clang attribute pop
#endif

#else

namespace bevready {
const Variant* avx2_variant() { return nullptr; }
}  // namespace bevready

#endif
