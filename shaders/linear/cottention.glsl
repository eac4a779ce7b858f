// SPDX-License-Identifier: MIT
//
// cottention and its backward op: buffers, norms, and hooks of lib/chunk.glsl
//
//   pass    queries  keys     values   state     gives
//   main    q^       k^       v'       k^ v'     o
//   dq      do       v'       k^       v' k^     dq^
//   dv      k^       q^       do       q^ do     dv'
//   dk      v'       do       q^       do q^     dk^
//
// Factors of rows are factors of tokens: the loads are plain, 1/|q|, 1/|k| and the divisor
// of v go through chunk_q_scale() and chunk_k_scale(). Causal, passes dv and dk walk from
// the last token to the first.
//
// The includer defines COLUMN_LANES as for linear/linear_attention.glsl, COTTENTION_BACKWARD
// for that op, and one PASS_ macro is set.
#ifndef VKZ_LINEAR_COTTENTION_GLSL
#define VKZ_LINEAR_COTTENTION_GLSL

#include "lib/exp.glsl"

layout(constant_id = 6) const uint VEC = 1;
layout(constant_id = 16) const uint CAUSAL = 0; // on, off
layout(constant_id = 32) const uint KEY_DIM = 64;
layout(constant_id = 33) const uint V_DIM = 64;

#if defined(PASS_DQ) || defined(PASS_DK)
#define HEAD_DIM V_DIM // rows of this pass's state
#define COLUMNS KEY_DIM
#else
#define HEAD_DIM KEY_DIM
#define COLUMNS V_DIM
#endif

const bool LINEAR_WHOLE = COLUMNS % (4u * COLUMN_LANES) == 0u;
#include "linear/rows.glsl"

const uint KEY_QUADS = (KEY_DIM + 3u) / 4u;
const uint V_QUADS = (V_DIM + 3u) / 4u;

layout(push_constant, std430) uniform Push {
    uint batch, heads, len;
} pc;

layout(std430, binding = 0) restrict readonly buffer Q { T q[]; };
layout(std430, binding = 0) restrict readonly buffer Q4 { W4 q4[]; };
layout(std430, binding = 1) restrict readonly buffer K { T k[]; };
layout(std430, binding = 1) restrict readonly buffer K4 { W4 k4[]; };
layout(std430, binding = 2) restrict readonly buffer V { T v[]; };
layout(std430, binding = 2) restrict readonly buffer V4 { W4 v4[]; };
layout(std430, binding = 3) restrict readonly buffer M { float m[]; };

#ifdef PASS_NORM
#define SCRATCH writeonly
#else
#define SCRATCH readonly
#endif
#ifdef PASS_FINISH
#define GRADIENT readonly
#else
#define GRADIENT writeonly
#endif

#ifdef COTTENTION_BACKWARD
layout(std430, binding = 4) restrict readonly buffer Do { T do_[]; };
layout(std430, binding = 4) restrict readonly buffer Do4 { W4 do4[]; };
layout(std430, binding = 5) restrict writeonly buffer Dq { T dq[]; };
layout(std430, binding = 5) restrict writeonly buffer Dq4 { W4 dq4[]; };
layout(std430, binding = 6) restrict writeonly buffer Dk { T dk[]; };
layout(std430, binding = 6) restrict writeonly buffer Dk4 { W4 dk4[]; };
layout(std430, binding = 7) restrict writeonly buffer Dv { T dv_[]; };
layout(std430, binding = 7) restrict writeonly buffer Dv4 { W4 dv4[]; };
layout(std430, binding = 8) restrict writeonly buffer Dm { float dm[]; };
layout(std430, binding = 9) restrict SCRATCH buffer Qn { float qn[]; };
layout(std430, binding = 10) restrict SCRATCH buffer Kn { float kn[]; };
// dq^ and dk^ in rows of whole groups of four; v' dv' by token and group.
layout(std430, binding = 11) restrict GRADIENT buffer Gq { vec4 gq4[]; };
layout(std430, binding = 12) restrict GRADIENT buffer Gk { vec4 gk4[]; };
#ifdef PASS_POWER
layout(std430, binding = 13) restrict readonly buffer Part { float part[]; };
#else
layout(std430, binding = 13) restrict writeonly buffer Part { float part[]; };
#endif
#else
layout(std430, binding = 4) restrict writeonly buffer O { T o[]; };
layout(std430, binding = 4) restrict writeonly buffer O4 { W4 o4[]; };
layout(std430, binding = 5) restrict SCRATCH buffer Qn { float qn[]; };
layout(std430, binding = 6) restrict SCRATCH buffer Kn { float kn[]; };
#endif

uint io_head;
uint io_unit; // batch * heads + head: the sequence

void io_begin(const uint head, const uint batch)
{
    io_head = head;
    io_unit = batch * pc.heads + head;
}

vec4 io_q(const uint row, const uint c)
{
    LINEAR_LOAD4(q, q4, row, KEY_DIM, c);
}

vec4 io_k(const uint row, const uint c)
{
    LINEAR_LOAD4(k, k4, row, KEY_DIM, c);
}

vec4 io_v(const uint row, const uint c)
{
    LINEAR_LOAD4(v, v4, row, V_DIM, c);
}

// sigma(m)
float io_power()
{
    const float x = m[io_head];
    const float t = vkz_exp2_accurate(-abs(x) * VKZ_LOG2E);
    return (x > 0.0 ? 1.0 : t) / (1.0 + t);
}

// log2 n of a token
float io_log_count(const uint token)
{
    return vkz_log2(float(CAUSAL == 0 ? token + 1u : pc.len));
}

// 1 / n^sigma(m)
float io_share(const uint token)
{
    return vkz_exp2_accurate(-io_power() * io_log_count(token));
}

// --- pass norm ------------------------------------------------------------------------

#ifdef PASS_NORM
// A lane takes a row of q (workgroups z = 0) or of k.
void norm_main()
{
    const uint rows = pc.batch * pc.heads * pc.len;
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint row = gl_GlobalInvocationID.x; row < rows; row += step) {
        float sum = 0.0;
        for (uint c = 0; c < KEY_QUADS; c++) {
            vec4 x;
            if (gl_WorkGroupID.z == 0u) {
                x = io_q(row, c);
            } else {
                x = io_k(row, c);
            }
            sum += dot(x, x);
        }
        const float norm = sum == 0.0 ? 0.0 : 1.0 / sqrt(sum);
        if (gl_WorkGroupID.z == 0u) {
            qn[row] = norm;
        } else {
            kn[row] = norm;
        }
    }
}
#endif

// --- hooks ----------------------------------------------------------------------------

#if defined(PASS_MAIN) || defined(PASS_DQ) || defined(PASS_DV) || defined(PASS_DK)

uint io_token(const uint i)
{
#if defined(PASS_DV) || defined(PASS_DK)
    return pc.len - 1u - i;
#else
    return i;
#endif
}

uint io_row(const uint i)
{
    return io_unit * pc.len + io_token(i);
}

#ifdef COTTENTION_BACKWARD
vec4 io_do(const uint row, const uint c)
{
    LINEAR_LOAD4(do_, do4, row, V_DIM, c);
}
#endif

vec4 chunk_q(const uint i, const uint c)
{
#if defined(PASS_MAIN)
    return io_q(io_row(i), c);
#elif defined(PASS_DQ)
    return io_do(io_row(i), c);
#elif defined(PASS_DV)
    return io_k(io_row(i), c);
#else
    return io_v(io_row(i), c);
#endif
}

vec4 chunk_k(const uint i, const uint c)
{
#if defined(PASS_MAIN)
    return io_k(io_row(i), c);
#elif defined(PASS_DQ)
    return io_v(io_row(i), c);
#elif defined(PASS_DV)
    return io_q(io_row(i), c);
#else
    return io_do(io_row(i), c);
#endif
}

vec4 chunk_v(const uint i, const uint j)
{
#if defined(PASS_MAIN)
    return io_v(io_row(i), j);
#elif defined(PASS_DQ)
    return io_k(io_row(i), j);
#elif defined(PASS_DV)
    return io_do(io_row(i), j);
#else
    return io_q(io_row(i), j);
#endif
}

float chunk_q_scale(const uint i)
{
#if defined(PASS_MAIN)
    return qn[io_row(i)];
#elif defined(PASS_DQ)
    return 1.0;
#elif defined(PASS_DV)
    return kn[io_row(i)];
#else
    return io_share(io_token(i));
#endif
}

float chunk_k_scale(const uint i)
{
#if defined(PASS_MAIN) || defined(PASS_DQ)
    return kn[io_row(i)] * io_share(io_token(i));
#else
    return qn[io_row(i)];
#endif
}

#define CHUNK_ROLL (VEC == 1)

#ifdef COTTENTION_BACKWARD
void io_store_dv(const uint row, const uint j, const vec4 x)
{
    LINEAR_STORE4(dv_, dv4, row, V_DIM, j, x);
}
#else
void io_store_o(const uint row, const uint j, const vec4 x)
{
    LINEAR_STORE4(o, o4, row, V_DIM, j, x);
}
#endif

void chunk_store(const uint i, const uint j, const vec4 x, const float sum)
{
    const uint row = io_row(i);
#if defined(PASS_MAIN)
    io_store_o(row, j, x);
#elif defined(PASS_DV)
    const vec4 y = x * io_share(io_token(i));
    const vec4 z = io_v(row, j);
    if (j < V_QUADS) {
        part[row * V_QUADS + j] = dot(y, z);
    }
    io_store_dv(row, j, y);
#else
    if (j < KEY_QUADS) {
#ifdef PASS_DQ
        gq4[row * KEY_QUADS + j] = x;
#else
        gk4[row * KEY_QUADS + j] = x;
#endif
    }
#endif
}

vec4 chunk_load_s(const uint row, const uint j)
{
    return vec4(0.0);
}

void chunk_store_s(const uint row, const uint j, const vec4 x)
{
}

#endif

// --- pass finish: the gradients of q and k from those of their directions -------------

#ifdef PASS_FINISH
void io_store_dq(const uint row, const uint c, const vec4 x)
{
    LINEAR_STORE4(dq, dq4, row, KEY_DIM, c, x);
}

void io_store_dk(const uint row, const uint c, const vec4 x)
{
    LINEAR_STORE4(dk, dk4, row, KEY_DIM, c, x);
}

void finish_main()
{
    const uint rows = pc.batch * pc.heads * pc.len;
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    const bool query = gl_WorkGroupID.z == 0u;
    for (uint row = gl_GlobalInvocationID.x; row < rows; row += step) {
        const float norm = query ? qn[row] : kn[row];
        float along = 0.0;
        for (uint c = 0; c < KEY_QUADS; c++) {
            if (query) {
                along += dot(io_q(row, c), gq4[row * KEY_QUADS + c]);
            } else {
                along += dot(io_k(row, c), gk4[row * KEY_QUADS + c]);
            }
        }
        along *= norm * norm;
        for (uint c = 0; c < KEY_QUADS; c++) {
            if (query) {
                io_store_dq(row, c,
                            (gq4[row * KEY_QUADS + c] - along * io_q(row, c)) * norm);
            } else {
                io_store_dk(row, c,
                            (gk4[row * KEY_QUADS + c] - along * io_k(row, c)) * norm);
            }
        }
    }
}
#endif

// --- pass power: dm, a workgroup a head -----------------------------------------------

#ifdef PASS_POWER
#define SCAN_T float
float scan_identity() { return 0.0; }
float scan_join(const float before, const float after) { return before + after; }
shared float scan_shared[2 * gl_WorkGroupSize.x];
#include "lib/scan.glsl"

void power_main()
{
    float sum = 0.0;
    for (uint b = 0; b < pc.batch; b++) {
        io_begin(gl_WorkGroupID.x, b);
        for (uint t = gl_LocalInvocationID.x; t < pc.len; t += gl_WorkGroupSize.x) {
            float x = 0.0;
            for (uint j = 0; j < V_QUADS; j++) {
                x += part[(io_unit * pc.len + t) * V_QUADS + j];
            }
            sum = fma(x, io_log_count(t), sum);
        }
    }
    float total;
    vkz_scan_exclusive(sum, total);
    if (gl_LocalInvocationID.x == 0u) {
        const float power = io_power();
        dm[io_head] = -power * (1.0 - power) * VKZ_LN2 * total;
    }
}
#endif

#endif
