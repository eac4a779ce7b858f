// SPDX-License-Identifier: MIT
//
// The body of lstm_resident and lstm_lane; their front matter is the includer's
//
// With LSTM_SHUFFLE defined, and a constant SUBGROUP (a multiple of 4, a power of two, at
// most the subgroup's size), the lanes hand elements of the states round.
#extension GL_EXT_control_flow_attributes : require
#ifdef LSTM_SHUFFLE
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#endif

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
const uint PITCH = 4u * QUADS; // elements of a state, zeros past its end

shared float state[2u * ROWS * PITCH];

float acc[GATES * ROWS]; // h Wh^T of one unit

// Sums for unit j of all gates and sequences, from the states at `from`. All lanes call
// this together.
void products(const uint j, const uint from)
{
    float sum[GATES * ROWS]; // only ever indexed by constants: stays in registers
    [[unroll]] for (uint i = 0; i < GATES * ROWS; i++) {
        sum[i] = 0.0;
    }
#ifdef LSTM_SHUFFLE
    // A lane reads one of SUBGROUP elements of each state; the lanes hand them round.
    const uint own = gl_SubgroupInvocationID % SUBGROUP;
    [[dont_unroll]] for (uint q0 = 0; q0 < QUADS; q0 += SUBGROUP / 4u) {
        float h[ROWS];
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            const uint k = min(4u * q0 + own, 4u * QUADS - 1u);
            h[r] = state[from + r * PITCH + k];
        }
        [[unroll]] for (uint i = 0; i < SUBGROUP / 4u; i++) {
            if (QUADS % (SUBGROUP / 4u) == 0u || q0 + i < QUADS) {
                vec4 w[GATES];
                [[unroll]] for (uint g = 0; g < GATES; g++) {
                    w[g] = load_wh((g * HID + j) * HID, q0 + i);
                }
                [[unroll]] for (uint e = 0; e < 4u; e++) {
                    [[unroll]] for (uint r = 0; r < ROWS; r++) {
                        const float x = subgroupShuffle(h[r], 4u * i + e);
                        [[unroll]] for (uint g = 0; g < GATES; g++) {
                            sum[g * ROWS + r] = fma(w[g][e], x, sum[g * ROWS + r]);
                        }
                    }
                }
            }
        }
    }
#else
    [[dont_unroll]] for (uint q = 0; q < QUADS; q++) {
        vec4 w[GATES];
        [[unroll]] for (uint g = 0; g < GATES; g++) {
            w[g] = load_wh((g * HID + j) * HID, q);
        }
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            [[unroll]] for (uint e = 0; e < 4u; e++) {
                const float x = state[from + r * PITCH + 4u * q + e];
                [[unroll]] for (uint g = 0; g < GATES; g++) {
                    sum[g * ROWS + r] = fma(w[g][e], x, sum[g * ROWS + r]);
                }
            }
        }
    }
#endif
    [[unroll]] for (uint i = 0; i < GATES * ROWS; i++) {
        acc[i] = sum[i];
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

// Unit j of all sequences at step s.
void advance(const uint first, const uint s, const uint j, const uint from, const uint to)
{
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        const uint row = first + r;
        const float before = state[from + r * PITCH + j];
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
        state[to + r * PITCH + j] = h;
    }
}

void main()
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint lane = gl_LocalInvocationID.x;
    for (uint first = gl_WorkGroupID.x * ROWS; first < pc.batch;
         first += gl_NumWorkGroups.x * ROWS) {
        barrier(); // the last sequences' states may still be read
        for (uint i = lane; i < 2u * ROWS * PITCH; i += lanes) {
            const uint row = min(first + i / PITCH % ROWS, pc.batch - 1u);
            state[i] = state_element(row, i % PITCH);
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
            const uint to = ROWS * PITCH - from;
            for (uint j0 = 0; j0 < HID; j0 += lanes) {
                const uint j = j0 + lane;
                products(min(j, HID - 1u), from);
                if (j < HID) {
                    advance(first, s, j, from, to);
                }
            }
            from = to;
            barrier();
        }
        for (uint j = lane; j < HID; j += lanes) {
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                if (first + r < pc.batch) {
                    ht[(first + r) * HID + j] = state[from + r * PITCH + j];
                }
            }
        }
    }
}
