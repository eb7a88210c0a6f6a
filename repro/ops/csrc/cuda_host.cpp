// The operators on CUDA devices: inputs are laid out for device/problem.h, outputs allocated, kernels launched.
// Nothing here waits for the device, and nothing but the driver is asked of CUDA, so that this file also compiles and
// loads where torch is built for the CPU only.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <tuple>

#include "device/problem.h"
#include "device_host.h"

#ifndef BEVREADY_EMULATED
#define BEVREADY_KEY CUDA
#else // the tests run the device code on CPU tensors, through this same file, under names of their own
#define BEVREADY_KEY CPU
#endif

namespace bevready {
namespace {

using at::IntArrayRef;
using at::Tensor;

constexpr int THREADS = 128;      // a block
constexpr int64_t MOST_TOKENS = int64_t(1) << 29; // a point packs its token with two flags into 32 bits

at::ScalarType computed_in(at::ScalarType type) { return type == at::kDouble ? at::kDouble : at::kFloat; }

std::string suffix_of(at::ScalarType type) {
  switch (type) {
    case at::kFloat: return "f32";
    case at::kDouble: return "f64";
    case at::kHalf: return "f16";
    case at::kBFloat16: return "bf16";
    default: TORCH_CHECK(false, "value is ", type, "; expected float32, float64, float16 or bfloat16");
  }
}

bool aligned(const Tensor& t) { return reinterpret_cast<uintptr_t>(t.const_data_ptr()) % 16 == 0; }

// A call's inputs, contiguous, and the problem that points at them: it must live until the kernels are launched.
struct Call {
  Tensor value, where, weights, references, visible, levels, grad;
  Problem problem{};
  std::string instance; // "f32_e32"
  int lanes = 0;        // threads a unit

  c10::Device device() const { return value.device(); }
  at::TensorOptions computed() const { return value.options().dtype(computed_in(value.scalar_type())); }
  int64_t points() const { return int64_t(problem.levels) * problem.points; }
  bool empty() const { return problem.units == 0 || points() == 0 || problem.channels == 0 || problem.cameras == 0; }

  void launch(const std::string& name) {
    const int64_t threads = problem.units * lanes;
    device::launch(device(), name + instance, (threads + THREADS - 1) / THREADS, THREADS, {&problem});
  }
};

// Inputs may be stored in the value's type or in the type that is computed in; anything else is converted.
Tensor fit(const Tensor& t, const Tensor& value, bool may_be_narrow, int& narrow, const char* what) {
  TORCH_CHECK(t.device() == value.device(), what, " on ", t.device(), "; expected ", value.device(), " as the value");
  const auto wide = computed_in(value.scalar_type());
  narrow = may_be_narrow && t.scalar_type() == value.scalar_type() && t.scalar_type() != wide;
  return (narrow ? t : t.to(wide)).contiguous();
}

void set_levels(Call& call, IntArrayRef sizes) {
  Problem& p = call.problem;
  TORCH_CHECK(sizes.size() % 2 == 0, "level_sizes has ", sizes.size(), " numbers; expected pairs of height and width");
  p.levels = static_cast<int>(sizes.size() / 2);
  std::vector<int> rows;
  int64_t first = 0;
  for (size_t l = 0; l < sizes.size(); l += 2) {
    TORCH_CHECK(sizes[l] > 0 && sizes[l + 1] > 0, "level ", l / 2, " is ", sizes[l], " x ", sizes[l + 1], "; expected sizes of at least 1");
    rows.insert(rows.end(), {static_cast<int>(sizes[l]), static_cast<int>(sizes[l + 1]), static_cast<int>(first)});
    first += sizes[l] * sizes[l + 1];
    TORCH_CHECK(first <= MOST_TOKENS, "levels of more than ", MOST_TOKENS, " tokens are not supported on CUDA");
  }
  TORCH_CHECK(first == p.tokens, "value has ", p.tokens, " tokens but the level sizes add up to ", first);
  if (p.levels <= LEVELS_BY_VALUE) {
    std::copy(rows.begin(), rows.end(), &p.level[0][0]);
    return;
  }
  const auto count = static_cast<int64_t>(rows.size()); // rare: this copy waits, and no graph can hold it
  call.levels = at::from_blob(rows.data(), {count}, at::TensorOptions().dtype(at::kInt)).clone().to(call.device());
  p.level_table = call.levels.const_data_ptr<int>();
}

Call prepare(int mode, const Tensor& value, IntArrayRef sizes, const Tensor& where, const Tensor& weights,
             const Tensor& references, const Tensor& visible) {
  Call call;
  Problem& p = call.problem;
  const int lead = mode == MODE_SPATIAL ? 1 : 0; // the cameras in front
  TORCH_CHECK(value.dim() == 4 + lead, "value has shape ", value.sizes(), "; expected ", lead ? "[N,B,S,M,E]" : "[B,S,M,E]");
  TORCH_CHECK(where.dim() == 6 && where.size(5) == 2, "places have shape ", where.sizes(), "; expected [B,Q,M,L,P,2]");
  p.mode = mode;
  p.cameras = lead ? static_cast<int>(value.size(0)) : 1;
  p.items = value.size(lead);
  p.tokens = value.size(lead + 1);
  p.heads = static_cast<int>(value.size(lead + 2));
  p.channels = static_cast<int>(value.size(lead + 3));
  p.queries = where.size(1);
  p.points = static_cast<int>(where.size(4));
  p.units = p.items * p.queries * p.heads;
  p.anchors = 1;
  p.reference_width = 2;
  TORCH_CHECK(p.channels <= 256, "a head has ", p.channels, " channels; expected at most 256");
  call.value = value.contiguous();
  set_levels(call, sizes);
  TORCH_CHECK(where.size(0) == p.items && where.size(2) == p.heads && where.size(3) == p.levels, "places have shape ",
              where.sizes(), "; expected ", p.items, " items, ", p.heads, " heads and ", p.levels, " levels");
  TORCH_CHECK(weights.numel() == p.units * call.points(), "weights have shape ", weights.sizes(), "; expected one for each of the places ", where.sizes());
  call.where = fit(where, value, true, p.where_narrow, "places are");
  call.weights = fit(weights, value, true, p.weights_narrow, "weights are");
  if (mode != MODE_LOCATIONS) {
    int never = 0;
    call.references = fit(references, value, false, never, "references are");
    p.reference_width = static_cast<int>(references.size(-1));
    TORCH_CHECK(p.reference_width == 2 || (p.reference_width == 4 && !lead), "references have shape ", references.sizes(), "; expected ", lead ? "[N,B,Q,D,2]" : "[B,Q,L,2] or [B,Q,L,4]");
    if (lead) p.anchors = static_cast<int>(references.size(3));
    const int64_t expected = lead ? p.cameras * p.items * p.queries * p.anchors * 2 : p.items * p.queries * p.levels * p.reference_width;
    TORCH_CHECK(references.numel() == expected && p.anchors > 0, "references have shape ", references.sizes(), ", which does not fit places ", where.sizes());
    p.references = call.references.const_data_ptr();
  }
  if (lead) {
    TORCH_CHECK(visible.scalar_type() == at::kBool && visible.device() == value.device() && visible.numel() * 2 == references.numel(),
                "visible is ", visible.scalar_type(), " ", visible.sizes(), " on ", visible.device(), "; expected bool [N,B,Q,D] beside the references ", references.sizes());
    call.visible = visible.contiguous();
    p.visible = static_cast<const unsigned char*>(call.visible.const_data_ptr());
  }
  const bool packs = p.channels == 32 && aligned(call.value) && value.scalar_type() != at::kDouble;
  call.instance = suffix_of(value.scalar_type()) + (packs ? "_e32" : "_any");
  call.lanes = !packs ? 32 : (value.scalar_type() == at::kFloat ? 8 : 4);
  p.value = call.value.const_data_ptr();
  p.where = call.where.const_data_ptr();
  p.weights = call.weights.const_data_ptr();
  return call;
}

Tensor forward(Call call) {
  Problem& p = call.problem;
  const std::vector<int64_t> shape = {p.items, p.queries, int64_t(p.heads) * p.channels};
  if (call.empty()) return at::zeros(shape, call.value.options());
  Tensor output = at::empty(shape, call.value.options());
  p.output = output.mutable_data_ptr();
  call.launch("bevready_forward_");
  return output;
}

void bound(Call& call, const Tensor& of, int64_t slot) {
  const void* from = of.const_data_ptr();
  long long count = of.numel();
  unsigned* most = call.problem.bounds + slot;
  const int64_t blocks = std::min<int64_t>((count + THREADS - 1) / THREADS, 1024);
  device::launch(call.device(), "bevready_bound_" + suffix_of(of.scalar_type()), blocks, THREADS, {&from, &count, &most});
}

Tensor from_fixed(Call& call) {
  Tensor whole = at::empty(call.value.sizes(), call.computed());
  void* to = whole.mutable_data_ptr();
  long long count = whole.numel();
  const int64_t blocks = std::min<int64_t>((count + THREADS - 1) / THREADS, 65536);
  device::launch(call.device(), "bevready_from_fixed_" + suffix_of(whole.scalar_type()), blocks, THREADS, {&call.problem, &to, &count});
  return whole;
}

struct Gradients { Tensor value, where, weights, references; };

// Gradients of the references summed by head: [B,Q,M,...], the heads added in their order.
Tensor over_heads(const Call& call, const Tensor& by_head) {
  Tensor sum = by_head.sum(2);
  return call.problem.mode == MODE_SPATIAL ? sum.permute({2, 0, 1, 3, 4}).contiguous() : sum;
}

Tensor reference_buffer(const Call& call, bool fixed) {
  const Problem& p = call.problem;
  if (p.mode == MODE_LOCATIONS) return {};
  if (!fixed) return at::zeros(call.references.sizes(), call.computed());
  if (p.mode == MODE_SPATIAL) return at::zeros({p.items, p.queries, p.heads, p.cameras, p.anchors, 2}, call.computed());
  return at::zeros({p.items, p.queries, p.heads, p.levels, p.reference_width}, call.computed());
}

int bits_of(int64_t count) { // the smallest b with 2^b >= count
  int bits = 0;
  while (bits < 62 && (int64_t(1) << bits) < count) ++bits;
  return bits;
}

Gradients backward(Call call, const Tensor& grad, bool deterministic) {
  Problem& p = call.problem;
  TORCH_CHECK(grad.numel() == p.units * p.channels && grad.device() == call.device(), "grad has shape ", grad.sizes(), " on ",
              grad.device(), "; expected [", p.items, ", ", p.queries, ", ", int64_t(p.heads) * p.channels, "] on ", call.device());
  const bool fixed = deterministic && !call.empty();
  Gradients to;
  to.value = at::zeros(call.value.sizes(), fixed ? call.computed().dtype(at::kLong) : call.computed());
  to.where = call.empty() ? at::zeros(call.where.sizes(), call.computed()) : at::empty(call.where.sizes(), call.computed());
  to.weights = call.empty() ? at::zeros(call.weights.sizes(), call.computed()) : at::empty(call.weights.sizes(), call.computed());
  to.references = reference_buffer(call, fixed);
  if (call.empty()) return to;
  call.grad = grad.to(call.value.scalar_type()).contiguous();
  if (!aligned(call.grad)) call.grad = call.grad.clone();
  p.grad = call.grad.const_data_ptr();
  p.grad_value = to.value.mutable_data_ptr();
  p.grad_where = to.where.mutable_data_ptr();
  p.grad_weights = to.weights.mutable_data_ptr();
  p.grad_references = to.references.defined() ? to.references.mutable_data_ptr() : nullptr;
  Tensor bounds;
  if (fixed) {
    bounds = at::zeros({2}, call.value.options().dtype(at::kInt));
    p.bounds = static_cast<unsigned*>(bounds.mutable_data_ptr());
    p.fixed = 1;
    p.head_room = bits_of(p.queries * p.points);
    bound(call, call.grad, 0);
    if (p.mode == MODE_LOCATIONS) bound(call, call.weights, 1);
  }
  call.launch("bevready_backward_");
  if (fixed) {
    to.value = from_fixed(call);
    if (to.references.defined()) to.references = over_heads(call, to.references);
  }
  return to;
}

Tensor as(const Tensor& gradient, const Tensor& input) { return gradient.to(input.scalar_type()).view(input.sizes()); }

#include "cuda_doors.inc"

} // namespace
} // namespace bevready
