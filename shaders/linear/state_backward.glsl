// SPDX-License-Identifier: MIT
//
// The passes of delta_rule_backward_recurrent and gated_linear_attention_backward_recurrent
//
// Four walks over the tokens, each with a state in registers; two own columns of v, two
// rows of the state, so that every sum of a walk is a lane's own:
//
//   pass     walk      lane owns  state  gives
//   known    forward   columns    S      e = v - Sdᵀ k                        (delta only)
//   values   backward  columns    dS     w = dSᵀ k;  dv = beta w;  ds0
//   queries  forward   rows       S      dq = tau S do;  d2 = -beta Sd w;  states by SPAN
//   keys     backward  rows       dS     dk = beta dS e + d2;  dg
//   finish                               sums over heads that share q and k, dbeta, dg
//
// with S <- Sd + k ⊗ beta e and dS <- e^g (dS + tau q ⊗ do - k ⊗ beta w). Nothing of size
// len head_dim v_dim is kept. dg is the sum of q dq - k dk1 + k d2 over the tokens from t
// to the end of its span, and rowsum(S ∘ dS) there: no sum runs over more than a span.
//
// What all lanes of a walk read of a token is handed round (SHUFFLE), or staged in shared
// memory, STEP tokens at a time.
#extension GL_EXT_control_flow_attributes : require
#ifdef SHUFFLE
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#endif

layout(local_size_x = 32, local_size_x_id = 0) in;
layout(constant_id = 1) const uint SUBGROUP = 4;
layout(constant_id = 3) const uint COLS = 1;
layout(constant_id = 4) const uint STEP = 4;
layout(constant_id = 5) const uint ROLL = 0;
layout(constant_id = 6) const uint SPAN = 8;

#include "linear/state_io.glsl"

#if STATE_DELTA
#define BACK_SCRATCH 14
#else
#define BACK_SCRATCH 12
#endif
#define BACK_BIND(n) binding = BACK_SCRATCH + n

layout(set = 0, STATE_BIND(3), std430) restrict readonly buffer Go { T do_[]; };
layout(set = 0, STATE_BIND(3), std430) restrict readonly buffer Go4 { W4 do4[]; };
layout(set = 0, STATE_BIND(4), std430) restrict readonly buffer Dst { float dst[]; };

#if defined(PASS_KNOWN)
#define BACK_COLUMNS
#define BACK_KINDS 3
#elif defined(PASS_VALUES)
#define BACK_COLUMNS
#define BACK_REVERSE
#define BACK_KINDS 4
#elif defined(PASS_QUERIES)
#define BACK_KINDS (2 + STATE_DELTA)
#elif defined(PASS_KEYS)
#define BACK_REVERSE
#define BACK_KINDS (2 + STATE_DELTA)
#endif

#ifdef PASS_KNOWN
#define BACK_E writeonly
#else
#define BACK_E readonly
#endif
#ifdef PASS_VALUES
#define BACK_W writeonly
#else
#define BACK_W readonly
#endif
#ifdef PASS_QUERIES
#define BACK_Q writeonly
#else
#define BACK_Q readonly
#endif

#if STATE_DELTA
#ifdef PASS_VALUES
layout(set = 0, binding = 10, std430) restrict writeonly buffer Dv { T dv_[]; };
layout(set = 0, binding = 13, std430) restrict writeonly buffer Ds0 { float ds0[]; };
#endif
#ifdef PASS_FINISH
layout(set = 0, binding = 8, std430) restrict writeonly buffer Dq { T dq[]; };
layout(set = 0, binding = 9, std430) restrict writeonly buffer Dk { T dk[]; };
layout(set = 0, binding = 11, std430) restrict writeonly buffer Dbeta { float dbeta[]; };
layout(set = 0, binding = 12, std430) restrict writeonly buffer Dg { float dg[]; };
#endif
layout(set = 0, BACK_BIND(0), std430) restrict BACK_E buffer E { float e[]; };
layout(set = 0, BACK_BIND(1), std430) restrict BACK_W buffer W { float w[]; };
layout(set = 0, BACK_BIND(2), std430) restrict BACK_Q buffer Dqh { float dqh[]; };
layout(set = 0, BACK_BIND(3), std430) restrict buffer Dkh { float dkh[]; };
layout(set = 0, BACK_BIND(4), std430) restrict buffer Dgh { float dgh[]; };
layout(set = 0, BACK_BIND(5), std430) restrict buffer Ends { float ends[]; };
#else
#ifdef PASS_VALUES
layout(set = 0, binding = 9, std430) restrict writeonly buffer Dv { T dv_[]; };
layout(set = 0, binding = 11, std430) restrict writeonly buffer Ds0 { float ds0[]; };
#endif
#ifdef PASS_QUERIES
layout(set = 0, binding = 7, std430) restrict writeonly buffer Dq { T dq[]; };
#endif
#ifdef PASS_KEYS
layout(set = 0, binding = 8, std430) restrict writeonly buffer Dk { T dk[]; };
layout(set = 0, binding = 10, std430) restrict writeonly buffer Dg { float dg[]; };
#endif
layout(set = 0, BACK_BIND(0), std430) restrict BACK_Q buffer Dqh { float dqh[]; };
layout(set = 0, BACK_BIND(1), std430) restrict buffer Ends { float ends[]; };
#endif

const bool DECAYS = GATE != GATE_NONE;

#ifndef PASS_FINISH

// The lane owns COLS of OWN columns; SHARED rows of the state are summed over.
#ifdef BACK_COLUMNS
#define OWN V_DIM
#define SHARED_ROWS HEAD_DIM
const bool WALK_ALL = false; // kind 1 is the gate
#else
#define OWN HEAD_DIM
#define SHARED_ROWS V_DIM
const bool WALK_ALL = true;
#endif

vec4 io_go(const uint token, const uint c)
{
    IO_LOAD4(do_, do4, vkz_load_w4, vkz_load, io_v_row + token, V_DIM, c);
}

#if STATE_DELTA && !defined(BACK_COLUMNS)
vec4 io_e(const uint token, const uint c)
{
    vec4 x;
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        const uint j = 4u * c + i;
        const float y = e[(io_v_row + token) * V_DIM + min(j, V_DIM - 1u)];
        x[i] = j < V_DIM ? y : 0.0;
    }
    return x;
}

vec4 io_w(const uint token, const uint c)
{
    vec4 x;
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        const uint j = 4u * c + i;
        const float y = w[(io_v_row + token) * V_DIM + min(j, V_DIM - 1u)];
        x[i] = j < V_DIM ? y : 0.0;
    }
    return x;
}
#endif

vec4 io_keep(const uint token, const uint c)
{
    return GATE == GATE_VECTOR ? io_decay(io_g(token, c)) : vec4(1.0);
}

// Walks that own columns take one step more than there are tokens: step i moves the state
// over token i - 1 of the walk and looks at token i. Before the first and after the last
// there is nothing: rows of zeros and no decay.
uint walk_token(const uint i)
{
#ifdef BACK_REVERSE
    return pc.len - 1u - i;
#else
    return i;
#endif
}

vec4 walk_row(const uint kind, const uint step, const uint c)
{
#ifdef BACK_COLUMNS
    const bool first = step == 0u;
    const bool last = step == pc.len;
    const uint now = walk_token(first ? 0u : step - 1u);
    const uint next = walk_token(last ? pc.len - 1u : step);
    if (kind == 0u) {
        return first ? vec4(0.0) : io_k(now, c);
    }
    if (kind == 1u) {
        return first ? vec4(1.0) : io_keep(now, c);
    }
    if (kind == 2u) {
        const vec4 k = last ? vec4(0.0) : io_k(next, c);
#ifdef BACK_REVERSE
        return k;
#else
        return k * io_keep(next, c);
#endif
    }
    return last ? vec4(0.0) : io_q(next, c) * pc.tau;
#else
    const uint token = walk_token(step);
    if (kind == 0u) {
        return io_go(token, c) * pc.tau;
    }
#if STATE_DELTA
    return kind == 1u ? io_e(token, c) : io_w(token, c);
#else
    return io_v(token, c);
#endif
#endif
}

float state[SHARED_ROWS * COLS];

#ifdef SHUFFLE

const uint CHUNK = 4u * SUBGROUP;
const uint CHUNKS = (SHARED_ROWS + CHUNK - 1u) / CHUNK;
vec4 walk_mine[BACK_KINDS * CHUNKS];

void walk_load(const uint step)
{
    const uint lane = gl_SubgroupInvocationID % SUBGROUP;
    [[unroll]] for (uint kind = 0; kind < BACK_KINDS; kind++) {
        if (kind != 1u || WALK_ALL || GATE == GATE_VECTOR) {
            [[unroll]] for (uint n = 0; n < CHUNKS; n++) {
                walk_mine[kind * CHUNKS + n] =
                    walk_row(kind, step, n * SUBGROUP + lane);
            }
        }
    }
}

float walk_element(const uint kind, const uint step, const uint c)
{
    return subgroupShuffle(walk_mine[kind * CHUNKS + c / CHUNK][c & 3u],
                           c % CHUNK >> 2);
}

#else

const uint QUADS = (SHARED_ROWS + 3u) / 4u;
shared vec4 stage[STEP * BACK_KINDS * QUADS];

void walk_load(const uint step)
{
    if (step % STEP != 0u) {
        return;
    }
    barrier(); // what was there has been read
    for (uint i = gl_LocalInvocationID.x; i < STEP * QUADS; i += gl_WorkGroupSize.x) {
#ifdef BACK_COLUMNS
        const uint at = min(step + i / QUADS, pc.len);
#else
        const uint at = min(step + i / QUADS, pc.len - 1u);
#endif
        const uint c = i % QUADS;
        [[unroll]] for (uint kind = 0; kind < BACK_KINDS; kind++) {
            stage[(i / QUADS * BACK_KINDS + kind) * QUADS + c] = walk_row(kind, at, c);
        }
    }
    barrier();
}

float walk_element(const uint kind, const uint step, const uint c)
{
    return stage[(step % STEP * BACK_KINDS + kind) * QUADS + c / 4u][c & 3u];
}

#endif

// Element `column` of row c of a state [head_dim, v_dim], turned as the walk has it.
uint state_at(const uint c, const uint column)
{
#ifdef BACK_COLUMNS
    return (io_head * HEAD_DIM + c) * V_DIM + column;
#else
    return (io_head * HEAD_DIM + column) * V_DIM + c;
#endif
}

void walk_begin_row(const uint c, const uint column)
{
    [[unroll]] for (uint j = 0; j < COLS; j++) {
        const uint at = state_at(c, min(column + j, OWN - 1u));
        float x = 0.0;
#ifdef BACK_REVERSE
        if (FINAL != 0) {
            x = dst[at];
        }
#else
        if (INIT != 0) {
            x = s0[at];
        }
#endif
        state[c * COLS + j] = x;
    }
}

void walk_begin(const uint column)
{
    STATE_ROWS(c, SHARED_ROWS, walk_begin_row(c, column);)
}

#ifdef BACK_COLUMNS

#ifdef PASS_VALUES
void walk_end_row(const uint c, const uint column)
{
    [[unroll]] for (uint j = 0; j < COLS; j++) {
        if (column + j < V_DIM) {
            ds0[state_at(c, column + j)] = state[c * COLS + j];
        }
    }
}
#endif

void main()
{
    io_begin(gl_WorkGroupID.y, gl_WorkGroupID.z);
    const uint column = (gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x) *
                        COLS;
    walk_begin(column);
    float take[COLS]; // known: beta e of the token before; values: -beta w of it
    [[unroll]] for (uint j = 0; j < COLS; j++) {
        take[j] = 0.0;
    }
    float keep = 1.0;
    for (uint i = 0; i <= pc.len; i++) {
        const bool last = i == pc.len;
        const uint token = walk_token(min(i, pc.len - 1u));
        walk_load(i);
        float sum[COLS];
        float own[COLS];
        [[unroll]] for (uint j = 0; j < COLS; j++) {
            sum[j] = 0.0;
#ifdef PASS_KNOWN
            own[j] = io_v1(token, column + j);
#else
            const uint at = (io_v_row + token) * V_DIM + min(column + j, V_DIM - 1u);
            own[j] = vkz_load(do_[at]);
#endif
        }
        [[unroll]] for (uint c = 0; c < SHARED_ROWS; c++) {
            const float k = DELTA ? walk_element(0u, i, c) : 0.0;
            const float factor = GATE == GATE_VECTOR ? walk_element(1u, i, c) : keep;
            const float next = walk_element(2u, i, c);
#ifdef PASS_VALUES
            const float q = walk_element(3u, i, c);
#endif
            [[unroll]] for (uint j = 0; j < COLS; j++) {
                float s = state[c * COLS + j];
#ifdef PASS_KNOWN
                s = fma(k, take[j], DECAYS ? s * factor : s);
#else
                s = DELTA ? fma(k, take[j], s) : s;
                s = fma(q, own[j], DECAYS ? s * factor : s);
#endif
                state[c * COLS + j] = s;
                sum[j] = fma(next, s, sum[j]);
            }
        }
        const float b = io_beta(token);
        const float gate = GATE == GATE_SCALAR ? io_decay(io_g1(token)) : 1.0;
        [[unroll]] for (uint j = 0; j < COLS; j++) {
            const uint at = (io_v_row + token) * V_DIM + column + j;
#ifdef PASS_KNOWN
            const float x = own[j] - gate * sum[j];
            take[j] = b * x;
            if (!last && column + j < V_DIM) {
                e[at] = x;
            }
#else
            take[j] = -b * sum[j];
            if (!last && column + j < V_DIM) {
                dv_[at] = vkz_store(b * sum[j]);
#if STATE_DELTA
                w[at] = sum[j];
#endif
            }
#endif
        }
        keep = gate;
    }
#ifdef PASS_VALUES
    if (INIT != 0) {
        STATE_ROWS(c, SHARED_ROWS, walk_end_row(c, column);)
    }
#endif
}

#else // rows

// Where the state at the end of the span of `token` is kept, a row of this walk.
uint ends_at(const uint token, const uint c)
{
    const uint spans = (pc.len + SPAN - 1u) / SPAN;
    return ((io_head * spans + token / SPAN) * V_DIM + c) * HEAD_DIM;
}

#ifdef PASS_QUERIES
void keep_end(const uint token, const uint c, const uint column)
{
    [[unroll]] for (uint j = 0; j < COLS; j++) {
        if (column + j < HEAD_DIM) {
            ends[ends_at(token, c) + column + j] = state[c * COLS + j];
        }
    }
}
#else
float gradient[COLS]; // of the log decay, so far

void meet_end(const uint token, const uint c, const uint column)
{
    [[unroll]] for (uint j = 0; j < COLS; j++) {
        const uint own = min(column + j, HEAD_DIM - 1u);
        gradient[j] = fma(ends[ends_at(token, c) + own], state[c * COLS + j], gradient[j]);
    }
}
#endif

void main()
{
    io_begin(gl_WorkGroupID.y, gl_WorkGroupID.z);
    const uint column = (gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x) *
                        COLS;
    walk_begin(column);
    for (uint i = 0; i < pc.len; i++) {
        const uint token = walk_token(i);
        const bool end = token % SPAN == SPAN - 1u || token == pc.len - 1u;
        walk_load(i);
#ifdef PASS_KEYS
        if (DECAYS && end) {
            [[unroll]] for (uint j = 0; j < COLS; j++) {
                gradient[j] = 0.0;
            }
            STATE_ROWS(c, SHARED_ROWS, meet_end(token, c, column);)
        }
#endif
        const float b = io_beta(token);
        float keep[COLS];
        float q_own[COLS];
        float k_own[COLS];
        float sum[COLS];
        float sum2[COLS];
        [[unroll]] for (uint j = 0; j < COLS; j++) {
            const uint own = min(column + j, HEAD_DIM - 1u);
            q_own[j] = vkz_load(q[(io_k_row + token) * HEAD_DIM + own]);
            k_own[j] = vkz_load(k[(io_k_row + token) * HEAD_DIM + own]);
            keep[j] = 1.0;
            if (GATE == GATE_VECTOR) {
                keep[j] = io_decay(g[(io_v_row + token) * HEAD_DIM + own]);
            } else if (GATE == GATE_SCALAR) {
                keep[j] = io_decay(io_g1(token));
            }
            sum[j] = 0.0;
            sum2[j] = 0.0;
        }
        [[unroll]] for (uint c = 0; c < SHARED_ROWS; c++) {
            const float go = walk_element(0u, i, c);
            const float wrote = walk_element(1u, i, c);
#if STATE_DELTA
            const float took = walk_element(2u, i, c);
#else
            const float took = 0.0;
#endif
            [[unroll]] for (uint j = 0; j < COLS; j++) {
                float s = state[c * COLS + j];
#ifdef PASS_QUERIES
                s = DECAYS ? s * keep[j] : s;
                sum2[j] = DELTA ? fma(took, s, sum2[j]) : 0.0;
                s = fma(wrote, b * k_own[j], s);
                sum[j] = fma(go, s, sum[j]);
#else
                s = fma(go, q_own[j], s);
                sum[j] = fma(wrote, s, sum[j]);
                s = DELTA ? fma(took, -b * k_own[j], s) : s;
                s = DECAYS ? s * keep[j] : s;
#endif
                state[c * COLS + j] = s;
            }
        }
        [[unroll]] for (uint j = 0; j < COLS; j++) {
            const uint own = min(column + j, HEAD_DIM - 1u);
            const uint at = (io_v_row + token) * HEAD_DIM + own;
            const bool mine = column + j < HEAD_DIM;
#ifdef PASS_QUERIES
            if (mine) {
                dqh[at] = sum[j];
#if STATE_DELTA
                dkh[at] = -b * sum2[j];
#else
                dq[at] = vkz_store(sum[j]);
#endif
            }
#else
            const float written = b * sum[j];
#if STATE_DELTA
            const float read = dkh[at];
#else
            const float read = 0.0;
#endif
            if (DECAYS) {
                // What the sum would give is e^g times something; below the rounding of
                // the sum itself 0 is nearer.
                gradient[j] += fma(q_own[j], dqh[at], k_own[j] * (read - written));
                gradient[j] = keep[j] < 1.0e-7 ? 0.0 : gradient[j];
            }
            if (mine) {
#if STATE_DELTA
                dkh[at] = written + read;
                if (DECAYS) {
                    dgh[at] = gradient[j];
                }
#else
                dk[at] = vkz_store(written);
                dg[at] = gradient[j];
#endif
            }
#endif
        }
#ifdef PASS_QUERIES
        if (DECAYS && end) {
            STATE_ROWS(c, SHARED_ROWS, keep_end(token, c, column);)
        }
#endif
    }
}

#endif // rows

#else // PASS_FINISH, delta only

void main()
{
    // A token of one head of q and k for a lane.
    const uint group = pc.heads / pc.kv_heads;
    const uint token = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    const uint kv_head = gl_WorkGroupID.y;
    const uint batch = gl_WorkGroupID.z;
    if (token >= pc.len) {
        return;
    }
    const uint row = (batch * pc.kv_heads + kv_head) * pc.len + token;
    const uint first = (batch * pc.heads + kv_head * group) * pc.len + token;
    for (uint c = 0; c < HEAD_DIM; c++) {
        float sum_q = 0.0;
        float sum_k = 0.0;
        for (uint x = 0; x < group; x++) {
            const uint at = (first + x * pc.len) * HEAD_DIM + c;
            sum_q += dqh[at];
            sum_k += dkh[at];
            if (GATE == GATE_VECTOR) {
                dg[at] = dgh[at];
            }
        }
        dq[row * HEAD_DIM + c] = vkz_store(sum_q);
        dk[row * HEAD_DIM + c] = vkz_store(sum_k);
    }
    for (uint x = 0; x < group; x++) {
        const uint at = first + x * pc.len;
        float sum = 0.0;
        for (uint c = 0; c < V_DIM; c++) {
            sum = fma(e[at * V_DIM + c], w[at * V_DIM + c], sum);
        }
        dbeta[at] = sum;
        if (GATE == GATE_SCALAR) {
            float total = 0.0;
            for (uint c = 0; c < HEAD_DIM; c++) {
                total += dgh[at * HEAD_DIM + c];
            }
            dg[at] = total;
        }
    }
}

#endif
