// SPDX-License-Identifier: MIT
//
// The bodies of the linear_scan kernels and of their gradients; front matter: the includer's
//
// A lane owns GROUPS groups of four neighbouring channels, neighbouring lanes neighbouring
// groups, and walks the steps in the order the recurrence needs: p = 0, 1, ... With
// SCAN_BACKWARD that is from the last step to the first, and what is carried from step to
// step is the gradient of the state before it.
//
//   forward   h_p = a_p s + x_p,   s = h_p           a stretch maps s to A s + B
//   backward  g_p = s + dh_p,      s = a_p g_p       likewise
//
// With SCAN_CHUNKS the time is cut: pass fold finds A and B of each chunk, pass carry what
// enters each, pass scan walks again and stores.
#extension GL_EXT_control_flow_attributes : require

#include "lib/words.glsl"
#include "lib/exp.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint GROUPS = 1;  // of four channels a lane
layout(constant_id = 4) const uint VEC = 1;     // channels a load
layout(constant_id = 5) const uint STEPS = 4;   // loaded ahead
layout(constant_id = 16) const uint GATE = 0;
layout(constant_id = 17) const uint DIR = 0;
layout(constant_id = 18) const uint INIT = 0;
layout(constant_id = 19) const uint FINAL = 0;

layout(push_constant, std430) uniform Push {
    uint len, width;
#ifdef SCAN_CHUNKS
    uint chunk; // steps of a chunk
#endif
} pc;

#ifdef SCAN_BACKWARD
#define BIND_H0 1
#define BIND_X 3
#else
#define BIND_H0 2
#define BIND_X 1
#endif

layout(set = 0, binding = 0, std430) restrict readonly buffer BufferA { float a[]; };
layout(set = 0, binding = 0, std430) restrict readonly buffer BufferA4 { vec4 a4[]; };
layout(set = 0, binding = BIND_H0, std430) restrict readonly buffer BufferH0 { float h0[]; };
#ifdef SCAN_BACKWARD
layout(set = 0, binding = 2, std430) restrict readonly buffer BufferH { T h[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer BufferH4 { W4 h4[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer BufferX { T dh[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer BufferX4 { W4 dh4[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer BufferDht { float dht[]; };
layout(set = 0, binding = 5, std430) restrict writeonly buffer BufferDa { float da[]; };
layout(set = 0, binding = 5, std430) restrict writeonly buffer BufferDa4 { vec4 da4[]; };
layout(set = 0, binding = 6, std430) restrict writeonly buffer BufferY { T dx[]; };
layout(set = 0, binding = 6, std430) restrict writeonly buffer BufferY4 { W4 dx4[]; };
layout(set = 0, binding = 7, std430) restrict writeonly buffer BufferDh0 { float dh0[]; };
#define input_x dh
#define input_x4 dh4
#define output_y dx
#define output_y4 dx4
#else
layout(set = 0, binding = 1, std430) restrict readonly buffer BufferX { T x[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer BufferX4 { W4 x4[]; };
layout(set = 0, binding = 3, std430) restrict writeonly buffer BufferY { T h[]; };
layout(set = 0, binding = 3, std430) restrict writeonly buffer BufferY4 { W4 h4[]; };
layout(set = 0, binding = 4, std430) restrict writeonly buffer BufferHt { float ht[]; };
#define input_x x
#define input_x4 x4
#define output_y h
#define output_y4 h4
#endif
#ifdef SCAN_CHUNKS
#ifdef PASS_FOLD
layout(set = 0, binding = 8, std430) restrict writeonly buffer BufferPart { vec4 part[]; };
#elif defined(PASS_CARRY)
layout(set = 0, binding = 8, std430) restrict buffer BufferPart { vec4 part[]; };
#else
layout(set = 0, binding = 8, std430) restrict readonly buffer BufferPart { vec4 part[]; };
#endif
#endif

// --- four channels of a step ----------------------------------------------------------

// Channels first .. first + 3 of step `at` (elements before it); those beyond the width
// are left alone.
#define IO_LOAD_(function, name, name4, load, load4) \
    vec4 function(const uint at, const uint first) \
    { \
        if (VEC == 4) { \
            return load4(name4[(at + first) / 4]); \
        } \
        vec4 held = vec4(0.0); \
        [[unroll]] for (uint i = 0; i < 4; i++) { \
            if (first + i < pc.width) { \
                held[i] = load(name[at + first + i]); \
            } \
        } \
        return held; \
    }
#define IO_STORE_(function, name, name4, store, store4) \
    void function(const uint at, const uint first, const vec4 value) \
    { \
        if (VEC == 4) { \
            name4[(at + first) / 4] = store4(value); \
            return; \
        } \
        [[unroll]] for (uint i = 0; i < 4; i++) { \
            if (first + i < pc.width) { \
                name[at + first + i] = store(value[i]); \
            } \
        } \
    }
#define PLAIN_(x) (x)

IO_LOAD_(load_gate_, a, a4, PLAIN_, PLAIN_)
IO_LOAD_(load_x, input_x, input_x4, vkz_load, vkz_load_w4)
IO_STORE_(store_y, output_y, output_y4, vkz_store, vkz_store_w4)
#ifdef SCAN_BACKWARD
IO_LOAD_(load_h, h, h4, vkz_load, vkz_load_w4)
IO_STORE_(store_da, da, da4, PLAIN_, PLAIN_)
#endif

vec4 load_gate(const uint at, const uint first)
{
    vec4 gate = load_gate_(at, first);
    if (GATE != 0) {
        [[unroll]] for (uint i = 0; i < 4; i++) {
            gate[i] = vkz_exp2_decay(gate[i] * VKZ_LOG2E);
        }
    }
    return gate;
}

uint groups_wide()
{
    return (pc.width + 3) / 4;
}

// First element of the p-th step that the walk makes.
uint step_at(const uint p)
{
#ifdef SCAN_BACKWARD
    const bool falling = DIR == 0;
#else
    const bool falling = DIR != 0;
#endif
    return (gl_WorkGroupID.z * pc.len + (falling ? pc.len - 1 - p : p)) * pc.width;
}

vec4 load_state(const uint first)
{
    vec4 state = vec4(0.0);
    [[unroll]] for (uint i = 0; i < 4; i++) {
        const uint from = gl_WorkGroupID.z * pc.width + first + i;
#ifdef SCAN_BACKWARD
        if (FINAL != 0 && first + i < pc.width) {
            state[i] = dht[from];
        }
#else
        if (INIT != 0 && first + i < pc.width) {
            state[i] = h0[from];
        }
#endif
    }
    return state;
}

void store_state(const uint first, const vec4 state)
{
    [[unroll]] for (uint i = 0; i < 4; i++) {
        const uint to = gl_WorkGroupID.z * pc.width + first + i;
#ifdef SCAN_BACKWARD
        if (INIT != 0 && first + i < pc.width) {
            dh0[to] = state[i];
        }
#else
        if (FINAL != 0 && first + i < pc.width) {
            ht[to] = state[i];
        }
#endif
    }
}

#ifdef SCAN_BACKWARD
// The state before step p of the walk: that of the step walked next, or the first state.
vec4 load_before(const uint p, const uint first)
{
    if (p + 1 < pc.len) {
        return load_h(step_at(p + 1), first);
    }
    vec4 state = vec4(0.0);
    [[unroll]] for (uint i = 0; i < 4; i++) {
        if (INIT != 0 && first + i < pc.width) {
            state[i] = h0[gl_WorkGroupID.z * pc.width + first + i];
        }
    }
    return state;
}
#endif

// --- the walk -------------------------------------------------------------------------

vec4 state[GROUPS];
vec4 factor[GROUPS]; // product of the gates, pass fold

uint group_of(const uint j)
{
    return (gl_WorkGroupID.x * GROUPS + j) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
}

void advance(const uint p, const uint j, const uint first, const vec4 gate, const vec4 x)
{
#ifdef SCAN_BACKWARD
    const vec4 value = x + state[j];
    state[j] = gate * value;
#else
    const vec4 value = fma(gate, state[j], x);
    state[j] = value;
#endif
#ifdef PASS_FOLD
    factor[j] *= gate;
#else
    store_y(step_at(p), first, value);
#ifdef SCAN_BACKWARD
    const vec4 before = load_before(p, first);
    store_da(step_at(p), first, value * (GATE != 0 ? gate * before : before));
#endif
#endif
}

// Steps begin .. end - 1 of the walk. The loads of STEPS steps are made before they are
// needed: what follows from them is a chain.
void walk(const uint begin, const uint end)
{
    vec4 gates[STEPS];
    vec4 terms[STEPS];
    uint p = begin;
    for (; p + STEPS <= end; p += STEPS) {
        [[unroll]] for (uint j = 0; j < GROUPS; j++) {
            const uint first = 4 * group_of(j);
            if (first < pc.width) {
                [[unroll]] for (uint i = 0; i < STEPS; i++) {
                    gates[i] = load_gate(step_at(p + i), first);
                    terms[i] = load_x(step_at(p + i), first);
                }
                [[unroll]] for (uint i = 0; i < STEPS; i++) {
                    advance(p + i, j, first, gates[i], terms[i]);
                }
            }
        }
    }
    for (; p < end; p++) {
        for (uint j = 0; j < GROUPS; j++) {
            const uint first = 4 * group_of(j);
            if (first < pc.width) {
                advance(p, j, first, load_gate(step_at(p), first),
                        load_x(step_at(p), first));
            }
        }
    }
}

#ifdef SCAN_CHUNKS
// Product and sum of a chunk; after pass carry the sum is the state that enters it.
uint part_of(const uint chunk, const uint chunks, const uint group)
{
    return (gl_WorkGroupID.z * chunks + chunk) * 2 * groups_wide() + group;
}
#endif

#ifdef PASS_FOLD

void main()
{
    [[unroll]] for (uint j = 0; j < GROUPS; j++) {
        state[j] = vec4(0.0);
        factor[j] = vec4(1.0);
    }
    const uint begin = gl_WorkGroupID.y * pc.chunk;
    walk(begin, min(begin + pc.chunk, pc.len));
    [[unroll]] for (uint j = 0; j < GROUPS; j++) {
        const uint group = group_of(j);
        const uint to = part_of(gl_WorkGroupID.y, gl_NumWorkGroups.y, group);
        if (group < groups_wide()) {
            part[to] = factor[j];
            part[to + groups_wide()] = state[j];
        }
    }
}

#elif defined(PASS_CARRY)

void main()
{
    const uint chunks = (pc.len + pc.chunk - 1) / pc.chunk;
    const uint group = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (group >= groups_wide()) {
        return;
    }
    vec4 entering = load_state(4 * group);
    for (uint i = 0; i < chunks; i++) {
        const uint at = part_of(i, chunks, group);
        const vec4 sum = part[at + groups_wide()];
        part[at + groups_wide()] = entering;
        entering = fma(part[at], entering, sum);
    }
}

#else

void main()
{
#ifdef SCAN_CHUNKS
    const uint begin = gl_WorkGroupID.y * pc.chunk;
    const uint end = min(begin + pc.chunk, pc.len);
#else
    const uint begin = 0;
    const uint end = pc.len;
#endif
    [[unroll]] for (uint j = 0; j < GROUPS; j++) {
        const uint group = group_of(j);
        if (group < groups_wide()) {
#ifdef SCAN_CHUNKS
            state[j] = part[part_of(gl_WorkGroupID.y, gl_NumWorkGroups.y, group)
                            + groups_wide()];
#else
            state[j] = load_state(4 * group);
#endif
        }
    }
    walk(begin, end);
    [[unroll]] for (uint j = 0; j < GROUPS; j++) {
        if (end == pc.len && group_of(j) < groups_wide()) {
            store_state(4 * group_of(j), state[j]);
        }
    }
}

#endif
