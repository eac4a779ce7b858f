// SPDX-License-Identifier: MIT
//
// Keeps the tokens with the largest steps: norms, radix selection, gather
//
//   pass score  squared norms of delta's rows, a few tokens a workgroup
//   pass choose a workgroup a sequence finds the keep largest, ties to the lower index, and
//               writes them in order of time; the last tokens follow
//   pass gather rows of the kept tokens
//
// DeciMamba, arXiv 2406.14528.
//
// Why this one: delta is read once, whatever it holds, and no result depends on timing.
//
//! kernel   token_decimation_radix
//! op       token_decimation/1
//! tier     T0
//! bind     0 delta  in  T[batch, len, width]
//! bind     1 x      in  T[batch, len, width]  when GATHER == GATHER.on
//! bind     2 b      in  T[batch, len, state]  when GATHER == GATHER.on
//! bind     3 c      in  T[batch, len, state]  when GATHER == GATHER.on
//! bind     4 z      in  T[batch, len, width]  when GATHER == GATHER.on
//! bind     5 idx    out i32[batch, keep + len - prompt]
//! bind     6 deltak out T[batch, keep + len - prompt, width]  when GATHER == GATHER.on
//! bind     7 xk     out T[batch, keep + len - prompt, width]  when GATHER == GATHER.on
//! bind     8 bk     out T[batch, keep + len - prompt, state]  when GATHER == GATHER.on
//! bind     9 ck     out T[batch, keep + len - prompt, state]  when GATHER == GATHER.on
//! bind     10 zk    out T[batch, keep + len - prompt, width]  when GATHER == GATHER.on
//! scratch  11 score f32[batch, len]
//! push     batch:u32 len:u32 width:u32 state:u32 prompt:u32 keep:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     3 SELECT_COPIES u32 1 = is_cpu ? WG_SIZE : 4   // histograms side by side
//! spec     4 PER u32 4 = is_cpu ? ceildiv(len,WG_SIZE) : 4   // elements a lane takes at a time, when it writes
//! spec     5 VEC u32 1 = width % 4 == 0 ? 4 : 1
//! spec     16 GATHER u32 0
//! when     batch <= 65535 : one dispatch
//! shared   4*max(8*WG_SIZE,256*SELECT_COPIES+4*WG_SIZE+4)
//! pass     score  groups min(ceildiv(batch*len,8),is_cpu?64:65535)
//! pass     choose groups batch
//! pass     gather groups GATHER==GATHER.on?min(batch*(keep+len-prompt),is_cpu?64:65535):1
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "lib/words.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint SELECT_COPIES = 1;
layout(constant_id = 4) const uint PER = 4;
layout(constant_id = 5) const uint VEC = 1;
layout(constant_id = 16) const uint GATHER = 0;

layout(set = 0, binding = 0, std430) restrict readonly buffer BufferDelta { T delta[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer BufferDelta4 { W4 delta4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer BufferX { T x[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer BufferB { T b[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer BufferC { T c[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer BufferZ { T z[]; };
layout(set = 0, binding = 5, std430) restrict buffer BufferIdx { int idx[]; };
layout(set = 0, binding = 6, std430) restrict writeonly buffer BufferDk { T deltak[]; };
layout(set = 0, binding = 7, std430) restrict writeonly buffer BufferXk { T xk[]; };
layout(set = 0, binding = 8, std430) restrict writeonly buffer BufferBk { T bk[]; };
layout(set = 0, binding = 9, std430) restrict writeonly buffer BufferCk { T ck[]; };
layout(set = 0, binding = 10, std430) restrict writeonly buffer BufferZk { T zk[]; };
layout(set = 0, binding = 11, std430) restrict buffer BufferScore { float score[]; };

layout(push_constant, std430) uniform Push {
    uint batch, len, width, state, prompt, keep;
} pc;

#if defined(PASS_SCORE)

const uint TOKENS = 8; // of a workgroup at a time: one barrier for all

shared float part[TOKENS * gl_WorkGroupSize.x];

// The lane's share of a row; the order of additions depends on the width only, so that
// equal rows have equal scores.
float row_part(const uint row)
{
    const uint lanes = gl_WorkGroupSize.x;
    float sum = 0.0;
    if (VEC == 4) {
        for (uint q = gl_LocalInvocationID.x; q < pc.width / 4; q += lanes) {
            const vec4 value = vkz_load_w4(delta4[row * (pc.width / 4) + q]);
            [[unroll]] for (uint i = 0; i < 4; i++) {
                sum = fma(value[i], value[i], sum);
            }
        }
    } else {
        for (uint k = gl_LocalInvocationID.x; k < pc.width; k += lanes) {
            const float value = vkz_load(delta[row * pc.width + k]);
            sum = fma(value, value, sum);
        }
    }
    return sum;
}

void main()
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint lane = gl_LocalInvocationID.x;
    const uint rows = pc.batch * pc.len;
    const uint blocks = (rows + TOKENS - 1) / TOKENS;
    for (uint block = gl_WorkGroupID.x; block < blocks; block += gl_NumWorkGroups.x) {
        for (uint i = 0; i < TOKENS; i++) {
            part[i * lanes + lane] = row_part(min(block * TOKENS + i, rows - 1));
        }
        barrier();
        for (uint i = lane; i < TOKENS; i += lanes) {
            float sum = 0.0;
            for (uint k = 0; k < lanes; k++) {
                sum += part[i * lanes + k];
            }
            if (block * TOKENS + i < rows) {
                score[block * TOKENS + i] = sum;
            }
        }
        barrier();
    }
}

#elif defined(PASS_CHOOSE)

shared uint select_bins[256 * SELECT_COPIES];
shared uvec2 scan_shared[2 * gl_WorkGroupSize.x];
shared uint select_found[4];

#define SELECT_GROUP
uint select_load(const uint i);
void select_store(const uint at, const uint i);
#include "lib/select.glsl"

uint select_load(const uint i)
{
    return select_key(score[gl_WorkGroupID.x * pc.len + i]);
}

void select_store(const uint at, const uint i)
{
    idx[gl_WorkGroupID.x * (pc.keep + pc.len - pc.prompt) + at] = int(i);
}

void main()
{
    const uint chosen = pc.prompt;
    const select_cut cut = select_cut_group(chosen, pc.keep);
    select_compact_group(chosen, cut, PER);
    for (uint i = gl_LocalInvocationID.x; i < pc.len - pc.prompt; i += gl_WorkGroupSize.x) {
        idx[gl_WorkGroupID.x * (pc.keep + pc.len - pc.prompt) + pc.keep + i] =
            int(chosen + i);
    }
}

#else // PASS_GATHER

void main()
{
    const uint kept = pc.keep + pc.len - pc.prompt;
    const uint lanes = gl_WorkGroupSize.x;
    const uint count = GATHER != 0 ? pc.batch * kept : 0;
    for (uint to = gl_WorkGroupID.x; to < count; to += gl_NumWorkGroups.x) {
        const uint from = to / kept * pc.len + uint(idx[to]);
        for (uint i = gl_LocalInvocationID.x; i < pc.width; i += lanes) {
            deltak[to * pc.width + i] = delta[from * pc.width + i];
            xk[to * pc.width + i] = x[from * pc.width + i];
            zk[to * pc.width + i] = z[from * pc.width + i];
        }
        for (uint i = gl_LocalInvocationID.x; i < pc.state; i += lanes) {
            bk[to * pc.state + i] = b[from * pc.state + i];
            ck[to * pc.state + i] = c[from * pc.state + i];
        }
    }
}

#endif
