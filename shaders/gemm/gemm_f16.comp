// SPDX-License-Identifier: MIT
//
// Matrix product in packed half arithmetic, tiles in shared memory
//
//   c = epilogue(alpha * op(a) op(b) + beta * c0), see the contract
//
// Why this one: devices that multiply two halves in the time of a float, without matrix
// units. TILE_K products are summed in half, and those sums in float: more exact than
// sums in half throughout, and long k cannot overflow. It is no match for sums in float
// all the same, which is why the variant's name says acc16.
//
//! kernel   gemm_f16
//! op       gemm/1
//! tier     T1
//! bind     0 a     in   T[TRANS == TRANS.tn ? k : m, TRANS == TRANS.tn ? m : k]
//! bind     1 b     in   T[TRANS == TRANS.nt ? n : k, TRANS == TRANS.nt ? k : n]
//! bind     2 c0    in   T[m, n]  when beta != 0 || EPILOGUE == EPILOGUE.residual
//! bind     3 bias  in   f32[n]  when EPILOGUE >= EPILOGUE.bias && EPILOGUE <= EPILOGUE.bias_silu
//! bind     4 scale in   f32[EPILOGUE == EPILOGUE.scale_row ? m : n]  when EPILOGUE == EPILOGUE.scale_row || EPILOGUE == EPILOGUE.scale_col
//! bind     5 c     out  T[m, n]
//! push     m:u32 n:u32 k:u32 alpha:f32 beta:f32
//! spec     3 TILE_M u32 64 = is_cpu ? 32 : 64   // rows a workgroup
//! spec     4 TILE_N u32 64 = is_cpu ? 32 : 64   // columns a workgroup
//! spec     5 TILE_K u32 16    // products summed in half
//! spec     6 REG_M u32 8 = is_cpu ? 4 : 8   // rows a lane
//! spec     7 REG_N u32 4      // columns a lane
//! spec     8 STAGES u32 1     // shared buffers, 1 or 2
//! spec     9 PAD u32 1        // groups of four halves between rows of shared memory
//! spec     0 WG_SIZE u32 128 = TILE_M / REG_M * (TILE_N / REG_N)
//! spec     12 VEC_A u32 1 = (TRANS == TRANS.tn ? m : k) % 4 == 0 ? 4 : 1
//! spec     13 VEC_B u32 1 = (TRANS == TRANS.nt ? k : n) % 4 == 0 ? 4 : 1
//! spec     14 VEC_C u32 1 = n % 4 == 0 ? 4 : 1
//! spec     16 TRANS u32 0
//! spec     17 EPILOGUE u32 0
//! spec     18 HAS_C0 u32 0 = beta != 0 || EPILOGUE == EPILOGUE.residual
//! shared   8 * STAGES * TILE_K * (TILE_M / 4 + TILE_N / 4 + 2 * PAD)
//! tuning   reg8      TILE_M=64 TILE_N=64 REG_M=8 REG_N=8
//! tuning   stages2   STAGES=2
//! tuning   large     TILE_M=128 TILE_N=128 REG_M=8 REG_N=8
//! pass     main  groups ceildiv(n,TILE_N) ceildiv(m,TILE_M)
//! variant  f16_acc16 T=f16 acc=f16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require

#define TILE_V4 f16vec4
#define TILE_SLAB_SUMS
#include "gemm/tile.glsl"
