// Where a unit looks: from locations, or references and offsets, to tokens of the map and weights of its corners.
#pragma once

#include "types.cuh"

namespace bevready {

struct Unit {
  long long number, item, query; // number counts (b, q, m) with m fastest
  int head, lane;                // lane of the group of G threads that share the unit
  bool active;                   // false behind the last unit: such a group looks at nothing and writes nothing
};

template <int G>
__device__ inline Unit unit_of(const Problem& p) {
  long long thread = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  Unit u;
  u.lane = threadIdx.x % G;
  u.number = thread / G;
  u.active = u.number < p.units;
  if (!u.active) u.number = p.units - 1; // a warp stays together: shuffles need all of its lanes
  if (p.units <= 0x7fffffff) {           // 32-bit divisions are several times cheaper
    unsigned number = static_cast<unsigned>(u.number), row = number / static_cast<unsigned>(p.heads);
    u.head = static_cast<int>(number - row * static_cast<unsigned>(p.heads));
    unsigned item = row / static_cast<unsigned>(p.queries);
    u.item = item;
    u.query = row - item * static_cast<unsigned>(p.queries);
  } else {
    long long row = u.number / p.heads;
    u.head = static_cast<int>(u.number - row * p.heads);
    u.item = row / p.queries;
    u.query = row - u.item * p.queries;
  }
  return u;
}

struct Level { int height, width, first; };

__device__ inline Level level_of(const Problem& p, int l) {
  if (p.levels <= LEVELS_BY_VALUE) return {p.level[l][0], p.level[l][1], p.level[l][2]};
  const int* row = p.level_table + 3ll * l;
  return {row[0], row[1], row[2]};
}

// Whether camera n sees any anchor of the unit's query.
__device__ inline bool sees(const Problem& p, const Unit& u, int n) {
  if (p.mode != MODE_SPATIAL) return u.active;
  const unsigned char* row = p.visible + ((n * p.items + u.item) * p.queries + u.query) * p.anchors;
  bool any = false;
  for (int d = 0; d < p.anchors; ++d) any = any || row[d] != 0;
  return any && u.active;
}

// Softmax over the unit's L*P logits: exp(logit - most) * scale; or weights as they are.
template <class C> struct Softmax { C most, scale; };

template <class T, int G>
__device__ inline Softmax<Compute<T>> softmax_of(const Problem& p, const Unit& u) {
  using C = Compute<T>;
  if (p.mode == MODE_LOCATIONS) return {C(0), C(1)};
  const int count = p.levels * p.points;
  const long long row = u.number * count;
  C most = -3e38f, sum = 0;
  for (int k = u.lane; k < count; k += G) {
    C logit = load_input<T>(p.weights, row + k, p.weights_narrow);
    most = (logit > most || logit != logit) ? logit : most;
  }
  most = group_max<G>(most);
  for (int k = u.lane; k < count; k += G) sum += exp_of(load_input<T>(p.weights, row + k, p.weights_narrow) - most);
  return {most, C(1) / group_sum<G>(sum)};
}

template <class T, class C>
__device__ inline C attention_of(const Problem& p, const Softmax<C>& s, long long i) {
  C given = load_input<T>(p.weights, i, p.weights_narrow);
  return p.mode == MODE_LOCATIONS ? given : exp_of(given - s.most) * s.scale;
}

// A pixel coordinate: rounded, and what the rounding took away. At 150 pixels float32 is off by up to 8e-6; only the
// cell is taken from the rounded coordinate, the place inside the cell from both.
template <class C> struct Pixel { C rounded, rest; };

// a * size + shift - 1/2
template <class C>
__device__ inline Pixel<C> pixel_of(C a, C size, C shift) {
  const C base = a * size, moved = shift - C(0.5), rounded = base + moved;
  return {rounded, fused(a, size, -base) + ((base - rounded) + moved)};
}

// A place in pixels, and how it moves with what it was made of.
template <class C> struct Aim {
  Pixel<C> x, y;
  C by_x, by_y;   // d pixel / d location or offset
  C box_x, box_y; // d pixel / d (box width, height)
};

// Point k of level l of the unit, seen by camera n; i is its number among all points.
template <class T>
__device__ inline Aim<Compute<T>> aim_of(const Problem& p, const Unit& u, const Level& at, int n, int l, int k,
                                         long long i) {
  using C = Compute<T>;
  const C width = at.width, height = at.height, none = 0;
  const C x = load_input<T>(p.where, 2 * i, p.where_narrow), y = load_input<T>(p.where, 2 * i + 1, p.where_narrow);
  if (p.mode == MODE_LOCATIONS) return {pixel_of(x, width, none), pixel_of(y, height, none), width, height, none, none};
  const C* from = static_cast<const C*>(p.references);
  if (p.mode == MODE_SPATIAL)
    from += (((n * p.items + u.item) * p.queries + u.query) * p.anchors + k % p.anchors) * 2;
  else
    from += ((u.item * p.queries + u.query) * p.levels + l) * p.reference_width;
  if (p.mode == MODE_SPATIAL || p.reference_width == 2) // (reference + offset / size) * size - 1/2, rounded less often
    return {pixel_of(from[0], width, x), pixel_of(from[1], height, y), C(1), C(1), none, none};
  const C share = C(0.5) / p.points; // box: centre + offset / P * (w, h) / 2
  return {pixel_of(from[0], width, x * from[2] * share * width),
          pixel_of(from[1], height, y * from[3] * share * height),
          from[2] * share * width,
          from[3] * share * height,
          x * share * width,
          y * share * height};
}

// One point as its owner lane knows it. Corners: 0 top left, 1 top right, 2 bottom left, 3 bottom right.
template <class C> struct Point {
  int packed;    // token of corner 0 clamped into the map, times 4; + 1 if corner 1 lies one token on; + 2 if corner 2
                 // lies one row on
  int inside;    // bit c: corner c lies in the map
  C attention;
  C dx, dy;      // of the place inside its cell
  C corner[4];   // attention times bilinear weight, 0 outside: clamped corners are read and weigh nothing
};

template <class C>
__device__ inline Point<C> no_point(const Level& at) { return {at.first * 4, 0, C(0), C(0), C(0), {}}; }

// A NaN place makes the point's weights NaN, so that it is seen in the output; an infinite one lies outside.
template <class C>
__device__ inline Point<C> point_at(const Level& at, const Pixel<C>& pixel_x, const Pixel<C>& pixel_y, C attention) {
  const C x = pixel_x.rounded, y = pixel_y.rounded;
  C floor_x = floor_of(x), floor_y = floor_of(y);
  C in_x = (x - floor_x) + pixel_x.rest, in_y = (y - floor_y) + pixel_y.rest; // rounding may have changed the cell
  const C right = in_x < C(0) ? C(-1) : (in_x >= C(1) ? C(1) : C(0));
  const C down = in_y < C(0) ? C(-1) : (in_y >= C(1) ? C(1) : C(0));
  floor_x += right, in_x -= right;
  floor_y += down, in_y -= down;
  const C w = at.width, h = at.height;
  const int left = static_cast<int>(floor_x > C(-2) ? (floor_x < w ? floor_x : w) : C(-2));
  const int top = static_cast<int>(floor_y > C(-2) ? (floor_y < h ? floor_y : h) : C(-2));
  const bool in_left = left >= 0 && left < at.width, in_right = left >= -1 && left + 1 < at.width;
  const bool in_top = top >= 0 && top < at.height, in_bottom = top >= -1 && top + 1 < at.height;
  const int column = left < 0 ? 0 : (left < at.width ? left : at.width - 1);
  const int row = top < 0 ? 0 : (top < at.height ? top : at.height - 1);
  Point<C> point = no_point<C>(at);
  point.packed = (at.first + row * at.width + column) * 4 + (in_left && in_right ? 1 : 0) + (in_top && in_bottom ? 2 : 0);
  point.inside = (in_top && in_left) + 2 * (in_top && in_right) + 4 * (in_bottom && in_left) + 8 * (in_bottom && in_right);
  point.attention = attention;
  const bool is_nan = x != x || y != y;
  if (is_nan) point.inside = 15;
  if (point.inside == 0) return point;
  point.dx = is_nan ? x + y : in_x;
  point.dy = is_nan ? x + y : in_y;
  const C top_part = attention * (C(1) - point.dy), bottom_part = attention * point.dy;
  if (point.inside & 1) point.corner[0] = top_part * (C(1) - point.dx);
  if (point.inside & 2) point.corner[1] = top_part * point.dx;
  if (point.inside & 4) point.corner[2] = bottom_part * (C(1) - point.dx);
  if (point.inside & 8) point.corner[3] = bottom_part * point.dx;
  return point;
}

// The four corners' first elements, relative to the head's first one: from a point's `packed`.
struct Corners { long long at[4]; };

__device__ inline Corners corners_of(int packed, long long token, long long row) {
  const long long first = (packed >> 2) * token, right = (packed & 1) ? token : 0, down = (packed & 2) ? row : 0;
  return {{first, first + right, first + down, first + down + right}};
}

} // namespace bevready
