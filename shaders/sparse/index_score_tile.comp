// SPDX-License-Identifier: MIT
//
// Scores of the indexer of sparse attention: a product a head, tiles in shared memory
//
//   score[t,s] = scale sum_x w[t,x] max(0, qi[t,x] ki[s]),  -inf for s after t
//
// DeepSeek-V3.2, arXiv 2512.02556.
//
// Why this one: the tile of the matrix product, a head after the other; the rectified and
// weighted sums stay in registers, so nothing of size heads * queries * keys is stored.
// The kernel for GPUs without matrix units.
//
//! kernel   index_score_tile
//! op       index_score/1
//! tier     T0
//! bind     0 qi    in   T[batch, q_len, hi, di]
//! bind     1 ki    in   T[batch, kv_len, di]
//! bind     2 w     in   f32[batch, q_len, hi]
//! bind     3 score out  f32[batch, q_len, kv_len]
//! push     q_len:u32 kv_len:u32 hi:u32 di:u32 scale:f32
//! spec     3 TILE_M u32 64 = is_cpu ? 32 : 64   // queries a workgroup
//! spec     4 TILE_N u32 64 = is_cpu ? 32 : 64   // keys a workgroup
//! spec     5 TILE_K u32 16
//! spec     6 REG_M u32 8 = is_cpu ? 4 : 8   // queries a lane
//! spec     7 REG_N u32 4      // keys a lane
//! spec     0 WG_SIZE u32 128 = TILE_M / REG_M * (TILE_N / REG_N)
//! spec     12 VEC u32 1 = di % 4 == 0 ? 4 : 1
//! spec     14 VEC_S u32 1 = kv_len % 4 == 0 ? 4 : 1
//! shared   16 * TILE_K * (TILE_M / 4 + TILE_N / 4 + 2)
//! tuning   small  TILE_M=16 TILE_N=64 REG_M=4 REG_N=4
//! pass     main  groups ceildiv(kv_len,TILE_N) ceildiv(q_len,TILE_M) batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "sparse/index_io.glsl"

layout(local_size_x = 128, local_size_x_id = 0) in;
layout(constant_id = 3) const uint TILE_M = 64;
layout(constant_id = 4) const uint TILE_N = 64;
layout(constant_id = 5) const uint TILE_K = 16;
layout(constant_id = 6) const uint REG_M = 8;
layout(constant_id = 7) const uint REG_N = 4;
const uint STAGES = 1;
const uint PAD = 1;
const bool A_ALONG_K = true;
const bool B_ALONG_K = true;

shared vec4 tile_a[TILE_K * (TILE_M / 4 + PAD)];
shared vec4 tile_b[TILE_K * (TILE_N / 4 + PAD)];

uint head;
// Sums of the heads so far; `slot` counts through them as the tile stores its own.
vec4 total[REG_M * (REG_N / 4)];
uint slot;

uint query_row(const uint query)
{
    return gl_WorkGroupID.z * pc.q_len + min(query, pc.q_len - 1u);
}

void load_block_a(const uint row, const uint q, out vec4 block[4])
{
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        block[i] = index_q(query_row(row + i) * pc.hi + head, q);
    }
}

void load_block_b(const uint q, const uint col, out vec4 block[4])
{
    vec4 k[4];
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        k[i] = index_k(gl_WorkGroupID.z * pc.kv_len + min(col + i, pc.kv_len - 1u), q);
    }
    [[unroll]] for (uint x = 0; x < 4u; x++) {
        block[x] = vec4(k[0][x], k[1][x], k[2][x], k[3][x]);
    }
}

void store_c4(const uint row, const uint col, const vec4 sum)
{
    total[slot] += index_term(w[query_row(row) * pc.hi + head], sum);
    slot++;
}

#include "lib/tile.glsl"

void main()
{
    const uint row = gl_WorkGroupID.y * TILE_M;
    const uint col = gl_WorkGroupID.x * TILE_N;
    [[unroll]] for (uint i = 0; i < REG_M * (REG_N / 4u); i++) {
        total[i] = vec4(0.0);
    }
    // Keys after the last query of the tile get no score.
    const int last =
        int(min(row + TILE_M, pc.q_len)) - 1 + int(pc.kv_len) - int(pc.q_len);
    if (int(col) <= last) {
        for (head = 0u; head < pc.hi; head++) {
            slot = 0u;
            vkz_tile(gl_LocalInvocationID.x, row, col, 0u, (pc.di + 3u) / 4u);
            barrier(); // the tile has been read
        }
    }
    const uint lm = gl_LocalInvocationID.x / TILE_LANES_N;
    const uint ln = gl_LocalInvocationID.x % TILE_LANES_N;
    [[unroll]] for (uint i = 0; i < REG_M; i++) {
        [[unroll]] for (uint j = 0; j < REG_N / 4u; j++) {
            const uint query = row + 4u * (lm + i / 4u * TILE_LANES_M) + i % 4u;
            if (query < pc.q_len) {
                index_store(query_row(query), col + 4u * (ln + j * TILE_LANES_N),
                            total[i * (REG_N / 4u) + j]);
            }
        }
    }
}
