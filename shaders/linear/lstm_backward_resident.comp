// SPDX-License-Identifier: MIT
//
// Gradients of lstm: a workgroup walks a sequence backwards, then one product for Wh
//
//   walk      per token, the last first: da from dh, dc and the cache;  dh = da Wh + dy
//   weights   dWh = sum over all tokens of da^T h_before, and dbh = sum of da
//
// Backpropagation through time, Werbos 1990.
//
// Why this one: two barriers a token and none between workgroups. Wh is read along its
// rows: neighbouring lanes have neighbouring columns. What the product for Wh needs waits
// in scratch memory, so that it is one pass over all tokens, in a fixed order.
//
//! kernel   lstm_backward_resident
//! op       lstm_backward/1
//! tier     T0
//! bind     0 cache in  f32[batch, len, KEPT * hid]
//! bind     1 wh    in  T[GATES * hid, hid]
//! bind     2 h0    in  f32[batch, hid]
//! bind     3 c0    in  f32[batch, hid]  when CELL == CELL.lstm
//! bind     4 lens  in  i32[batch]  when LENS == LENS.on
//! bind     5 dy    in  T[batch, len, hid]
//! bind     6 dht   in  f32[batch, hid]
//! bind     7 dct   in  f32[batch, hid]  when CELL == CELL.lstm
//! bind     8 dgx   out T[batch, len, GATES * hid]
//! bind     9 dwh   out T[GATES * hid, hid]
//! bind     10 dbh  out f32[GATES * hid]  when CELL == CELL.gru
//! bind     11 dh0  out f32[batch, hid]
//! bind     12 dc0  out f32[batch, hid]  when CELL == CELL.lstm
//! scratch  13 da   f32[batch, len, GATES * hid]
//! scratch  14 before f32[batch, len, hid]
//! when     hid <= 800 && CACHE == CACHE.on : keeps the gates of a token in shared memory
//! push     batch:u32 len:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : (hid <= 128 ? 32 : 128)
//! spec     4 VEC u32 1 = hid % 4 == 0 ? 4 : 1   // elements a load
//! spec     16 CELL u32 0
//! spec     17 DIR u32 0
//! spec     18 LENS u32 0
//! spec     32 HID u32 32 = hid
//! let      GATES CELL == CELL.lstm ? 4 : CELL == CELL.gru ? 3 : 1
//! let      KEPT CELL == CELL.tanh ? 1 : 5
//! let      quads ceildiv(hid,4)
//! shared   16 * ((CELL == 0 ? 4 : CELL == 1 ? 3 : 1) + 1) * ceildiv(HID,4)
//! pass     walk     groups min(batch,65535)
//! pass     weights  groups ceildiv(quads,WG_SIZE) ceildiv(GATES*hid,4)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 4) const uint VEC = 1;

#define LSTM_BACKWARD
#include "linear/lstm.glsl"

layout(set = 0, binding = 0, std430) restrict readonly buffer Cache { float cache[]; };
layout(set = 0, binding = 5, std430) restrict readonly buffer Dy { T dy[]; };
layout(set = 0, binding = 6, std430) restrict readonly buffer Dht { float dht[]; };
layout(set = 0, binding = 7, std430) restrict readonly buffer Dct { float dct[]; };
layout(set = 0, binding = 8, std430) restrict writeonly buffer Dgx { T dgx[]; };
layout(set = 0, binding = 9, std430) restrict writeonly buffer Dwh { T dwh[]; };
layout(set = 0, binding = 10, std430) restrict writeonly buffer Dbh { float dbh[]; };
layout(set = 0, binding = 11, std430) restrict writeonly buffer Dh0 { float dh0[]; };
layout(set = 0, binding = 12, std430) restrict buffer Dc0 { float dc0[]; };
layout(set = 0, binding = 13, std430) restrict buffer Da { float da[]; };
layout(set = 0, binding = 14, std430) restrict buffer Before { float before[]; };

const uint QUADS = (HID + 3u) / 4u;

#ifdef PASS_WALK

shared float gate[GATES * 4u * QUADS]; // da of the token
shared float dh[4u * QUADS];

uint token(const uint valid, const uint s)
{
    return DIR == 0 ? s : valid - 1u - s;
}

float cached(const uint row, const uint t, const uint what, const uint j)
{
    return cache[((row * pc.len + t) * KEPT + what) * HID + j];
}

// h and, for lstm, c before step s.
vec2 state_before(const uint row, const uint valid, const uint s, const uint j)
{
    if (s == 0u) {
        return vec2(h0[row * HID + j], CELL == CELL_LSTM ? c0[row * HID + j] : 0.0);
    }
    const uint t = token(valid, s - 1u);
    if (CELL == CELL_LSTM) {
        const float c = cached(row, t, 4u, j);
        return vec2(cached(row, t, 3u, j) * vkz_tanh(c), c);
    }
    return vec2(cached(row, t, CELL == CELL_GRU ? 4u : 0u, j), 0.0);
}

void store_gate(const uint at, const uint g, const uint j, const float own, const float x)
{
    gate[g * HID + j] = own;
    da[(at * GATES + g) * HID + j] = own;
    dgx[(at * GATES + g) * HID + j] = vkz_store(x);
}

// Unit j of step s: da, and what of dh and dc does not go through the product.
void cell(const uint row, const uint valid, const uint s, const uint j)
{
    const uint t = token(valid, s);
    const uint at = row * pc.len + t;
    const vec2 last = state_before(row, valid, s, j);
    const float d = dh[j] + vkz_load(dy[at * HID + j]);
    before[at * HID + j] = last.x;
    float rest = 0.0;
    if (CELL == CELL_LSTM) {
        const float i = cached(row, t, 0u, j);
        const float f = cached(row, t, 1u, j);
        const float g = cached(row, t, 2u, j);
        const float o = cached(row, t, 3u, j);
        const float y = vkz_tanh(cached(row, t, 4u, j));
        const float dc = fma(d * o, fma(-y, y, 1.0), dc0[row * HID + j]);
        const vec4 x = vec4(dc * g * i * (1.0 - i), dc * last.y * f * (1.0 - f),
                            dc * i * fma(-g, g, 1.0), d * y * o * (1.0 - o));
        [[unroll]] for (uint k = 0; k < 4u; k++) {
            store_gate(at, k, j, x[k], x[k]);
        }
        dc0[row * HID + j] = dc * f;
    } else if (CELL == CELL_GRU) {
        const float r = cached(row, t, 0u, j);
        const float z = cached(row, t, 1u, j);
        const float n = cached(row, t, 2u, j);
        const float dn = d * (1.0 - z) * fma(-n, n, 1.0);
        const float dr = dn * cached(row, t, 3u, j) * r * (1.0 - r);
        const float dz = d * (last.x - n) * z * (1.0 - z);
        store_gate(at, 0u, j, dr, dr);
        store_gate(at, 1u, j, dz, dz);
        store_gate(at, 2u, j, dn * r, dn);
        rest = d * z;
    } else {
        const float h = cached(row, t, 0u, j);
        const float x = d * fma(-h, h, 1.0);
        store_gate(at, 0u, j, x, x);
    }
    dh[j] = rest;
}

void clear(const uint row, const uint t, const uint j)
{
    const uint at = row * pc.len + t;
    before[at * HID + j] = 0.0;
    [[unroll]] for (uint g = 0; g < GATES; g++) {
        da[(at * GATES + g) * HID + j] = 0.0;
        dgx[(at * GATES + g) * HID + j] = vkz_store(0.0);
    }
}

void main()
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint lane = gl_LocalInvocationID.x;
    for (uint row = gl_WorkGroupID.x; row < pc.batch; row += gl_NumWorkGroups.x) {
        const uint valid = valid_tokens(row);
        barrier();
        for (uint j = lane; j < HID; j += lanes) {
            dh[j] = dht[row * HID + j];
            if (CELL == CELL_LSTM) {
                dc0[row * HID + j] = dct[row * HID + j];
            }
            for (uint t = valid; t < pc.len; t++) {
                clear(row, t, j);
            }
        }
        barrier();
        for (uint s = valid; s-- > 0u;) {
            for (uint j = lane; j < HID; j += lanes) {
                cell(row, valid, s, j);
            }
            barrier();
            for (uint q = lane; q < QUADS; q += lanes) {
                vec4 sum = vec4(0.0);
                [[dont_unroll]] for (uint i = 0; i < GATES * HID; i++) {
                    sum = fma(vec4(gate[i]), load_wh(i * HID, q), sum);
                }
                [[unroll]] for (uint k = 0; k < 4u; k++) {
                    dh[4u * q + k] += sum[k];
                }
            }
            barrier();
        }
        for (uint j = lane; j < HID; j += lanes) {
            dh0[row * HID + j] = dh[j];
        }
    }
}

#else // PASS_WEIGHTS

void main()
{
    const uint q = gl_GlobalInvocationID.x;
    const uint first = 4u * gl_WorkGroupID.y;
    if (q >= QUADS) {
        return;
    }
    vec4 sum[4];
    vec4 bias = vec4(0.0);
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        sum[i] = vec4(0.0);
    }
    for (uint token = 0; token < pc.batch * pc.len; token++) {
        vec4 h = vec4(0.0);
        [[unroll]] for (uint k = 0; k < 4u; k++) {
            if (4u * q + k < HID) {
                h[k] = before[token * HID + 4u * q + k];
            }
        }
        vec4 x;
        [[unroll]] for (uint i = 0; i < 4u; i++) {
            const uint row = min(first + i, GATES * HID - 1u);
            x[i] = da[token * GATES * HID + row];
            sum[i] = fma(vec4(x[i]), h, sum[i]);
        }
        bias += x;
    }
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        if (first + i < GATES * HID) {
            [[unroll]] for (uint k = 0; k < 4u; k++) {
                if (4u * q + k < HID) {
                    dwh[(first + i) * HID + 4u * q + k] = vkz_store(sum[i][k]);
                }
            }
            if (CELL == CELL_GRU && q == 0u) {
                dbh[first + i] = bias[i];
            }
        }
    }
}

#endif
