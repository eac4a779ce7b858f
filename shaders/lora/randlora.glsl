// SPDX-License-Identifier: MIT
//
// What the RandLoRA kernels share: constants, push block, bases in 4 x 4 blocks
//
//   column f = b pr + j of the bases, j < pr: rank rounded up to 4, zeros from rank on
//   block_a(f, c, out m)   m[i] = gam_b A[j + i, c .. c+3]  f a multiple of 4,
//   block_b(f, c, out m)   m[i] = B_b[c + i, j .. j+3]      zeros beyond the ends of rows
//   lam4(f)                lam of four columns
//
// gam is folded into the loads of A, and lam into epilogues: no scaled basis is kept.
// Both standard deviations of ternary bases are one factor, in side_scale().
//
// The includer defines RAND_A, the binding of a; b, abits, bbits, lam and gam follow. And
// RAND_PARTS where the push block ends with the count of partial sums, RAND_DELTA where
// there are no rows.
#ifndef VKZ_LORA_RANDLORA_GLSL
#define VKZ_LORA_RANDLORA_GLSL

#include "lora/blocks.glsl"

layout(constant_id = 12) const uint VEC_K = 1; // elements a load of rows of k
layout(constant_id = 13) const uint VEC_N = 1; // of n
layout(constant_id = 14) const uint VEC_R = 1; // of rank
layout(constant_id = 16) const uint BASIS = 0;
layout(constant_id = 17) const uint WIDE = 0; // k > n

const uint BASIS_TERNARY = 1;
const uint VEC_DM = WIDE != 0 ? VEC_N : VEC_K;
const uint VEC_DX = WIDE != 0 ? VEC_K : VEC_N;

layout(push_constant, std430) uniform Push {
#ifndef RAND_DELTA
    uint rows;
#endif
    uint k, n, rank, pr, bases;
    float s;
#ifdef RAND_PARTS
    uint parts;
#endif
} pc;

layout(set = 0, binding = RAND_A, std430) restrict readonly buffer A { T a[]; };
layout(set = 0, binding = RAND_A, std430) restrict readonly buffer A4 { W4 a4[]; };
layout(set = 0, binding = RAND_A + 1, std430) restrict readonly buffer B { T b[]; };
layout(set = 0, binding = RAND_A + 1, std430) restrict readonly buffer B4 { W4 b4[]; };
layout(set = 0, binding = RAND_A + 2, std430) restrict readonly buffer ABits
{
    uint abits[];
};
layout(set = 0, binding = RAND_A + 3, std430) restrict readonly buffer BBits
{
    uint bbits[];
};
layout(set = 0, binding = RAND_A + 4, std430) restrict readonly buffer Lam
{
    float lam[];
};
layout(set = 0, binding = RAND_A + 5, std430) restrict readonly buffer Gam
{
    float gam[];
};
layout(set = 0, binding = RAND_A + 5, std430) restrict readonly buffer Gam4
{
    vec4 gam4[];
};

uint rand_dm() { return WIDE != 0 ? pc.n : pc.k; }
uint rand_dx() { return WIDE != 0 ? pc.k : pc.n; }
uint rand_columns() { return pc.bases * pc.pr; }

// The basis of a column. Integer division takes long, and columns are far below 2^21, up
// to where this is exact.
uint basis_of(const uint f) { return uint((float(f) + 0.5) / float(pc.pr)); }

// 3 = (1 / std)^2: every product has one element of A and one of B.
float side_scale() { return BASIS == BASIS_TERNARY ? 3.0 * pc.s : pc.s; }

LORA_MATRIX(dense_a, a, a4, VEC_DM, pc.rank, rand_dm())
LORA_MATRIX(dense_b, b, b4, VEC_R, pc.bases * rand_dx(), pc.rank)

// As LORA_MATRIX, of 2-bit elements; four of them may straddle two words.
#define RAND_TERNARY(name, words, rows, cols)                                           \
    void name(const uint row, const uint col, out vec4 block[4])                        \
    {                                                                                   \
        const bvec4 inside = lessThan(col + uvec4(0, 1, 2, 3), uvec4(cols));            \
        const uint last = ((rows) * (cols) - 1) / 16;                                   \
        [[unroll]] for (uint i = 0; i < 4; ++i) {                                       \
            const uint at = min(row + i, (rows) - 1) * (cols) + col;                    \
            const uint shift = 2 * (at % 16);                                           \
            const uint low = words[min(at / 16, last)] >> shift;                        \
            const uint high = words[min((at + 3) / 16, last)] << ((32 - shift) % 32);   \
            const int four = int(low | (shift == 0 ? 0 : high));                        \
            const ivec4 bits = ivec4(four) << ivec4(30, 28, 26, 24);                    \
            block[i] = mix(vec4(0.0), vec4(bits >> 30),                                 \
                           row + i < (rows) ? inside : bvec4(false));                   \
        }                                                                               \
    }

RAND_TERNARY(ternary_a, abits, pc.rank, rand_dm())
RAND_TERNARY(ternary_b, bbits, pc.bases * rand_dx(), pc.rank)

// Beyond the end of the row anything is returned: A is 0 there.
vec4 gam_at(const uint basis, const uint c)
{
    const uint width = rand_dm();
    const uint base = min(basis, pc.bases - 1) * width;
    if (VEC_DM == 4) {
        return gam4[(base + min(c, width - 4)) / 4];
    }
    const uvec4 at = base + min(c + uvec4(0, 1, 2, 3), uvec4(width - 1));
    return vec4(gam[at.x], gam[at.y], gam[at.z], gam[at.w]);
}

// m[i] = A[j + i, c .. c+3]
void plain_a(const uint j, const uint c, out vec4 m[4])
{
    if (BASIS == BASIS_TERNARY) {
        ternary_a(j, c, m);
    } else {
        dense_a(j, c, m);
    }
}

void block_a(const uint f, const uint c, out vec4 m[4])
{
    const uint basis = basis_of(f), j = f - basis * pc.pr;
    plain_a(j, c, m);
    const vec4 g = basis < pc.bases ? gam_at(basis, c) : vec4(0.0);
    [[unroll]] for (uint i = 0; i < 4; ++i) {
        m[i] *= g;
    }
}

// Row f alone.
vec4 row_a(const uint f, const uint c)
{
    const uint basis = basis_of(f);
    vec4 m[4];
    plain_a(f - basis * pc.pr, c, m);
    return gam_at(basis, c) * m[0];
}

void block_b(const uint f, const uint c, out vec4 m[4])
{
    const uint basis = basis_of(f), j = f - basis * pc.pr;
    if (BASIS == BASIS_TERNARY) {
        ternary_b(basis * rand_dx() + c, j, m);
    } else {
        dense_b(basis * rand_dx() + c, j, m);
    }
    [[unroll]] for (uint i = 0; i < 4; ++i) {
        m[i] = c + i < rand_dx() ? m[i] : vec4(0.0);
    }
}

// lam of columns f .. f+3, 0 where there is none
vec4 lam4(const uint f)
{
    const uint basis = basis_of(f), j = f - basis * pc.pr;
    const uint last = pc.bases * pc.rank - 1;
    const uvec4 at = min(basis * pc.rank + j + uvec4(0, 1, 2, 3), uvec4(last));
    const bvec4 inside = lessThan(j + uvec4(0, 1, 2, 3), uvec4(pc.rank));
    return mix(vec4(0.0), vec4(lam[at.x], lam[at.y], lam[at.z], lam[at.w]), inside);
}

#endif
