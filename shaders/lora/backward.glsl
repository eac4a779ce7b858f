// SPDX-License-Identifier: MIT
//
// Passes of the gradients of an adapted layer on tiles in shared memory; hooks as in
// lora/layer.glsl
//
//   h = (u e dy) B,   G = (u dy)^T (f z),   dB = e G,   dA = (f h)^T (x * drop)
//   dx = (u dy) W + drop * ((f h) A)
//   gradient of diag: sum over rows of z h; of column: sum over the rank of B G (u = f = 1)
//
//   down_z  parts of z (unless it was saved), the sums split over workgroups
//   down_h  parts of h
//   factor  f z and f h, and z h where it is wanted
//   wide    dx, one product whose sums run over n and then over the rank; where elements
//           are dropped the rank is walked when a sum is stored
//   grad_a  parts of (x * drop)^T (f h), a thin product with sums over rows
//   grad_b  parts of (u dy)^T (f z)
//   finish  sums of the parts, in order
//   dots    column sums of z h
//
// With LORA_NORM (DoRA) two more segments follow the rows in those two, see lora/dora.glsl.
// The includer defines the bindings LORA_DY, LORA_DX, LORA_DOWN (scratch of z and h),
// LORA_MID, LORA_GRADS and, where its op has them, LORA_Z (saved, with SAVE), LORA_DA and
// LORA_DB, LORA_DDIAG, LORA_DCOLUMN; and has parts and gparts in LORA_PUSH.
#include "lora/layer.glsl"

layout(set = 0, binding = LORA_DY, std430) restrict readonly buffer Dy { T dy[]; };
layout(set = 0, binding = LORA_DY, std430) restrict readonly buffer Dy4 { W4 dy4[]; };
LORA_MATRIX(block_dy, dy, dy4, VEC_N, pc.rows, pc.n)

// dy and its column factors u.
void block_udy(const uint row, const uint o, out vec4 block[4])
{
    block_dy(row, o, block);
    const vec4 u = lora_u4(o);
    [[unroll]] for (uint i = 0; i < 4; ++i) {
        block[i] *= u;
    }
}

#ifdef LORA_Z
layout(constant_id = 19) const uint SAVE = 0;
#else
const uint SAVE = 0;
#endif

uint mid_size() { return pc.rows * quads_r(); }

#if defined(PASS_DOWN_Z) || defined(PASS_DOWN_H)

#define LORA_THIN
#include "lora/tiles.glsl"

const bool A_ALONG_K = true;
const bool B_ALONG_K = true;

layout(set = 0, binding = LORA_DOWN, std430) restrict writeonly buffer Down { vec4 down[]; };

#ifdef PASS_DOWN_H
const bool SECOND = true;  // h = (u e dy) B
#else
const bool SECOND = false; // z = (x * drop) A^T
#endif

void load_block_a(const uint row, const uint q, out vec4 block[4])
{
    if (SECOND) {
        block_udy(row, 4 * q, block);
        const vec4 e = lora_e4(4 * q);
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            block[i] *= e;
        }
    } else {
        block_xd(row, 4 * q, block);
    }
}

void load_block_b(const uint q, const uint col, out vec4 block[4])
{
    if (SECOND) {
        block_b(4 * q, col, block);
    } else {
        block_a(col, 4 * q, block);
        lora_transpose(block);
    }
}

void store_c4(const uint row, const uint col, const vec4 sum)
{
    if (row < pc.rows && col / 4 < quads_r()) {
        const uint part = (SECOND ? pc.parts : 0) + gl_WorkGroupID.z;
        down[part * mid_size() + row * quads_r() + col / 4] = sum;
    }
}

#include "lib/tile.glsl"

void main()
{
    if (SAVE != 0 && !SECOND) {
        return; // every workgroup
    }
    const uvec2 span = lora_span(SECOND ? quads_n() : quads_k(),
                                 gl_WorkGroupID.z, pc.parts);
    vkz_tile(gl_LocalInvocationID.x, gl_WorkGroupID.y * TILE_M, gl_WorkGroupID.x * TILE_N,
             span.x, span.y);
}

#elif defined(PASS_FACTOR)

layout(local_size_x = 128, local_size_x_id = 0) in;

layout(set = 0, binding = LORA_DOWN, std430) restrict readonly buffer Down { vec4 down[]; };
layout(set = 0, binding = LORA_MID, std430) restrict writeonly buffer Mid { vec4 mid[]; };
#ifdef LORA_Z
layout(set = 0, binding = LORA_Z, std430) restrict readonly buffer Z { float z[]; };
#endif

vec4 down_sum(const uint first, const uint i)
{
    vec4 sum = down[first * mid_size() + i];
    for (uint part = 1; part < pc.parts; ++part) {
        sum += down[(first + part) * mid_size() + i];
    }
    return sum;
}

vec4 down_z(const uint i)
{
#ifdef LORA_Z
    if (SAVE != 0) {
        const uint j = 4 * (i % quads_r());
        vec4 v = vec4(0.0);
        [[unroll]] for (uint c = 0; c < 4; ++c) {
            if (j + c < pc.rank) {
                v[c] = z[i / quads_r() * pc.rank + j + c];
            }
        }
        return v;
    }
#endif
    return down_sum(0, i);
}

void main()
{
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint i = gl_GlobalInvocationID.x; i < mid_size(); i += step) {
        const vec4 f = lora_f4(4 * (i % quads_r()));
        const vec4 own = down_z(i);
        const vec4 h = down_sum(pc.parts, i);
        mid[i] = f * own;
        mid[mid_size() + i] = f * h;
#ifdef LORA_DDIAG
        mid[2 * mid_size() + i] = own * h;
#endif
    }
}

#elif defined(PASS_WIDE)

#include "lora/tiles.glsl"

const bool A_ALONG_K = true;
const bool B_ALONG_K = false;

layout(set = 0, binding = LORA_MID, std430) restrict readonly buffer Mid { vec4 mid[]; };
layout(set = 0, binding = LORA_DX, std430) restrict writeonly buffer Dx { T dx[]; };
layout(set = 0, binding = LORA_DX, std430) restrict writeonly buffer Dx4 { W4 dx4[]; };

#define MID_FH(i) mid[mid_size() + (i)]

vec4 block_fh_row_(const uint row, const uint j, const bool inside)
{
    const uint at = min(row, pc.rows - 1) * quads_r() + min(j / 4, quads_r() - 1);
    return mix(vec4(0.0), MID_FH(at), bvec4(row < pc.rows && inside));
}

void block_fh(const uint row, const uint j, out vec4 block[4])
{
#ifdef LORA_DROP
    const bool inside = DROPMASK == 0 && j / 4 < quads_r(); // `side` adds it then
#else
    const bool inside = j / 4 < quads_r();
#endif
    LORA_ROWS(block, block_fh_row_(row + i, j, inside))
}

void load_block_a(const uint row, const uint q, out vec4 block[4])
{
    if (q < quads_n()) {
        block_udy(row, 4 * q, block);
    } else {
        block_fh(row, 4 * (q - quads_n()), block);
    }
}

void load_block_b(const uint q, const uint col, out vec4 block[4])
{
    if (q < quads_n()) {
        block_w(4 * q, col, block);
    } else {
        block_a(4 * (q - quads_n()), col, block);
    }
}

#ifdef LORA_DROP
// (f h) A of four elements of a row, from memory.
vec4 side(const uint row, const uint col)
{
    vec4 sum = vec4(0.0);
    for (uint q = 0; q < quads_r(); ++q) {
        vec4 block[4];
        block_a(4 * q, col, block);
        sum += mat4(block[0], block[1], block[2], block[3]) * MID_FH(row * quads_r() + q);
    }
    return sum;
}
#endif

void store_c4(const uint row, const uint col, const vec4 sum)
{
    if (row < pc.rows && col < pc.k) {
        vec4 v = sum;
#ifdef LORA_DROP
        if (DROPMASK != 0) {
            v += lora_drop4(row, col) * side(row, col);
        }
#endif
        LORA_STORE(dx, dx4, VEC_K, row * pc.k, col, pc.k, v)
    }
}

#include "lib/tile.glsl"

void main()
{
    uint groups = quads_n() + quads_r();
#ifdef LORA_DROP
    groups = DROPMASK != 0 ? quads_n() : groups;
#endif
    vkz_tile(gl_LocalInvocationID.x, gl_WorkGroupID.y * TILE_M, gl_WorkGroupID.x * TILE_N,
             0, groups);
}

#elif defined(PASS_GRAD_A) || defined(PASS_GRAD_B)

#define LORA_THIN
#include "lora/tiles.glsl"

const bool A_ALONG_K = false;
const bool B_ALONG_K = false;

layout(set = 0, binding = LORA_MID, std430) restrict readonly buffer Mid { vec4 mid[]; };
layout(set = 0, binding = LORA_GRADS, std430) restrict writeonly buffer Grads {
    vec4 grads[];
};

#ifdef PASS_GRAD_B
const bool SECOND = true;  // G
#else
const bool SECOND = false; // the transpose of dA
#endif

#ifdef LORA_NORM
#include "lora/dora_gradient.glsl"
#endif

void load_block_a(const uint row, const uint q, out vec4 block[4])
{
#ifdef LORA_NORM
    if (NORM != NORM_GIVEN && q >= quads_rows()) {
        norm_block_a(row, q - quads_rows(), block);
        return;
    }
#endif
    if (SECOND) {
        block_udy(4 * q, row, block);
    } else {
        block_xd(4 * q, row, block);
    }
    lora_transpose(block);
}

vec4 mid_row_(const uint row, const uint col)
{
    const uint at = min(row, pc.rows - 1) * quads_r() + min(col / 4, quads_r() - 1);
    return mix(vec4(0.0), mid[(SECOND ? 0 : mid_size()) + at],
               bvec4(row < pc.rows && col / 4 < quads_r()));
}

void load_block_b(const uint q, const uint col, out vec4 block[4])
{
#ifdef LORA_NORM
    if (NORM != NORM_GIVEN && q >= quads_rows()) {
        norm_block_b(q - quads_rows(), col, block);
        return;
    }
#endif
    LORA_ROWS(block, mid_row_(4 * q + i, col))
}

void store_c4(const uint row, const uint col, const vec4 sum)
{
    if (row < (SECOND ? pc.n : pc.k) && col / 4 < quads_r()) {
        const uint at = gl_WorkGroupID.z * (pc.k + pc.n)
                        + (SECOND ? pc.k + row : row);
        grads[at * quads_r() + col / 4] = sum;
    }
}

#include "lib/tile.glsl"

void main()
{
    uint groups = quads_rows();
#ifdef LORA_NORM
    groups += norm_groups();
#endif
    const uvec2 span = lora_span(groups, gl_WorkGroupID.z, pc.gparts);
    vkz_tile(gl_LocalInvocationID.x, gl_WorkGroupID.y * TILE_M, gl_WorkGroupID.x * TILE_N,
             span.x, span.y);
}

#elif defined(PASS_FINISH)

layout(local_size_x = 128, local_size_x_id = 0) in;

layout(set = 0, binding = LORA_GRADS, std430) restrict readonly buffer Grads {
    vec4 grads[];
};

vec4 grads_sum(const uint i)
{
    const uint size = (pc.k + pc.n) * quads_r();
    vec4 sum = grads[i];
    for (uint part = 1; part < pc.gparts; ++part) {
        sum += grads[part * size + i];
    }
    return sum;
}

#ifdef LORA_DA
layout(set = 0, binding = LORA_DA, std430) restrict writeonly buffer Da { float da[]; };
layout(set = 0, binding = LORA_DB, std430) restrict writeonly buffer Db { float db[]; };

// Lanes run along k for dA, which is written so, and along the rank for dB.
void main()
{
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint i = gl_GlobalInvocationID.x; i < (pc.k + pc.n) * quads_r(); i += step) {
        const bool down = i < pc.k * quads_r();
        const uint q = down ? i / pc.k : i % quads_r();
        const uint row = down ? i % pc.k : i / quads_r();
        const vec4 sum = grads_sum(row * quads_r() + q);
        const vec4 e = lora_e4(down ? 0 : row - pc.k);
        [[unroll]] for (uint c = 0; c < 4; ++c) {
            if (4 * q + c < pc.rank) {
                if (down) {
                    da[(4 * q + c) * pc.k + row] = sum[c];
                } else {
                    db[(row - pc.k) * pc.rank + 4 * q + c] = e.x * sum[c];
                }
            }
        }
    }
}
#else
layout(set = 0, binding = LORA_DCOLUMN, std430) restrict writeonly buffer Dcolumn {
    float dcolumn[];
};

void main()
{
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint o = gl_GlobalInvocationID.x; o < pc.n; o += step) {
        float sum = 0.0;
        for (uint q = 0; q < quads_r(); ++q) {
            const vec4 g = grads_sum((pc.k + o) * quads_r() + q);
            [[unroll]] for (uint c = 0; c < 4; ++c) {
                if (4 * q + c < pc.rank) {
                    sum = fma(vkz_load(b[o * pc.rank + 4 * q + c]), g[c], sum);
                }
            }
        }
        dcolumn[o] = sum;
    }
}
#endif

#elif defined(PASS_DOTS)

layout(local_size_x = 128, local_size_x_id = 0) in;

layout(set = 0, binding = LORA_MID, std430) restrict readonly buffer Mid { vec4 mid[]; };
layout(set = 0, binding = LORA_DDIAG, std430) restrict writeonly buffer Ddiag {
    float ddiag[];
};

shared vec4 dots_part[gl_WorkGroupSize.x];

// A workgroup four columns.
void main()
{
    const uint lane = gl_LocalInvocationID.x;
    const uint lanes = gl_WorkGroupSize.x;
    const uint q = gl_WorkGroupID.x;
    vec4 sum = vec4(0.0);
    for (uint row = lane; row < pc.rows; row += lanes) {
        sum += mid[2 * mid_size() + row * quads_r() + q];
    }
    dots_part[lane] = sum;
    barrier();
    if (lane < 4 && 4 * q + lane < pc.rank) {
        float total = 0.0;
        for (uint i = 0; i < lanes; ++i) {
            total += dots_part[i][lane];
        }
        ddiag[4 * q + lane] = total;
    }
}

#endif
