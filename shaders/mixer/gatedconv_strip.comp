// SPDX-License-Identifier: MIT
//
// Depthwise convolution with a gate; a lane walks four channels of a strip down the image
//
//   gatedcnn  y = act(g) [i, conv(c)]      convglu  y = act(conv(a)) v
//
//        STRIP columns         input row r adds to the output rows r - K/2 .. r + K/2:
//       +---------------+      K rows of sums are kept and move on with r, so that an
//     | |  |  |  |  |  | |     element is read once for all rows of the kernel and
// r ->| |  |  |  |  |  | |     once for all its columns
//
// MambaOut, arXiv 2405.07992; TransNeXt, arXiv 2311.17132.
//
// Why this one: every input is read (STRIP + K - 1) / STRIP times and nothing is shared
// between lanes; neighbouring lanes take neighbouring channels. K * STRIP sums and, with
// HELD=1, K * K weights of four channels are a lane's own: much for a GPU when K is
// large.
//
//! kernel   gatedconv_strip
//! op       gatedconv/1
//! tier     T0
//! bind     0 x in   T[batch, height, img_width, 2*width]
//! bind     1 w in   f32[ksize, ksize, conv_width]
//! bind     2 b in   f32[conv_width]
//! bind     3 y out  T[batch, height, img_width, width]
//! push     height:u32 img_width:u32 width:u32 conv_width:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : 64   // lanes
//! spec     3 STRIP u32 4   // output columns of a lane
//! spec     4 DEPTH u32 8 = is_cpu ? 16 : 8   // output rows of a lane
//! spec     5 VEC u32 1 = width % 4 == 0 && conv_width % 4 == 0 ? 4 : 1   // elements a load
//! spec     6 HELD u32 1 = is_cpu || ksize <= 3   // 1: a lane keeps its weights
//! spec     16 KIND u32 0
//! spec     17 ACT u32 0
//! spec     34 KSIZE u32 3 = ksize
//! let      columns ceildiv(img_width,STRIP)
//! let      tiles columns*ceildiv(height,DEPTH)
//! let      conv  ceildiv(ceildiv(conv_width,4)*tiles,WG_SIZE)
//! let      plain ceildiv(ceildiv(width-conv_width,4)*tiles,WG_SIZE)
//! tuning   strip8  STRIP=8
//! tuning   strip2  STRIP=2
//! pass     main  groups min(conv+plain,32768) ceildiv(conv+plain,32768) batch
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "lib/num.glsl"
#include "lib/activation.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint STRIP = 4;
layout(constant_id = 4) const uint DEPTH = 8;
layout(constant_id = 5) const uint VEC = 1;
layout(constant_id = 6) const uint HELD = 1;
layout(constant_id = 16) const uint KIND = 0; // gatedcnn, convglu
layout(constant_id = 17) const uint ACT = 0;  // gelu, silu
layout(constant_id = 34) const uint KSIZE = 3;

const uint REACH = KSIZE / 2u;
const uint TAPS = STRIP + KSIZE - 1u;
// All loops over the kernel are unrolled: an array that is indexed by a variable is slow.
const bool FLAT = KSIZE <= 7u;

layout(set = 0, binding = 0, std430) restrict readonly buffer X { T x[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer X4 { T4 x4[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer W { float w[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer BufferW4 { vec4 w4[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer B { float b[]; };
layout(set = 0, binding = 3, std430) restrict writeonly buffer Y { T y[]; };
layout(set = 0, binding = 3, std430) restrict writeonly buffer Y4 { T4 y4[]; };

layout(push_constant, std430) uniform Push {
    uint height, img_width, width, conv_width;
} pc;

vec4 sums[KSIZE * STRIP]; // of output row r + REACH - u, u first
vec4 taps[TAPS];          // of input row r
vec4 held[HELD != 0 ? KSIZE * KSIZE : 1u];

// Four channels from c, of which `left` are of the part that is read; 0 past them.
vec4 load_x(const uint pixel, const uint c, const uint left)
{
    const uint at = pixel * 2u * pc.width + c;
    if (VEC == 4) {
        return vec4(vkz_load4(x4[at / 4u]));
    }
    vec4 z = vec4(vkz_load(x[at]), 0.0, 0.0, 0.0);
    if (left > 1u) {
        z.y = vkz_load(x[at + 1u]);
    }
    if (left > 2u) {
        z.z = vkz_load(x[at + 2u]);
    }
    if (left > 3u) {
        z.w = vkz_load(x[at + 3u]);
    }
    return z;
}

vec4 load_w(const uint at, const uint left)
{
    if (VEC == 4) {
        return w4[at / 4u];
    }
    vec4 z = vec4(w[at], 0.0, 0.0, 0.0);
    if (left > 1u) {
        z.y = w[at + 1u];
    }
    if (left > 2u) {
        z.z = w[at + 2u];
    }
    if (left > 3u) {
        z.w = w[at + 3u];
    }
    return z;
}

vec4 load_b(const uint at, const uint left)
{
    vec4 z = vec4(b[at], 0.0, 0.0, 0.0);
    if (left > 1u) {
        z.y = b[at + 1u];
    }
    if (left > 2u) {
        z.z = b[at + 2u];
    }
    if (left > 3u) {
        z.w = b[at + 3u];
    }
    return z;
}

void store_y(const uint pixel, const uint c, const uint left, const vec4 z)
{
    const uint at = pixel * pc.width + c;
    if (VEC == 4) {
        y4[at / 4u] = vkz_store4(z);
        return;
    }
    y[at] = vkz_store(z.x);
    if (left > 1u) {
        y[at + 1u] = vkz_store(z.y);
    }
    if (left > 2u) {
        y[at + 2u] = vkz_store(z.z);
    }
    if (left > 3u) {
        y[at + 3u] = vkz_store(z.w);
    }
}

float activate(const float z)
{
    return ACT == 0 ? vkz_gelu(z) : vkz_silu(z);
}

vec4 activate4(const vec4 z)
{
    return vec4(activate(z.x), activate(z.y), activate(z.z), activate(z.w));
}

// Adds input row r, in taps, to the output rows that kernel row u brings it to.
void add_row(const uint u, const uint quad, const uint left)
{
    [[unroll]] for (uint v = 0; v < KSIZE; v++) {
        vec4 k;
        if (HELD != 0) {
            k = held[u * KSIZE + v];
        } else {
            k = load_w((u * KSIZE + v) * pc.conv_width + 4u * quad, left);
        }
        [[unroll]] for (uint s = 0; s < STRIP; s++) {
            sums[u * STRIP + s] = fma(k, taps[s + v], sums[u * STRIP + s]);
        }
    }
}

// Where the channels of a quad are read and written.
struct place {
    uint from;  // of x, convolved or copied
    uint gate;  // of x
    uint to;    // of y
    uint left;  // channels of the quad
};

vec4 gated(const uint pixel, const place p, const vec4 z)
{
    const vec4 gate = load_x(pixel, p.gate, p.left);
    return KIND == 0 ? activate4(gate) * z : activate4(z) * gate;
}

void walk_strip(const uint quad, const place p, const uint image, const int x0,
                const int y0)
{
    const int width = int(pc.img_width);
    const int height = int(pc.height);
    if (HELD != 0 && FLAT) {
        [[unroll]] for (uint i = 0; i < KSIZE * KSIZE; i++) {
            held[i] = load_w(i * pc.conv_width + 4u * quad, p.left);
        }
    } else if (HELD != 0) {
        [[dont_unroll]] for (uint i = 0; i < KSIZE * KSIZE; i++) {
            held[i] = load_w(i * pc.conv_width + 4u * quad, p.left);
        }
    }
    const vec4 bias = load_b(4u * quad, p.left);
    [[unroll]] for (uint i = 0; i < KSIZE * STRIP; i++) {
        sums[i] = bias;
    }
    const int end = min(y0 + int(DEPTH), height);
    [[dont_unroll]] for (int r = y0 - int(REACH); r < end + int(REACH); r++) {
        // Rows of sums move on.
        [[unroll]] for (uint i = 0; i < (KSIZE - 1u) * STRIP; i++) {
            const uint to = KSIZE * STRIP - 1u - i;
            sums[to] = sums[to - STRIP];
        }
        [[unroll]] for (uint s = 0; s < STRIP; s++) {
            sums[s] = bias;
        }
        if (r >= 0 && r < height) {
            [[unroll]] for (uint i = 0; i < TAPS; i++) {
                const int c = x0 + int(i) - int(REACH);
                const uint pixel = image + uint(r * width + clamp(c, 0, width - 1));
                const vec4 z = load_x(pixel, p.from, p.left);
                taps[i] = c >= 0 && c < width ? z : vec4(0.0);
            }
            if (FLAT) {
                [[unroll]] for (uint u = 0; u < KSIZE; u++) {
                    add_row(u, quad, p.left);
                }
            } else {
                [[dont_unroll]] for (uint u = 0; u < KSIZE; u++) {
                    add_row(u, quad, p.left);
                }
            }
        }
        const int done = r - int(REACH);
        if (done >= y0) {
            [[unroll]] for (uint s = 0; s < STRIP; s++) {
                if (x0 + int(s) < width) {
                    const uint pixel = image + uint(done * width + x0 + int(s));
                    store_y(pixel, p.to, p.left,
                            gated(pixel, p, sums[(KSIZE - 1u) * STRIP + s]));
                }
            }
        }
    }
}

void copy_strip(const place p, const uint image, const int x0, const int y0)
{
    const int end = min(y0 + int(DEPTH), int(pc.height));
    [[dont_unroll]] for (int r = y0; r < end; r++) {
        [[unroll]] for (uint s = 0; s < STRIP; s++) {
            if (x0 + int(s) < int(pc.img_width)) {
                const uint pixel = image + uint(r) * pc.img_width + uint(x0) + s;
                store_y(pixel, p.to, p.left,
                        gated(pixel, p, load_x(pixel, p.from, p.left)));
            }
        }
    }
}

void main()
{
    const uint columns = (pc.img_width + STRIP - 1u) / STRIP;
    const uint tiles = columns * ((pc.height + DEPTH - 1u) / DEPTH);
    const uint conv_quads = (pc.conv_width + 3u) / 4u;
    const uint plain = pc.width - pc.conv_width;
    const uint plain_quads = (plain + 3u) / 4u;
    const uint lanes = gl_WorkGroupSize.x;
    const uint conv_groups = (conv_quads * tiles + lanes - 1u) / lanes;
    const uint group = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    const uint image = gl_WorkGroupID.z * pc.height * pc.img_width;
    place p;
    if (group < conv_groups) {
        const uint item = group * lanes + gl_LocalInvocationID.x;
        if (item < conv_quads * tiles) {
            const uint quad = item % conv_quads;
            const uint tile = item / conv_quads;
            p.left = pc.conv_width - 4u * quad;
            p.to = plain + 4u * quad;
            p.from = KIND == 0 ? pc.width + p.to : p.to;
            p.gate = KIND == 0 ? p.to : pc.width + p.to;
            walk_strip(quad, p, image, int(tile % columns * STRIP),
                       int(tile / columns * DEPTH));
        }
    } else {
        const uint item = (group - conv_groups) * lanes + gl_LocalInvocationID.x;
        if (item < plain_quads * tiles) {
            const uint quad = item % plain_quads;
            const uint tile = item / plain_quads;
            p.left = plain - 4u * quad;
            p.to = 4u * quad;
            p.from = pc.width + p.to;
            p.gate = p.to;
            copy_strip(p, image, int(tile % columns * STRIP),
                       int(tile / columns * DEPTH));
        }
    }
}
