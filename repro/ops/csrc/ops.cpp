// The operators' schemas, the checks of their inputs and the CPU registrations. CUDA registers itself in
// cuda_host.cpp; gradients and fake functions are registered by library.py.
#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include <limits>
#include <sstream>

#include "bevready_ops.h"

namespace bevready {
namespace {

using at::IntArrayRef;
using at::Tensor;

void check_levels(IntArrayRef level_sizes, const Tensor& value, Sizes& sizes) {
  TORCH_CHECK_VALUE(level_sizes.size() % 2 == 0, "level_sizes are ", level_sizes, "; expected pairs h0, w0, h1, w1, …");
  sizes.L = static_cast<int64_t>(level_sizes.size()) / 2;
  int64_t tokens = 0;
  for (int64_t l = 0; l < sizes.L; ++l) {
    TORCH_CHECK_VALUE(level_sizes[2 * l] >= 0 && level_sizes[2 * l + 1] >= 0, "level_sizes are ", level_sizes,
                "; expected no negative size");
    tokens += level_sizes[2 * l] * level_sizes[2 * l + 1];
  }
  TORCH_CHECK_VALUE(tokens == sizes.S, "value has ", sizes.S, " tokens but level sizes ", level_sizes, " add up to ", tokens,
              ": pass the sizes of the padded features");
  TORCH_CHECK_VALUE(tokens < std::numeric_limits<int32_t>::max() / 2, "value has ", tokens,
              " tokens; expected fewer than 2^30 an item");
  TORCH_CHECK_VALUE(sizes.E >= 1 && sizes.E <= kMostChannels, "value has ", sizes.E, " channels a head; expected 1 to ",
              kMostChannels);
  (void)value;
}

void check_shape(const Tensor& tensor, const char* name, IntArrayRef expected, const char* letters) {
  TORCH_CHECK_VALUE(tensor.sizes() == expected, name, " are ", tensor.sizes(), "; expected ", expected, " ", letters);
}

bool floats(at::ScalarType type) {
  return type == at::kFloat || type == at::kDouble || type == at::kHalf || type == at::kBFloat16;
}

void check_value(const Tensor& value) {
  TORCH_CHECK_VALUE(floats(value.scalar_type()), "value is ", value.scalar_type(),
              "; expected float32, float64, float16 or bfloat16");
}

at::ScalarType coordinates(const Tensor& value) { return value.scalar_type() == at::kDouble ? at::kDouble : at::kFloat; }

// Coordinates are float32 (float64 with a float64 value) unless `storage` also allows the value's own dtype.
void check_type(const Tensor& tensor, const char* name, const Tensor& value, bool storage) {
  const at::ScalarType wanted = coordinates(value), seen = tensor.scalar_type();
  TORCH_CHECK_VALUE(seen == wanted || (storage && seen == value.scalar_type()), name, " are ", seen, "; expected ", wanted,
              storage && wanted != value.scalar_type() ? " or the dtype of value, " : " with a value of ",
              value.scalar_type());
  TORCH_CHECK_VALUE(tensor.device() == value.device(), "devices differ: value on ", value.device(), ", ", name, " on ",
              tensor.device());
}

}  // namespace

Sizes check_locations(const Tensor& value, IntArrayRef level_sizes, const Tensor& locations, const Tensor& weights) {
  check_value(value);
  TORCH_CHECK_VALUE(value.dim() == 4, "value is ", value.sizes(), "; expected [batch, tokens, heads, channels]");
  TORCH_CHECK_VALUE(locations.dim() == 6 && locations.size(5) == 2, "locations are ", locations.sizes(),
              "; expected [batch, queries, heads, levels, points, 2]");
  Sizes s;
  s.B = value.size(0), s.S = value.size(1), s.M = value.size(2), s.E = value.size(3);
  s.Q = locations.size(1), s.P = locations.size(4);
  check_levels(level_sizes, value, s);
  check_shape(locations, "locations", {s.B, s.Q, s.M, s.L, s.P, 2}, "to fit value and level sizes");
  check_shape(weights, "weights", {s.B, s.Q, s.M, s.L, s.P}, "to fit the locations");
  check_type(locations, "locations", value, false);
  check_type(weights, "weights", value, true);
  return s;
}

Sizes check_offsets(const Tensor& value, IntArrayRef level_sizes, const Tensor& references, const Tensor& offsets,
                    const Tensor& logits) {
  check_value(value);
  TORCH_CHECK_VALUE(value.dim() == 4, "value is ", value.sizes(), "; expected [batch, tokens, heads, channels]");
  TORCH_CHECK_VALUE(offsets.dim() == 6 && offsets.size(5) == 2, "offsets are ", offsets.sizes(),
              "; expected [batch, queries, heads, levels, points, 2]");
  TORCH_CHECK_VALUE(references.dim() == 4 && (references.size(3) == 2 || references.size(3) == 4), "references are ",
              references.sizes(), "; expected [batch, queries, levels, 2] or [batch, queries, levels, 4]");
  Sizes s;
  s.B = value.size(0), s.S = value.size(1), s.M = value.size(2), s.E = value.size(3);
  s.Q = offsets.size(1), s.P = offsets.size(4), s.R = references.size(3);
  check_levels(level_sizes, value, s);
  check_shape(offsets, "offsets", {s.B, s.Q, s.M, s.L, s.P, 2}, "to fit value and level sizes");
  check_shape(references, "references", {s.B, s.Q, s.L, s.R}, "to fit the offsets");
  check_shape(logits, "logits", {s.B, s.Q, s.M, s.L * s.P}, "to fit the offsets");
  check_type(references, "references", value, false);
  check_type(offsets, "offsets", value, true);
  check_type(logits, "logits", value, true);
  return s;
}

Sizes check_cameras(const Tensor& value, IntArrayRef level_sizes, const Tensor& references, const Tensor& visible,
                    const Tensor& offsets, const Tensor& logits) {
  check_value(value);
  TORCH_CHECK_VALUE(value.dim() == 5, "value is ", value.sizes(), "; expected [cameras, batch, tokens, heads, channels]");
  TORCH_CHECK_VALUE(offsets.dim() == 6 && offsets.size(5) == 2, "offsets are ", offsets.sizes(),
              "; expected [batch, queries, heads, levels, points, 2]");
  TORCH_CHECK_VALUE(references.dim() == 5 && references.size(4) == 2, "references are ", references.sizes(),
              "; expected [cameras, batch, queries, anchors, 2]");
  Sizes s;
  s.N = value.size(0), s.B = value.size(1), s.S = value.size(2), s.M = value.size(3), s.E = value.size(4);
  s.Q = offsets.size(1), s.P = offsets.size(4), s.D = references.size(3), s.R = 2;
  check_levels(level_sizes, value, s);
  check_shape(offsets, "offsets", {s.B, s.Q, s.M, s.L, s.P, 2}, "to fit value and level sizes");
  check_shape(references, "references", {s.N, s.B, s.Q, s.D, 2}, "to fit value and offsets");
  check_shape(visible, "visible", {s.N, s.B, s.Q, s.D}, "to fit the references");
  check_shape(logits, "logits", {s.B, s.Q, s.M, s.L * s.P}, "to fit the offsets");
  TORCH_CHECK_VALUE(s.D >= 1 && s.P % s.D == 0, "references have ", s.D, " anchors and offsets ", s.P,
              " points; expected a multiple of the anchors");
  TORCH_CHECK_VALUE(visible.scalar_type() == at::kBool, "visible is ", visible.scalar_type(), "; expected bool");
  TORCH_CHECK_VALUE(visible.device() == value.device(), "devices differ: value on ", value.device(), ", visible on ",
              visible.device());
  check_type(references, "references", value, false);
  check_type(offsets, "offsets", value, true);
  check_type(logits, "logits", value, true);
  return s;
}

void check_grad(const Tensor& grad, const Sizes& s, const Tensor& value) {
  check_shape(grad, "gradients of the output", {s.B, s.Q, s.M * s.E}, "[batch, queries, heads * channels]");
  TORCH_CHECK_VALUE(grad.scalar_type() == value.scalar_type(), "gradients of the output are ", grad.scalar_type(),
              "; expected ", value.scalar_type(), " as the value");
  TORCH_CHECK_VALUE(grad.device() == value.device(), "devices differ: value on ", value.device(), ", gradient on ",
              grad.device());
}

}  // namespace bevready

TORCH_LIBRARY(bevready, m) {
  const std::vector<at::Tag> tags{at::Tag::pt2_compliant_tag};
  m.def("ms_deform_attn(Tensor value, int[] level_sizes, Tensor locations, Tensor weights) -> Tensor", tags);
  m.def(
      "ms_deform_attn_backward(Tensor grad, Tensor value, int[] level_sizes, Tensor locations, Tensor weights, "
      "bool deterministic) -> (Tensor, Tensor, Tensor)",
      tags);
  m.def(
      "ms_deform_attn_from_offsets(Tensor value, int[] level_sizes, Tensor references, Tensor offsets, "
      "Tensor logits) -> Tensor",
      tags);
  m.def(
      "ms_deform_attn_from_offsets_backward(Tensor grad, Tensor value, int[] level_sizes, Tensor references, "
      "Tensor offsets, Tensor logits, bool deterministic) -> (Tensor, Tensor, Tensor, Tensor)",
      tags);
  m.def(
      "spatial_cross_attn(Tensor value, int[] level_sizes, Tensor references, Tensor visible, Tensor offsets, "
      "Tensor logits) -> Tensor",
      tags);
  m.def(
      "spatial_cross_attn_backward(Tensor grad, Tensor value, int[] level_sizes, Tensor references, Tensor visible, "
      "Tensor offsets, Tensor logits, bool deterministic) -> (Tensor, Tensor, Tensor, Tensor)",
      tags);
  m.def("cpu_instructions() -> str", bevready::cpu_instructions);
}

TORCH_LIBRARY_IMPL(bevready, CPU, m) {
  m.impl("ms_deform_attn", bevready::cpu_forward);
  m.impl("ms_deform_attn_backward", bevready::cpu_backward);
  m.impl("ms_deform_attn_from_offsets", bevready::cpu_offsets_forward);
  m.impl("ms_deform_attn_from_offsets_backward", bevready::cpu_offsets_backward);
  m.impl("spatial_cross_attn", bevready::cpu_cameras_forward);
  m.impl("spatial_cross_attn_backward", bevready::cpu_cameras_backward);
}
