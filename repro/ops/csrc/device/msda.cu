// The closed list of kernels; device_host.h names the same list.
//
//   bevready_{forward,backward}_{f32,f16,bf16}_e32   32 channels a head: 16-byte packs, 8 or 4 lanes a unit
//   bevready_{forward,backward}_{f32,f16,bf16,f64}_any   1 to 256 channels a head: a warp a unit
#include "backward.cuh"
#include "fixed.cuh"
#include "forward.cuh"
#include "plain2020.cuh"

using bevready::BFloat;
using bevready::Half;

#define KERNEL(name) extern "C" __global__ void __launch_bounds__(128) name

#define PAIR(suffix, T, V, G, R)                                                                     \
  KERNEL(bevready_forward_##suffix)(BEVREADY_PARAM p) { bevready::forward<T, V, G, R>(p); }          \
  KERNEL(bevready_backward_##suffix)(BEVREADY_PARAM p) { bevready::backward<T, V, G, R>(p); }

PAIR(f32_e32, float, 4, 8, 1)
PAIR(f16_e32, Half, 8, 4, 1)
PAIR(bf16_e32, BFloat, 8, 4, 1)
PAIR(f32_any, float, 1, 32, 8)
PAIR(f16_any, Half, 1, 32, 8)
PAIR(bf16_any, BFloat, 1, 32, 8)
PAIR(f64_any, double, 1, 32, 8)

#define BOUND(suffix, T)                                                                             \
  KERNEL(bevready_bound_##suffix)(const void* from, long long count, unsigned* most) {               \
    bevready::bound<T>(static_cast<const T*>(from), count, most);                                    \
  }

BOUND(f32, float)
BOUND(f16, Half)
BOUND(bf16, BFloat)
BOUND(f64, double)

KERNEL(bevready_from_fixed_f32)(BEVREADY_PARAM p, float* to, long long count) { bevready::from_fixed<float>(p, to, count); }
KERNEL(bevready_from_fixed_f64)(BEVREADY_PARAM p, double* to, long long count) { bevready::from_fixed<double>(p, to, count); }

KERNEL(bevready_plain2020_forward_f32)(BEVREADY_PARAM p) { bevready::plain2020_forward(p); }
extern "C" __global__ void __launch_bounds__(256) bevready_plain2020_backward_f32(BEVREADY_PARAM p) {
  bevready::plain2020_backward(p);
}
