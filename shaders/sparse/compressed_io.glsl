// SPDX-License-Identifier: MIT
//
// What the compressed_attention kernels share: buffers, the pass that pools, and the
// hooks of lib/flash*.glsl. Rows are queries of one head, keys are pooled blocks.
#ifndef VKZ_SPARSE_COMPRESSED_IO_GLSL
#define VKZ_SPARSE_COMPRESSED_IO_GLSL

// In units of pooled keys a query sees what a causal mask shows: see flash_row_position.
#define ATTEND_MASK 1
#include "sparse/attend.glsl"

layout(constant_id = 16) const uint PHI = 0; // given, mean
layout(constant_id = 17) const uint LSE = 0;

layout(set = 0, binding = 0, std430) restrict readonly buffer Q { T q[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer Q4 { W4 q4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K { T k[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K4 { W4 k4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V { T v[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V4 { W4 v4[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer Kc { T kc[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer Kc2 { W2 kc2[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer Kc4 { W4 kc4[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer Vc { T vc[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer Vc2 { W2 vc2[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer Vc4 { W4 vc4[]; };
layout(set = 0, binding = 5, std430) restrict writeonly buffer O { T o[]; };
layout(set = 0, binding = 5, std430) restrict writeonly buffer O4 { W4 o4[]; };
layout(set = 0, binding = 6, std430) restrict writeonly buffer Lse { float lse[]; };

layout(push_constant, std430) uniform Push {
    uint heads, kv_heads, len, lc, st;
    float tau;
} pc;

#include "sparse/pooled.glsl"

// Means over blocks are kept in rows of whole quads.
const uint POOL_D4 = (HEAD_DIM + 3u) / 4u;
const uint POOL_V4 = (V_DIM + 3u) / 4u;

#ifdef PASS_POOL

layout(set = 0, binding = 7, std430) restrict writeonly buffer MeanK { vec4 mean_k[]; };
layout(set = 0, binding = 8, std430) restrict writeonly buffer MeanV { vec4 mean_v[]; };

vec4 pool_k(const uint row, const uint c)
{
    ATTEND_LOAD4(k, k4, row * HEAD_DIM, HEAD_DIM, c);
}

vec4 pool_v(const uint row, const uint c)
{
    ATTEND_LOAD4(v, v4, row * V_DIM, V_DIM, c);
}

// A lane takes four columns of one pooled key or value.
void pool_main()
{
    const uint at = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    const uint kv = gl_WorkGroupID.y;
    const uint block = at / (POOL_D4 + POOL_V4);
    const uint c = at % (POOL_D4 + POOL_V4);
    if (PHI == 0 || block >= pooled_count()) {
        return;
    }
    const uint first = kv * pc.len + block * pc.st;
    const uint to = kv * pooled_rows() + block;
    vec4 sum = vec4(0.0);
    if (c < POOL_D4) {
        for (uint j = 0; j < pc.lc; j++) {
            sum += pool_k(first + j, c);
        }
        mean_k[to * POOL_D4 + c] = sum / float(pc.lc);
    } else {
        for (uint j = 0; j < pc.lc; j++) {
            sum += pool_v(first + j, c - POOL_D4);
        }
        mean_v[to * POOL_V4 + c - POOL_D4] = sum / float(pc.lc);
    }
}

#else

layout(set = 0, binding = 7, std430) restrict readonly buffer MeanK2 { vec2 mean_k2[]; };
layout(set = 0, binding = 7, std430) restrict readonly buffer MeanK { vec4 mean_k[]; };
layout(set = 0, binding = 8, std430) restrict readonly buffer MeanV2 { vec2 mean_v2[]; };
layout(set = 0, binding = 8, std430) restrict readonly buffer MeanV { vec4 mean_v[]; };

uint io_q_row; // row of q and o where the head's queries begin
uint io_k_row; // row of the pooled keys and values where the KV head's begin

void io_begin(const uint head, const uint batch)
{
    io_q_row = (batch * pc.heads + head) * pc.len;
    io_k_row = (batch * pc.kv_heads + head / (pc.heads / pc.kv_heads)) * pooled_rows();
}

// --- hooks ----------------------------------------------------------------------------

#define FLASH_POSITION

// The last pooled key that a query sees, -1: none.
int flash_row_position(const uint row)
{
    return row + 1u >= pc.lc ? int((row + 1u - pc.lc) / pc.st) : -1;
}

vec4 flash_q(const uint row, const uint c)
{
    ATTEND_LOAD4(q, q4, (io_q_row + row) * HEAD_DIM, HEAD_DIM, c);
}

vec4 flash_k(const uint key, const uint c)
{
    if (PHI != 0) {
        return mean_k[(io_k_row + key) * POOL_D4 + c];
    }
    ATTEND_LOAD4(kc, kc4, (io_k_row + key) * HEAD_DIM, HEAD_DIM, c);
}

vec2 flash_k2(const uint key, const uint c)
{
    if (PHI != 0) {
        return mean_k2[(io_k_row + key) * (2u * POOL_D4) + min(c, 2u * POOL_D4 - 1u)];
    }
    ATTEND_LOAD2(kc, kc2, (io_k_row + key) * HEAD_DIM, HEAD_DIM, c);
}

vec4 flash_v(const uint key, const uint c)
{
    if (PHI != 0) {
        return mean_v[(io_k_row + key) * POOL_V4 + c];
    }
    ATTEND_LOAD4(vc, vc4, (io_k_row + key) * V_DIM, V_DIM, c);
}

vec2 flash_v2(const uint key, const uint c)
{
    if (PHI != 0) {
        return mean_v2[(io_k_row + key) * (2u * POOL_V4) + min(c, 2u * POOL_V4 - 1u)];
    }
    ATTEND_LOAD2(vc, vc2, (io_k_row + key) * V_DIM, V_DIM, c);
}

float flash_key_scale(const uint key)
{
    return 1.0;
}

float flash_row_scale(const uint row, const float norm2)
{
    return 1.0;
}

void flash_store(const uint row, const uint c, const vec4 x)
{
    ATTEND_STORE4(o, o4, (io_q_row + row) * V_DIM, V_DIM, c, x);
}

float io_finish(const uint row, const bool store, const float m, const float l)
{
    if (LSE != 0 && store) {
        lse[io_q_row + row] = attend_lse(m, l);
    }
    return attend_factor(l);
}

#endif

#endif
