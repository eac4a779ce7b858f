// SPDX-License-Identifier: MIT
//
// Batched matrix product on packed panels
//
//   c_z = epilogue(alpha * op(a_z) op(b_z) + beta * c0_z), see the contract
//
// Why this one: it is gemm_pack for a batch, which is the third dimension of the grid;
// the code is the same.
//
//! kernel   batched_gemm_pack
//! op       batched_gemm/1
//! tier     T1
//! bind     0 a     in   T[batch, TRANS == TRANS.tn ? k : m, TRANS == TRANS.tn ? m : k]
//! bind     1 b     in   T[SHARED_B == SHARED_B.yes ? 1 : batch, TRANS == TRANS.nt ? n : k, TRANS == TRANS.nt ? k : n]
//! bind     2 c0    in   T[batch, m, n]  when beta != 0 || EPILOGUE == EPILOGUE.residual
//! bind     3 bias  in   f32[n]  when EPILOGUE >= EPILOGUE.bias && EPILOGUE <= EPILOGUE.bias_silu
//! bind     4 scale in   f32[EPILOGUE == EPILOGUE.scale_row ? m : n]  when EPILOGUE == EPILOGUE.scale_row || EPILOGUE == EPILOGUE.scale_col
//! bind     5 c     out  T[batch, m, n]
//! scratch  6 pa    f32[batch, ceildiv(m,TILE_ROWS)*TILE_ROWS, ceildiv(k,4)*4]
//! scratch  7 pb    f32[SHARED_B == SHARED_B.yes ? 1 : batch, ceildiv(n,COLUMNS)*COLUMNS, ceildiv(k,4)*4]
//! push     m:u32 n:u32 k:u32 alpha:f32 beta:f32
//! spec     0 WG_SIZE u32 4 = is_cpu ? subgroup_size : min(subgroup_size,8)   // LANES: one subgroup
//! spec     3 TILE_ROWS u32 16 = is_cpu ? max(8,subgroup_size) : 16   // rows a tile, a multiple of WG_SIZE
//! spec     4 TILE_COLS u32 1     // groups of four columns a lane
//! spec     12 VEC_A u32 1 = (TRANS == TRANS.tn ? m : k) % 4 == 0 ? 4 : 1
//! spec     13 VEC_B u32 1 = (TRANS == TRANS.nt ? k : n) % 4 == 0 ? 4 : 1
//! spec     14 VEC_C u32 1 = n % 4 == 0 ? 4 : 1
//! spec     16 TRANS u32 0
//! spec     17 EPILOGUE u32 0
//! spec     18 HAS_C0 u32 0 = beta != 0 || EPILOGUE == EPILOGUE.residual
//! spec     19 SHARED_B u32 0
//! let      COLUMNS 4*WG_SIZE*TILE_COLS
//! let      strips ceildiv(m,TILE_ROWS)*TILE_ROWS/4+ceildiv(n,COLUMNS)*COLUMNS/4
//! tuning   rows16    TILE_ROWS=16
//! tuning   rows32    TILE_ROWS=32
//! tuning   rows32x2  TILE_ROWS=32 TILE_COLS=2
//! pass     pack  groups min(strips,is_cpu?128:4096) 1 batch
//! pass     main  groups ceildiv(m,TILE_ROWS) ceildiv(n,COLUMNS) batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require

#define GEMM_BATCHED
#include "gemm/pack.glsl"
