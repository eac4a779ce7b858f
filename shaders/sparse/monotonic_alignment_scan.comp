// SPDX-License-Identifier: MIT
//
// Expected alignment of attention that only moves forward, a scan along the inputs
//
//   q_t = (1 - p_(t-1)) q_(t-1) + a_before_t,   a_t = p_t q_t
//
//   lane      0         1         2           each lane owns a span of neighbouring inputs:
//   inputs    |-------->|-------->|-------->  1  runs from q = 0, giving (A, B) with
//   scan      (A,B) o (A,B) o (A,B) o ...        q_end = A q_begin + B
//   inputs    |-------->|-------->|-------->  2  runs again from the q that arrives
//
// Monotonic attention, arXiv 1704.00784.
//
// Why this one: steps must follow one another, inputs need not. A lane reads of the last
// step only what it wrote itself, so the workgroup meets for the scan and nowhere else.
// Nothing is subtracted but p from 1, so nothing cancels.
//
//! kernel   monotonic_alignment_scan
//! op       monotonic_alignment/1
//! tier     T0
//! bind     0 p in   f32[batch, u, len]
//! bind     1 a out  f32[batch, u, len]
//! push     batch:u32 u:u32 len:u32
//! spec     0 WG_SIZE u32 64 = is_cpu ? subgroup_size : (len <= 512 ? 32 : 128)
//! spec     4 VEC u32 1 = len % 4 == 0 ? 4 : 1   // elements a load
//! shared   16 * WG_SIZE
//! pass     main  groups min(batch,65535)
//! variant  f32  T=f32
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 4) const uint VEC = 1;

layout(set = 0, binding = 0, std430) restrict readonly buffer P { float p[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer P4 { vec4 p4[]; };
layout(set = 0, binding = 1, std430) buffer A { float a[]; };
layout(set = 0, binding = 1, std430) buffer A4 { vec4 a4[]; };

layout(push_constant, std430) uniform Push {
    uint batch, u, len;
} pc;

shared vec2 scan[2 * gl_WorkGroupSize.x];

// Elements 4q .. 4q+3 of a row; 0 past its end, where nothing is stored.
vec4 load_p(const uint base, const uint q)
{
    if (VEC == 4) {
        return p4[base / 4u + q];
    }
    vec4 v = vec4(0.0);
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        if (4u * q + i < pc.len) {
            v[i] = p[base + 4u * q + i];
        }
    }
    return v;
}

vec4 load_a(const uint base, const uint q)
{
    if (VEC == 4) {
        return a4[base / 4u + q];
    }
    vec4 v = vec4(0.0);
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        if (4u * q + i < pc.len) {
            v[i] = a[base + 4u * q + i];
        }
    }
    return v;
}

void store_a(const uint base, const uint q, const vec4 v)
{
    if (VEC == 4) {
        a4[base / 4u + q] = v;
        return;
    }
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        if (4u * q + i < pc.len) {
            a[base + 4u * q + i] = v[i];
        }
    }
}

// What the step before left at 4q .. 4q+3.
vec4 arrived(const uint step, const uint base, const uint q)
{
    if (step == 0u) {
        return vec4(q == 0u ? 1.0 : 0.0, 0.0, 0.0, 0.0);
    }
    return load_a(base - pc.len, q);
}

// (A, B) of the lanes before this one, composed.
vec2 scan_before(const vec2 own, const uint lane)
{
    uint from = 0u;
    vec2 x = own;
    scan[lane] = x;
    for (uint step = 1u; step < gl_WorkGroupSize.x; step *= 2u) {
        barrier();
        if (lane >= step) {
            const vec2 left = scan[from + lane - step];
            x = vec2(left.x * x.x, fma(x.x, left.y, x.y));
        }
        from = gl_WorkGroupSize.x - from;
        scan[from + lane] = x;
    }
    barrier();
    const vec2 before = lane == 0u ? vec2(1.0, 0.0) : scan[from + lane - 1u];
    barrier(); // scan is written again in the next step
    return before;
}

void main()
{
    const uint lane = gl_LocalInvocationID.x;
    const uint quads = (pc.len + 3u) / 4u;
    const uint span = (quads + gl_WorkGroupSize.x - 1u) / gl_WorkGroupSize.x;
    const uint begin = min(lane * span, quads);
    const uint end = min(begin + span, quads);
    for (uint item = gl_WorkGroupID.x; item < pc.batch; item += gl_NumWorkGroups.x) {
        for (uint step = 0; step < pc.u; step++) {
            const uint base = (item * pc.u + step) * pc.len;
            float first = 0.0; // chance to go on at the input before the lane's own
            if (lane > 0u && begin < end) {
                first = 1.0 - p[base + 4u * begin - 1u];
            }
            vec2 own = vec2(1.0, 0.0);
            float go_on = first;
            for (uint q = begin; q < end; q++) {
                const vec4 stop = load_p(base, q);
                const vec4 x = arrived(step, base, q);
                [[unroll]] for (uint i = 0; i < 4u; i++) {
                    own = vec2(go_on * own.x, fma(go_on, own.y, x[i]));
                    go_on = 1.0 - stop[i];
                }
            }
            const vec2 before = scan_before(own, lane);
            float chance = before.y;
            go_on = first;
            for (uint q = begin; q < end; q++) {
                const vec4 stop = load_p(base, q);
                const vec4 x = arrived(step, base, q);
                vec4 ends;
                [[unroll]] for (uint i = 0; i < 4u; i++) {
                    chance = fma(go_on, chance, x[i]);
                    go_on = 1.0 - stop[i];
                    ends[i] = stop[i] * chance;
                }
                store_a(base, q, ends);
            }
        }
    }
}
