// The kernels for any processor: 16-byte vectors, which every 64-bit one has.
#include "cpu.h"

#define BEVREADY_BYTES 16
#include "cpu_kernels.inc"

namespace bevready {

const Variant* plain_variant() {
  static const Variant variant{
      "plain", {forward<float>, backward<float>, scatter<float>}, {forward<double>, backward<double>, scatter<double>}};
  return &variant;
}

}  // namespace bevready
