// SPDX-License-Identifier: MIT
//
// The body of halo_attention_*: a lane owns ROWS pixels of a column of its block
//
//          bx                     window rows and columns are walked by all lanes together;
//        +----+---------+         a key is at the same place for every pixel of the block.
//     by | r0 | lane 1  |
//        | r1 |         |         Relative terms: q . rh depends on the window's row, q . rw
//        | r2 |         |         on its column only, so each pixel has two tables of W0
//        +----+---------+         numbers, made before the walk.
//
// The table row of pixel by0 + r and window row wy is the same for all r and wy = u + r:
// it is read once for all rows of the lane.
//
// The includer defines HALO_LANE for keys that lanes hand round by shuffles, else they
// are staged in shared memory, KEYS at a time.
#include "sparse/wide.glsl"

layout(local_size_x = 32, local_size_x_id = 0) in;

layout(constant_id = 3) const uint ROWS = 1;
layout(constant_id = 4) const uint KEYS = 4;
layout(constant_id = 5) const uint EXP = 5;
layout(constant_id = 6) const uint VEC = 1;
layout(constant_id = 16) const uint REL = 0;
layout(constant_id = 17) const uint PAD = 0; // mask, zero
layout(constant_id = 32) const uint HEAD_DIM = 16;
layout(constant_id = 33) const uint V_DIM = 16;
layout(constant_id = 34) const uint BS = 8;
layout(constant_id = 35) const uint HALO = 3;
const uint W0 = BS + 2u * HALO;
const uint QUADS = (HEAD_DIM + 3u) / 4u;
const uint V_QUADS = (V_DIM + 3u) / 4u;

layout(set = 0, binding = 0, std430) restrict readonly buffer Q { T q[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer Q4 { W4 q4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K { T k[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K2 { W2 k2[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer K4 { W4 k4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V { T v[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V2 { W2 v2[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer V4 { W4 v4[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer Rh { T rh[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer Rh4 { W4 rh4[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer Rw { T rw[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer Rw4 { W4 rw4[]; };
layout(set = 0, binding = 5, std430) restrict writeonly buffer O { T o[]; };
layout(set = 0, binding = 5, std430) restrict writeonly buffer O4 { T4 o4[]; };

layout(push_constant, std430) uniform Push {
    uint hh, ww, heads;
    float tau;
} pc;

#include "lib/exp.glsl"

const float LOWEST = -3.0e38;

uint head;
uint map_row; // pixel where the map begins

uint row_of(const uint y, const uint x)
{
    return (map_row + y * pc.ww + x) * pc.heads + head;
}

vec4 load_q(const uint row, const uint c)
{
    WIDE_LOAD4(q, row, HEAD_DIM, c);
}

vec4 load_k(const uint row, const uint c)
{
    WIDE_LOAD4(k, row, HEAD_DIM, c);
}

vec4 load_v(const uint row, const uint c)
{
    WIDE_LOAD4(v, row, V_DIM, c);
}

vec4 load_rh(const uint row, const uint c)
{
    WIDE_LOAD4(rh, row, HEAD_DIM, c);
}

vec4 load_rw(const uint row, const uint c)
{
    WIDE_LOAD4(rw, row, HEAD_DIM, c);
}

void store_o(const uint row, const uint c, const vec4 x)
{
    WIDE_STORE4(o, row, V_DIM, c, x)
}

float own_q[ROWS * 4u * QUADS];
float own_o[ROWS * 4u * V_QUADS];
float own_m[ROWS];
float own_l[ROWS];
float rel_h[REL != 0 ? ROWS * W0 : 1u];
float rel_w[REL != 0 ? ROWS * W0 : 1u];

// --- keys and values: element e of key j of the step ------------------------------------
#ifdef HALO_LANE
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
layout(constant_id = 1) const uint SUBGROUP = 4;
const uint SPAN = 2u * SUBGROUP;
vec2 spread[KEYS];

vec2 load_k2(const uint row, const uint c)
{
    WIDE_LOAD2(k, row, HEAD_DIM, c);
}

vec2 load_v2(const uint row, const uint c)
{
    WIDE_LOAD2(v, row, V_DIM, c);
}

float element(const uint j, const uint i)
{
    return subgroupShuffle((i & 1u) == 0u ? spread[j].x : spread[j].y, i >> 1);
}
#else
const uint SPAN = 4;
shared vec4 stage_k[KEYS * QUADS];
shared vec4 stage_v[KEYS * V_QUADS];
#endif

// Scores of KEYS keys of window row wy from column wx0 on, those below wx_end; all rows
// together. step_row[j] is the row of k and v under key j, which counts as 0 unless
// step_inside[j].
uint step_row[KEYS];
bool step_inside[KEYS];

void step_keys(const uint wy, const uint wx0, const uint wx_end)
{
    float w[ROWS * KEYS];
    [[unroll]] for (uint i = 0; i < ROWS * KEYS; i++) {
        w[i] = 0.0;
    }
#ifdef HALO_LANE
    const uint lane = gl_SubgroupInvocationID % SUBGROUP;
#else
    barrier();
    for (uint i = gl_LocalInvocationID.x; i < KEYS * QUADS; i += gl_WorkGroupSize.x) {
        stage_k[i] = load_k(step_row[i / QUADS], i % QUADS);
    }
    for (uint i = gl_LocalInvocationID.x; i < KEYS * V_QUADS; i += gl_WorkGroupSize.x) {
        stage_v[i] = load_v(step_row[i / V_QUADS], i % V_QUADS);
    }
    barrier();
#endif
    [[dont_unroll]] for (uint c = 0; c < HEAD_DIM; c += SPAN) {
#ifdef HALO_LANE
        [[unroll]] for (uint j = 0; j < KEYS; j++) {
            spread[j] = load_k2(step_row[j], c / 2u + lane);
        }
#endif
        [[unroll]] for (uint i = 0; i < SPAN; i++) {
            if (c + i < HEAD_DIM) {
                [[unroll]] for (uint j = 0; j < KEYS; j++) {
#ifdef HALO_LANE
                    const float x = element(j, i);
#else
                    const float x = stage_k[j * QUADS + c / 4u][i];
#endif
                    [[unroll]] for (uint r = 0; r < ROWS; r++) {
                        w[r * KEYS + j] = fma(own_q[r * 4u * QUADS + c + i], x,
                                              w[r * KEYS + j]);
                    }
                }
            }
        }
    }
    float rescale[ROWS];
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        float top = own_m[r];
        [[unroll]] for (uint j = 0; j < KEYS; j++) {
            float x = step_inside[j] ? w[r * KEYS + j] : 0.0;
            if (REL != 0) {
                x += rel_h[r * W0 + wy] + rel_w[r * W0 + min(wx0 + j, W0 - 1u)];
            }
            w[r * KEYS + j] = x;
            top = wx0 + j < wx_end ? max(top, x) : top;
        }
        rescale[r] = vkz_exp2(own_m[r] - top, EXP);
        own_m[r] = top;
        float sum = 0.0;
        [[unroll]] for (uint j = 0; j < KEYS; j++) {
            const float x = vkz_exp2(w[r * KEYS + j] - top, EXP);
            w[r * KEYS + j] = wx0 + j < wx_end ? x : 0.0;
            sum += w[r * KEYS + j];
        }
        own_l[r] = fma(own_l[r], rescale[r], sum);
    }
    [[dont_unroll]] for (uint c = 0; c < V_DIM; c += SPAN) {
#ifdef HALO_LANE
        [[unroll]] for (uint j = 0; j < KEYS; j++) {
            spread[j] = load_v2(step_row[j], c / 2u + lane);
        }
#endif
        [[unroll]] for (uint i = 0; i < SPAN; i++) {
            if (c + i < V_DIM) {
                float sum[ROWS];
                [[unroll]] for (uint r = 0; r < ROWS; r++) {
                    sum[r] = own_o[r * 4u * V_QUADS + c + i] * rescale[r];
                }
                [[unroll]] for (uint j = 0; j < KEYS; j++) {
#ifdef HALO_LANE
                    const float x = element(j, i);
#else
                    const float x = stage_v[j * V_QUADS + c / 4u][i];
#endif
                    // What lies outside is another pixel's value, which may be NaN.
                    const float y = step_inside[j] ? x : 0.0;
                    [[unroll]] for (uint r = 0; r < ROWS; r++) {
                        sum[r] = fma(w[r * KEYS + j], y, sum[r]);
                    }
                }
                [[unroll]] for (uint r = 0; r < ROWS; r++) {
                    own_o[r * 4u * V_QUADS + c + i] = sum[r];
                }
            }
        }
    }
}

// Fills rel_h and rel_w from queries that are not scaled yet.
void relative_terms(const uint bx, const uint by0)
{
    [[dont_unroll]] for (uint u = 0; u < W0 + ROWS - 1u; u++) {
        const int at = int(u + W0) - int(ROWS + by0);
        const uint row = uint(clamp(at, 0, 2 * int(W0) - 2));
        float x[ROWS];
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            x[r] = 0.0;
        }
        [[dont_unroll]] for (uint c = 0; c < QUADS; c++) {
            const vec4 y = load_rh(row, c);
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                [[unroll]] for (uint e = 0; e < 4u; e++) {
                    x[r] = fma(own_q[r * 4u * QUADS + 4u * c + e], y[e], x[r]);
                }
            }
        }
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            const uint wy = u + r - (ROWS - 1u); // below 0 it is large
            if (wy < W0) {
                rel_h[r * W0 + wy] = x[r] * VKZ_LOG2E;
            }
        }
    }
    [[dont_unroll]] for (uint wx = 0; wx < W0; wx++) {
        float x[ROWS];
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            x[r] = 0.0;
        }
        [[dont_unroll]] for (uint c = 0; c < QUADS; c++) {
            const vec4 y = load_rw(wx + W0 - 1u - bx, c);
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                [[unroll]] for (uint e = 0; e < 4u; e++) {
                    x[r] = fma(own_q[r * 4u * QUADS + 4u * c + e], y[e], x[r]);
                }
            }
        }
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            rel_w[r * W0 + wx] = x[r] * VKZ_LOG2E;
        }
    }
}

void main()
{
    head = gl_WorkGroupID.y;
    map_row = gl_WorkGroupID.z * pc.hh * pc.ww;
    const uint strips = BS * ((BS + ROWS - 1u) / ROWS);
    const uint tiles = (strips + gl_WorkGroupSize.x - 1u) / gl_WorkGroupSize.x;
    const uint block = gl_WorkGroupID.x / tiles;
    const uint y0 = block / (pc.ww / BS) * BS;
    const uint x0 = block % (pc.ww / BS) * BS;
    const uint strip =
        gl_WorkGroupID.x % tiles * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    const uint bx = min(strip, strips - 1u) % BS;
    const uint by0 = min(strip, strips - 1u) / BS * ROWS;

    [[dont_unroll]] for (uint c = 0; c < QUADS; c++) {
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            const vec4 x = load_q(row_of(y0 + min(by0 + r, BS - 1u), x0 + bx), c);
            [[unroll]] for (uint e = 0; e < 4u; e++) {
                own_q[r * 4u * QUADS + 4u * c + e] = x[e];
            }
        }
    }
    if (REL != 0) {
        relative_terms(bx, by0);
    }
    [[dont_unroll]] for (uint i = 0; i < ROWS * 4u * QUADS; i++) {
        own_q[i] *= pc.tau * VKZ_LOG2E;
    }
    [[dont_unroll]] for (uint i = 0; i < ROWS * 4u * V_QUADS; i++) {
        own_o[i] = 0.0;
    }
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        own_m[r] = LOWEST;
        own_l[r] = 0.0;
    }

    // With PAD=mask only the part of the window inside the map is walked.
    const int top = int(y0) - int(HALO);
    const int left = int(x0) - int(HALO);
    uint wy = 0u;
    uint wy_end = W0;
    uint wx_begin = 0u;
    uint wx_end = W0;
    if (PAD == 0) {
        wy = uint(max(-top, 0));
        wy_end = uint(min(int(W0), int(pc.hh) - top));
        wx_begin = uint(max(-left, 0));
        wx_end = uint(min(int(W0), int(pc.ww) - left));
    }
    for (; wy < wy_end; wy++) {
        const int y = top + int(wy);
        for (uint wx = wx_begin; wx < wx_end; wx += KEYS) {
            [[unroll]] for (uint j = 0; j < KEYS; j++) {
                const int x = left + int(min(wx + j, wx_end - 1u));
                step_inside[j] = x >= 0 && x < int(pc.ww) && y >= 0 && y < int(pc.hh);
                step_row[j] = row_of(uint(clamp(y, 0, int(pc.hh) - 1)),
                                     uint(clamp(x, 0, int(pc.ww) - 1)));
            }
            step_keys(wy, wx, wx_end);
        }
    }

    [[dont_unroll]] for (uint c = 0; c < V_QUADS; c++) {
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            vec4 x;
            [[unroll]] for (uint e = 0; e < 4u; e++) {
                x[e] = own_o[r * 4u * V_QUADS + 4u * c + e] / own_l[r];
            }
            if (strip < strips && by0 + r < BS) {
                store_o(row_of(y0 + by0 + r, x0 + bx), c, x);
            }
        }
    }
}
