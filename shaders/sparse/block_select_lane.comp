// SPDX-License-Identifier: MIT
//
// Blocks that a query attends to, by its attention to pooled keys; a lane owns a query
//
//   p = softmax_c(tau q_i k_c);  imp[j] = sum over heads and shared stripes of p
//   idx = the top blocks: forced ones first, then by imp, ties to the lower index
//
// Native sparse attention, arXiv 2502.11089.
//
// Why this one: the lanes of a subgroup read each pooled key once, together, for ROWS
// heads of as many queries; importances and the selection stay with the lane, which finds
// its threshold by bisection. No barrier. The fastest on CPU drivers. Shared memory
// bounds the number of blocks.
//
//! kernel   block_select_lane
//! op       block_select/1
//! tier     T1
//! bind     0 q   in   T[batch, heads, len, head_dim]
//! bind     1 kc  in   T[batch, kv_heads, max(1,(len>=lc?floordiv(len-lc,st)+1:0)), head_dim]
//! bind     2 lse in   f32[batch, heads, len]  when STATS == STATS.given
//! bind     3 idx out  i32[batch, kv_heads, len, top]
//! push     heads:u32 kv_heads:u32 len:u32 lc:u32 st:u32 ls:u32 top:u32 tau:f32
//! spec     0 WG_SIZE u32 32 = is_cpu ? subgroup_size : 32
//! spec     1 SUBGROUP u32 4 = min(subgroup_size,16)   // lanes that hand elements round
//! spec     3 ROWS u32 1 = min(heads/kv_heads,is_cpu?(head_dim<=128?4:2):2)   // query heads at a time
//! spec     4 KEYS u32 2 = ROWS >= 4 ? 2 : 4   // pooled keys a step
//! spec     5 EXP u32 5      // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     7 ROLL u32 0 = is_cpu   // 1: private arrays live in memory, see lib/flash.glsl
//! spec     16 STATS u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 BLOCKS u32 16 = max(16,next_pow2(ceildiv(len,ls)))
//! when     BLOCKS*WG_SIZE <= 8192 : its importances must fit into shared memory
//! shared   4*BLOCKS*WG_SIZE
//! pass     main  groups ceildiv(len,WG_SIZE) kv_heads batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "sparse/block_select_io.glsl"

layout(local_size_x = 32, local_size_x_id = 0) in;
layout(constant_id = 1) const uint SUBGROUP = 4;
layout(constant_id = 3) const uint ROWS = 1;
layout(constant_id = 4) const uint KEYS = 2;
layout(constant_id = 7) const uint ROLL = 0;

layout(set = 0, binding = 1, std430) restrict readonly buffer Kc2 { W2 kc2[]; };

shared float block_importance[BLOCKS * gl_WorkGroupSize.x];

vec2 block_k2(const uint key, const uint c)
{
    const uint row = io_key + key;
    if (VEC == 4) {
        return vkz_load_w2(kc2[row * (HEAD_DIM / 2u) + min(c, HEAD_DIM / 2u - 1u)]);
    }
    return vec2(vkz_load(kc[row * HEAD_DIM + min(2u * c, HEAD_DIM - 1u)]),
                vkz_load(kc[row * HEAD_DIM + min(2u * c + 1u, HEAD_DIM - 1u)]));
}

#include "sparse/block_importance.glsl"

void main()
{
    const uint lanes = gl_WorkGroupSize.x;
    // The longest first.
    const uint begin = (gl_NumWorkGroups.x - 1u - gl_WorkGroupID.x) * lanes;
    const uint last = min(begin + lanes, pc.len) - 1u;
    const uint i = min(begin + gl_LocalInvocationID.x, last);
    io_begin(i, gl_WorkGroupID.z * pc.kv_heads + gl_WorkGroupID.y);
    block_rows(pc.heads / pc.kv_heads, pooled_visible(i), pooled_visible(last),
               last / pc.ls + 1u, STATS != 0);
    block_choose(i / pc.ls, pc.top, begin + gl_LocalInvocationID.x <= last);
}
