// SPDX-License-Identifier: MIT
//
// Gradients of RandLoRA, both diagonals folded into the products
//
//   meet  Za = (X_a * gam) A^T and Zb = X_b B, where X_a is the one of x and dy that has
//         as many columns as A, X_b the other
//   lam   parts of dlam = s sum over rows Za * Zb; H = s lam Zb, transposed
//   dx    dx = dy W + s (lam Zb) gam A where k <= n, else dy W + s (lam Za) B^T: one sum
//   gam   dgam_b = sum over j of A[j] * (H_j^T X_a), a lane owns four columns of a basis
//
// RandLoRA, arXiv 2502.00987.
//
// Why this one: the matrix that dgam is a sum of, as large as W, stays in registers; the
// same two products serve both orientations. Parts are added in a fixed order.
//
//! kernel   randlora_linear_backward_fused
//! op       randlora_linear_backward/1
//! tier     T0
//! bind     0 x     in   T[rows, k]
//! bind     1 w     in   T[n, k]
//! bind     2 a     in   T[rank, min(k,n)]  when BASIS == BASIS.dense
//! bind     3 b     in   T[ceildiv(min(k,n),rank), max(k,n), rank]  when BASIS == BASIS.dense
//! bind     4 abits in   u32[ceildiv(rank*min(k,n),16)]  when BASIS == BASIS.ternary
//! bind     5 bbits in   u32[ceildiv(ceildiv(min(k,n),rank)*max(k,n)*rank,16)]  when BASIS == BASIS.ternary
//! bind     6 lam   in   f32[ceildiv(min(k,n),rank), rank]
//! bind     7 gam   in   f32[ceildiv(min(k,n),rank), min(k,n)]
//! bind     8 dy    in   T[rows, n]
//! bind     9 dx    out  T[rows, k]
//! bind     10 dlam out  f32[ceildiv(min(k,n),rank), rank]
//! bind     11 dgam out  f32[ceildiv(min(k,n),rank), min(k,n)]
//! scratch  12 z    f32[2, rows, columns]
//! scratch  13 h    f32[columns, 4*ceildiv(rows,4)]
//! scratch  14 part f32[parts, columns]
//! push     rows:u32 k:u32 n:u32 rank:u32 pr:u32 bases:u32 s:f32 parts:u32
//! spec     3 TILE_M u32 64 = is_cpu ? 32 : 64   // rows a workgroup
//! spec     4 TILE_N u32 64 = is_cpu ? 32 : 64   // columns a workgroup
//! spec     5 TILE_K u32 16
//! spec     6 REG_M u32 8 = is_cpu ? 4 : 8   // rows a lane
//! spec     7 REG_N u32 4      // columns a lane
//! spec     0 WG_SIZE u32 128 = TILE_M / REG_M * (TILE_N / REG_N)
//! spec     12 VEC_K u32 1 = k % 4 == 0 ? 4 : 1
//! spec     13 VEC_N u32 1 = n % 4 == 0 ? 4 : 1
//! spec     14 VEC_R u32 1 = rank % 4 == 0 ? 4 : 1
//! spec     16 BASIS u32 0
//! spec     17 WIDE u32 0 = k > n
//! let      pr 4*ceildiv(rank,4)
//! let      bases ceildiv(min(k,n),rank)
//! let      columns bases*pr
//! spec     8 TILE_ROWS u32 8   // columns of a basis that a lane sums at a time for dgam
//! spec     11 ROLLED u32 0 = is_cpu   // loads in a loop
//! let      parts max(1,min(32,ceildiv(rows,64)))
//! shared   16 * TILE_K * (TILE_M / 4 + TILE_N / 4 + 2)
//! pass     meet  groups ceildiv(columns,TILE_N) ceildiv(rows,TILE_M) 2
//! pass     lam   groups ceildiv(columns/4,WG_SIZE) parts
//! pass     dx    groups ceildiv(k,TILE_N) ceildiv(rows,TILE_M)
//! pass     gam   groups ceildiv(ceildiv(min(k,n),4),WG_SIZE) min(ceildiv(min(k,n),rank),65535)
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require

#define RAND_A 2
#define RAND_PARTS
#include "lora/randlora.glsl"

layout(set = 0, binding = 0, std430) restrict readonly buffer X { T x[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer X4 { W4 x4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer W { T w[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Wx4 { W4 w4[]; };
layout(set = 0, binding = 8, std430) restrict readonly buffer Dy { T dy[]; };
layout(set = 0, binding = 8, std430) restrict readonly buffer Dy4 { W4 dy4[]; };
layout(set = 0, binding = 9, std430) restrict writeonly buffer Dx { T dx[]; };
layout(set = 0, binding = 9, std430) restrict writeonly buffer Dx4 { W4 dx4[]; };
layout(set = 0, binding = 10, std430) restrict writeonly buffer DLam { float dlam[]; };
layout(set = 0, binding = 11, std430) restrict writeonly buffer DGam { float dgam[]; };
layout(set = 0, binding = 12, std430) restrict buffer Z { vec4 z[]; };
layout(set = 0, binding = 13, std430) restrict buffer H { vec4 h[]; };
layout(set = 0, binding = 14, std430) restrict buffer Part { vec4 part[]; };

LORA_MATRIX(block_x, x, x4, VEC_K, pc.rows, pc.k)
LORA_MATRIX(block_dy, dy, dy4, VEC_N, pc.rows, pc.n)

uint quads_f() { return rand_columns() / 4; }
uint quads_rows() { return (pc.rows + 3) / 4; }

void block_xa(const uint row, const uint c, out vec4 m[4])
{
    if (WIDE != 0) {
        block_dy(row, c, m);
    } else {
        block_x(row, c, m);
    }
}

void block_xb(const uint row, const uint c, out vec4 m[4])
{
    if (WIDE != 0) {
        block_x(row, c, m);
    } else {
        block_dy(row, c, m);
    }
}

#if defined(PASS_MEET)

void load_block_a(const uint row, const uint q, out vec4 m[4])
{
    if (gl_WorkGroupID.z == 0) {
        block_xa(row, 4 * q, m);
    } else {
        block_xb(row, 4 * q, m);
    }
}

void load_block_b(const uint q, const uint col, out vec4 m[4])
{
    if (gl_WorkGroupID.z == 0) {
        block_a(col, 4 * q, m);
        lora_transpose(m);
    } else {
        block_b(col, 4 * q, m);
    }
}

void store_c4(const uint row, const uint col, const vec4 sum)
{
    if (row < pc.rows && col < rand_columns()) {
        z[(gl_WorkGroupID.z * pc.rows + row) * quads_f() + col / 4] = sum;
    }
}

#elif defined(PASS_DX)

LORA_MATRIX(block_w, w, w4, VEC_K, pc.n, pc.k)

void load_block_a(const uint row, const uint q, out vec4 m[4])
{
    const uint seam = (pc.n + 3) / 4;
    if (q < seam) {
        block_dy(row, 4 * q, m);
        return;
    }
    const uint f = q - seam;
    const uint first = WIDE != 0 ? 0 : pc.rows;
    const vec4 scale = f < quads_f() ? side_scale() * lam4(4 * f) : vec4(0.0);
    [[unroll]] for (uint i = 0; i < 4; ++i) {
        const uint at = first + min(row + i, pc.rows - 1);
        m[i] = scale * z[at * quads_f() + min(f, quads_f() - 1)];
    }
}

void load_block_b(const uint q, const uint col, out vec4 m[4])
{
    const uint seam = (pc.n + 3) / 4;
    if (q < seam) {
        block_w(4 * q, col, m);
    } else if (WIDE != 0) {
        block_b(4 * (q - seam), col, m);
        lora_transpose(m);
    } else {
        block_a(4 * (q - seam), col, m);
    }
}

void store_c4(const uint row, const uint col, const vec4 sum)
{
    if (row < pc.rows && col < pc.k) {
        LORA_STORE(dx, dx4, VEC_K, row * pc.k, col, pc.k, sum)
    }
}

#endif

#if defined(PASS_MEET) || defined(PASS_DX)

const bool A_ALONG_K = true;
#ifdef PASS_MEET
const bool B_ALONG_K = true;
#else
const bool B_ALONG_K = false;
#endif
#include "lora/tiles.glsl"
#include "lib/tile.glsl"

void main()
{
#ifdef PASS_MEET
    const uint groups = ((gl_WorkGroupID.z == 0 ? rand_dm() : rand_dx()) + 3) / 4;
#else
    const uint groups = (pc.n + 3) / 4 + quads_f();
#endif
    vkz_tile(gl_LocalInvocationID.x, gl_WorkGroupID.y * TILE_M, gl_WorkGroupID.x * TILE_N,
             0, groups);
}

#elif defined(PASS_LAM)

layout(local_size_x = 128, local_size_x_id = 0) in;

// A lane has four columns and the rows of one part.
void main()
{
    const uint f = gl_GlobalInvocationID.x;
    if (f >= quads_f()) {
        return;
    }
    const vec4 scale = side_scale() * lam4(4 * f);
    const uint span = (quads_rows() + pc.parts - 1) / pc.parts;
    const uint end = min((gl_WorkGroupID.y + 1) * span, quads_rows());
    vec4 sum = vec4(0.0);
    for (uint q = gl_WorkGroupID.y * span; q < end; ++q) {
        vec4 m[4];
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            const bool inside = 4 * q + i < pc.rows;
            const uint row = min(4 * q + i, pc.rows - 1);
            const vec4 za = z[row * quads_f() + f];
            const vec4 zb = z[(pc.rows + row) * quads_f() + f];
            sum += inside ? za * zb : vec4(0.0);
            m[i] = inside ? scale * zb : vec4(0.0);
        }
        lora_transpose(m);
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            h[(4 * f + i) * quads_rows() + q] = m[i];
        }
    }
    part[gl_WorkGroupID.y * quads_f() + f] = side_scale() * sum;
}

#elif defined(PASS_GAM)

layout(local_size_x = 128, local_size_x_id = 0) in;
layout(constant_id = 8) const uint TILE_ROWS = 8;
const uint TILE_COLS = 1;

uint gam_basis;
vec4 gam_sum;

vec4 load_a4(const uint row, const uint q)
{
    return h[min(row, rand_columns() - 1) * quads_rows() + q];
}

void load_b4x4(const uint q, const uint col, out vec4 m[4])
{
    block_xa(4 * q, col, m);
}

// Sums have whole groups of four rows; these two are never called.
float load_a(const uint row, const uint kk) { return 0.0; }
vec4 load_b4(const uint kk, const uint col) { return vec4(0.0); }

// Row `row` of the tile is column j of the basis.
void store_c4(const uint row, const uint col, const vec4 sum)
{
    const uint j = row % pc.pr;
    vec4 m[4];
    plain_a(j, col, m);
    gam_sum += row / pc.pr == gam_basis ? m[0] * sum : vec4(0.0);
}

#include "lib/tile_direct.glsl"

// Basis gl_WorkGroupID.y, and on.
void main()
{
    const uint first = gl_GlobalInvocationID.x;
    const uint lanes = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint f = gl_WorkGroupID.y * lanes + first; f < quads_f();
         f += gl_NumWorkGroups.y * lanes) {
        vec4 sum = part[f];
        for (uint i = 1; i < pc.parts; ++i) {
            sum += part[i * quads_f() + f];
        }
        const uint basis = 4 * f / pc.pr, j = 4 * f % pc.pr;
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            if (j + i < pc.rank) {
                dlam[basis * pc.rank + j + i] = sum[i];
            }
        }
    }
    const uint c = 4 * first;
    for (uint basis = gl_WorkGroupID.y; basis < pc.bases; basis += gl_NumWorkGroups.y) {
        gam_basis = basis;
        gam_sum = vec4(0.0);
        for (uint j = 0; j < pc.rank; j += TILE_ROWS) {
            vkz_tile_direct(basis * pc.pr + j, c, 0, 0, 4 * quads_rows());
        }
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            if (c + i < rand_dm()) {
                dgam[basis * rand_dm() + c + i] = gam_sum[i];
            }
        }
    }
}

#endif
