// SPDX-License-Identifier: MIT
//
// The bodies of the selective_scan kernels; their front matter is the includer's
//
// A lane owns CHANNELS channels, a workgroup's neighbouring in memory, with all their
// states in registers, and walks the time. B and C of a token are the same for all
// channels: they are staged STAGE tokens at a time in shared memory, or, with
// SELECTIVE_SHUFFLE, each token's are loaded once by the lanes of a subgroup together and
// handed round.
//
// With SELECTIVE_CHUNKS the time is cut: pass fold finds each chunk's last state from a
// first state of 0 and the sum of its steps, whose e^{A ΣΔ} is how much of the state
// before the chunk is left; pass carry chains them; pass scan walks again.
#extension GL_EXT_control_flow_attributes : require
#ifdef SELECTIVE_SHUFFLE
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#endif

#include "lib/num.glsl"
#include "linear/selective_step.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
#ifdef SELECTIVE_SHUFFLE
layout(constant_id = 1) const uint SUBGROUP = 4; // lanes that hand elements round
#endif
layout(constant_id = 3) const uint CHANNELS = 1; // of a lane
layout(constant_id = 16) const uint GATE = 0;
layout(constant_id = 17) const uint INIT = 0;
layout(constant_id = 18) const uint FINAL = 0;
layout(constant_id = 32) const uint STATE = 16;

layout(set = 0, binding = 0, std430) restrict readonly buffer BufferX { T x[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer BufferDt { T dt[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer BufferDtb { float dtb[]; };
layout(set = 0, binding = 3, std430) restrict readonly buffer BufferD { float d[]; };
layout(set = 0, binding = 4, std430) restrict readonly buffer BufferA { float a[]; };
layout(set = 0, binding = 5, std430) restrict readonly buffer BufferB { T b[]; };
layout(set = 0, binding = 6, std430) restrict readonly buffer BufferC { T c[]; };
layout(set = 0, binding = 7, std430) restrict readonly buffer BufferZ { T z[]; };
layout(set = 0, binding = 8, std430) restrict readonly buffer BufferH0 { float h0[]; };
layout(set = 0, binding = 9, std430) restrict writeonly buffer BufferY { T y[]; };
layout(set = 0, binding = 10, std430) restrict writeonly buffer BufferHt { float ht[]; };
#ifdef SELECTIVE_CHUNKS
// [batch, chunks, STATE + 1, width]: last state, after pass carry the first; sum of steps
#ifdef PASS_FOLD
layout(set = 0, binding = 11, std430) restrict writeonly buffer BufferPart { float part[]; };
#elif defined(PASS_CARRY)
layout(set = 0, binding = 11, std430) restrict buffer BufferPart { float part[]; };
#else
layout(set = 0, binding = 11, std430) restrict readonly buffer BufferPart { float part[]; };
#endif
#endif

layout(push_constant, std430) uniform Push {
    uint len, width;
#ifdef SELECTIVE_CHUNKS
    uint chunk; // tokens of a chunk
#endif
} pc;

// --- B and C of a token ---------------------------------------------------------------

const uint STAGE = 8; // tokens staged at a time

#ifdef PASS_CARRY
#elif defined(SELECTIVE_SHUFFLE)

const uint SLOTS = (STATE + SUBGROUP - 1) / SUBGROUP;
float held_b[SLOTS];
float held_c[SLOTS];

void stage(const uint token, const uint end) {}

// All lanes, those without a channel too.
void begin_token(const uint token, const uint i)
{
    [[unroll]] for (uint s = 0; s < SLOTS; s++) {
        const uint n = min(s * SUBGROUP + gl_SubgroupInvocationID % SUBGROUP, STATE - 1);
        held_b[s] = vkz_load(b[token * STATE + n]);
        held_c[s] = vkz_load(c[token * STATE + n]);
    }
}

float b_of(const uint i, const uint n)
{
    return subgroupShuffle(held_b[n / SUBGROUP], n % SUBGROUP);
}

float c_of(const uint i, const uint n)
{
    return subgroupShuffle(held_c[n / SUBGROUP], n % SUBGROUP);
}

#else

shared float staged_b[STAGE * STATE];
shared float staged_c[STAGE * STATE];

void stage(const uint token, const uint end)
{
    const uint count = min(STAGE, end - token) * STATE;
    barrier(); // the tokens before are read
    for (uint e = gl_LocalInvocationIndex; e < count; e += gl_WorkGroupSize.x) {
        staged_b[e] = vkz_load(b[token * STATE + e]);
        staged_c[e] = vkz_load(c[token * STATE + e]);
    }
    barrier();
}

void begin_token(const uint token, const uint i) {}

float b_of(const uint i, const uint n)
{
    return staged_b[i * STATE + n];
}

float c_of(const uint i, const uint n)
{
    return staged_c[i * STATE + n];
}

#endif

#ifndef PASS_CARRY

// --- the walk -------------------------------------------------------------------------

float rate[CHANNELS * STATE]; // A times log2 e
float h[CHANNELS * STATE];
float bias[CHANNELS];
float skip[CHANNELS];
float elapsed[CHANNELS]; // sum of the steps, pass fold

uint channel_of(const uint j)
{
    return (gl_WorkGroupID.x * CHANNELS + j) * gl_WorkGroupSize.x
           + gl_LocalInvocationID.x;
}

// Lanes without a channel of their own redo the last one, and do not store.
uint channel_read(const uint j)
{
    return min(channel_of(j), pc.width - 1);
}

void walk(const uint begin, const uint end)
{
    const uint first = gl_WorkGroupID.z * pc.len;
    for (uint token = begin; token < end; token += STAGE) {
        stage(first + token, first + end);
        const uint count = min(STAGE, end - token);
        [[dont_unroll]] for (uint i = 0; i < count; i++) {
            const uint row = (first + token + i) * pc.width;
            float delta[CHANNELS];
            float input_[CHANNELS];
            float sum[CHANNELS];
            begin_token(first + token + i, i);
            [[unroll]] for (uint j = 0; j < CHANNELS; j++) {
                const float value = vkz_load(x[row + channel_read(j)]);
                const float raw = vkz_load(dt[row + channel_read(j)]) + bias[j];
                delta[j] = vkz_softplus_accurate(raw);
                input_[j] = delta[j] * value;
                sum[j] = skip[j] * value;
            }
            [[unroll]] for (uint n = 0; n < STATE; n++) {
                const float weight_b = b_of(i, n);
#ifndef PASS_FOLD
                const float weight_c = c_of(i, n);
#endif
                [[unroll]] for (uint j = 0; j < CHANNELS; j++) {
                    const uint s = j * STATE + n;
                    const float keep = vkz_exp2_decay(delta[j] * rate[s]);
                    h[s] = fma(keep, h[s], input_[j] * weight_b);
#ifndef PASS_FOLD
                    sum[j] = fma(h[s], weight_c, sum[j]);
#endif
                }
            }
            [[unroll]] for (uint j = 0; j < CHANNELS; j++) {
#ifdef PASS_FOLD
                elapsed[j] += delta[j];
#else
                if (GATE != 0) {
                    sum[j] *= selective_silu(vkz_load(z[row + channel_read(j)]));
                }
                if (channel_of(j) < pc.width) {
                    y[row + channel_of(j)] = vkz_store(sum[j]);
                }
#endif
            }
        }
    }
}

#ifdef SELECTIVE_CHUNKS
uint part_of(const uint chunk, const uint n, const uint channel)
{
    const uint at = gl_WorkGroupID.z * gl_NumWorkGroups.y + chunk;
    return (at * (STATE + 1) + n) * pc.width + channel;
}
#endif

void main()
{
#ifdef SELECTIVE_CHUNKS
    const uint chunk = gl_WorkGroupID.y;
    const uint begin = chunk * pc.chunk;
    const uint end = min(begin + pc.chunk, pc.len);
#else
    const uint begin = 0;
    const uint end = pc.len;
#endif
    [[unroll]] for (uint j = 0; j < CHANNELS; j++) {
        const uint channel = channel_read(j);
        bias[j] = dtb[channel];
        skip[j] = d[channel];
        elapsed[j] = 0.0;
        for (uint n = 0; n < STATE; n++) {
            rate[j * STATE + n] = a[channel * STATE + n] * VKZ_LOG2E;
#ifdef PASS_FOLD
            h[j * STATE + n] = 0.0;
#elif defined(SELECTIVE_CHUNKS)
            h[j * STATE + n] = part[part_of(chunk, n, channel)];
#else
            h[j * STATE + n] = 0.0;
            if (INIT != 0) {
                h[j * STATE + n] =
                    h0[(gl_WorkGroupID.z * pc.width + channel) * STATE + n];
            }
#endif
        }
    }
    walk(begin, end);
    [[unroll]] for (uint j = 0; j < CHANNELS; j++) {
        const uint channel = channel_of(j);
        if (channel < pc.width) {
#ifdef PASS_FOLD
            for (uint n = 0; n < STATE; n++) {
                part[part_of(chunk, n, channel)] = h[j * STATE + n];
            }
            part[part_of(chunk, STATE, channel)] = elapsed[j];
#else
            if (FINAL != 0 && end == pc.len) {
                for (uint n = 0; n < STATE; n++) {
                    ht[(gl_WorkGroupID.z * pc.width + channel) * STATE + n] =
                        h[j * STATE + n];
                }
            }
#endif
        }
    }
}

#else // PASS_CARRY: a lane a state of a channel

void main()
{
    const uint chunks = (pc.len + pc.chunk - 1) / pc.chunk;
    const uint channel = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    const uint n = gl_WorkGroupID.y;
    if (channel >= pc.width) {
        return;
    }
    const float rate = a[channel * STATE + n] * VKZ_LOG2E;
    float entering = 0.0;
    if (INIT != 0) {
        entering = h0[(gl_WorkGroupID.z * pc.width + channel) * STATE + n];
    }
    for (uint i = 0; i < chunks; i++) {
        const uint base = (gl_WorkGroupID.z * chunks + i) * (STATE + 1) * pc.width + channel;
        const float last = part[base + n * pc.width];
        const float elapsed = part[base + STATE * pc.width];
        part[base + n * pc.width] = entering;
        entering = fma(vkz_exp2_decay(elapsed * rate), entering, last);
    }
}

#endif
