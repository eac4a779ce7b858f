// SPDX-License-Identifier: MIT
//
// Matrix product on packed panels: both operands are first copied in the order of use
//
//   c = epilogue(alpha * op(a) op(b) + beta * c0), see the contract
//
//   pa [m / TILE_ROWS] [k / 4] [TILE_ROWS] groups of four k      zeros beyond the edges,
//   pb [n / columns] [k] [TILE_COLS] [LANES] groups of four n    k rounded up to 4
//
// Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication, 2008.
//
// Why this one: the main loop has no edges, no layouts and no 16-bit conversions, every
// line is read once and in order. Fastest on CPU drivers from some 64 rows on; which tile
// is best differs by the driver's version, and the larger take seconds to compile on
// older ones. Packing costs time like (m + n) k and as much memory again, in float.
//
//! kernel   gemm_pack
//! op       gemm/1
//! tier     T1
//! bind     0 a     in   T[TRANS == TRANS.tn ? k : m, TRANS == TRANS.tn ? m : k]
//! bind     1 b     in   T[TRANS == TRANS.nt ? n : k, TRANS == TRANS.nt ? k : n]
//! bind     2 c0    in   T[m, n]  when beta != 0 || EPILOGUE == EPILOGUE.residual
//! bind     3 bias  in   f32[n]  when EPILOGUE >= EPILOGUE.bias && EPILOGUE <= EPILOGUE.bias_silu
//! bind     4 scale in   f32[EPILOGUE == EPILOGUE.scale_row ? m : n]  when EPILOGUE == EPILOGUE.scale_row || EPILOGUE == EPILOGUE.scale_col
//! bind     5 c     out  T[m, n]
//! scratch  6 pa    f32[ceildiv(m,TILE_ROWS)*TILE_ROWS, ceildiv(k,4)*4]
//! scratch  7 pb    f32[ceildiv(n,COLUMNS)*COLUMNS, ceildiv(k,4)*4]
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
//! let      COLUMNS 4*WG_SIZE*TILE_COLS
//! let      strips ceildiv(m,TILE_ROWS)*TILE_ROWS/4+ceildiv(n,COLUMNS)*COLUMNS/4
//! tuning   rows16    TILE_ROWS=16
//! tuning   rows32    TILE_ROWS=32
//! tuning   rows32x2  TILE_ROWS=32 TILE_COLS=2
//! pass     pack  groups min(strips,is_cpu?128:4096)
//! pass     main  groups ceildiv(m,TILE_ROWS) ceildiv(n,COLUMNS)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require

#include "gemm/pack.glsl"
