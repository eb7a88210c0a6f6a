// A CUDA driver with one device that runs msda.cu on the CPU, for tests/ops/test_device_code.py. It has the functions
// that device_host.h opens, under their names; "device memory" is the process's own.
#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "cuda_shim.h"

#include "msda.cu"

Index3 threadIdx, blockIdx, blockDim, gridDim;

namespace {

constexpr size_t STACK = 256 * 1024;

struct Fiber {
  ucontext_t context;
  std::vector<char> stack = std::vector<char>(STACK);
  bool done = false;
};

struct Warp {
  int arrived = 0, kind = 0;
  long round = 0;
  unsigned char slots[2][32][16]; // of the round's parity: the next round cannot overwrite what is still to be read
};

std::vector<Fiber> fibers;
std::vector<Warp> warps;
ucontext_t scheduler;
std::function<void()> body;
size_t current = 0, block_arrived = 0, live = 0;
long block_round = 0, moves = 0;
unsigned order_seed = 0;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "emulator: %s (thread %zu of block %u)\n", what, current, blockIdx.x);
  std::abort();
}

void hand_on() { swapcontext(&fibers[current].context, &scheduler); }

void run_thread() {
  body();
  ++moves;
  fibers[current].done = true;
  --live;
  hand_on();
}

void start(size_t i) {
  Fiber& fiber = fibers[i];
  fiber.done = false;
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.stack.data();
  fiber.context.uc_stack.ss_size = STACK;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, run_thread, 0);
}

// Run one block: every thread goes on as far as it can, in an order drawn anew each time round.
void run_block(unsigned threads) {
  static std::mt19937 generator(1);
  if (order_seed != 0) generator.seed(order_seed + blockIdx.x);
  if (fibers.size() < threads) fibers.resize(threads);
  warps.assign((threads + 31) / 32, Warp());
  std::vector<size_t> order(threads);
  for (size_t i = 0; i < threads; ++i) start(order[i] = i);
  live = threads;
  block_arrived = 0;
  while (live > 0) {
    std::shuffle(order.begin(), order.end(), generator);
    const long before = moves;
    for (size_t i : order) {
      if (fibers[i].done) continue;
      current = i;
      threadIdx.x = static_cast<unsigned>(i);
      swapcontext(&scheduler, &fibers[i].context);
    }
    if (moves == before) fail("some threads wait for others that never come: divergent shuffle or barrier");
  }
}

void run_grid(unsigned blocks, unsigned threads, std::function<void()> kernel) {
  body = std::move(kernel);
  gridDim.x = blocks;
  blockDim.x = threads;
  std::vector<unsigned> order(blocks);
  for (unsigned i = 0; i < blocks; ++i) order[i] = i;
  if (order_seed != 0) std::shuffle(order.begin(), order.end(), std::mt19937(order_seed));
  for (unsigned i : order) {
    blockIdx.x = i;
    run_block(threads);
  }
}

using bevready::Problem;
using Runner = std::function<std::function<void()>(void**)>;

Runner of_problem(void (*kernel)(const Problem)) {
  return [kernel](void** given) {
    const Problem p = *static_cast<Problem*>(given[0]);
    return [kernel, p] { kernel(p); };
  };
}

Runner of_bound(void (*kernel)(const void*, long long, unsigned*)) {
  return [kernel](void** given) {
    auto from = *static_cast<const void**>(given[0]);
    auto count = *static_cast<long long*>(given[1]);
    auto most = *static_cast<unsigned**>(given[2]);
    return [=] { kernel(from, count, most); };
  };
}

template <class C>
Runner of_fixed(void (*kernel)(const Problem, C*, long long)) {
  return [kernel](void** given) {
    const Problem p = *static_cast<Problem*>(given[0]);
    auto to = *static_cast<C**>(given[1]);
    auto count = *static_cast<long long*>(given[2]);
    return [=] { kernel(p, to, count); };
  };
}

#define BOTH(suffix) \
  {"bevready_forward_" #suffix, of_problem(bevready_forward_##suffix)}, {"bevready_backward_" #suffix, of_problem(bevready_backward_##suffix)}
#define BOUND_OF(suffix) {"bevready_bound_" #suffix, of_bound(bevready_bound_##suffix)}

std::map<std::string, Runner>& kernels() {
  static std::map<std::string, Runner> all = {
      BOTH(f32_e32), BOTH(f16_e32), BOTH(bf16_e32), BOTH(f32_any), BOTH(f16_any), BOTH(bf16_any), BOTH(f64_any),
      BOUND_OF(f32), BOUND_OF(f16), BOUND_OF(bf16), BOUND_OF(f64),
      {"bevready_from_fixed_f32", of_fixed<float>(bevready_from_fixed_f32)},
      {"bevready_from_fixed_f64", of_fixed<double>(bevready_from_fixed_f64)},
      {"bevready_plain2020_forward_f32", of_problem(bevready_plain2020_forward_f32)},
      {"bevready_plain2020_backward_f32", of_problem(bevready_plain2020_backward_f32)},
  };
  return all;
}

int capability = 90;      // of the device that is played
std::string loaded_image; // the first bytes of what was loaded
int contexts = 0;         // pushed and not popped

} // namespace

void emulator::exchange(const void* mine, void* theirs, size_t bytes, int from, int kind) {
  Warp& warp = warps[current / 32];
  const long round = warp.round;
  if (warp.arrived == 0) warp.kind = kind;
  if (warp.kind != kind) fail("the lanes of a warp arrive at different shuffles");
  std::memcpy(warp.slots[round % 2][current % 32], mine, bytes);
  ++moves;
  if (++warp.arrived == 32) {
    warp.arrived = 0;
    ++warp.round;
  }
  while (warp.round == round) hand_on();
  std::memcpy(theirs, warp.slots[round % 2][from], bytes);
}

int emulator::lane() { return static_cast<int>(current % 32); }

void emulator::barrier() {
  const long round = block_round;
  ++moves;
  if (++block_arrived == blockDim.x) {
    block_arrived = 0;
    ++block_round;
  }
  while (block_round == round) hand_on();
}

extern "C" {

void emulator_set(int new_capability, unsigned new_order) { capability = new_capability, order_seed = new_order; }
const char* emulator_loaded() { return loaded_image.c_str(); }
int emulator_contexts() { return contexts; }

int cuInit(unsigned) { return 0; }
int cuDeviceGet(int* device, int index) { return *device = index, index == 0 ? 0 : 101; }
int cuDeviceGetAttribute(int* value, int which, int) { return *value = which == 75 ? capability / 10 : capability % 10, 0; }
int cuDevicePrimaryCtxRetain(void** context, int) { return *context = &contexts, 0; }
int cuCtxPushCurrent_v2(void*) { return ++contexts, 0; }
int cuCtxPopCurrent_v2(void**) { return --contexts, 0; }
int cuModuleLoadData(void** module, const void* image) {
  loaded_image = static_cast<const char*>(image);
  *module = &loaded_image;
  return loaded_image == "damaged" ? 200 : 0;
}
int cuModuleGetFunction(void** function, void*, const char* name) {
  auto at = kernels().find(name);
  if (at == kernels().end()) return 500;
  return *function = &at->second, 0;
}
int cuLaunchKernel(void* function, unsigned blocks, unsigned, unsigned, unsigned threads, unsigned, unsigned, unsigned, void*, void** given, void**) {
  if (contexts != 1) return 201;
  run_grid(blocks, threads, (*static_cast<Runner*>(function))(given));
  return 0;
}
int cuThreadExchangeStreamCaptureMode(int*) { return 0; }
int cuGetErrorName(int code, const char** name) { return *name = code == 500 ? "CUDA_ERROR_NOT_FOUND" : "CUDA_ERROR_INVALID_IMAGE", 0; }
int cuGetErrorString(int, const char** text) { return *text = "played by the emulator", 0; }

} // extern "C"
