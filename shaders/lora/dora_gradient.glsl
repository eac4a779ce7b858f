// SPDX-License-Identifier: MIT
//
// The part of DoRA's dA and dB that goes through the norms, as two more segments of the
// sums of lora/backward.glsl
//
//   dA^T[i, r]  - s  sum_o W_oi (q_o B_or)   - s^2 sum_j A_ji M_jr,      M = B^T diag(q) B
//   G[o, r]     - s  sum_i (q_o W_oi) A_ri   - s^2 sum_j (q_o B_oj) (A A^T)_jr
//
// The includer has block_w, block_a, block_b and SECOND, and defines the bindings DORA_Q
// and DORA_GRAM.
#ifndef VKZ_LORA_DORA_GRADIENT_GLSL
#define VKZ_LORA_DORA_GRADIENT_GLSL

layout(set = 0, binding = DORA_Q, std430) restrict readonly buffer Qn { float qn[]; };
layout(set = 0, binding = DORA_GRAM, std430) restrict readonly buffer Gram { vec4 gram[]; };

uint norm_seam()
{
    return SECOND ? quads_k() : quads_n();
}

uint norm_groups()
{
    return NORM == NORM_GIVEN ? 0 : norm_seam() + quads_r();
}

vec4 norm_q4(const uint o)
{
    const uint last = pc.n - 1;
    return vec4(qn[min(o, last)], qn[min(o + 1, last)], qn[min(o + 2, last)],
                qn[min(o + 3, last)]);
}

void norm_block_a(const uint row, const uint q, out vec4 block[4])
{
    const bool first = q < norm_seam();
    if (SECOND) {
        if (first) {
            block_w(row, 4 * q, block);
        } else {
            block_b(row, 4 * (q - norm_seam()), block);
        }
        const vec4 factor = norm_q4(row) * (first ? -pc.s : -pc.s * pc.s);
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            block[i] *= factor[i];
        }
    } else {
        if (first) {
            block_w(4 * q, row, block);
        } else {
            block_a(4 * (q - norm_seam()), row, block);
        }
        lora_transpose(block);
    }
}

vec4 gram_row_(const uint j, const uint col)
{
    const float factor = SECOND ? 1.0 : -pc.s * pc.s;
    const uint at = ((SECOND ? pc.rank : 0) + min(j, pc.rank - 1)) * quads_r()
                    + min(col / 4, quads_r() - 1);
    return mix(vec4(0.0), factor * gram[at], bvec4(j < pc.rank && col / 4 < quads_r()));
}

void norm_block_b(const uint q, const uint col, out vec4 block[4])
{
    if (q >= norm_seam()) {
        const uint j = 4 * (q - norm_seam());
        LORA_ROWS(block, gram_row_(j + i, col))
    } else if (SECOND) {
        block_a(col, 4 * q, block);
        lora_transpose(block);
    } else {
        block_b(4 * q, col, block);
        const vec4 factor = -pc.s * norm_q4(4 * q);
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            block[i] *= factor[i];
        }
    }
}

#endif
