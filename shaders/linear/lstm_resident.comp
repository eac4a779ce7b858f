// SPDX-License-Identifier: MIT
//
// Recurrent cells over a sequence, a workgroup walks the tokens of a few sequences
//
//   lstm   a = gx + h Wh^T;  i, f, o = sigma, g = tanh;  c = f c + i g;  h = o tanh c
//   gru    r, z = sigma(gx + h Wh^T + bh);  n = tanh(gx_n + r (h Wh_n^T + bh_n))
//          h = (1 - z) n + z h
//   tanh   h = tanh(gx + h Wh^T)
//
//   shared    h of ROWS sequences, twice: steps read one and write the other
//   lane j    units j, j + lanes, ...: the rows of Wh of all gates of a unit, in groups of
//             four k that serve every sequence; its cells stay its own
//
// LSTM, Hochreiter and Schmidhuber 1997; GRU, arXiv 1406.1078.
//
// Why this one: no launch a token, one barrier a token. Wh is read once a token and
// workgroup, from the cache: more sequences a workgroup read it less often, fewer leave
// more workgroups. Loses on GPUs where the sequences fill few of them and Wh is large.
// The tokens of a dispatch are as many as the case has: with thousands of them and large
// states, cut the case at a token and carry the state over.
//
//! kernel   lstm_resident
//! op       lstm/1
//! tier     T0
//! bind     0 gx    in   T[batch, len, GATES * hid]
//! bind     1 wh    in   T[GATES * hid, hid]
//! bind     2 bh    in   f32[GATES * hid]  when CELL == CELL.gru
//! bind     3 h0    in   f32[batch, hid]
//! bind     4 c0    in   f32[batch, hid]  when CELL == CELL.lstm
//! bind     5 lens  in   i32[batch]  when LENS == LENS.on
//! bind     6 y     out  T[batch, len, hid]
//! bind     7 ht    out  f32[batch, hid]
//! bind     8 ct    out  f32[batch, hid]  when CELL == CELL.lstm
//! bind     9 cache out  f32[batch, len, KEPT * hid]  when CACHE == CACHE.on
//! when     hid <= 2048 : keeps the states of a sequence twice in shared memory
//! push     batch:u32 len:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : (hid <= 32 ? 32 : hid <= 64 ? 64 : 128)
//! spec     3 ROWS u32 1 = max(1,min(is_cpu?8:2,min(floor(512/ceildiv(hid,4)),ceildiv(batch,is_cpu?max(1,compute_units):compute_units>1?compute_units:64))))   // sequences a workgroup
//! spec     4 VEC u32 1 = hid % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 CELL u32 0
//! spec     17 DIR u32 0
//! spec     18 LENS u32 0
//! spec     19 CACHE u32 0
//! spec     32 HID u32 32 = hid
//! let      GATES CELL == CELL.lstm ? 4 : CELL == CELL.gru ? 3 : 1
//! let      KEPT CELL == CELL.tanh ? 1 : 5
//! shared   32 * ROWS * ceildiv(HID,4)
//! tuning   rows1  ROWS=1
//! tuning   rows4  ROWS=4
//! pass     main  groups min(ceildiv(batch,ROWS),65535)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require

layout(local_size_x = 64, local_size_x_id = 0) in;

#include "linear/lstm_walk.glsl"
