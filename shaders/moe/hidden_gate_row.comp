// SPDX-License-Identifier: MIT
//
// Groups of a hidden layer that a token uses: four tokens a workgroup
//
//   p = softmax(x wr^T);  active: the first nsh groups and the ksel largest others
//   m = ng (sum of p over active) p where active, else 0
//
// Mixture of hidden dimensions, arXiv 2412.05644.
//
// Why this one: there are few groups. A lane makes a logit of one token and group; then a
// lane a token chooses, in shared memory.
//
//! kernel   hidden_gate_row
//! op       hidden_gate/1
//! tier     T0
//! bind     0 x   in  T[rows, width]
//! bind     1 wr  in  T[ng, width]
//! bind     2 idx out i32[rows, max(1,ksel)]  when ksel > 0
//! bind     3 m   out f32[rows, ng]
//! push     rows:u32 width:u32 ng:u32 nsh:u32 ksel:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64
//! spec     3 ROWS u32 4          // tokens a workgroup
//! spec     4 VEC u32 1 = width % 4 == 0 ? 4 : 1   // elements a load
//! spec     5 NG_PAD u32 16 = max(16,next_pow2(ng))
//! when     ng <= 512 : a token's logits must fit into shared memory
//! shared   4*ROWS*NG_PAD
//! pass     main  groups min(ceildiv(rows,ROWS),65535)
//! variant  f32  T=f32
//! variant  f16  T=f16 tier=T1
//! variant  bf16 T=bf16 tier=T1
#version 460
#extension GL_GOOGLE_include_directive : require

#include "lib/words.glsl"
#include "lib/exp.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint ROWS = 4;
layout(constant_id = 4) const uint VEC = 1;
layout(constant_id = 5) const uint NG_PAD = 16;

layout(set = 0, binding = 0, std430) restrict readonly buffer X { T x[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer X4 { W4 x4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Wr { T wr[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Wr4 { W4 wr4[]; };
layout(set = 0, binding = 2, std430) restrict writeonly buffer Idx { int idx[]; };
layout(set = 0, binding = 3, std430) restrict writeonly buffer M { float m[]; };

layout(push_constant, std430) uniform Push {
    uint rows, width, ng, nsh, ksel;
} pc;

shared float gate[ROWS * NG_PAD]; // logits, then gates

float logit(const uint row, const uint g)
{
    float sum = 0.0;
    if (VEC == 4) {
        const uint quads = pc.width / 4u;
        for (uint q = 0; q < quads; q++) {
            sum += dot(vkz_load_w4(x4[row * quads + q]), vkz_load_w4(wr4[g * quads + q]));
        }
    } else {
        for (uint c = 0; c < pc.width; c++) {
            sum += vkz_load(x[row * pc.width + c]) * vkz_load(wr[g * pc.width + c]);
        }
    }
    return sum;
}

// Logits to exponentials of those in use, 0 for the others. Returns
// ng (sum in use) / (sum of all)^2.
float choose(const uint base, const uint row)
{
    float most = -3.0e38;
    for (uint g = 0; g < pc.ng; g++) {
        const float l = gate[base + g];
        most = l > most ? l : most;
    }
    float shared_sum = 0.0;
    float sum = 0.0;
    float after = 3.0e38; // what was chosen last, and where
    uint at = 0u;
    for (uint g = 0; g < pc.ng; g++) {
        const float p = vkz_exp_accurate(gate[base + g] - most);
        sum += p;
        shared_sum += g < pc.nsh ? p : 0.0;
    }
    for (uint i = 0; i < pc.ksel; i++) {
        float best = -3.0e38;
        uint place = pc.nsh;
        for (uint g = pc.nsh; g < pc.ng; g++) {
            const float l = gate[base + g];
            const bool later = l < after || (l == after && g > at);
            const bool better = later && l > best;
            place = better ? g : place;
            best = better ? l : best;
        }
        idx[row * pc.ksel + i] = int(place);
        shared_sum += vkz_exp_accurate(best - most);
        after = best;
        at = place;
    }
    for (uint g = 0; g < pc.ng; g++) {
        const float l = gate[base + g];
        const bool chosen = pc.ksel > 0u && (l > after || (l == after && g <= at));
        gate[base + g] = g < pc.nsh || chosen ? vkz_exp_accurate(l - most) : 0.0;
    }
    return float(pc.ng) * (shared_sum / sum) / sum;
}

void main()
{
    const uint lane = gl_LocalInvocationID.x;
    const uint lanes = gl_WorkGroupSize.x;
    for (uint first = gl_WorkGroupID.x * ROWS; first < pc.rows;
         first += gl_NumWorkGroups.x * ROWS) {
        const uint count = min(ROWS, pc.rows - first);
        for (uint i = lane; i < count * pc.ng; i += lanes) {
            gate[i / pc.ng * NG_PAD + i % pc.ng] = logit(first + i / pc.ng, i % pc.ng);
        }
        barrier();
        for (uint r = lane; r < count; r += lanes) {
            const float factor = choose(r * NG_PAD, first + r);
            for (uint g = 0; g < pc.ng; g++) {
                gate[r * NG_PAD + g] *= factor;
            }
        }
        barrier();
        for (uint i = lane; i < count * pc.ng; i += lanes) {
            m[first * pc.ng + i] = gate[i / pc.ng * NG_PAD + i % pc.ng];
        }
        barrier();
    }
}
