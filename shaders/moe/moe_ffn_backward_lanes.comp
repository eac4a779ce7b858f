// SPDX-License-Identifier: MIT
//
// Gradients of a layer of experts, all products by register tiles of one subgroup
//
//   see the contract: up again, g = W2^T dy, the activation's slopes, then the products by
//   expert that give dW1 and dW2, W1^T d[a; b], and the sum of a token's entries
//
// Why this one: no barriers in the products, and W straight from where it lies; tiles of the
// map are as high as the rows an expert has on average, at most four times the subgroup, and
// rows of padding are left out by the subgroup. For CPU drivers.
//
//! kernel   moe_ffn_backward_lanes
//! op       moe_ffn_backward/1
//! tier     T1
//! bind     0 x   in  T[rows, width]
//! bind     1 w1  in  T[experts, HALVES * ff_width, width]
//! bind     2 w2  in  T[experts, width, ff_width]
//! bind     3 idx in  i32[rows, topk]
//! bind     4 w   in  f32[rows, topk]
//! bind     5 dy  in  T[rows, width]
//! bind     6 dx  out T[rows, width]
//! bind     7 dw1 out f32[experts, HALVES * ff_width, width]
//! bind     8 dw2 out f32[experts, width, ff_width]
//! bind     9 dw  out f32[rows, topk]
//! scratch  10 counters u32[(parts+2)*bins+1]
//! scratch  11 src      i32[cap]
//! scratch  12 pos      i32[entries]
//! scratch  13 tile_expert i32[cap/TILE_M]
//! scratch  14 hidden   f32[cap, HALVES*ceildiv(ff_width,4)*4]
//! scratch  15 ys       f32[cap, ceildiv(width,4)*4]
//! scratch  16 grid_ff  u32[3]
//! scratch  17 g        f32[cap, ceildiv(ff_width,4)*4]
//! scratch  18 grid_width u32[3]
//! scratch  19 grid_grad u32[3]
//! push     rows:u32 width:u32 experts:u32 topk:u32 ff_width:u32 cap:u32 parts:u32
//! spec     0 WG_SIZE u32 4 = is_cpu ? subgroup_size : min(subgroup_size,8)   // LANES: one subgroup
//! spec     3 GROUPS u32 2 = max(1,min(floordiv(32,subgroup_size),rows*topk>=3*WG_SIZE*experts?4:rows*topk*2>=3*WG_SIZE*experts?2:1))   // rows a tile, by LANES
//! spec     5 STEPS u32 1   // groups of four k at a time
//! spec     12 VEC_C u32 1 = width % 4 == 0 ? 4 : 1
//! spec     13 VEC_F u32 1 = ff_width % 4 == 0 ? 4 : 1
//! spec     16 ACT u32 0
//! let      TILE_M GROUPS*WG_SIZE
//! let      HALVES ACT==ACT.swiglu||ACT==ACT.swiglu_clamp?2:1
//! let      bins experts
//! let      entries rows*(topk)
//! let      cap ceildiv(entries+min(bins,entries)*(TILE_M-1),TILE_M)*TILE_M
//! let      parts min(ceildiv(entries,64),is_cpu?128:1024)
//! shared   16*WG_SIZE
//! pass     count   groups ceildiv(parts,WG_SIZE)
//! pass     scan    groups 1
//! pass     scatter groups ceildiv(parts,WG_SIZE)
//! pass     up      indirect grid_ff
//! pass     grad    indirect grid_grad
//! pass     act     groups min(entries,is_cpu?1024:65535)
//! pass     dw1     groups ceildiv(width,4*WG_SIZE) ceildiv(HALVES*ceildiv(ff_width,4)*4,TILE_M) experts
//! pass     dw2     groups ceildiv(ff_width,4*WG_SIZE) ceildiv(width,TILE_M) experts
//! pass     down    indirect grid_width
//! pass     combine groups min(rows,is_cpu?1024:65535)
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
const uint TILE_M = GROUPS * LANES;

#define FFN_BACKWARD
#include "moe/ffn.glsl"
