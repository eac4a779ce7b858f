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
//! spec     3 ROWS u32 1 = max(1,min(is_cpu?4:2,min(512/ceildiv(hid,4),ceildiv(batch,compute_units>1?compute_units:64))))   // sequences a workgroup
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
//! tuning   rows2  ROWS=2
//! pass     main  groups min(ceildiv(batch,ROWS),65535)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint ROWS = 1;
layout(constant_id = 4) const uint VEC = 1;

#include "linear/lstm.glsl"

layout(set = 0, binding = 0, std430) restrict readonly buffer Gx { T gx[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer Bh { float bh[]; };
layout(set = 0, binding = 6, std430) restrict writeonly buffer Y { T y[]; };
layout(set = 0, binding = 7, std430) restrict writeonly buffer Ht { float ht[]; };
layout(set = 0, binding = 8, std430) restrict buffer Ct { float ct[]; };
layout(set = 0, binding = 9, std430) restrict writeonly buffer Cache { float cache[]; };

const uint QUADS = (HID + 3u) / 4u;

shared vec4 state[2u * ROWS * QUADS];

float acc[GATES * ROWS]; // h Wh^T of one unit

// Sums for unit j of all gates and sequences, from the states at `from`.
void products(const uint j, const uint from)
{
    [[unroll]] for (uint i = 0; i < GATES * ROWS; i++) {
        acc[i] = 0.0;
    }
    [[dont_unroll]] for (uint q = 0; q < QUADS; q++) {
        vec4 w[GATES];
        [[unroll]] for (uint g = 0; g < GATES; g++) {
            w[g] = load_wh((g * HID + j) * HID, q);
        }
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            const vec4 h = state[from + r * QUADS + q];
            [[unroll]] for (uint g = 0; g < GATES; g++) {
                const uint at = g * ROWS + r;
                acc[at] = fma(w[g].x, h.x, acc[at]);
                acc[at] = fma(w[g].y, h.y, acc[at]);
                acc[at] = fma(w[g].z, h.z, acc[at]);
                acc[at] = fma(w[g].w, h.w, acc[at]);
            }
        }
    }
}

// The cell of unit j in sequence `row` at token t; returns h.
float cell(const uint r, const uint row, const uint t, const uint j, const float before)
{
    const uint x = (row * pc.len + t) * GATES * HID + j;
    const uint kept = (row * pc.len + t) * KEPT * HID + j;
    if (CELL == CELL_LSTM) {
        const float i = gate_sigmoid(vkz_load(gx[x]) + acc[r]);
        const float f = gate_sigmoid(vkz_load(gx[x + HID]) + acc[ROWS + r]);
        const float g = vkz_tanh(vkz_load(gx[x + 2u * HID]) + acc[2u * ROWS + r]);
        const float o = gate_sigmoid(vkz_load(gx[x + 3u * HID]) + acc[3u * ROWS + r]);
        const float c = fma(f, ct[row * HID + j], i * g);
        ct[row * HID + j] = c;
        if (CACHE != 0) {
            cache[kept] = i;
            cache[kept + HID] = f;
            cache[kept + 2u * HID] = g;
            cache[kept + 3u * HID] = o;
            cache[kept + 4u * HID] = c;
        }
        return o * vkz_tanh(c);
    }
    if (CELL == CELL_GRU) {
        const float u = acc[2u * ROWS + r] + bh[2u * HID + j];
        const float z = gate_sigmoid(vkz_load(gx[x + HID]) + (acc[ROWS + r] + bh[HID + j]));
        const float s = gate_sigmoid(vkz_load(gx[x]) + (acc[r] + bh[j]));
        const float n = vkz_tanh(fma(s, u, vkz_load(gx[x + 2u * HID])));
        const float h = fma(1.0 - z, n, z * before);
        if (CACHE != 0) {
            cache[kept] = s;
            cache[kept + HID] = z;
            cache[kept + 2u * HID] = n;
            cache[kept + 3u * HID] = u;
            cache[kept + 4u * HID] = h;
        }
        return h;
    }
    const float h = vkz_tanh(vkz_load(gx[x]) + acc[r]);
    if (CACHE != 0) {
        cache[kept] = h;
    }
    return h;
}

// A token past the end of its sequence.
void clear(const uint row, const uint t, const uint j)
{
    y[(row * pc.len + t) * HID + j] = vkz_store(0.0);
    if (CACHE != 0) {
        [[unroll]] for (uint i = 0; i < KEPT; i++) {
            cache[((row * pc.len + t) * KEPT + i) * HID + j] = 0.0;
        }
    }
}

void main()
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint lane = gl_LocalInvocationID.x;
    for (uint first = gl_WorkGroupID.x * ROWS; first < pc.batch;
         first += gl_NumWorkGroups.x * ROWS) {
        barrier(); // the last sequences' states may still be read
        for (uint i = lane; i < 2u * ROWS * QUADS; i += lanes) {
            const uint row = min(first + i / QUADS % ROWS, pc.batch - 1u);
            const uint k = 4u * (i % QUADS);
            state[i] = vec4(state_element(row, k), state_element(row, k + 1u),
                            state_element(row, k + 2u), state_element(row, k + 3u));
        }
        if (CELL == CELL_LSTM) {
            for (uint j = lane; j < HID; j += lanes) {
                for (uint row = first; row < min(first + ROWS, pc.batch); row++) {
                    ct[row * HID + j] = c0[row * HID + j];
                }
            }
        }
        barrier();
        uint from = 0u;
        for (uint s = 0; s < pc.len; s++) {
            const uint to = ROWS * QUADS - from;
            for (uint j = lane; j < HID; j += lanes) {
                products(j, from);
                [[unroll]] for (uint r = 0; r < ROWS; r++) {
                    const uint row = first + r;
                    const float before = state[from + r * QUADS + j / 4u][j % 4u];
                    float h = before;
                    if (row < pc.batch) {
                        const uint valid = valid_tokens(row);
                        if (s < valid) {
                            const uint t = DIR == 0 ? s : valid - 1u - s;
                            h = cell(r, row, t, j, before);
                            y[(row * pc.len + t) * HID + j] = vkz_store(h);
                        } else {
                            clear(row, s, j);
                        }
                    }
                    state[to + r * QUADS + j / 4u][j % 4u] = h;
                }
            }
            from = to;
            barrier();
        }
        for (uint j = lane; j < HID; j += lanes) {
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                if (first + r < pc.batch) {
                    ht[(first + r) * HID + j] = state[from + r * QUADS + j / 4u][j % 4u];
                }
            }
        }
    }
}
