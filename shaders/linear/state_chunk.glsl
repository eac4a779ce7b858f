// SPDX-License-Identifier: MIT
//
// The passes of delta_rule_chunk and gated_linear_attention_chunk
//
//   inside   a workgroup a chunk of CHUNK tokens, all chunks at once:
//            A = tau tril(Q Kᵀ ∘ Γ);  L = tril(beta K Kᵀ ∘ Γ, -1);  X = (I + L)⁻¹ by rows;
//            W = X beta (K ∘ e^G);  U = X beta V;  Kd = K ∘ e^(G_C - G);  Qe = tau Q ∘ e^G
//   states   a workgroup SLICE columns of v of a head, walks the chunks:
//            V* = U - W S;  S <- e^G_C S + Kdᵀ V*;  keeps the S that enters each chunk
//   outputs  a workgroup a chunk and 64 columns: O = Qe S + A V*
//
// Without the delta rule U is V, and there is neither L nor W. G are sums of log decays
// from the chunk's first token; Γ_ij = e^(G_i - G_j) for i >= j. A difference of two sums
// would lose the digits that a gate of -1000 has eaten, so every exponent here is a sum of
// the decays it stands for: all of them are at most 0, and those that matter are small.
// For vector gates Γ has a value a key column: rows and columns of a 4 x 4 block of A meet
// at the end of the token before the block's first row.
//
// What pass inside leaves for a head of a chunk, all padded with zeros to whole chunks and
// groups of four columns:
//   w, kd [CHUNK][DP]   u [CHUNK][DVP]   qet [DP][CHUNK]   last [DP]: e^G_C
//   amat [CHUNK of j][CHUNK of i]
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint CHUNK = 32;
layout(constant_id = 4) const uint SLICE = 8;
layout(constant_id = 5) const uint ROLL = 0;

#include "linear/state_io.glsl"

layout(set = 0, STATE_BIND(3), std430) restrict writeonly buffer O { T o[]; };
layout(set = 0, STATE_BIND(4), std430) restrict writeonly buffer St { float st[]; };
#define CHUNK_BIND(n) STATE_BIND(5 + n)
#ifdef PASS_INSIDE
#define CHUNK_IO writeonly
#else
#define CHUNK_IO readonly
#endif
#if STATE_DELTA
layout(set = 0, CHUNK_BIND(6), std430) restrict CHUNK_IO buffer W { float w[]; };
layout(set = 0, CHUNK_BIND(6), std430) restrict CHUNK_IO buffer BufferW4 { vec4 w4[]; };
#endif
layout(set = 0, CHUNK_BIND(0), std430) restrict CHUNK_IO buffer Kd { float kd[]; };
layout(set = 0, CHUNK_BIND(0), std430) restrict CHUNK_IO buffer Kd4 { vec4 kd4[]; };
layout(set = 0, CHUNK_BIND(1), std430) restrict buffer U { float u[]; };
layout(set = 0, CHUNK_BIND(1), std430) restrict buffer U4 { vec4 u4[]; };
layout(set = 0, CHUNK_BIND(2), std430) restrict CHUNK_IO buffer Qet { vec4 qet[]; };
#ifdef PASS_INSIDE
layout(set = 0, CHUNK_BIND(2), std430) restrict writeonly buffer Qet1 { float qet1[]; };
#endif
layout(set = 0, CHUNK_BIND(3), std430) restrict CHUNK_IO buffer Last { float last[]; };
layout(set = 0, CHUNK_BIND(4), std430) restrict CHUNK_IO buffer Amat { vec4 amat[]; };
#ifdef PASS_STATES
layout(set = 0, CHUNK_BIND(5), std430) restrict writeonly buffer Ss4 { vec4 states4[]; };
layout(set = 0, CHUNK_BIND(5), std430) restrict writeonly buffer Ss { float states[]; };
#else
layout(set = 0, CHUNK_BIND(5), std430) restrict readonly buffer Ss { float states[]; };
#endif

const uint DP4 = (HEAD_DIM + 3u) / 4u;
const uint DP = 4u * DP4;
const uint DVP4 = (V_DIM + 3u) / 4u;
const uint DVP = 4u * DVP4;
const uint BLOCKS = CHUNK / 4u; // of four tokens
const bool DECAYS = GATE != GATE_NONE;

uint chunks()
{
    return (pc.len + CHUNK - 1u) / CHUNK;
}

#ifndef PASS_STATES
// Sums over tokens t of a triangular matrix's columns times x, for all rows at once. Rows
// before t are passed over, not multiplied by 0: what they may not see may be NaN.
vec4 acc[BLOCKS];

#define CHUNK_ADD_LOWER(COLUMN, t, x)                                                   \
    [[unroll]] for (uint i = 0; i < BLOCKS; i++) {                                      \
        if (i > (t) / 4u) {                                                             \
            acc[i] = fma(COLUMN(i), vec4(x), acc[i]);                                   \
        } else if (i == (t) / 4u) {                                                     \
            const vec4 y = fma(COLUMN(i), vec4(x), acc[i]);                             \
            acc[i] = mix(acc[i], y, greaterThanEqual(uvec4(0, 1, 2, 3),                 \
                                                     uvec4((t) % 4u)));                 \
        }                                                                               \
    }
#endif

#if defined(PASS_INSIDE)

const uint LANES = gl_WorkGroupSize.x; // BLOCKS * BLOCKS
const uint STAGE = 3; // groups of four key columns in shared memory at a time, ...
const uint PITCH = STAGE; // ... an odd number: rows fall on different banks
const uint X_PITCH = BLOCKS + 1u;

shared vec4 stage_q[CHUNK * PITCH];
shared vec4 stage_k[CHUNK * PITCH];
shared vec4 stage_g[CHUNK * PITCH];
shared vec4 stage_sum[BLOCKS * PITCH]; // of each block of tokens
#if STATE_DELTA
shared vec4 lower[CHUNK * BLOCKS];   // L by rows
shared vec4 inverse[CHUNK * X_PITCH]; // X by columns
#endif

// What lies between the blocks of rows `down` and columns `across`: exponents, summed.
// rows[i] reaches from the block's first row to row i; columns[j] from column j to the
// block before the rows.
#define CHUNK_EXPONENTS(type, zero, G, SUM)                                             \
    type rows[4];                                                                       \
    type columns[4];                                                                    \
    rows[0] = G(4u * down);                                                             \
    columns[3] = zero;                                                                  \
    [[unroll]] for (uint i = 1; i < 4u; i++) {                                          \
        rows[i] = rows[i - 1u] + G(4u * down + i);                                      \
        columns[3u - i] = columns[4u - i] + G(4u * across + 4u - i);                    \
    }                                                                                   \
    type between = zero;                                                                \
    for (uint n = across + 1u; n < down; n++) {                                         \
        between += SUM(n);                                                              \
    }

float qk[16];
float kk[16];

void tile_step(const uint down, const uint across, const uint c)
{
    vec4 xq[4];
    vec4 xr[4]; // keys of the rows
    vec4 xk[4];
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        xq[i] = stage_q[(4u * down + i) * PITCH + c];
        xr[i] = stage_k[(4u * down + i) * PITCH + c];
        xk[i] = stage_k[(4u * across + i) * PITCH + c];
    }
    if (GATE == GATE_VECTOR && down == across) {
        [[unroll]] for (uint j = 0; j < 4u; j++) {
            vec4 exponent = vec4(0.0);
            [[unroll]] for (uint i = j; i < 4u; i++) {
                vec4 x = xk[j];
                if (i > j) {
                    exponent += stage_g[(4u * down + i) * PITCH + c];
                    x *= io_decay(exponent);
                }
                qk[4u * i + j] += dot(xq[i], x);
                kk[4u * i + j] += dot(xr[i], x);
            }
        }
        return;
    }
    if (GATE == GATE_VECTOR) {
#define STAGED_G(t) stage_g[(t) * PITCH + c]
#define STAGED_SUM(n) stage_sum[(n) * PITCH + c]
        CHUNK_EXPONENTS(vec4, vec4(0.0), STAGED_G, STAGED_SUM)
        [[unroll]] for (uint i = 0; i < 4u; i++) {
            const vec4 factor = io_decay(rows[i]);
            xq[i] *= factor;
            xr[i] *= factor;
            xk[i] *= io_decay(columns[i] + between);
        }
    }
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        [[unroll]] for (uint j = 0; j < 4u; j++) {
            qk[4u * i + j] += dot(xq[i], xk[j]);
            kk[4u * i + j] += DELTA ? dot(xr[i], xk[j]) : 0.0;
        }
    }
}

// Scalar gates: times e^(G_i - G_j).
void tile_decay(const uint down, const uint across, const uint first)
{
#define TOKEN_G(t) (first + (t) < pc.len ? io_g1(min(first + (t), pc.len - 1u)) : 0.0)
#define TOKEN_SUM(n) (TOKEN_G(4u * (n)) + TOKEN_G(4u * (n) + 1u) +                      \
                      (TOKEN_G(4u * (n) + 2u) + TOKEN_G(4u * (n) + 3u)))
    if (down == across) {
        [[unroll]] for (uint j = 0; j < 4u; j++) {
            float exponent = 0.0;
            [[unroll]] for (uint i = j + 1u; i < 4u; i++) {
                exponent += TOKEN_G(4u * down + i);
                const float factor = io_decay(exponent);
                qk[4u * i + j] *= factor;
                kk[4u * i + j] *= factor;
            }
        }
        return;
    }
    CHUNK_EXPONENTS(float, 0.0, TOKEN_G, TOKEN_SUM)
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        [[unroll]] for (uint j = 0; j < 4u; j++) {
            const float factor = io_decay(rows[i] + (between + columns[j]));
            qk[4u * i + j] *= factor;
            kk[4u * i + j] *= factor;
        }
    }
}

float column_g(const uint token, const uint c)
{
    if (GATE == GATE_VECTOR) {
        return g[(io_v_row + token) * HEAD_DIM + min(c, HEAD_DIM - 1u)];
    }
    return io_g1(token);
}

#define FROM_INVERSE(i) inverse[from + i]

// Column c of Qe, Kd and e^G_C; W when there is one.
void key_column(const uint c, const uint first, const uint count, const uint chunk)
{
    const bool inside_ = c < HEAD_DIM;
    const uint column = min(c, HEAD_DIM - 1u);
    float sum = 0.0;
#if STATE_DELTA
    [[unroll]] for (uint i = 0; i < BLOCKS; i++) {
        acc[i] = vec4(0.0);
    }
#endif
    [[dont_unroll]] for (uint t = 0; t < CHUNK; t++) {
        const uint token = first + min(t, count - 1u);
        const bool valid = t < count && inside_;
        sum += DECAYS && t < count ? column_g(token, c) : 0.0;
        const float enter = DECAYS ? io_decay(sum) : 1.0;
        const float x = vkz_load(q[(io_k_row + token) * HEAD_DIM + column]);
        qet1[(chunk * DP + c) * CHUNK + t] = valid ? x * (enter * pc.tau) : 0.0;
#if STATE_DELTA
        const float y = vkz_load(k[(io_k_row + token) * HEAD_DIM + column]);
        const float z = valid ? y * enter * io_beta(token) : 0.0;
        const uint from = t * X_PITCH;
        CHUNK_ADD_LOWER(FROM_INVERSE, t, z)
#endif
    }
    last[chunk * DP + c] = DECAYS ? io_decay(sum) : 1.0;
    sum = 0.0;
    for (uint i = 0; i < CHUNK; i++) {
        const uint t = CHUNK - 1u - i;
        const uint token = first + min(t, count - 1u);
        const float x = vkz_load(k[(io_k_row + token) * HEAD_DIM + column]);
        kd[(chunk * CHUNK + t) * DP + c] =
            t < count && inside_ ? x * (DECAYS ? io_decay(sum) : 1.0) : 0.0;
        sum += DECAYS && t < count ? column_g(token, c) : 0.0;
    }
#if STATE_DELTA
    STATE_ROWS(i, CHUNK, w[(chunk * CHUNK + i) * DP + c] = acc[i / 4u][i & 3u];)
#endif
}

void value_column(const uint c, const uint first, const uint count, const uint chunk)
{
#if STATE_DELTA
    [[unroll]] for (uint i = 0; i < BLOCKS; i++) {
        acc[i] = vec4(0.0);
    }
    for (uint t = 0; t < count; t++) {
        const float z = io_v1(first + t, c) * io_beta(first + t);
        const uint from = t * X_PITCH;
        CHUNK_ADD_LOWER(FROM_INVERSE, t, z)
    }
    STATE_ROWS(i, CHUNK, u[(chunk * CHUNK + i) * DVP + c] = acc[i / 4u][i & 3u];)
#else
    for (uint t = 0; t < CHUNK; t++) {
        const float x = io_v1(first + min(t, count - 1u), c);
        u[(chunk * CHUNK + t) * DVP + c] = t < count ? x : 0.0;
    }
#endif
}

void main()
{
    const uint lane = gl_LocalInvocationID.x;
    io_begin(gl_WorkGroupID.y, gl_WorkGroupID.z);
    const uint first = gl_WorkGroupID.x * CHUNK;
    const uint count = min(CHUNK, pc.len - first);
    const uint chunk = io_head * chunks() + gl_WorkGroupID.x;
    const uint down = lane / BLOCKS;
    const uint across = lane % BLOCKS;
    [[unroll]] for (uint i = 0; i < 16u; i++) {
        qk[i] = 0.0;
        kk[i] = 0.0;
    }
    for (uint c0 = 0; c0 < DP4; c0 += STAGE) {
        barrier(); // what was there has been read
        for (uint i = lane; i < CHUNK * STAGE; i += LANES) {
            const uint t = i / STAGE;
            const uint c = i % STAGE;
            const uint token = first + min(t, count - 1u);
            const bool valid = t < count && c0 + c < DP4;
            const uint from = min(c0 + c, DP4 - 1u);
            const vec4 xq = io_q(token, from);
            const vec4 xk = io_k(token, from);
            stage_q[t * PITCH + c] = valid ? xq : vec4(0.0);
            stage_k[t * PITCH + c] = valid ? xk : vec4(0.0);
            if (GATE == GATE_VECTOR) {
                const vec4 xg = io_g(token, from);
                stage_g[t * PITCH + c] = valid ? xg : vec4(0.0);
            }
        }
        barrier();
        if (GATE == GATE_VECTOR) {
            for (uint i = lane; i < BLOCKS * STAGE; i += LANES) {
                const uint at = i / STAGE * 4u * PITCH + i % STAGE;
                stage_sum[i / STAGE * PITCH + i % STAGE] =
                    (stage_g[at] + stage_g[at + PITCH]) +
                    (stage_g[at + 2u * PITCH] + stage_g[at + 3u * PITCH]);
            }
            barrier();
        }
        if (down >= across && down < BLOCKS) {
            for (uint c = 0; c < STAGE; c++) {
                tile_step(down, across, c);
            }
        }
    }
    if (GATE == GATE_SCALAR && down >= across && down < BLOCKS) {
        tile_decay(down, across, first);
    }
    if (down < BLOCKS) {
        [[unroll]] for (uint j = 0; j < 4u; j++) {
            vec4 x;
            [[unroll]] for (uint i = 0; i < 4u; i++) {
                x[i] = 4u * down + i >= 4u * across + j ? qk[4u * i + j] * pc.tau : 0.0;
            }
            amat[(chunk * CHUNK + 4u * across + j) * BLOCKS + down] = x;
        }
    }
#if STATE_DELTA
    if (down < BLOCKS) {
        [[unroll]] for (uint i = 0; i < 4u; i++) {
            const uint row = 4u * down + i;
            const float b = row < count ? io_beta(first + min(row, count - 1u)) : 0.0;
            vec4 x;
            [[unroll]] for (uint j = 0; j < 4u; j++) {
                x[j] = kk[4u * i + j] * b; // used below the diagonal only
            }
            lower[row * BLOCKS + across] = x;
        }
    }
    barrier();
    // A column of the inverse a lane: x_i = 1 - sum over s < i of L_is x_s.
    for (uint j = lane; j < CHUNK; j += LANES) {
        for (uint i = 0; i < BLOCKS; i++) {
            inverse[j * X_PITCH + i] = vec4(0.0);
        }
        for (uint n = j / 4u; n < BLOCKS; n++) {
            vec4 four;
            [[unroll]] for (uint e = 0; e < 4u; e++) {
                four[e] = 4u * n + e == j ? 1.0 : 0.0;
                for (uint s = j / 4u; s < n; s++) {
                    four[e] -= dot(lower[(4u * n + e) * BLOCKS + s],
                                   inverse[j * X_PITCH + s]);
                }
            }
            [[unroll]] for (uint e = 1; e < 4u; e++) {
                const vec4 row = lower[(4u * n + e) * BLOCKS + n];
                [[unroll]] for (uint s = 0; s < e; s++) {
                    four[e] -= row[s] * four[s];
                }
            }
            inverse[j * X_PITCH + n] = four;
        }
    }
    barrier();
#endif
    for (uint c = lane; c < DP + DVP; c += LANES) {
        if (c < DP) {
            key_column(c, first, count, chunk);
        } else {
            value_column(c - DP, first, count, chunk);
        }
    }
}

#elif defined(PASS_STATES)

const uint LANES = gl_WorkGroupSize.x;
const uint SLICE4 = SLICE / 4u;
const uint TILES = (DP4 * SLICE4 + LANES - 1u) / LANES; // 4 x 4 blocks of S a lane

shared vec4 stage_s[DP * SLICE4];
shared vec4 stage_v[CHUNK * SLICE4];

vec4 own[4u * TILES];

void main()
{
    const uint lane = gl_LocalInvocationID.x;
    io_begin(gl_WorkGroupID.y, gl_WorkGroupID.z);
    const uint j0 = gl_WorkGroupID.x * SLICE4;
    [[unroll]] for (uint n = 0; n < TILES; n++) {
        const uint tile = min(lane + n * LANES, DP4 * SLICE4 - 1u);
        [[unroll]] for (uint i = 0; i < 4u; i++) {
            const uint row = tile / SLICE4 * 4u + i;
            own[4u * n + i] = vec4(0.0);
            if (INIT != 0 && row < HEAD_DIM && j0 + tile % SLICE4 < DVP4) {
                own[4u * n + i] = io_s0(row, j0 + tile % SLICE4);
            }
        }
    }
    for (uint at = 0; at < chunks(); at++) {
        const uint chunk = io_head * chunks() + at;
        [[unroll]] for (uint n = 0; n < TILES; n++) {
            const uint tile = lane + n * LANES;
            const uint j = tile % SLICE4;
            if (tile < DP4 * SLICE4) {
                [[unroll]] for (uint i = 0; i < 4u; i++) {
                    const uint row = tile / SLICE4 * 4u + i;
#if STATE_DELTA
                    stage_s[row * SLICE4 + j] = own[4u * n + i];
#endif
                    if (j0 + j < DVP4) {
                        states4[(chunk * DP + row) * DVP4 + j0 + j] = own[4u * n + i];
                    }
                }
            }
        }
        barrier();
        // Two tokens and four columns a lane.
        for (uint i = lane; i < CHUNK / 2u * SLICE4; i += LANES) {
            const uint j = i % SLICE4;
            const uint row = chunk * CHUNK + i / SLICE4 * 2u;
            const bool inside_ = j0 + j < DVP4;
            const uint from = row * DVP4 + min(j0 + j, DVP4 - 1u);
            vec4 x = u4[from];
            vec4 y = u4[from + DVP4];
#if STATE_DELTA
            for (uint c = 0; c < DP4; c++) {
                const vec4 a = w4[row * DP4 + c];
                const vec4 b = w4[(row + 1u) * DP4 + c];
                [[unroll]] for (uint e = 0; e < 4u; e++) {
                    const vec4 s = stage_s[(4u * c + e) * SLICE4 + j];
                    x = fma(vec4(-a[e]), s, x);
                    y = fma(vec4(-b[e]), s, y);
                }
            }
            if (inside_) {
                u4[from] = x;
                u4[from + DVP4] = y;
            }
#endif
            stage_v[i / SLICE4 * 2u * SLICE4 + j] = x;
            stage_v[(i / SLICE4 * 2u + 1u) * SLICE4 + j] = y;
        }
        barrier();
        [[unroll]] for (uint n = 0; n < TILES; n++) {
            const uint tile = min(lane + n * LANES, DP4 * SLICE4 - 1u);
            const uint r = tile / SLICE4;
            [[unroll]] for (uint i = 0; i < 4u; i++) {
                own[4u * n + i] *= last[chunk * DP + 4u * r + i];
            }
            for (uint t = 0; t < CHUNK; t++) {
                const vec4 x = kd4[(chunk * CHUNK + t) * DP4 + r];
                const vec4 y = stage_v[t * SLICE4 + tile % SLICE4];
                [[unroll]] for (uint i = 0; i < 4u; i++) {
                    own[4u * n + i] = fma(vec4(x[i]), y, own[4u * n + i]);
                }
            }
        }
    }
    if (FINAL != 0) {
        [[unroll]] for (uint n = 0; n < TILES; n++) {
            const uint tile = lane + n * LANES;
            [[unroll]] for (uint i = 0; i < 4u; i++) {
                const uint row = tile / SLICE4 * 4u + i;
                [[unroll]] for (uint e = 0; e < 4u; e++) {
                    const uint column = 4u * (j0 + tile % SLICE4) + e;
                    if (row < HEAD_DIM && column < V_DIM) {
                        st[(io_head * HEAD_DIM + row) * V_DIM + column] =
                            own[4u * n + i][e];
                    }
                }
            }
        }
    }
}

#else // PASS_OUTPUTS

const uint LANES = gl_WorkGroupSize.x;
const uint STAGE = 32; // rows of the state at a time

shared vec4 stage[(STAGE > CHUNK ? STAGE : CHUNK) * BLOCKS];

#define FROM_STAGE(i) stage[from + i]

void store(const uint token, const bool valid, const uint column, const float x)
{
    if (valid && column < V_DIM) {
        o[(io_v_row + token) * V_DIM + column] = vkz_store(x);
    }
}

void main()
{
    const uint lane = gl_LocalInvocationID.x;
    io_begin(gl_WorkGroupID.y, gl_WorkGroupID.z);
    const uint slices = (V_DIM + LANES - 1u) / LANES;
    const uint first = gl_WorkGroupID.x / slices * CHUNK;
    const uint column = gl_WorkGroupID.x % slices * LANES + lane;
    const uint count = min(CHUNK, pc.len - first);
    const uint chunk = io_head * chunks() + first / CHUNK;
    [[unroll]] for (uint i = 0; i < BLOCKS; i++) {
        acc[i] = vec4(0.0);
    }
    for (uint c0 = 0; c0 < DP; c0 += STAGE) {
        const uint rows = min(STAGE, DP - c0);
        barrier();
        for (uint i = lane; i < rows * BLOCKS; i += LANES) {
            stage[i] = qet[(chunk * DP + c0) * BLOCKS + i];
        }
        barrier();
        for (uint c = 0; c < rows; c++) {
            const float x = states[(chunk * DP + c0 + c) * DVP + min(column, V_DIM - 1u)];
            [[unroll]] for (uint i = 0; i < BLOCKS; i++) {
                acc[i] = fma(stage[c * BLOCKS + i], vec4(x), acc[i]);
            }
        }
    }
    barrier();
    for (uint i = lane; i < CHUNK * BLOCKS; i += LANES) {
        stage[i] = amat[chunk * CHUNK * BLOCKS + i];
    }
    barrier();
    for (uint t = 0; t < count; t++) {
        const uint from = t * BLOCKS;
        const float x = u[(chunk * CHUNK + t) * DVP + min(column, V_DIM - 1u)];
        CHUNK_ADD_LOWER(FROM_STAGE, t, x)
    }
    STATE_ROWS(i, CHUNK, store(first + i, i < count, column, acc[i / 4u][i & 3u]);)
}

#endif
