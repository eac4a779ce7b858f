// SPDX-License-Identifier: MIT
//
// The body of the *_attention_coopmat kernels: scores and outputs on cooperative matrices
//
//   a subgroup owns CM_M query rows; the workgroup's WARPS subgroups share keys and values
//
//   stage_q [ROWS][d]   stage_kv [KEYS][d or dv]      f16, zeros past the ends
//   S = q k^T  ->  sums [ROWS][KEYS] f32  ->  weights [ROWS][KEYS] f16  ->  o += P v
//
// o stays in accumulators. Weights of a row are kept in units of 2^m, m near the largest
// of its exponents so far, because f16 holds neither the exponentials of large scores nor
// the sigmoids of small ones. A matrix cannot be scaled by rows: m stays while the true
// maximum is at most KEEP above it, and only then the accumulators go through shared
// memory to be rescaled.
//
// With ROLL = 1 o lives in shared memory instead and loops over matrices stay loops: a
// CPU driver writes out every matrix operation in full and would compile for many
// seconds.
//
// The includer defines ATTENTION_WEIGHT to the number of a WEIGHT_ constant of
// lib/score.glsl: softmax or sigmoid. Lists of keys are lib/flash_span.glsl's: who defines
// FLASH_LIST has a main() of its own.
#include "attention/io.glsl"
#include "attention/hooks.glsl"
#include "lib/flash_span.glsl"

layout(local_size_x = 128, local_size_x_id = 0) in;

layout(constant_id = 3) const uint WARPS = 4;
layout(constant_id = 4) const uint KEYS = 32;
layout(constant_id = 7) const uint ROLL = 0;
layout(constant_id = 34) const uint CM_M = 16;
layout(constant_id = 35) const uint CM_N = 16;
layout(constant_id = 36) const uint CM_K = 16;

const uint ROWS = WARPS * CM_M;
const uint D_STEPS = (HEAD_DIM + CM_K - 1u) / CM_K;    // matrices along a query
const uint V_STEPS = (V_DIM + CM_N - 1u) / CM_N;       // matrices along an output
const uint D_PITCH = (D_STEPS * CM_K + 3u) / 4u + 2u;  // quads of a staged row, padded
const uint V_PITCH = (V_STEPS * CM_N + 3u) / 4u + 2u;
const uint KV_PITCH = D_PITCH > V_PITCH ? D_PITCH : V_PITCH;
const uint S_PITCH = (KEYS > CM_N ? KEYS : CM_N) + 4u;
const uint P_PITCH = KEYS + 8u;
const uint O_PITCH = V_STEPS * CM_N;

const float KEEP = 8.0; // weights up to 2^KEEP before the unit they are in is renewed

shared f16vec4 stage_q[ROWS * D_PITCH];
shared f16vec4 stage_kv[KEYS * KV_PITCH];
shared float sums[ROWS * S_PITCH];
shared float16_t weights[ROWS * P_PITCH];
shared float outs[ROLL != 0u ? ROWS * O_PITCH : 1u];
shared float row_m[ROWS];
shared float row_l[ROWS];
shared float row_rescale[ROWS];
shared uint rescale_flag; // some row's maximum grew too much
shared uint odd_flag;     // a value of the tile is not finite

#define MatA coopmat<float16_t, gl_ScopeSubgroup, CM_M, CM_K, gl_MatrixUseA>
#define MatB coopmat<float16_t, gl_ScopeSubgroup, CM_K, CM_N, gl_MatrixUseB>
#define MatC coopmat<float, gl_ScopeSubgroup, CM_M, CM_N, gl_MatrixUseAccumulator>

bool not_finite(const vec4 x)
{
    return any(greaterThan(floatBitsToUint(x) & 0x7fffffffu, uvec4(0x7f7fffffu)));
}

void stage_keys(const int j0)
{
    const uint width = KV_PITCH;
    for (uint i = gl_LocalInvocationID.x; i < KEYS * width; i += gl_WorkGroupSize.x) {
        const uint key = uint(j0) + i / width;
        const uint c = i % width;
        vec4 x = vec4(0.0);
        if (key < uint(pc.kv_len) && 4u * c < HEAD_DIM) {
            x = io_k(key, c);
        }
        stage_kv[i] = f16vec4(x);
    }
}

// Values that are not finite are left out where some row may not see them: see
// odd_values.
void stage_values(const int j0, const bool whole)
{
    const uint width = KV_PITCH;
    for (uint i = gl_LocalInvocationID.x; i < KEYS * width; i += gl_WorkGroupSize.x) {
        const uint key = uint(j0) + i / width;
        const uint c = i % width;
        vec4 x = vec4(0.0);
        if (key < uint(pc.kv_len) && 4u * c < V_DIM) {
            x = io_v(key, c);
            if (!whole && not_finite(x)) {
                odd_flag = 1u;
                x = mix(x, vec4(0.0), greaterThan(floatBitsToUint(x) & 0x7fffffffu,
                                                  uvec4(0x7f7fffffu)));
            }
        }
        stage_kv[i] = f16vec4(x);
    }
}

// x + the weights of the subgroup's rows times matrix column n of the values, for the
// keys of step c.
MatC add_values(const uint warp, const uint n, const uint c, const MatC x)
{
    MatA a;
    MatB b;
    coopMatLoad(a, weights, warp * CM_M * P_PITCH + c * CM_K, P_PITCH,
                gl_CooperativeMatrixLayoutRowMajor);
    coopMatLoad(b, stage_kv, c * CM_K * KV_PITCH + n * (CM_N / 4u), KV_PITCH,
                gl_CooperativeMatrixLayoutRowMajor);
    return coopMatMulAdd(a, b, x);
}

// What the values that are not finite add to one output: nothing where they are hidden.
float odd_values(const score_map s, const flash_span span, const uint r, const uint row,
                 const uint column)
{
    const int p = flash_position_of_(s, row);
    const int segment = MASK == MASK_DOC ? score_segment_load(uint(max(p, 0))) : 0;
    float x = 0.0;
    for (int j = span.at; j < min(span.at + int(KEYS), span.end); j++) {
        if (column < V_DIM && flash_sees_(s, span, row, p, uint(j), segment)) {
            const float v = io_v_element(uint(j), column);
            if (not_finite(vec4(v))) {
                x = fma(float(weights[r * P_PITCH + uint(j - span.at)]), v, x);
            }
        }
    }
    return x;
}

// Rows begin .. end - 1, at most ROWS. All lanes of the workgroup come here together, once.
void coopmat_rows(const score_map s, const uint begin, const uint end)
{
    const uint lane = gl_LocalInvocationID.x;
    const uint warp = gl_SubgroupID;
    const bool works = warp < WARPS; // a subgroup too many only stages
    const int p_low = flash_position_of_(s, begin);
    const int p_high = flash_position_of_(s, end - 1u);

    for (uint i = lane; i < ROWS * D_PITCH; i += gl_WorkGroupSize.x) {
        const uint row = begin + i / D_PITCH;
        const uint c = i % D_PITCH;
        vec4 x = vec4(0.0);
        if (row < end && 4u * c < HEAD_DIM) {
            x = io_q(row, c);
        }
        stage_q[i] = f16vec4(x);
    }
    for (uint row = lane; row < ROWS; row += gl_WorkGroupSize.x) {
        row_m[row] = SCORE_LOWEST;
        row_l[row] = 0.0;
    }
    if (lane == 0u) {
        rescale_flag = 0u;
        odd_flag = 0u;
    }
    MatC out_[ROLL != 0u ? 1u : V_STEPS];
    if (ROLL != 0u) {
        for (uint i = lane; i < ROWS * O_PITCH; i += gl_WorkGroupSize.x) {
            outs[i] = 0.0;
        }
    } else {
        [[unroll]] for (uint n = 0; n < V_STEPS; n++) {
            out_[n] = MatC(0.0);
        }
    }

    const ivec2 range = FLASH_LISTED ? ivec2(0) : score_key_range(s, p_low, p_high);
    for (flash_span span = flash_begin(range); span.at < span.end;
         span = flash_step(span, int(KEYS))) {
        const int j0 = span.at;
        const bool whole = flash_whole_(s, span, p_low, p_high, int(KEYS));
        barrier();
        stage_keys(j0);
        barrier();
        if (works) {
            [[dont_unroll]] for (uint n = 0; n < KEYS / CM_N; n++) {
                MatC x = MatC(0.0);
                [[dont_unroll]] for (uint c = 0; c < D_STEPS; c++) {
                    MatA a;
                    MatB b;
                    const uint at = c * (CM_K / 4u);
                    coopMatLoad(a, stage_q, warp * CM_M * D_PITCH + at, D_PITCH,
                                gl_CooperativeMatrixLayoutRowMajor);
                    coopMatLoad(b, stage_kv, n * CM_N * KV_PITCH + at, KV_PITCH,
                                gl_CooperativeMatrixLayoutColumnMajor);
                    x = coopMatMulAdd(a, b, x);
                }
                coopMatStore(x, sums, warp * CM_M * S_PITCH + n * CM_N, S_PITCH,
                             gl_CooperativeMatrixLayoutRowMajor);
            }
        }
        barrier();

        // A lane takes a row: scores, maximum, weights.
        for (uint r = lane; r < ROWS; r += gl_WorkGroupSize.x) {
            const uint row = min(begin + r, uint(pc.q_len) - 1u);
            const int p = flash_position_of_(s, row);
            int segment = 0;
            if (MASK == MASK_DOC) {
                segment = score_segment_load(uint(max(p, 0)));
            }
            float top = row_m[r];
            for (uint j = 0; j < KEYS; j++) {
                const int at = j0 + int(j);
                const uint key = uint(min(at, pc.kv_len - 1));
                const float x =
                    score_modify(s, sums[r * S_PITCH + j] * s.scale, p, row, key);
                const bool seen =
                    whole || (at < span.end &&
                              flash_sees_(s, span, row, p, key, segment));
                // Below every score: marks a pair that is not visible.
                sums[r * S_PITCH + j] = seen ? x : -3.4e38;
                // Of a sigmoid, 2^min(x, 0) is the order of magnitude.
                const float y = WEIGHT == WEIGHT_SOFTMAX ? x : clamp(x, -100.0, 0.0);
                top = max(top, seen ? y : SCORE_LOWEST);
            }
            float m = row_m[r];
            float rescale = 1.0;
            if (top > m + KEEP) {
                rescale = vkz_exp2(m - top, EXP);
                m = top;
                if (row_l[r] != 0.0) {
                    rescale_flag = 1u;
                }
            }
            row_m[r] = m;
            row_rescale[r] = rescale;
            const float unit =
                WEIGHT == WEIGHT_SOFTMAX ? 1.0 : vkz_exp2(-max(m, -100.0), EXP);
            float sum = 0.0;
            for (uint j = 0; j < KEYS; j++) {
                const float x = sums[r * S_PITCH + j];
                float w = WEIGHT == WEIGHT_SOFTMAX ? vkz_exp2(x - m, EXP)
                                                   : score_weight(x) * unit;
                w = x < -3.2e38 ? 0.0 : w;
                const float16_t rounded = float16_t(w);
                weights[r * P_PITCH + j] = rounded;
                sum += float(rounded);
            }
            row_l[r] = fma(row_l[r], rescale, sum);
        }
        stage_values(j0, whole);
        barrier();

        if (rescale_flag != 0u) {
            if (ROLL != 0u) {
                for (uint i = lane; i < ROWS * O_PITCH; i += gl_WorkGroupSize.x) {
                    outs[i] *= row_rescale[i / O_PITCH];
                }
                barrier();
            } else {
                [[unroll]] for (uint n = 0; n < V_STEPS; n++) {
                    if (works) {
                        coopMatStore(out_[n], sums, warp * CM_M * S_PITCH, S_PITCH,
                                     gl_CooperativeMatrixLayoutRowMajor);
                    }
                    barrier();
                    for (uint i = lane; i < ROWS * CM_N; i += gl_WorkGroupSize.x) {
                        sums[i / CM_N * S_PITCH + i % CM_N] *= row_rescale[i / CM_N];
                    }
                    barrier();
                    if (works) {
                        coopMatLoad(out_[n], sums, warp * CM_M * S_PITCH, S_PITCH,
                                    gl_CooperativeMatrixLayoutRowMajor);
                    }
                    barrier();
                }
            }
        }
        if (works && ROLL != 0u) {
            [[dont_unroll]] for (uint n = 0; n < V_STEPS; n++) {
                const uint at = warp * CM_M * O_PITCH + n * CM_N;
                MatC x;
                coopMatLoad(x, outs, at, O_PITCH, gl_CooperativeMatrixLayoutRowMajor);
                [[dont_unroll]] for (uint c = 0; c < KEYS / CM_K; c++) {
                    x = add_values(warp, n, c, x);
                }
                coopMatStore(x, outs, at, O_PITCH, gl_CooperativeMatrixLayoutRowMajor);
            }
        } else if (works) {
            [[unroll]] for (uint n = 0; n < V_STEPS; n++) {
                [[unroll]] for (uint c = 0; c < KEYS / CM_K; c++) {
                    out_[n] = add_values(warp, n, c, out_[n]);
                }
            }
        }
        // What stage_values left out, for the rows that see it. Rare, so it may be slow.
        if (odd_flag != 0u && ROLL != 0u) {
            barrier();
            for (uint i = lane; i < ROWS * O_PITCH; i += gl_WorkGroupSize.x) {
                const uint r = i / O_PITCH;
                outs[i] +=
                    odd_values(s, span, r, min(begin + r, end - 1u), i % O_PITCH);
            }
        } else if (odd_flag != 0u) {
            [[unroll]] for (uint n = 0; n < V_STEPS; n++) {
                barrier();
                for (uint i = lane; i < ROWS * CM_N; i += gl_WorkGroupSize.x) {
                    const uint r = i / CM_N;
                    sums[r * S_PITCH + i % CM_N] =
                        odd_values(s, span, r, min(begin + r, end - 1u),
                                   n * CM_N + i % CM_N);
                }
                barrier();
                if (works) {
                    MatC x;
                    coopMatLoad(x, sums, warp * CM_M * S_PITCH, S_PITCH,
                                gl_CooperativeMatrixLayoutRowMajor);
                    out_[n] = out_[n] + x;
                }
            }
        }
        barrier();
        if (lane == 0u) {
            rescale_flag = 0u;
            odd_flag = 0u;
        }
    }

    barrier();
    for (uint r = lane; r < ROWS; r += gl_WorkGroupSize.x) {
        const bool mine = begin + r < end;
        const uint row = min(begin + r, uint(pc.q_len) - 1u);
        const float unit = WEIGHT == WEIGHT_SOFTMAX ? 1.0 : vkz_exp2(row_m[r], EXP);
        row_rescale[r] = io_finish_row(s, row, mine, row_m[r], row_l[r]) * unit;
    }
    barrier();
    if (ROLL != 0u) {
        for (uint i = lane; i < ROWS * O_PITCH; i += gl_WorkGroupSize.x) {
            const uint r = i / O_PITCH;
            const uint column = i % O_PITCH;
            if (begin + r < end && column < V_DIM) {
                io_store_element((io_q_row + begin + r) * V_DIM + column,
                                 outs[i] * row_rescale[r]);
            }
        }
        return;
    }
    [[unroll]] for (uint n = 0; n < V_STEPS; n++) {
        if (works) {
            coopMatStore(out_[n], sums, warp * CM_M * S_PITCH, S_PITCH,
                         gl_CooperativeMatrixLayoutRowMajor);
        }
        barrier();
        for (uint i = lane; i < ROWS * CM_N; i += gl_WorkGroupSize.x) {
            const uint r = i / CM_N;
            const uint column = n * CM_N + i % CM_N;
            if (begin + r < end && column < V_DIM) {
                io_store_element((io_q_row + begin + r) * V_DIM + column,
                                 sums[r * S_PITCH + i % CM_N] * row_rescale[r]);
            }
        }
        barrier();
    }
}

#ifndef FLASH_LIST
void main()
{
    io_begin(gl_WorkGroupID.y, gl_WorkGroupID.z);
    // Under a causal mask the last rows see the most keys: start with them.
    const uint begin = (gl_NumWorkGroups.x - 1u - gl_WorkGroupID.x) * ROWS;
    coopmat_rows(io_score_map(), begin, min(begin + ROWS, uint(pc.q_len)));
}
#endif
