// What the files of the extension share: problem sizes, the checks of every entry, and the CPU functions.
//
// Shape letters: B items, Q queries, S value tokens of all levels together, M heads, E channels of one head,
// L levels, P points a level, N cameras, D anchors of a pillar, R = 2 (point) or 4 (box) numbers a reference.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <tuple>

namespace bevready {

constexpr int64_t kMostChannels = 256;  // of one head

struct Sizes {
  int64_t N = 1, B = 0, Q = 0, S = 0, M = 0, E = 0, L = 0, P = 0;
  int64_t D = 0;  // anchors of a query in a camera; 0 outside spatial_cross_attn
  int64_t R = 0;  // numbers of a reference; 0 where locations are given
};

using Three = std::tuple<at::Tensor, at::Tensor, at::Tensor>;
using Four = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor>;

// Each raises c10::ValueError with what was seen and what was expected, and returns the sizes that fit.
Sizes check_locations(const at::Tensor& value, at::IntArrayRef level_sizes, const at::Tensor& locations,
                      const at::Tensor& weights);
Sizes check_offsets(const at::Tensor& value, at::IntArrayRef level_sizes, const at::Tensor& references,
                    const at::Tensor& offsets, const at::Tensor& logits);
Sizes check_cameras(const at::Tensor& value, at::IntArrayRef level_sizes, const at::Tensor& references,
                    const at::Tensor& visible, const at::Tensor& offsets, const at::Tensor& logits);
void check_grad(const at::Tensor& grad, const Sizes& sizes, const at::Tensor& value);

// The CPU implementation, cpu.cpp. Every backward is deterministic whatever the flag says: each number is summed by
// one thread in a fixed order, so results do not depend on the number of threads either.
at::Tensor cpu_forward(const at::Tensor& value, at::IntArrayRef level_sizes, const at::Tensor& locations,
                       const at::Tensor& weights);
Three cpu_backward(const at::Tensor& grad, const at::Tensor& value, at::IntArrayRef level_sizes,
                   const at::Tensor& locations, const at::Tensor& weights, bool deterministic);
at::Tensor cpu_offsets_forward(const at::Tensor& value, at::IntArrayRef level_sizes, const at::Tensor& references,
                               const at::Tensor& offsets, const at::Tensor& logits);
Four cpu_offsets_backward(const at::Tensor& grad, const at::Tensor& value, at::IntArrayRef level_sizes,
                          const at::Tensor& references, const at::Tensor& offsets, const at::Tensor& logits,
                          bool deterministic);
at::Tensor cpu_cameras_forward(const at::Tensor& value, at::IntArrayRef level_sizes, const at::Tensor& references,
                               const at::Tensor& visible, const at::Tensor& offsets, const at::Tensor& logits);
Four cpu_cameras_backward(const at::Tensor& grad, const at::Tensor& value, at::IntArrayRef level_sizes,
                          const at::Tensor& references, const at::Tensor& visible, const at::Tensor& offsets,
                          const at::Tensor& logits, bool deterministic);
std::string cpu_instructions();  // "avx512", "avx2" or "plain", and "one thread" where built without OpenMP

}  // namespace bevready
