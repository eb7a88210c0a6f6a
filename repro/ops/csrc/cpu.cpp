// The CPU implementation: tensors become plain pointers, threads share the queries (forward, and the gradients of
// where to look) or the (camera, item, head) maps (the value's gradient), and the processor picks the kernels.
//
// 16-bit tensors are widened first: coordinates, sums and gradients are float32, rounded once at the end.
// Build with -fopenmp, or at::parallel_for runs on one thread.
#include "cpu.h"

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "bevready_ops.h"

namespace bevready {
namespace {

using at::IntArrayRef;
using at::Tensor;

// The widest instructions this processor has, or fewer if BEVREADY_CPU says "plain" or "avx2".
const Variant& pick() {
  static const Variant* const picked = [] {
    const char* most = std::getenv("BEVREADY_CPU");
    const auto allowed = [most](const char* name) { return !most || !*most || !std::strcmp(most, name); };
    const Variant* found = nullptr;
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
    if (avx512 && allowed("avx512")) found = avx512_variant();
    if (!found && avx2 && (allowed("avx2") || allowed("avx512"))) found = avx2_variant();
#endif
    return found ? found : plain_variant();
  }();
  return *picked;
}

template <typename T>
const Kernels<T>& kernels();
template <>
const Kernels<float>& kernels<float>() {
  return pick().single;
}
template <>
const Kernels<double>& kernels<double>() {
  return pick().twice;
}

// A thread's scratch memory: 64-byte aligned arrays of n numbers each.
template <typename T>
class Scratch {
 public:
  Scratch(int64_t n, int64_t row) {
    const int64_t step = (n + 15) / 16 * 16;
    memory_.resize(kWorkArrays * step + row + 16);
    tokens_.resize(4 * step + 16);
    T* next = align(memory_.data());
    const auto take = [&next, step](int64_t arrays) { return std::exchange(next, next + arrays * step); };
    work.base_x = take(1), work.base_y = take(1), work.rest_x = take(1), work.rest_y = take(1);
    work.scale_x = take(1), work.scale_y = take(1);
    work.weight = take(1), work.dx = take(1), work.dy = take(1);
    for (T*& corner : work.corner) corner = take(1);
    work.dot = take(4), work.grad_weight = take(1), work.gx = take(1), work.gy = take(1);
    work.row = next;
    int32_t* token = align(tokens_.data());
    for (int32_t*& at : work.at) at = std::exchange(token, token + step);
  }

  Work<T> work;

 private:
  template <typename U>
  static U* align(U* p) {
    return reinterpret_cast<U*>((reinterpret_cast<uintptr_t>(p) + 63) / 64 * 64);
  }
  std::vector<T> memory_;
  std::vector<int32_t> tokens_;
};

// What the samples of a query have in common with those of every other: level sizes and anchors.
struct Tables {
  Tables(const Sizes& s, IntArrayRef level_sizes) {
    for (int64_t m = 0; m < s.M; ++m) {
      int64_t first = 0;
      for (int64_t l = 0; l < s.L; ++l) {
        const int64_t h = level_sizes[2 * l], w = level_sizes[2 * l + 1];
        height.insert(height.end(), s.P, static_cast<int32_t>(h));
        width.insert(width.end(), s.P, static_cast<int32_t>(w));
        start.insert(start.end(), s.P, static_cast<int32_t>(first));
        first += h * w;
      }
    }
    for (int64_t k = 0; k < s.L * s.P; ++k)
      anchor.push_back(static_cast<int32_t>(s.D ? k % s.P % s.D : k / s.P));
    for (auto* table : {&width, &height, &start}) table->resize(table->size() + 16);  // kernels read whole vectors
  }
  std::vector<int32_t> width, height, start, anchor;
};

// The inputs of one call as the kernels want them: contiguous, float or double. Empty tensors are absent ones.
struct Inputs {
  Sizes sizes;
  Tensor value, references, hit, pairs, weights;

  Tensor out(at::ScalarType type) const { return at::empty({sizes.B, sizes.Q, sizes.M * sizes.E}, type_options(type)); }
  static at::TensorOptions type_options(at::ScalarType type) { return at::TensorOptions().dtype(type); }
  at::ScalarType type() const { return value.scalar_type(); }
  bool nothing() const { return sizes.L * sizes.P == 0 || sizes.M == 0 || sizes.B == 0 || sizes.Q == 0; }
};

at::ScalarType wide(const Tensor& value) { return value.scalar_type() == at::kDouble ? at::kDouble : at::kFloat; }

Inputs inputs(const Sizes& sizes, const Tensor& value, const Tensor& references, const Tensor& visible,
              const Tensor& pairs, const Tensor& weights) {
  const at::ScalarType type = wide(value);
  const auto plain = [type](const Tensor& t) { return t.defined() ? t.to(type).contiguous() : t; };
  return {sizes, plain(value), plain(references), visible.defined() ? visible.any(-1).contiguous() : visible,
          plain(pairs), plain(weights)};
}

template <typename T>
Call<T> call_of(const Inputs& in, const Tables& tables) {
  const Sizes& s = in.sizes;
  TORCH_CHECK_VALUE(s.S * s.M * s.E < int64_t(1) << 30, "value has ", s.S * s.M * s.E,
                    " numbers an item; expected fewer than 2^30 on the CPU");
  Call<T> c{};
  c.N = s.N, c.B = s.B, c.Q = s.Q, c.S = s.S, c.M = s.M, c.E = s.E, c.K = s.L * s.P, c.P = s.P, c.R = s.R;
  c.anchors = s.D ? s.D : s.L;
  c.softmax = s.R != 0;
  c.width = tables.width.data(), c.height = tables.height.data(), c.start = tables.start.data();
  c.anchor = tables.anchor.data();
  c.value = in.value.const_data_ptr<T>();
  c.references = in.references.defined() ? in.references.const_data_ptr<T>() : nullptr;
  c.hit = in.hit.defined() ? reinterpret_cast<const uint8_t*>(in.hit.const_data_ptr<bool>()) : nullptr;
  c.pairs = in.pairs.const_data_ptr<T>();
  c.weights = in.weights.const_data_ptr<T>();
  return c;
}

// Say where the first NaN is that was read; the kernels only know that there was one.
void refuse_nan(const Inputs& in) {
  const auto look = [](const Tensor& tensor, const char* name, const Tensor& read) {
    if (!tensor.defined()) return;
    Tensor bad = at::isnan(tensor);
    if (read.defined()) {  // [N, B, Q] of references, [B, Q] of offsets
      std::vector<int64_t> shape = read.sizes().vec();
      shape.resize(bad.dim(), 1);
      bad = bad.logical_and(read.view(shape));
    }
    const Tensor where = at::nonzero(bad);
    if (where.size(0) == 0) return;
    std::vector<int64_t> at(where.size(1));
    for (int64_t i = 0; i < where.size(1); ++i) at[i] = where[0][i].item<int64_t>();
    TORCH_CHECK_VALUE(false, name, " are NaN at ", IntArrayRef(at), " (", where.size(0), " of ", tensor.numel(),
                " numbers); expected numbers, 0 to 1 being inside the image");
  };
  look(in.references, "references", in.hit);
  look(in.pairs, in.sizes.R ? "offsets" : "locations", in.hit.defined() ? in.hit.any(0) : in.hit);
  TORCH_CHECK_VALUE(false, "a sampling location is NaN: an infinite offset met a reference of no extent; expected numbers");
}

template <typename T>
using Rows = bool (*)(const Call<T>&, Work<T>&, int64_t, int64_t);

template <typename T>
void over_rows(const Inputs& in, const Call<T>& c, Rows<T> rows) {
  std::atomic<bool> bad{false};
  const int64_t n = c.M * c.K;
  at::parallel_for(0, c.B * c.Q, std::max<int64_t>(1, 1024 / n), [&](int64_t first, int64_t last) {
    Scratch<T> scratch(n, c.M * c.E);
    if (rows(c, scratch.work, first, last)) bad = true;
  });
  if (bad) refuse_nan(in);
}

template <typename T>
void over_maps(const Call<T>& c) {
  const int64_t maps = c.N * c.B * c.M;
  // More threads than maps share the channels; that changes no sum.
  int64_t parts = 1;
  while (c.E % (32 * parts) == 0 && maps * parts < at::get_num_threads()) parts *= 2;
  const int64_t width = c.E / parts;
  at::parallel_for(0, maps * parts, 1, [&](int64_t first, int64_t last) {
    Scratch<T> scratch(c.M * c.K, c.M * c.E);
    std::vector<T> map((c.S + 1) * width);
    for (int64_t task = first; task < last; ++task) {
      const int64_t from = task % parts * width, which = task / parts;
      kernels<T>().scatter(c, scratch.work, map.data(), which / c.M / c.B, which / c.M % c.B, which % c.M, from,
                           from + width);
    }
  });
}

Tensor forward_of(const Inputs& in, IntArrayRef level_sizes, at::ScalarType to) {
  if (in.nothing()) return at::zeros({in.sizes.B, in.sizes.Q, in.sizes.M * in.sizes.E}, Inputs::type_options(to));
  const Tables tables(in.sizes, level_sizes);
  Tensor out = in.out(in.type());
  const auto run = [&](auto zero) {
    using T = decltype(zero);
    Call<T> c = call_of<T>(in, tables);
    c.out = out.mutable_data_ptr<T>();
    over_rows<T>(in, c, kernels<T>().forward);
  };
  in.type() == at::kDouble ? run(0.0) : run(0.0F);
  return out.to(to);
}

// Gradients of value, references (undefined without them), pairs and weights.
Four backward_of(const Tensor& grad_out, const Inputs& in, IntArrayRef level_sizes) {
  const Tensor grad = grad_out.to(in.type()).contiguous();
  const auto options = Inputs::type_options(in.type());
  const bool nothing = in.nothing();
  const auto like = [&](const Tensor& t) { return nothing ? at::zeros(t.sizes(), options) : at::empty(t.sizes(), options); };
  Tensor value = like(in.value), pairs = like(in.pairs), weights = like(in.weights), references;
  if (in.references.defined()) references = at::zeros(in.references.sizes(), options);
  if (nothing) return {value, references, pairs, weights};
  const Tables tables(in.sizes, level_sizes);
  const auto run = [&](auto zero) {
    using T = decltype(zero);
    Call<T> c = call_of<T>(in, tables);
    c.grad = grad.const_data_ptr<T>();
    c.grad_value = value.mutable_data_ptr<T>();
    c.grad_references = references.defined() ? references.mutable_data_ptr<T>() : nullptr;
    c.grad_pairs = pairs.mutable_data_ptr<T>();
    c.grad_weights = weights.mutable_data_ptr<T>();
    over_rows<T>(in, c, kernels<T>().backward);
    over_maps<T>(c);
  };
  in.type() == at::kDouble ? run(0.0) : run(0.0F);
  return {value, references, pairs, weights};
}

}  // namespace

Tensor cpu_forward(const Tensor& value, IntArrayRef level_sizes, const Tensor& locations, const Tensor& weights) {
  const Sizes sizes = check_locations(value, level_sizes, locations, weights);
  return forward_of(inputs(sizes, value, {}, {}, locations, weights), level_sizes, value.scalar_type());
}

Three cpu_backward(const Tensor& grad, const Tensor& value, IntArrayRef level_sizes, const Tensor& locations,
                   const Tensor& weights, bool /*deterministic*/) {
  const Sizes sizes = check_locations(value, level_sizes, locations, weights);
  check_grad(grad, sizes, value);
  const auto [v, r, p, w] = backward_of(grad, inputs(sizes, value, {}, {}, locations, weights), level_sizes);
  return {v.to(value.scalar_type()), p.to(locations.scalar_type()), w.to(weights.scalar_type())};
}

Tensor cpu_offsets_forward(const Tensor& value, IntArrayRef level_sizes, const Tensor& references,
                           const Tensor& offsets, const Tensor& logits) {
  const Sizes sizes = check_offsets(value, level_sizes, references, offsets, logits);
  return forward_of(inputs(sizes, value, references, {}, offsets, logits), level_sizes, value.scalar_type());
}

Four cpu_offsets_backward(const Tensor& grad, const Tensor& value, IntArrayRef level_sizes, const Tensor& references,
                          const Tensor& offsets, const Tensor& logits, bool /*deterministic*/) {
  const Sizes sizes = check_offsets(value, level_sizes, references, offsets, logits);
  check_grad(grad, sizes, value);
  const auto [v, r, p, w] = backward_of(grad, inputs(sizes, value, references, {}, offsets, logits), level_sizes);
  return {v.to(value.scalar_type()), r.to(references.scalar_type()), p.to(offsets.scalar_type()),
          w.to(logits.scalar_type())};
}

Tensor cpu_cameras_forward(const Tensor& value, IntArrayRef level_sizes, const Tensor& references,
                           const Tensor& visible, const Tensor& offsets, const Tensor& logits) {
  const Sizes sizes = check_cameras(value, level_sizes, references, visible, offsets, logits);
  return forward_of(inputs(sizes, value, references, visible, offsets, logits), level_sizes, value.scalar_type());
}

Four cpu_cameras_backward(const Tensor& grad, const Tensor& value, IntArrayRef level_sizes, const Tensor& references,
                          const Tensor& visible, const Tensor& offsets, const Tensor& logits,
                          bool /*deterministic*/) {
  const Sizes sizes = check_cameras(value, level_sizes, references, visible, offsets, logits);
  check_grad(grad, sizes, value);
  const auto [v, r, p, w] = backward_of(grad, inputs(sizes, value, references, visible, offsets, logits), level_sizes);
  return {v.to(value.scalar_type()), r.to(references.scalar_type()), p.to(offsets.scalar_type()),
          w.to(logits.scalar_type())};
}

std::string cpu_instructions() {
#ifdef _OPENMP
  return pick().name;
#else
  return std::string(pick().name) + ", one thread";
#endif
}

}  // namespace bevready
