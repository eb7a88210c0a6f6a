// What a kernel is told, passed by value; read by device code and by its host, so plain C types only.
//
// Letters: B items, Q queries, M heads, E channels of a head, L levels, P points a level, S tokens of all levels,
// N cameras, D anchors of a pillar. "Unit" is one (b, q, m), numbered with m fastest. C is the type that is computed
// in: double for double values, else float.
#pragma once

namespace bevready {

enum Mode {
  MODE_LOCATIONS = 0, // where: locations [B,Q,M,L,P,2] as fractions; weights [B,Q,M,L,P] used as they are
  MODE_OFFSETS = 1,   // where: offsets [B,Q,M,L,P,2] in pixels around references; weights: logits [B,Q,M,L*P]
  MODE_SPATIAL = 2,   // as MODE_OFFSETS, in every camera that sees the query
};

constexpr int LEVELS_BY_VALUE = 16;

struct Problem {
  const void* value;            // [B,S,M,E], MODE_SPATIAL: [N,B,S,M,E]
  const void* where;            // see Mode; of type C, or of the value's type with where_narrow
  const void* weights;          // see Mode; of type C, or of the value's type with weights_narrow
  const void* references;       // C [B,Q,L,2 or 4] fractions; MODE_SPATIAL: C [N,B,Q,D,2]
  const unsigned char* visible; // MODE_SPATIAL: [N,B,Q,D]
  const void* grad;             // backward: [B,Q,M*E] of the value's type
  void* output;                 // forward: [B,Q,M*E] of the value's type

  void* grad_value;      // as value, C, zeros on entry; with `fixed` 64-bit integers of a common scale
  void* grad_where;      // as where, C; written whole
  void* grad_weights;    // as weights, C; written whole
  void* grad_references; // as references, C, zeros on entry; with `fixed` one copy a head, see backward.cuh
  unsigned* bounds;      // [2] bit patterns: max |grad|, max |weight| as floats; read with `fixed` only
  const int* level_table; // [L,3] (height, width, first token) on the device; read when L > LEVELS_BY_VALUE

  long long items, queries, tokens, units; // B, Q, S, B*Q*M
  int heads, channels, levels, points;     // M, E, L, P
  int cameras, anchors;                    // N, D of MODE_SPATIAL, else 1
  int reference_width;                     // 2 (x, y) or 4 (x, y, w, h) of MODE_OFFSETS
  int mode, where_narrow, weights_narrow;
  int fixed;     // backward: sum in 64-bit fixed point, bitwise repeatable
  int head_room; // with `fixed`: 2^head_room >= terms that may meet in one cell
  int level[LEVELS_BY_VALUE][3];
};

} // namespace bevready
