// SPDX-License-Identifier: MIT
//
// Masks a fraction of a row's tokens at random: radix selection of the smallest words
//
//   word_t = Philox(key, row, t);  the floor(ratio lens) tokens of the smallest are masked
//
//   for each byte of the words, the highest first:
//     count the words that begin like the threshold by their next byte (256 counters)
//     the byte at which the count passes what is wanted is the threshold's
//
// Masked-input next-token prediction, arXiv 2502.07490; Philox, Salmon et al. 2011.
//
// Why this one: no sort, and one workgroup a row needs no second dispatch. The words are
// made once and read again. Counters are integers, so the order in which lanes add to them
// does not matter.
//
//! kernel   token_mask_select
//! op       token_mask/1
//! tier     T0
//! bind     0 ids  in   i32[batch, len]
//! bind     1 lens in   i32[batch]
//! bind     2 y    out  i32[batch, len]
//! bind     3 hit  out  u32[batch, ceildiv(len,32)]
//! scratch  4 word u32[batch, len]
//! push     batch:u32 len:u32 ratio:f32 key:u32 mask_id:i32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 128   // a divisor of 256
//! shared   4 * (256 + WG_SIZE + 4)
//! pass     main  groups min(batch,65535)
//! variant  i32  T=i32
#version 460
#extension GL_GOOGLE_include_directive : require

#include "lib/philox.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;

layout(set = 0, binding = 0, std430) restrict readonly buffer Ids { int ids[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Lens { int lens[]; };
layout(set = 0, binding = 2, std430) restrict writeonly buffer Y { int y[]; };
layout(set = 0, binding = 3, std430) restrict writeonly buffer Hit { uint hit[]; };
layout(set = 0, binding = 4, std430) buffer Word { uint word[]; };

layout(push_constant, std430) uniform Push {
    uint batch, len;
    float ratio;
    uint key;
    int mask_id;
} pc;

const uint LANES = gl_WorkGroupSize.x;
const uint BINS = 256 / LANES; // counters of a lane

shared uint counter[256];
shared uint sums[LANES];
shared uint chosen[4]; // the threshold's byte, how many of its bin come before it, the bin

uint philox(const uint position, const uint row)
{
    return vkz_philox(uvec4(position, row, 0u, 0u), uvec2(pc.key, 0u)).x;
}

// Finds the bin in which number `wanted` (from 0) of the counted words falls. All lanes
// call this; afterwards chosen holds the bin.
void choose(const uint lane, const uint wanted)
{
    uint own = 0u;
    for (uint i = 0; i < BINS; i++) {
        own += counter[lane * BINS + i];
    }
    sums[lane] = own;
    barrier();
    uint before = 0u;
    for (uint i = 0; i < lane; i++) {
        before += sums[i];
    }
    if (before <= wanted && wanted < before + own) {
        for (uint i = 0; i < BINS; i++) {
            const uint count = counter[lane * BINS + i];
            if (wanted < before + count) {
                chosen[0] = lane * BINS + i;
                chosen[1] = wanted - before;
                chosen[2] = count;
                break;
            }
            before += count;
        }
    }
    barrier();
}

// The number of equal words at lower positions: asked for only where some of several equal
// words are masked and some are not.
uint equal_before(const uint base, const uint t, const uint threshold)
{
    uint count = 0u;
    for (uint i = 0; i < t; i++) {
        count += word[base + i] == threshold ? 1u : 0u;
    }
    return count;
}

void mask_row(const uint row, const uint lane)
{
    const uint base = row * pc.len;
    const uint valid = uint(clamp(lens[row], 0, int(pc.len)));
    const uint wanted = min(uint(pc.ratio * float(valid)), valid);
    for (uint t = lane; t < valid; t += LANES) {
        word[base + t] = philox(t, row);
    }
    uint threshold = 0u;           // the last word to be masked is number wanted - 1
    uint rest = max(wanted, 1u) - 1u;
    uint ties = 0u;
    for (uint shift = 32u; shift > 0u && wanted > 0u;) {
        shift -= 8u;
        for (uint i = lane; i < 256u; i += LANES) {
            counter[i] = 0u;
        }
        memoryBarrierBuffer();
        barrier();
        for (uint t = lane; t < valid; t += LANES) {
            const uint x = word[base + t];
            if (shift == 24u || (x ^ threshold) >> (shift + 8u) == 0u) {
                atomicAdd(counter[(x >> shift) & 255u], 1u);
            }
        }
        barrier();
        choose(lane, rest);
        threshold |= chosen[0] << shift;
        rest = chosen[1];
        ties = chosen[2];
        barrier();
    }
    const bool all_equal = rest + 1u >= ties;
    const uint words = (pc.len + 31u) / 32u;
    for (uint first = 0; first < words; first += LANES) {
        // Lane l gathers the bits of word first + l; tokens are dealt out to lanes.
        sums[lane] = 0u;
        barrier();
        const uint end = min(32u * (first + LANES), pc.len);
        for (uint t = 32u * first + lane; t < end; t += LANES) {
            bool masked = false;
            if (t < valid && wanted > 0u) {
                const uint x = word[base + t];
                masked = x < threshold ||
                         (x == threshold &&
                          (all_equal || equal_before(base, t, threshold) <= rest));
            }
            y[base + t] = masked ? pc.mask_id : ids[base + t];
            if (masked) {
                atomicOr(sums[t / 32u - first], 1u << (t % 32u));
            }
        }
        barrier();
        if (first + lane < words) {
            hit[row * words + first + lane] = sums[lane];
        }
        barrier();
    }
}

void main()
{
    for (uint row = gl_WorkGroupID.x; row < pc.batch; row += gl_NumWorkGroups.x) {
        mask_row(row, gl_LocalInvocationID.x);
        barrier();
    }
}
