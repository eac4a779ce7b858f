// SPDX-License-Identifier: MIT
//
// The body of delta_rule_recurrent and gated_linear_attention_recurrent
//
//             columns of v
//   lane 0  | S[:, 0..COLS) |   A lane owns whole columns of the state: every sum over
//   lane 1  | S[:, COLS..)  |   the key columns is its own, nothing is reduced across
//    ...                        lanes, and the state is never in shared memory.
//
// One sweep over the state a token: it decays and writes token t, sums the outputs of t,
// and what the state knows of the key of t + 1.
//
// The elements of q, k and the gate are the same for all lanes. With SHUFFLE each lane
// reads four of them and they are handed round; else STEP tokens at a time are staged in
// shared memory.
#extension GL_EXT_control_flow_attributes : require
#ifdef SHUFFLE
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#endif

layout(local_size_x = 32, local_size_x_id = 0) in;
layout(constant_id = 1) const uint SUBGROUP = 4;
layout(constant_id = 3) const uint COLS = 1;
layout(constant_id = 4) const uint STEP = 4;

#include "linear/state_io.glsl"

layout(set = 0, STATE_BIND(3), std430) restrict writeonly buffer O { T o[]; };
layout(set = 0, STATE_BIND(3), std430) restrict writeonly buffer O4 { T4 o4[]; };
layout(set = 0, STATE_BIND(4), std430) restrict writeonly buffer St { float st[]; };
layout(set = 0, STATE_BIND(4), std430) restrict writeonly buffer St4 { vec4 st4[]; };

layout(constant_id = 5) const uint ROLL = 0;

const bool DECAYS = GATE != GATE_NONE;
const bool WIDE = VEC == 4 && COLS == 4;

float state[HEAD_DIM * COLS];
float u[COLS];     // what the token writes along its key
float known[COLS]; // Sᵀ k of the next token
float out_[COLS];

#ifdef SHUFFLE

const uint CHUNK = 4u * SUBGROUP;
const uint CHUNKS = (HEAD_DIM + CHUNK - 1u) / CHUNK;
vec4 mine_q[CHUNKS];
vec4 mine_k[CHUNKS];
vec4 mine_keep[CHUNKS];
vec4 mine_next[CHUNKS]; // key of the token after, times its gate
vec4 mine_next_k[CHUNKS];
vec4 mine_next_keep[CHUNKS];

float spread(const vec4 x, const uint i)
{
    return subgroupShuffle(x[i & 3u], i >> 2);
}

void load_next(const uint token, const uint lane)
{
    [[unroll]] for (uint n = 0; n < CHUNKS; n++) {
        mine_next_k[n] = io_k(token, n * SUBGROUP + lane);
        mine_next[n] = mine_next_k[n];
        if (GATE == GATE_VECTOR) {
            mine_next_keep[n] = io_decay(io_g(token, n * SUBGROUP + lane));
            mine_next[n] *= mine_next_keep[n];
        }
    }
}

void load_token(const uint token, const uint lane)
{
    [[unroll]] for (uint n = 0; n < CHUNKS; n++) {
        mine_q[n] = io_q(token, n * SUBGROUP + lane) * pc.tau;
        mine_k[n] = mine_next_k[n];
        mine_keep[n] = mine_next_keep[n];
    }
}

// One chunk of the sweep: rows n * CHUNK + i.
void sweep_chunk(const uint n, const float keep)
{
    [[unroll]] for (uint i = 0; i < CHUNK; i++) {
        const uint c = n * CHUNK + i;
        if (i < HEAD_DIM && c < HEAD_DIM) {
            const float kc = spread(mine_k[n], i);
            const float qc = spread(mine_q[n], i);
            const float factor = GATE == GATE_VECTOR ? spread(mine_keep[n], i) : keep;
            const float next = DELTA ? spread(mine_next[n], i) : 0.0;
            [[unroll]] for (uint j = 0; j < COLS; j++) {
                float s = state[c * COLS + j];
                s = fma(kc, u[j], DECAYS ? s * factor : s);
                state[c * COLS + j] = s;
                out_[j] = fma(qc, s, out_[j]);
                if (DELTA) {
                    known[j] = fma(next, s, known[j]);
                }
            }
        }
    }
}

// What the state knows of the next key, before any token.
void look_chunk(const uint n)
{
    [[unroll]] for (uint i = 0; i < CHUNK; i++) {
        const uint c = n * CHUNK + i;
        if (i < HEAD_DIM && c < HEAD_DIM) {
            const float next = spread(mine_next[n], i);
            [[unroll]] for (uint j = 0; j < COLS; j++) {
                known[j] = fma(next, state[c * COLS + j], known[j]);
            }
        }
    }
}

void sweep(const uint slot, const float keep)
{
    [[unroll]] for (uint n = 0; n < CHUNKS; n++) {
        sweep_chunk(n, keep);
    }
}

void look()
{
    [[unroll]] for (uint n = 0; n < CHUNKS; n++) {
        look_chunk(n);
    }
}

#else // shared memory

// Tokens of the step and the one after it, four elements each.
const uint QUADS = (HEAD_DIM + 3u) / 4u;
shared vec4 stage_q[(STEP + 1u) * QUADS];
shared vec4 stage_k[(STEP + 1u) * QUADS];
shared vec4 stage_keep[(STEP + 1u) * QUADS];

void stage(const uint first)
{
    barrier(); // what was there has been read
    for (uint i = gl_LocalInvocationID.x; i < (STEP + 1u) * QUADS;
         i += gl_WorkGroupSize.x) {
        const uint token = min(first + i / QUADS, pc.len - 1u);
        const uint c = i % QUADS;
        stage_q[i] = io_q(token, c) * pc.tau;
        stage_k[i] = io_k(token, c);
        stage_keep[i] = GATE == GATE_VECTOR ? io_decay(io_g(token, c)) : vec4(1.0);
    }
    barrier();
}

// The key whose sum `known` is, times its gate.
vec4 staged_next(const uint at)
{
    return GATE == GATE_VECTOR ? stage_k[at] * stage_keep[at] : stage_k[at];
}

void sweep(const uint slot, const float keep)
{
    [[unroll]] for (uint n = 0; n < QUADS; n++) {
        const uint at = slot * QUADS + n;
        const vec4 xk = stage_k[at];
        const vec4 xq = stage_q[at];
        const vec4 factor = GATE == GATE_VECTOR ? stage_keep[at] : vec4(keep);
        const vec4 next = DELTA ? staged_next(at + QUADS) : vec4(0.0);
        [[unroll]] for (uint i = 0; i < 4u; i++) {
            const uint c = 4u * n + i;
            if (c < HEAD_DIM) {
                [[unroll]] for (uint j = 0; j < COLS; j++) {
                    float s = state[c * COLS + j];
                    s = fma(xk[i], u[j], DECAYS ? s * factor[i] : s);
                    state[c * COLS + j] = s;
                    out_[j] = fma(xq[i], s, out_[j]);
                    if (DELTA) {
                        known[j] = fma(next[i], s, known[j]);
                    }
                }
            }
        }
    }
}

// The first token: nothing has been written yet.
void look()
{
    [[unroll]] for (uint n = 0; n < QUADS; n++) {
        const vec4 next = staged_next(n);
        [[unroll]] for (uint i = 0; i < 4u; i++) {
            const uint c = 4u * n + i;
            if (c < HEAD_DIM) {
                [[unroll]] for (uint j = 0; j < COLS; j++) {
                    known[j] = fma(next[i], state[c * COLS + j], known[j]);
                }
            }
        }
    }
}

#endif

void load_row(const uint c, const uint column)
{
    if (WIDE) {
        const vec4 x = io_s0(c, column / 4u);
        [[unroll]] for (uint j = 0; j < COLS; j++) {
            state[c * COLS + j] = x[j & 3u];
        }
    } else {
        [[unroll]] for (uint j = 0; j < COLS; j++) {
            state[c * COLS + j] = io_s01(c, column + j);
        }
    }
}

void store_row(const uint c, const uint column)
{
    const uint at = (io_head * HEAD_DIM + c) * V_DIM + column;
    if (WIDE) {
        if (column < V_DIM) {
            st4[at / 4u] = vec4(state[c * COLS], state[c * COLS + 1u % COLS],
                                state[c * COLS + 2u % COLS], state[c * COLS + 3u % COLS]);
        }
    } else {
        [[unroll]] for (uint j = 0; j < COLS; j++) {
            if (column + j < V_DIM) {
                st[at + j] = state[c * COLS + j];
            }
        }
    }
}

void main()
{
    io_begin(gl_WorkGroupID.y, gl_WorkGroupID.z);
    const uint column = (gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x) *
                        COLS;
#ifdef SHUFFLE
    const uint lane = gl_SubgroupInvocationID % SUBGROUP;
    load_next(0, lane);
#else
    stage(0);
#endif
    [[unroll]] for (uint j = 0; j < COLS; j++) {
        known[j] = 0.0;
    }
    if (INIT != 0) {
        STATE_ROWS(c, HEAD_DIM, load_row(c, column);)
        if (DELTA) {
            look();
        }
    } else {
        [[unroll]] for (uint c = 0; c < HEAD_DIM * COLS; c++) {
            state[c] = 0.0;
        }
    }

    float next_keep = GATE == GATE_SCALAR ? io_decay(io_g1(0)) : 1.0;
    for (uint t = 0; t < pc.len; t++) {
        const uint after = min(t + 1u, pc.len - 1u);
        const float keep = next_keep;
#ifdef SHUFFLE
        const uint slot = 0;
        load_token(t, lane);
        load_next(after, lane);
#else
        const uint slot = t % STEP;
        if (slot == 0u && t > 0u) {
            stage(t);
        }
#endif
        const float b = io_beta(t);
        vec4 x = vec4(0.0);
        if (WIDE) {
            x = io_v(t, column / 4u);
        }
        [[unroll]] for (uint j = 0; j < COLS; j++) {
            const float y = WIDE ? x[j & 3u] : io_v1(t, column + j);
            u[j] = DELTA ? b * (y - (GATE == GATE_SCALAR ? keep * known[j] : known[j])) : y;
            known[j] = 0.0;
            out_[j] = 0.0;
        }
        if (GATE == GATE_SCALAR) {
            next_keep = io_decay(io_g1(after));
        }
        sweep(slot, keep);
        const uint at = (io_v_row + t) * V_DIM + column;
        if (WIDE) {
            if (column < V_DIM) {
                o4[at / 4u] = vkz_store4(vec4(out_[0], out_[1u % COLS], out_[2u % COLS],
                                              out_[3u % COLS]));
            }
        } else {
            [[unroll]] for (uint j = 0; j < COLS; j++) {
                if (column + j < V_DIM) {
                    o[at + j] = vkz_store(out_[j]);
                }
            }
        }
    }
    if (FINAL != 0) {
        STATE_ROWS(c, HEAD_DIM, store_row(c, column);)
    }
}
