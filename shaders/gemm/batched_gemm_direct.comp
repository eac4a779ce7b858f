// SPDX-License-Identifier: MIT
//
// Batched matrix product, register tiles fed from global memory
//
//   c_z = epilogue(alpha * op(a_z) op(b_z) + beta * c0_z), see the contract
//
// Why this one: it is gemm_direct for a batch, which is the third dimension of the grid;
// the code is the same.
//
//! kernel   batched_gemm_direct
//! op       batched_gemm/1
//! tier     T0
//! bind     0 a     in   T[batch, TRANS == TRANS.tn ? k : m, TRANS == TRANS.tn ? m : k]
//! bind     1 b     in   T[SHARED_B == SHARED_B.yes ? 1 : batch, TRANS == TRANS.nt ? n : k, TRANS == TRANS.nt ? k : n]
//! bind     2 c0    in   T[batch, m, n]  when beta != 0 || EPILOGUE == EPILOGUE.residual
//! bind     3 bias  in   f32[n]  when EPILOGUE >= EPILOGUE.bias && EPILOGUE <= EPILOGUE.bias_silu
//! bind     4 scale in   f32[EPILOGUE == EPILOGUE.scale_row ? m : n]  when EPILOGUE == EPILOGUE.scale_row || EPILOGUE == EPILOGUE.scale_col
//! bind     5 c     out  T[batch, m, n]
//! push     m:u32 n:u32 k:u32 alpha:f32 beta:f32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64   // lanes side by side
//! spec     3 TILE_ROWS u32 8 = is_cpu ? 4 : 8   // rows a workgroup
//! spec     4 TILE_COLS u32 1    // groups of four columns a lane
//! spec     12 VEC_A u32 1 = TRANS != TRANS.tn && k % 4 == 0 ? 4 : 1
//! spec     13 VEC_B u32 1 = (TRANS == TRANS.nt ? k : n) % 4 == 0 ? 4 : 1
//! spec     14 VEC_C u32 1 = n % 4 == 0 ? 4 : 1
//! spec     16 TRANS u32 0
//! spec     17 EPILOGUE u32 0
//! spec     18 HAS_C0 u32 0 = beta != 0 || EPILOGUE == EPILOGUE.residual
//! spec     19 SHARED_B u32 0
//! tuning   rows16  TILE_ROWS=16
//! tuning   rows32  TILE_ROWS=32
//! tuning   rows4x2 TILE_ROWS=4 TILE_COLS=2
//! tuning   row1    TILE_ROWS=1
//! tuning   rows8   TILE_ROWS=8
//! pass     main  groups ceildiv(n,4*WG_SIZE*TILE_COLS) ceildiv(m,TILE_ROWS) batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require

#define GEMM_BATCHED
#include "gemm/direct.glsl"
