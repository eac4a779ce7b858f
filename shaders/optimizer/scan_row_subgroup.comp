// SPDX-License-Identifier: MIT
//
// Scans, a workgroup a row, lanes joined by shuffles
//
//   y_c = x_0 ∘ ... ∘ x_c over sum, max, min, log-sum-exp, or h_c = a_c h_{c-1} + x_c
//
// Blelloch, Prefix Sums and Their Applications, 1990; Merrill and Garland, Single-pass
// Parallel Prefix Scan, 2016 (the reduce-then-scan that it compares with).
//
// Why this one: reads and writes everything once, in one dispatch. Wants at least
// as many rows as the device runs workgroups; a single row is one workgroup's.
// Lanes exchange by subgroup shuffles: no barrier where a workgroup is one subgroup.
//
//! kernel   scan_row_subgroup
//! op       scan/1
//! tier     T1
//! bind     0 x    in   T[rows, cols]
//! bind     1 a    in   T[rows, cols]  when OP == OP.affine
//! bind     2 flag in   u32[rows, ceildiv(cols, 32)]  when SEGMENTED == SEGMENTED.on
//! bind     5 y    out  T[rows, cols]
//! push     rows:u32 cols:u32 h0:f32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 128
//! spec     1 SINGLE u32 0 = is_cpu && WG_SIZE <= subgroup_size   // one subgroup
//! spec     3 QUADS u32 1 = is_cpu ? 4 : 2   // groups of four elements a lane
//! spec     4 VEC u32 1 = rows == 1 || cols % 4 == 0 ? 4 : 1
//! spec     16 OP u32 0
//! spec     17 EXCLUSIVE u32 0
//! spec     18 SEGMENTED u32 0
//! when     TYPE == TYPE.float : integers are scan_int's
//! shared   16*WG_SIZE
//! tuning   quads4 QUADS=4
//! tuning   quads16 QUADS=16
//! pass     main  groups min(rows,is_cpu?32:65535)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require

#define SCAN_SUBGROUP
#include "optimizer/scan.glsl"
