// SPDX-License-Identifier: MIT
//
// Matrix product on cooperative matrices, tiles in shared memory
//
//   c = epilogue(alpha * op(a) op(b) + beta * c0), see the contract
//
// Why this one: matrix units multiply several times faster than any other part of a GPU.
// The shape is a constant that the host takes from the device's list. Where a driver only
// imitates them (every CPU driver) this is slow: measure, then choose.
//
//! kernel   gemm_coopmat
//! op       gemm/1
//! tier     T2
//! bind     0 a     in   T[TRANS == TRANS.tn ? k : m, TRANS == TRANS.tn ? m : k]
//! bind     1 b     in   T[TRANS == TRANS.nt ? n : k, TRANS == TRANS.nt ? k : n]
//! bind     2 c0    in   T[m, n]  when beta != 0 || EPILOGUE == EPILOGUE.residual
//! bind     3 bias  in   f32[n]  when EPILOGUE >= EPILOGUE.bias && EPILOGUE <= EPILOGUE.bias_silu
//! bind     4 scale in   f32[EPILOGUE == EPILOGUE.scale_row ? m : n]  when EPILOGUE == EPILOGUE.scale_row || EPILOGUE == EPILOGUE.scale_col
//! bind     5 c     out  T[m, n]
//! push     m:u32 n:u32 k:u32 alpha:f32 beta:f32
//! spec     32 CM_M u32 16 = CM_M
//! spec     33 CM_N u32 16 = CM_N
//! spec     34 CM_K u32 16 = CM_K
//! spec     3 WARPS_M u32 2    // subgroups, down
//! spec     4 WARPS_N u32 2    // subgroups, across
//! spec     5 SUB_M u32 2      // matrices a subgroup, down
//! spec     6 SUB_N u32 2      // matrices a subgroup, across
//! spec     7 STEPS_K u32 2 = is_cpu ? 1 : 2   // matrices of k staged at a time
//! spec     8 PAD u32 2        // groups of four elements between rows of shared memory
//! spec     0 WG_SIZE u32 128 = WARPS_M * WARPS_N * subgroup_size
//! spec     12 VEC_A u32 1 = (TRANS == TRANS.tn ? m : k) % 4 == 0 ? 4 : 1
//! spec     13 VEC_B u32 1 = (TRANS == TRANS.nt ? k : n) % 4 == 0 ? 4 : 1
//! spec     14 VEC_C u32 1 = n % 4 == 0 ? 4 : 1
//! spec     16 TRANS u32 0
//! spec     17 EPILOGUE u32 0
//! spec     18 HAS_C0 u32 0 = beta != 0 || EPILOGUE == EPILOGUE.residual
//! let      TILE_M WARPS_M*SUB_M*CM_M
//! let      TILE_N WARPS_N*SUB_N*CM_N
//! let      TILE_K STEPS_K*CM_K
//! let      tile_bytes_a 8*(TRANS==2?TILE_K*(TILE_M/4+PAD):TILE_M*(TILE_K/4+PAD))
//! let      tile_bytes_b 8*(TRANS==0?TILE_N*(TILE_K/4+PAD):TILE_K*(TILE_N/4+PAD))
//! shared   tile_bytes_a + tile_bytes_b + 4 * WARPS_M * WARPS_N * CM_M * CM_N
//! tuning   large     SUB_M=4 SUB_N=4
//! tuning   tall      SUB_M=4 SUB_N=2
//! tuning   eight     WARPS_N=4 SUB_M=4 SUB_N=2
//! tuning   deep      STEPS_K=4
//! tuning   small     SUB_M=1 SUB_N=1
//! pass     main  groups ceildiv(n,TILE_N) ceildiv(m,TILE_M)
//! variant  f16       T=f16  coopmat=f16,f16,f32,f32
//! variant  f16_acc16 T=f16  acc=f16 coopmat=f16,f16,f16,f16
//! variant  bf16      T=bf16 coopmat=bf16,bf16,f32,f32
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#ifdef T_BF16
#extension GL_EXT_bfloat16 : require
#endif

layout(local_size_x = 128, local_size_x_id = 0) in;
layout(constant_id = 3) const uint WARPS_M = 2;
layout(constant_id = 4) const uint WARPS_N = 2;
layout(constant_id = 5) const uint SUB_M = 2;
layout(constant_id = 6) const uint SUB_N = 2;
layout(constant_id = 7) const uint STEPS_K = 2;
layout(constant_id = 8) const uint PAD = 2;
layout(constant_id = 32) const uint CM_M = 16;
layout(constant_id = 33) const uint CM_N = 16;
layout(constant_id = 34) const uint CM_K = 16;

#include "gemm/io.glsl"

const bool A_ALONG_K = TRANS != TRANS_TN;
const bool B_ALONG_K = TRANS == TRANS_NT;
const uint TILE_M = WARPS_M * SUB_M * CM_M;
const uint TILE_N = WARPS_N * SUB_N * CM_N;
const uint TILE_K = STEPS_K * CM_K;
const uint STRIDE_A = (A_ALONG_K ? TILE_K : TILE_M) / 4 + PAD;
const uint STRIDE_B = (B_ALONG_K ? TILE_K : TILE_N) / 4 + PAD;

#define CM_GROUP uvec2
#define CM_SUM4 vec4

shared uvec2 tile_a[(A_ALONG_K ? TILE_M : TILE_K) * STRIDE_A];
shared uvec2 tile_b[(B_ALONG_K ? TILE_N : TILE_K) * STRIDE_B];
shared CM_TYPE_C tile_c[WARPS_M * WARPS_N * CM_M * CM_N];

uvec2 load_group_a(const uint i, const uint g)
{
    if ((A_ALONG_K ? 4 * g : i) >= pc.k) {
        return uvec2(0);
    }
    if (VEC_A == 4) {
        return A_ALONG_K ? a4[min(i, pc.m - 1) * (pc.k / 4) + g]
                         : a4[i * (pc.m / 4) + min(g, pc.m / 4 - 1)];
    }
    vec4 v = vec4(0.0);
    [[unroll]] for (uint x = 0; x < 4; ++x) {
        const uint kk = A_ALONG_K ? 4 * g + x : i;
        if (kk < pc.k) {
            v[x] = A_ALONG_K ? load_a(i, kk) : load_a(4 * g + x, kk);
        }
    }
    return vkz_store_w4(v);
}

uvec2 load_group_b(const uint i, const uint g)
{
    if ((B_ALONG_K ? 4 * g : i) >= pc.k) {
        return uvec2(0);
    }
    if (VEC_B == 4) {
        return B_ALONG_K ? b4[min(i, pc.n - 1) * (pc.k / 4) + g]
                         : b4[i * (pc.n / 4) + min(g, pc.n / 4 - 1)];
    }
    vec4 v = vec4(0.0);
    [[unroll]] for (uint x = 0; x < 4; ++x) {
        const uint kk = B_ALONG_K ? 4 * g + x : i;
        if (kk < pc.k) {
            v[x] = B_ALONG_K ? load_b(kk, i) : load_b(kk, 4 * g + x);
        }
    }
    return vkz_store_w4(v);
}

#include "lib/coopmat.glsl"

void main()
{
    vkz_coopmat_tile(gl_WorkGroupID.y * TILE_M, gl_WorkGroupID.x * TILE_N, 0,
                     (pc.k + 3) / 4);
}
