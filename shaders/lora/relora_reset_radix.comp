// SPDX-License-Identifier: MIT
//
// Merges an adapter, starts the next one and prunes the optimiser's moments
//
//   pass merge    W <- W + s B A, tiles in shared memory
//   pass quantile magnitude only: a workgroup a tensor of moments finds, by radix selection,
//                 the largest magnitude that is not above the quantile
//   pass reset    A <- uniform, B <- 0, moments <- what is kept of them
//
// ReLoRA, arXiv 2307.05695.
//
// Why this one: nothing is sorted and nothing read back. The quantile lies between two
// neighbouring order statistics, so what is above it is what is above the lower of the two:
// the mask needs no interpolation, and no rounding decides it.
//
//! kernel   relora_reset_radix
//! op       relora_reset/1
//! tier     T0
//! bind     0 w  inout T[n, k]
//! bind     1 a  inout T[rank, k]
//! bind     2 b  inout T[n, rank]
//! bind     3 ma inout f32[rank, k]
//! bind     4 va inout f32[rank, k]
//! bind     5 mb inout f32[n, rank]
//! bind     6 vb inout f32[n, rank]
//! scratch  7 low u32[4]
//! push     n:u32 k:u32 rank:u32 s:f32 key:u32 cut:u32 top_a:u32 top_b:u32 bound:f32
//! spec     3 TILE_M u32 64 = is_cpu ? 32 : 64   // rows a workgroup
//! spec     4 TILE_N u32 64 = is_cpu ? 32 : 64   // columns a workgroup
//! spec     5 TILE_K u32 16
//! spec     6 REG_M u32 8 = is_cpu ? 4 : 8   // rows a lane
//! spec     7 REG_N u32 4      // columns a lane
//! spec     0 WG_SIZE u32 128 = TILE_M / REG_M * (TILE_N / REG_N)
//! spec     9 SELECT_COPIES u32 4   // histograms side by side
//! spec     11 ROLLED u32 0 = is_cpu   // loads in a loop
//! spec     12 VEC_K u32 1 = k % 4 == 0 ? 4 : 1
//! spec     14 VEC_R u32 1 = rank % 4 == 0 ? 4 : 1
//! spec     16 PRUNE u32 0
//! let      cut floor(ratio*4294967296)
//! let      top_a rank*k-floor(ratio*(rank*k-1))
//! let      top_b rank*n-floor(ratio*(rank*n-1))
//! let      bound 1/sqrt(k)
//! shared   max(16 * TILE_K * (TILE_M / 4 + TILE_N / 4 + 2), 4*(256*SELECT_COPIES+4*WG_SIZE+5))
//! pass     merge     groups ceildiv(k,TILE_N) ceildiv(n,TILE_M)
//! pass     quantile  groups PRUNE==PRUNE.magnitude?4:1
//! pass     reset     groups min(ceildiv(rank*max(k,n),WG_SIZE),is_cpu?64:4096)
//! variant  f32  T=f32
//! variant  f16  T=f16 tier=T1
//! variant  bf16 T=bf16 tier=T1
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(push_constant, std430) uniform Push {
    uint n, k, rank;
    float s;
    uint key, cut, top_a, top_b;
    float bound;
} pc;

#ifdef PASS_MERGE

#define MERGE_FACTOR pc.s
#include "lora/merge_tile.glsl"

#else

layout(local_size_x = 128, local_size_x_id = 0) in;
layout(constant_id = 16) const uint PRUNE = 0;
const uint PRUNE_RANDOM = 1;
const uint PRUNE_MAGNITUDE = 2;

layout(set = 0, binding = 3, std430) restrict buffer Ma { float ma[]; };
layout(set = 0, binding = 4, std430) restrict buffer Va { float va[]; };
layout(set = 0, binding = 5, std430) restrict buffer Mb { float mb[]; };
layout(set = 0, binding = 6, std430) restrict buffer Vb { float vb[]; };
layout(set = 0, binding = 7, std430) restrict buffer Low { uint low[]; };

#ifdef PASS_QUANTILE

layout(constant_id = 9) const uint SELECT_COPIES = 4;

shared uint select_bins[256 * SELECT_COPIES];
shared uvec2 scan_shared[2 * gl_WorkGroupSize.x];
shared uint select_found[4];
shared uint smallest;

#define SELECT_GROUP
uint select_load(const uint i);
void select_store(const uint at, const uint i) {}
#include "lib/select.glsl"

uint select_load(const uint i)
{
    const uint tensor = gl_WorkGroupID.x;
    return select_key(abs(tensor == 0 ? ma[i] : tensor == 1 ? va[i] : tensor == 2 ? mb[i]
                                                                                  : vb[i]));
}

void main()
{
    if (PRUNE != PRUNE_MAGNITUDE) {
        return; // every workgroup
    }
    const bool down = gl_WorkGroupID.x < 2;
    const uint count = pc.rank * (down ? pc.k : pc.n);
    const select_cut cut = select_cut_group(count, down ? pc.top_a : pc.top_b);
    if (gl_LocalInvocationID.x == 0) {
        smallest = 0xffffffffu;
    }
    barrier();
    // The smallest of the selected; those equal to the cut are, when any are.
    uint own = cut.equal > 0 ? cut.key : 0xffffffffu;
    for (uint i = gl_LocalInvocationID.x; cut.equal == 0 && i < count;
         i += gl_WorkGroupSize.x) {
        const uint key = select_load(i);
        own = key > cut.key ? min(own, key) : own;
    }
    atomicMin(smallest, own);
    barrier();
    if (gl_LocalInvocationID.x == 0) {
        low[gl_WorkGroupID.x] = floatBitsToUint(select_value(smallest));
    }
}

#else // PASS_RESET

#include "lib/num.glsl"
#include "lib/philox.glsl"

layout(set = 0, binding = 1, std430) restrict writeonly buffer A { T a[]; };
layout(set = 0, binding = 2, std430) restrict writeonly buffer B { T b[]; };

const uint STREAM_A = 4;

uint random_word(const uint i, const uint stream)
{
    return vkz_philox(uvec4(i, stream, 0u, 0u), uvec2(pc.key, 0u)).x;
}

float pruned(const float x, const uint i, const uint tensor)
{
    bool kept = false;
    if (PRUNE == PRUNE_RANDOM) {
        kept = random_word(i, tensor) > pc.cut;
    } else if (PRUNE == PRUNE_MAGNITUDE) {
        kept = floatBitsToUint(abs(x)) > low[tensor];
    }
    return kept ? x : 0.0;
}

void main()
{
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint i = gl_GlobalInvocationID.x; i < pc.rank * pc.k; i += step) {
        const float u = float(random_word(i, STREAM_A) >> 8) * (1.0 / 8388608.0) - 1.0;
        a[i] = vkz_store(pc.bound * u);
        ma[i] = pruned(ma[i], i, 0);
        va[i] = pruned(va[i], i, 1);
    }
    for (uint i = gl_GlobalInvocationID.x; i < pc.rank * pc.n; i += step) {
        b[i] = vkz_store(0.0);
        mb[i] = pruned(mb[i], i, 2);
        vb[i] = pruned(vb[i], i, 3);
    }
}

#endif

#endif
