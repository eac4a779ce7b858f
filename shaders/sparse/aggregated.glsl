// SPDX-License-Identifier: MIT
//
// The passes of aggregated_attention_*: norms, then attention with a lane a pixel
//
//   prepare  qnorm, knorm: 1/|row|; kpn: pooled keys of length 1
//   main     pooled tokens, the same for all lanes; then the window, pixel by pixel. With
//            the window last, its softmax sum is known when its values are read, and the
//            learnable tokens, which no sum divides, join there times that sum.
//
// The includer defines AGGREGATED_LANE for lib/flash.glsl over the pooled tokens
// (subgroup shuffles, ROWS pixels a lane), else they are staged in shared memory, CHUNK
// at a time.
#include "sparse/wide.glsl"

layout(local_size_x = 32, local_size_x_id = 0) in;

layout(constant_id = 5) const uint EXP = 5;
layout(constant_id = 6) const uint VEC = 1;
layout(constant_id = 16) const uint TOKENS = 0;
layout(constant_id = 32) const uint HEAD_DIM = 24;
layout(constant_id = 34) const uint WIN = 3;
#define V_DIM HEAD_DIM
const uint QUADS = (HEAD_DIM + 3u) / 4u;
const uint AREA = WIN * WIN;

layout(set = 0, binding = 0, std430) restrict readonly buffer Q { T q[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer Q4 { W4 q4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K { T k[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K4 { W4 k4[]; };

layout(push_constant, std430) uniform Push {
    uint heads, hh, ww, np;
} pc;

uint map() { return gl_WorkGroupID.z; } // batch * heads + head
uint pixels() { return pc.hh * pc.ww; }

vec4 load_q(const uint row, const uint c)
{
    WIDE_LOAD4(q, map() * pixels() + row, HEAD_DIM, c);
}

vec4 load_k(const uint row, const uint c)
{
    WIDE_LOAD4(k, map() * pixels() + row, HEAD_DIM, c);
}

#ifdef PASS_PREPARE

layout(set = 0, binding = 3, std430) restrict readonly buffer Kp { T kp[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer Kp4 { W4 kp4[]; };
layout(set = 0, binding = 12, std430) restrict writeonly buffer Qnorm { float qnorm[]; };
layout(set = 0, binding = 13, std430) restrict writeonly buffer Knorm { float knorm[]; };
layout(set = 0, binding = 14, std430) restrict writeonly buffer Kpn { vec4 kpn[]; };

vec4 load_kp(const uint row, const uint c)
{
    WIDE_LOAD4(kp, map() * pc.np + row, HEAD_DIM, c);
}

float inverse_norm(const float norm2)
{
    const float norm = sqrt(norm2);
    return 1.0 / (norm < 1.0e-12 ? 1.0e-12 : norm);
}

void main()
{
    const uint i = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i < pixels()) {
        float x = 0.0;
        float y = 0.0;
        for (uint c = 0; c < QUADS; c++) {
            const vec4 a = load_q(i, c);
            const vec4 b = load_k(i, c);
            x += dot(a, a);
            y += dot(b, b);
        }
        qnorm[map() * pixels() + i] = inverse_norm(x);
        knorm[map() * pixels() + i] = inverse_norm(y);
    }
    if (i < pc.np) {
        float x = 0.0;
        for (uint c = 0; c < QUADS; c++) {
            const vec4 a = load_kp(i, c);
            x += dot(a, a);
        }
        const float factor = inverse_norm(x);
        for (uint c = 0; c < QUADS; c++) {
            kpn[(map() * pc.np + i) * QUADS + c] = load_kp(i, c) * factor;
        }
    }
}

#else // PASS_MAIN

layout(set = 0, binding = 2, std430) restrict readonly buffer V { T v[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V4 { W4 v4[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer Vp { T vp[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer Vp2 { W2 vp2[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer Vp4 { W4 vp4[]; };
layout(set = 0, binding = 5, std430) restrict readonly buffer Qe { float qe[]; };
layout(set = 0, binding = 6, std430) restrict readonly buffer Temp { float temp[]; };
layout(set = 0, binding = 7, std430) restrict readonly buffer Bl { float bl[]; };
layout(set = 0, binding = 8, std430) restrict readonly buffer Bp { T bp[]; };
layout(set = 0, binding = 9, std430) restrict readonly buffer Tok { float tok[]; };
layout(set = 0, binding = 10, std430) restrict readonly buffer Btok { float btok[]; };
layout(set = 0, binding = 11, std430) restrict writeonly buffer O { T o[]; };
layout(set = 0, binding = 11, std430) restrict writeonly buffer O4 { T4 o4[]; };
layout(set = 0, binding = 12, std430) restrict readonly buffer Qnorm { float qnorm[]; };
layout(set = 0, binding = 13, std430) restrict readonly buffer Knorm { float knorm[]; };
layout(set = 0, binding = 14, std430) restrict readonly buffer Kpn { vec4 kpn[]; };
layout(set = 0, binding = 14, std430) restrict readonly buffer Kpn2 { vec2 kpn2[]; };

shared float tokens[TOKENS != 0 ? HEAD_DIM * AREA : 1u];

const uint WEIGHT = 0; // softmax
const uint MASK = 0;
const uint BIAS = 1; // tensor
const uint CAP = 0;

uint head;
float temperature; // softplus of it

float score_bias_load(const uint row, const uint key)
{
    return vkz_load(bp[(head * pixels() + row) * pc.np + key]);
}

int score_segment_load(const uint key) { return 0; }

#include "lib/score.glsl"

vec4 load_v(const uint row, const uint c)
{
    WIDE_LOAD4(v, map() * pixels() + row, HEAD_DIM, c);
}

vec4 load_qe(const uint c)
{
    vec4 x = vec4(0.0);
    [[unroll]] for (uint e = 0; e < 4u; e++) {
        if (4u * c + e < HEAD_DIM) {
            x[e] = qe[head * HEAD_DIM + 4u * c + e];
        }
    }
    return x;
}

vec4 flash_q(const uint row, const uint c)
{
    return load_q(row, c) * qnorm[map() * pixels() + row] + load_qe(c);
}

// Places of the window of pixel (x, y) that lie in the map, along one side.
int places(const int at, const int size)
{
    const int reach = int(WIN) / 2;
    return min(at + reach, size - 1) - max(at - reach, 0) + 1;
}

float flash_row_scale(const uint row, const float norm2)
{
    const int x = int(row % pc.ww);
    const int y = int(row / pc.ww);
    const int inside = places(x, int(pc.ww)) * places(y, int(pc.hh));
    return temperature * VKZ_LN2 * vkz_log2(float(inside) + float(pc.np));
}

float flash_key_scale(const uint key) { return 1.0; }

vec4 flash_k(const uint key, const uint c)
{
    return kpn[(map() * pc.np + key) * QUADS + c];
}

vec4 flash_v(const uint key, const uint c)
{
    WIDE_LOAD4(vp, map() * pc.np + key, HEAD_DIM, c);
}

vec2 flash_k2(const uint key, const uint c)
{
    return kpn2[(map() * pc.np + key) * (2u * QUADS) + min(c, 2u * QUADS - 1u)];
}

vec2 flash_v2(const uint key, const uint c)
{
    WIDE_LOAD2(vp, map() * pc.np + key, HEAD_DIM, c);
}

void flash_store(const uint row, const uint c, const vec4 x)
{
    WIDE_STORE4(o, map() * pixels() + row, HEAD_DIM, c, x)
}

#ifdef AGGREGATED_LANE

layout(constant_id = 1) const uint SUBGROUP = 4;
layout(constant_id = 3) const uint ROWS = 1;
layout(constant_id = 4) const uint KEYS = 4;
layout(constant_id = 7) const uint ROLL = 0;
#include "lib/flash.glsl"

void attend_pooled(const score_map s, const uint first)
{
    flash_lane(s, first, gl_WorkGroupSize.x, 0, 0);
}

#else

const uint CHUNK = 8;
#define ROWS 1u
const uint FLASH_D = 4u * QUADS;
const uint FLASH_V = 4u * QUADS;
float flash_q_[FLASH_D];
float flash_o_[FLASH_V];
float flash_m[1];
float flash_l[1];
shared vec4 stage_k[CHUNK * QUADS];
shared vec4 stage_v[CHUNK * QUADS];

void attend_pooled(const score_map s, const uint first)
{
    const uint row = min(first, uint(s.q_len) - 1u);
    const float scale = flash_row_scale(row, 0.0);
    for (uint c = 0; c < QUADS; c++) {
        const vec4 x = flash_q(row, c) * s.scale;
        [[unroll]] for (uint e = 0; e < 4u; e++) {
            flash_q_[4u * c + e] = x[e];
            flash_o_[4u * c + e] = 0.0;
        }
    }
    flash_m[0] = SCORE_LOWEST;
    flash_l[0] = 0.0;
    for (uint j0 = 0; j0 < pc.np; j0 += CHUNK) {
        barrier();
        for (uint i = gl_LocalInvocationID.x; i < CHUNK * QUADS;
             i += gl_WorkGroupSize.x) {
            const uint key = min(j0 + i / QUADS, pc.np - 1u);
            stage_k[i] = flash_k(key, i % QUADS);
            stage_v[i] = flash_v(key, i % QUADS);
        }
        barrier();
        float w[CHUNK];
        float top = flash_m[0];
        [[unroll]] for (uint j = 0; j < CHUNK; j++) {
            w[j] = 0.0;
        }
        for (uint c = 0; c < QUADS; c++) {
            [[unroll]] for (uint j = 0; j < CHUNK; j++) {
                const vec4 x = stage_k[j * QUADS + c];
                [[unroll]] for (uint e = 0; e < 4u; e++) {
                    w[j] = fma(flash_q_[4u * c + e], x[e], w[j]);
                }
            }
        }
        [[unroll]] for (uint j = 0; j < CHUNK; j++) {
            const uint key = min(j0 + j, pc.np - 1u);
            w[j] = score_modify(s, w[j] * scale, 0, row, key);
            top = max(top, w[j]); // one past the end repeats the last
        }
        const float rescale = vkz_exp2(flash_m[0] - top, EXP);
        flash_m[0] = top;
        flash_l[0] *= rescale;
        [[unroll]] for (uint j = 0; j < CHUNK; j++) {
            w[j] = j0 + j < pc.np ? vkz_exp2(w[j] - top, EXP) : 0.0;
            flash_l[0] += w[j];
        }
        for (uint c = 0; c < QUADS; c++) {
            vec4 x;
            [[unroll]] for (uint e = 0; e < 4u; e++) {
                x[e] = flash_o_[4u * c + e] * rescale;
            }
            [[unroll]] for (uint j = 0; j < CHUNK; j++) {
                if (j0 + j < pc.np) {
                    x = fma(vec4(w[j]), stage_v[j * QUADS + c], x);
                }
            }
            [[unroll]] for (uint e = 0; e < 4u; e++) {
                flash_o_[4u * c + e] = x[e];
            }
        }
    }
}

#endif

float place_score[AREA];
float place_token[AREA];

// q̂ . tok_w + btok_w
void weigh_tokens(const uint row)
{
    for (uint w = 0; w < AREA; w++) {
        place_token[w] = btok[head * AREA + w];
    }
    const float factor = qnorm[map() * pixels() + row];
    for (uint c = 0; c < QUADS; c++) {
        const vec4 x = load_q(row, c) * factor;
        [[unroll]] for (uint e = 0; e < 4u; e++) {
            if (4u * c + e < HEAD_DIM) {
                for (uint w = 0; w < AREA; w++) {
                    place_token[w] =
                        fma(x[e], tokens[(4u * c + e) * AREA + w], place_token[w]);
                }
            }
        }
    }
}

// The window of the lane's row r, into flash_o_, which is finished after it.
void attend_window(const score_map s, const uint r, const uint row)
{
    const int x = int(row % pc.ww);
    const int y = int(row / pc.ww);
    const int reach = int(WIN) / 2;
    const float scale = flash_row_scale(row, 0.0);
    if (TOKENS != 0) {
        weigh_tokens(row);
    }
    float top = flash_m[r];
    [[dont_unroll]] for (uint w = 0; w < AREA; w++) {
        const int px = x + int(w % WIN) - reach;
        const int py = y + int(w / WIN) - reach;
        const bool inside = px >= 0 && px < int(pc.ww) && py >= 0 && py < int(pc.hh);
        const uint key = inside ? uint(py) * pc.ww + uint(px) : row;
        float z = 0.0;
        [[unroll]] for (uint c = 0; c < QUADS; c++) {
            const vec4 k = load_k(key, c);
            [[unroll]] for (uint e = 0; e < 4u; e++) {
                z = fma(flash_q_[r * FLASH_D + 4u * c + e], k[e], z);
            }
        }
        z = fma(bl[head * AREA + w], SCORE_UNIT,
                z * (scale * knorm[map() * pixels() + key]));
        place_score[w] = z;
        top = inside ? max(top, z) : top;
    }
    const float rescale = vkz_exp2(flash_m[r] - top, EXP);
    float sum = flash_l[r] * rescale;
    [[dont_unroll]] for (uint w = 0; w < AREA; w++) {
        const int px = x + int(w % WIN) - reach;
        const int py = y + int(w / WIN) - reach;
        const bool inside = px >= 0 && px < int(pc.ww) && py >= 0 && py < int(pc.hh);
        place_score[w] = inside ? vkz_exp2(place_score[w] - top, EXP) : 0.0;
        sum += place_score[w];
    }
    [[dont_unroll]] for (uint c = 0; c < 4u * QUADS; c++) {
        flash_o_[r * FLASH_V + c] *= rescale;
    }
    [[dont_unroll]] for (uint w = 0; w < AREA; w++) {
        const int px = x + int(w % WIN) - reach;
        const int py = y + int(w / WIN) - reach;
        const bool inside = px >= 0 && px < int(pc.ww) && py >= 0 && py < int(pc.hh);
        const uint key = inside ? uint(py) * pc.ww + uint(px) : row;
        float weight = place_score[w];
        if (TOKENS != 0) {
            weight = fma(place_token[w], sum, weight);
        }
        [[unroll]] for (uint c = 0; c < QUADS; c++) {
            const vec4 z = load_v(key, c);
            [[unroll]] for (uint e = 0; e < 4u; e++) {
                const uint at = r * FLASH_V + 4u * c + e;
                const float sum_ = fma(weight, z[e], flash_o_[at]);
                flash_o_[at] = inside ? sum_ : flash_o_[at];
            }
        }
    }
    flash_m[r] = top;
    flash_l[r] = sum;
}

void main()
{
    head = map() % pc.heads;
    temperature = vkz_softplus(temp[head]);
    if (TOKENS != 0) {
        for (uint i = gl_LocalInvocationID.x; i < HEAD_DIM * AREA;
             i += gl_WorkGroupSize.x) {
            tokens[i] = tok[head * HEAD_DIM * AREA + i];
        }
        barrier();
    }
    score_map s;
    s.q_len = int(pixels());
    s.kv_len = int(pc.np);
    s.wl = -1;
    s.wr = -1;
    s.np = 0;
    s.scale = SCORE_UNIT;
    s.cap = 1.0;
    s.offset = 0.0;
    s.slope = 0.0;
    s.r1 = 0.0;
    s.r2 = 0.0;
    const uint lanes = gl_WorkGroupSize.x;
    const uint begin = gl_WorkGroupID.x * lanes * ROWS;
    const uint end = min(begin + lanes * ROWS, pixels());
    const uint first = begin + gl_LocalInvocationID.x;
    attend_pooled(s, first);
    for (uint r = 0; r < ROWS; r++) {
        attend_window(s, r, min(first + r * lanes, end - 1u));
    }
#ifdef AGGREGATED_LANE
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        flash_factor[r] = 1.0 / flash_l[r];
    }
    flash_store_rows(first, lanes, end);
#else
    if (first < end) {
        for (uint c = 0; c < QUADS; c++) {
            vec4 x;
            [[unroll]] for (uint e = 0; e < 4u; e++) {
                x[e] = flash_o_[4u * c + e] / flash_l[0];
            }
            flash_store(first, c, x);
        }
    }
#endif
}

#endif
