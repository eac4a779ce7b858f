// SPDX-License-Identifier: MIT
//
// Blocks that a query attends to, by its attention to pooled keys; a workgroup a query
//
//   p = softmax_c(tau q_i k_c);  imp[j] = sum over heads and shared stripes of p
//   idx = the top blocks: forced ones first, then by imp, ties to the lower index
//
// Native sparse attention, arXiv 2502.11089.
//
// Why this one: no probability is stored. A lane has whole blocks to itself, so that a
// block's importance is summed by one lane, in one order; the ranks of the blocks come from
// comparing each with all others in shared memory.
//
//! kernel   block_select_shared
//! op       block_select/1
//! tier     T0
//! bind     0 q   in   T[batch, heads, len, head_dim]
//! bind     1 kc  in   T[batch, kv_heads, max(1,(len>=lc?floordiv(len-lc,st)+1:0)), head_dim]
//! bind     2 lse in   f32[batch, heads, len]  when STATS == STATS.given
//! bind     3 idx out  i32[batch, kv_heads, len, top]
//! push     heads:u32 kv_heads:u32 len:u32 lc:u32 st:u32 ls:u32 top:u32 tau:f32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     3 HEADS u32 4 = min(heads/kv_heads,8)   // query heads at a time
//! spec     5 EXP u32 5      // 0 the driver's exp2; 3, 4, 5 polynomials of that degree
//! spec     6 VEC u32 1 = head_dim % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 STATS u32 0
//! spec     32 HEAD_DIM u32 64 = head_dim
//! spec     33 BLOCKS u32 16 = max(16,next_pow2(ceildiv(len,ls)))
//! shared   4*(HEADS*4*ceildiv(HEAD_DIM,4)+2*HEADS*WG_SIZE+2*BLOCKS)
//! pass     main  groups len kv_heads batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "sparse/block_select_io.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint HEADS = 4;

shared vec4 shared_q[HEADS * D4];
shared vec2 shared_sums[HEADS * gl_WorkGroupSize.x]; // maximum and sum of each lane
shared float importance[BLOCKS];
shared uint chosen[BLOCKS];

uint select_load(const uint i);
#include "lib/select.glsl"

uint own;

uint select_load(const uint i)
{
    return block_key(importance[i], i, own);
}

// The scores of pooled key `row` for the heads in shared_q, in base 2.
float score[HEADS];

void scores(const uint row)
{
    [[unroll]] for (uint x = 0; x < HEADS; x++) {
        score[x] = 0.0;
    }
    for (uint c = 0; c < D4; c++) {
        const vec4 k = select_k(row, c);
        [[unroll]] for (uint x = 0; x < HEADS; x++) {
            score[x] += dot(shared_q[x * D4 + c], k);
        }
    }
}

void main()
{
    const uint lane = gl_LocalInvocationID.x;
    const uint lanes = gl_WorkGroupSize.x;
    const uint i = gl_NumWorkGroups.x - 1u - gl_WorkGroupID.x; // the longest first
    const uint kv = gl_WorkGroupID.z * pc.kv_heads + gl_WorkGroupID.y;
    const uint group = pc.heads / pc.kv_heads;
    const uint first_k = kv * pooled_rows();
    const uint visible = pooled_visible(i);
    own = i / pc.ls;
    for (uint j = lane; j <= own; j += lanes) {
        importance[j] = 0.0;
    }

    for (uint head = 0; head < group; head += HEADS) {
        barrier();
        for (uint n = lane; n < HEADS * D4; n += lanes) {
            const uint x = min(head + n / D4, group - 1u);
            shared_q[n] = select_q((kv * group + x) * pc.len + i, n % D4) *
                          (pc.tau * VKZ_LOG2E);
        }
        barrier();
        float m[HEADS];
        float l[HEADS];
        [[unroll]] for (uint x = 0; x < HEADS; x++) {
            m[x] = LOWEST;
            l[x] = 0.0;
        }
        if (STATS == 0) {
            for (uint c = lane; c < visible; c += lanes) {
                scores(first_k + c);
                [[unroll]] for (uint x = 0; x < HEADS; x++) {
                    const float most = max(m[x], score[x]);
                    l[x] = l[x] * vkz_exp2(m[x] - most, EXP) +
                           vkz_exp2(score[x] - most, EXP);
                    m[x] = most;
                }
            }
            [[unroll]] for (uint x = 0; x < HEADS; x++) {
                shared_sums[x * lanes + lane] = vec2(m[x], l[x]);
            }
            barrier();
            [[unroll]] for (uint x = 0; x < HEADS; x++) {
                float most = LOWEST;
                for (uint n = 0; n < lanes; n++) {
                    most = max(most, shared_sums[x * lanes + n].x);
                }
                float sum = 0.0;
                for (uint n = 0; n < lanes; n++) {
                    const vec2 y = shared_sums[x * lanes + n];
                    sum = fma(y.y, vkz_exp2(y.x - most, EXP), sum);
                }
                m[x] = most;
                l[x] = sum == 0.0 ? 0.0 : 1.0 / sum;
            }
        } else {
            [[unroll]] for (uint x = 0; x < HEADS; x++) {
                const uint row = (kv * group + min(head + x, group - 1u)) * pc.len + i;
                m[x] = lse[row] * VKZ_LOG2E;
                l[x] = 1.0;
            }
        }
        for (uint j = lane; j <= own; j += lanes) {
            const uvec2 keys = pooled_of_block(j, visible);
            float sum = importance[j];
            for (uint c = keys.x; c < keys.y; c++) {
                scores(first_k + c);
                float p = 0.0;
                [[unroll]] for (uint x = 0; x < HEADS; x++) {
                    const float y = vkz_exp2(min(score[x] - m[x], 126.0), EXP) * l[x];
                    p += head + x < group ? y : 0.0;
                }
                sum = fma(pooled_shares(c, j), p, sum);
            }
            importance[j] = sum;
        }
    }
    barrier();

    // A block's rank says whether it is chosen, the chosen before it where it is written.
    const uint blocks = own + 1u;
    for (uint j = lane; j < blocks; j += lanes) {
        chosen[j] = select_rank(blocks, j) < pc.top ? 1u : 0u;
    }
    barrier();
    const uint to = (kv * pc.len + i) * pc.top;
    for (uint j = lane; j < blocks; j += lanes) {
        if (chosen[j] != 0u) {
            uint at = 0u;
            for (uint n = 0; n < j; n++) {
                at += chosen[n];
            }
            idx[to + at] = int(j);
        }
    }
    for (uint n = min(blocks, pc.top) + lane; n < pc.top; n += lanes) {
        idx[to + n] = -1;
    }
}
