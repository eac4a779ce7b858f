// SPDX-License-Identifier: MIT
//
// The operators of `scan` as pairs with a segment mark, for lib/scan.glsl
//
//   .x  sum, maximum, minimum, state; log-sum-exp: the maximum so far
//   .y  log-sum-exp: the sum relative to it; affine: the product of the multipliers
//   .z  1 when a segment starts in here: what stands before does not matter
//
// The parts that an operator does not use are constants, and vanish.
const uint OP_SUM = 0;
const uint OP_MAX = 1;
const uint OP_MIN = 2;
const uint OP_LOGSUMEXP = 3;
const uint OP_AFFINE = 4;

#define SCAN_T vec3

#define SCAN_INFINITY uintBitsToFloat(0x7f800000u)

SCAN_T scan_identity()
{
    switch (OP) {
    case OP_MAX: return vec3(-SCAN_INFINITY, 0.0, 0.0);
    case OP_MIN: return vec3(SCAN_INFINITY, 0.0, 0.0);
    case OP_LOGSUMEXP: return vec3(-SCAN_INFINITY, 0.0, 0.0);
    case OP_AFFINE: return vec3(0.0, 1.0, 0.0);
    default: return vec3(0.0);
    }
}

SCAN_T scan_element(const float x, const float a, const bool head)
{
    const float mark = head ? 1.0 : 0.0;
    switch (OP) {
    // A NaN goes into the sum: a maximum that is NaN would be lost in comparisons.
    case OP_LOGSUMEXP: return isnan(x) ? vec3(-SCAN_INFINITY, x, mark) : vec3(x, 1.0, mark);
    case OP_AFFINE: return vec3(x, a, mark);
    default: return vec3(x, 0.0, mark);
    }
}

float scan_larger(const float a, const float b)
{
    return a >= b || isnan(a) ? a : b;
}

float scan_smaller(const float a, const float b)
{
    return a <= b || isnan(a) ? a : b;
}

// Equal maxima keep their sums even when infinite; the difference is never positive.
float scan_rescale(const float from, const float to)
{
    return from == to ? 1.0 : vkz_exp2((from - to) * VKZ_LOG2E, EXP_POLY5);
}

SCAN_T scan_join(const SCAN_T before, const SCAN_T after)
{
    if (SEGMENTED != 0 && after.z != 0.0) {
        return after;
    }
    const float mark = SEGMENTED != 0 ? before.z : 0.0;
    switch (OP) {
    case OP_MAX: return vec3(scan_larger(before.x, after.x), 0.0, mark);
    case OP_MIN: return vec3(scan_smaller(before.x, after.x), 0.0, mark);
    case OP_LOGSUMEXP: {
        const float top = max(before.x, after.x);
        return vec3(top,
                    fma(before.y, scan_rescale(before.x, top),
                        after.y * scan_rescale(after.x, top)),
                    mark);
    }
    case OP_AFFINE: return vec3(fma(after.y, before.x, after.x), after.y * before.y, mark);
    default: return vec3(before.x + after.x, 0.0, mark);
    }
}

// The value that is stored. A sum of 0 comes from nothing: -infinity.
float scan_value(const SCAN_T s, const float h0)
{
    switch (OP) {
    case OP_LOGSUMEXP: return s.y == 0.0 ? s.x : fma(vkz_log2(s.y), VKZ_LN2, s.x);
    case OP_AFFINE: return fma(s.y, h0, s.x);
    default: return s.x;
    }
}
