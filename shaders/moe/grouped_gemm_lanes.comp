// SPDX-License-Identifier: MIT
//
// A matrix product per expert, a register tile a lane, loads handed round
//
//   y[p] = epilogue(x[src[p] / topk] W_e^T), e = tile_expert[p / bm]; nn and tn likewise
//
// MegaBlocks arXiv 2211.15841.
//
// Why this one: no barriers, no shared memory, nothing packed beforehand: W is read once a
// tile, straight from where it lies, and groups of rows without any entry are left out, so
// that few rows an expert cost no more than W's bytes. For CPU drivers.
//
//! kernel   grouped_gemm_lanes
//! op       grouped_gemm/1
//! tier     T1
//! bind     0 x     in  T[GATHER == GATHER.on ? rows : cap_total, k]
//! bind     1 w     in  T[experts, TRANS == TRANS.nn ? k : EPILOGUE == EPILOGUE.swiglu ? 2 * n : n, TRANS == TRANS.nn ? n : k]  when TRANS != TRANS.tn
//! bind     2 dy    in  T[cap_total, n]  when TRANS == TRANS.tn
//! bind     3 src   in  i32[cap_total]
//! bind     4 tile_expert in i32[cap_total / bm]
//! bind     5 start in  i32[experts + 1]
//! bind     6 args  in  u32[3]
//! bind     7 c0    in  T[cap_total, n]  when EPILOGUE == EPILOGUE.residual
//! bind     8 bias  in  f32[experts, n]  when EPILOGUE >= EPILOGUE.bias && EPILOGUE <= EPILOGUE.bias_silu
//! bind     9 scale in  f32[EPILOGUE == EPILOGUE.scale_row ? cap_total : experts * n]  when EPILOGUE == EPILOGUE.scale_row || EPILOGUE == EPILOGUE.scale_col
//! bind     10 y    out T[cap_total, n]  when TRANS != TRANS.tn
//! bind     11 dw   out f32[experts, n, k]  when TRANS == TRANS.tn
//! scratch  12 grid u32[3]
//! push     topk:u32 experts:u32 bm:u32 cap_total:u32 n:u32 k:u32
//! spec     0 WG_SIZE u32 4 = is_cpu ? subgroup_size : min(subgroup_size,8)   // LANES: one subgroup
//! spec     3 GROUPS u32 2 = max(1,min(floordiv(32,subgroup_size),TRANS == TRANS.tn && rows*topk < 3*subgroup_size*experts ? 2 : 4))   // rows a tile, by LANES; empty ones cost nothing
//! spec     5 STEPS u32 1 = is_cpu ? 2 : 1   // groups of four k at a time
//! spec     12 VEC_K u32 1 = k % 4 == 0 ? 4 : 1
//! spec     13 VEC_N u32 1 = n % 4 == 0 ? 4 : 1
//! spec     16 TRANS u32 0
//! spec     17 EPILOGUE u32 0
//! spec     18 GATHER u32 0
//! tuning   steps4 STEPS=4
//! pass     grid  groups min(cap_total,1024)
//! pass     main  indirect grid
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 4, local_size_x_id = 0) in;
layout(constant_id = 3) const uint GROUPS = 2;
layout(constant_id = 5) const uint STEPS = 1;

#define PRODUCT_LANES
const uint LANES = gl_WorkGroupSize.x;

#include "moe/grouped.glsl"
