// SPDX-License-Identifier: MIT
//
// Batched matrix product, one lane one element
//
//   c_z = epilogue(alpha * op(a_z) op(b_z) + beta * c0_z), see the contract
//
// Why this one: it is gemm_naive for a batch, which is the third dimension of the grid;
// the code is the same.
//
//! kernel   batched_gemm_naive
//! op       batched_gemm/1
//! tier     T0
//! bind     0 a     in   T[batch, TRANS == TRANS.tn ? k : m, TRANS == TRANS.tn ? m : k]
//! bind     1 b     in   T[SHARED_B == SHARED_B.yes ? 1 : batch, TRANS == TRANS.nt ? n : k, TRANS == TRANS.nt ? k : n]
//! bind     2 c0    in   T[batch, m, n]  when beta != 0 || EPILOGUE == EPILOGUE.residual
//! bind     3 bias  in   f32[n]  when EPILOGUE >= EPILOGUE.bias && EPILOGUE <= EPILOGUE.bias_silu
//! bind     4 scale in   f32[EPILOGUE == EPILOGUE.scale_row ? m : n]  when EPILOGUE == EPILOGUE.scale_row || EPILOGUE == EPILOGUE.scale_col
//! bind     5 c     out  T[batch, m, n]
//! push     m:u32 n:u32 k:u32 alpha:f32 beta:f32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64   // columns a workgroup
//! spec     16 TRANS u32 0
//! spec     17 EPILOGUE u32 0
//! spec     18 HAS_C0 u32 0 = beta != 0 || EPILOGUE == EPILOGUE.residual
//! spec     19 SHARED_B u32 0
//! pass     main  groups ceildiv(n,WG_SIZE) min(m,65535) batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#define GEMM_BATCHED
#define GEMM_SCALAR
#include "gemm/io.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;

void main()
{
    const uint col = gl_GlobalInvocationID.x;
    for (uint row = gl_WorkGroupID.y; row < pc.m; row += gl_NumWorkGroups.y) {
        float sum = 0.0;
        for (uint kk = 0; kk < pc.k; ++kk) {
            sum += load_a(row, kk) * load_b(kk, col);
        }
        store_c(row, col, sum);
    }
}
