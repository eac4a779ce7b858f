// SPDX-License-Identifier: MIT
//
// Gradient of the selective scan, a lane walks its channel forth and back
//
//   pass forth   the state before every CHUNK-th token is kept
//   pass back    chunk by chunk from the last: its states again, then its gradients
//   pass shared  dB and dC: sums over the workgroups' channels
//   pass batches dA, dD and the step's bias: sums over the sequences
//
// Mamba, arXiv 2312.00752.
//
// Why this one: the states of all tokens would be STATE times the input; kept every CHUNK
// tokens they are a fraction of that, and a chunk's fit a lane. What sums over channels or
// sequences is summed in a fixed order, without atomics.
//
//! kernel   selective_scan_backward_walk
//! op       selective_scan_backward/1
//! tier     T0
//! bind     0 x    in  T[batch, len, width]
//! bind     1 dt   in  T[batch, len, width]
//! bind     2 dtb  in  f32[width]
//! bind     3 d    in  f32[width]
//! bind     4 a    in  f32[width, state]
//! bind     5 b    in  T[batch, len, state]
//! bind     6 c    in  T[batch, len, state]
//! bind     7 z    in  T[batch, len, width]  when GATE == GATE.on
//! bind     8 h0   in  f32[batch, width, state]  when INIT == INIT.on
//! bind     9 dy   in  T[batch, len, width]
//! bind     10 dht in  f32[batch, width, state]  when FINAL == FINAL.on
//! bind     11 dx  out T[batch, len, width]
//! bind     12 ddt out T[batch, len, width]
//! bind     13 ddtb out f32[width]
//! bind     14 dd  out f32[width]
//! bind     15 da  out f32[width, state]
//! bind     16 db  out T[batch, len, state]
//! bind     17 dc  out T[batch, len, state]
//! bind     18 dz  out T[batch, len, width]  when GATE == GATE.on
//! bind     19 dh0 out f32[batch, width, state]  when INIT == INIT.on
//! scratch  20 kept f32[batch, ceildiv(len, CHUNK), state, width]
//! scratch  21 part f32[batch, len, across, 2, state]
//! scratch  22 sums f32[batch, state + 2, width]
//! push     batch:u32 len:u32 width:u32
//! spec     0 WG_SIZE u32 32 = is_cpu ? subgroup_size : 32
//! spec     3 CHUNK u32 8   // tokens between kept states
//! spec     16 GATE u32 0
//! spec     17 INIT u32 0
//! spec     18 FINAL u32 0
//! spec     32 STATE u32 16 = state
//! let      across ceildiv(width,WG_SIZE)
//! shared   8 * STATE * WG_SIZE
//! when     batch <= 65535 && state <= 32 : one dispatch, a chunk's states in registers
//! tuning   chunk4 CHUNK=4
//! pass     forth   groups across 1 batch
//! pass     back    groups across 1 batch
//! pass     shared  groups ceildiv(batch*len*state,WG_SIZE*16)
//! pass     batches groups across state+2
//! variant  f32  T=f32
//! variant  f16  T=f16
//! variant  bf16 T=bf16
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

#include "lib/num.glsl"
#include "linear/selective_step.glsl"

layout(local_size_x = 32, local_size_x_id = 0) in;
layout(constant_id = 3) const uint CHUNK = 8;
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
layout(set = 0, binding = 9, std430) restrict readonly buffer BufferDy { T dy[]; };
layout(set = 0, binding = 10, std430) restrict readonly buffer BufferDht { float dht[]; };
layout(set = 0, binding = 11, std430) restrict writeonly buffer BufferDx { T dx[]; };
layout(set = 0, binding = 12, std430) restrict writeonly buffer BufferDdt { T ddt[]; };
layout(set = 0, binding = 13, std430) restrict writeonly buffer BufferDdtb { float ddtb[]; };
layout(set = 0, binding = 14, std430) restrict writeonly buffer BufferDd { float dd[]; };
layout(set = 0, binding = 15, std430) restrict writeonly buffer BufferDa { float da[]; };
layout(set = 0, binding = 16, std430) restrict writeonly buffer BufferDb { T db[]; };
layout(set = 0, binding = 17, std430) restrict writeonly buffer BufferDc { T dc[]; };
layout(set = 0, binding = 18, std430) restrict writeonly buffer BufferDz { T dz[]; };
layout(set = 0, binding = 19, std430) restrict writeonly buffer BufferDh0 { float dh0[]; };
layout(set = 0, binding = 20, std430) restrict buffer BufferKept { float kept[]; };
layout(set = 0, binding = 21, std430) restrict buffer BufferPart { float part[]; };
layout(set = 0, binding = 22, std430) restrict buffer BufferSums { float sums[]; };

layout(push_constant, std430) uniform Push {
    uint batch, len, width;
} pc;

#if defined(PASS_FORTH) || defined(PASS_BACK)

float rate[STATE];
float h[STATE];
float bias;

uint own_channel()
{
    return gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
}

uint first_state(const uint channel)
{
    return (gl_WorkGroupID.z * pc.width + channel) * STATE;
}

uint kept_at(const uint chunk, const uint n, const uint channel)
{
    const uint chunks = (pc.len + CHUNK - 1) / CHUNK;
    return ((gl_WorkGroupID.z * chunks + chunk) * STATE + n) * pc.width + channel;
}

void begin_channel(const uint channel)
{
    bias = dtb[channel];
    for (uint n = 0; n < STATE; n++) {
        rate[n] = a[channel * STATE + n];
    }
}

float keep_of(const float delta, const uint n)
{
    return vkz_exp2_decay(delta * (rate[n] * VKZ_LOG2E));
}

// One token of the recurrence.
void step_state(const uint token, const uint channel)
{
    const uint at = token * pc.width + channel;
    const float raw = vkz_load(dt[at]) + bias;
    const float delta = vkz_softplus_accurate(raw);
    const float input_ = delta * vkz_load(x[at]);
    for (uint n = 0; n < STATE; n++) {
        const float weight = vkz_load(b[token * STATE + n]);
        h[n] = fma(keep_of(delta, n), h[n], input_ * weight);
    }
}

#endif

#ifdef PASS_FORTH

void main()
{
    const uint channel = own_channel();
    if (channel >= pc.width) {
        return;
    }
    begin_channel(channel);
    for (uint n = 0; n < STATE; n++) {
        h[n] = 0.0;
        if (INIT != 0) {
            h[n] = h0[first_state(channel) + n];
        }
    }
    for (uint t = 0; t < pc.len; t++) {
        if (t % CHUNK == 0) {
            for (uint n = 0; n < STATE; n++) {
                kept[kept_at(t / CHUNK, n, channel)] = h[n];
            }
        }
        step_state(gl_WorkGroupID.z * pc.len + t, channel);
    }
}

#elif defined(PASS_BACK)

shared float share[2 * STATE * gl_WorkGroupSize.x];

float before[CHUNK * STATE]; // the chunk's states, each before its token
float dh[STATE];
float sum_a[STATE];
float sum_d = 0.0;
float sum_bias = 0.0;

// The lanes' parts of a token's dB and dC, added up in the order of the lanes.
void reduce_token(const uint token)
{
    const uint lanes = gl_WorkGroupSize.x;
    barrier();
    for (uint v = gl_LocalInvocationID.x; v < 2 * STATE; v += lanes) {
        float sum = 0.0;
        for (uint i = 0; i < lanes; i++) {
            sum += share[v * lanes + i];
        }
        part[(token * gl_NumWorkGroups.x + gl_WorkGroupID.x) * 2 * STATE + v] = sum;
    }
    barrier();
}

void back_token(const uint token, const uint i, const uint channel, const bool mine)
{
    const uint lanes = gl_WorkGroupSize.x;
    const uint lane = gl_LocalInvocationID.x;
    const uint at = token * pc.width + channel;
    const float value = vkz_load(x[at]);
    const float raw = vkz_load(dt[at]) + bias;
    const float delta = vkz_softplus_accurate(raw);
    const float given = vkz_load(dy[at]);
    float gate = 0.0;
    if (GATE != 0) {
        gate = vkz_load(z[at]);
    }
    const float open = selective_sigmoid(gate);
    const float gy = GATE != 0 ? given * gate * open : given;
    const float skip = d[channel];
    float y = skip * value;
    float dvalue = gy * skip;
    float ddelta = 0.0;
    for (uint n = 0; n < STATE; n++) {
        const float weight_b = vkz_load(b[token * STATE + n]);
        const float weight_c = vkz_load(c[token * STATE + n]);
        const float keep = keep_of(delta, n);
        const float left = keep * before[i * STATE + n];
        const float after = fma(delta * value, weight_b, left);
        const float g = fma(gy, weight_c, dh[n]);
        y = fma(after, weight_c, y);
        share[n * lanes + lane] = mine ? g * delta * value : 0.0;
        share[(STATE + n) * lanes + lane] = mine ? gy * after : 0.0;
        sum_a[n] = fma(g * left, delta, sum_a[n]);
        ddelta = fma(g, fma(left, rate[n], weight_b * value), ddelta);
        dvalue = fma(g * delta, weight_b, dvalue);
        dh[n] = keep * g;
    }
    reduce_token(token);
    const float draw = ddelta * selective_sigmoid(raw);
    sum_d = fma(gy, value, sum_d);
    sum_bias += draw;
    if (mine) {
        dx[at] = vkz_store(dvalue);
        ddt[at] = vkz_store(draw);
        if (GATE != 0) {
            dz[at] = vkz_store(given * y * open * fma(gate, 1.0 - open, 1.0));
        }
    }
}

void main()
{
    const bool mine = own_channel() < pc.width;
    const uint channel = min(own_channel(), pc.width - 1);
    const uint first = gl_WorkGroupID.z * pc.len;
    begin_channel(channel);
    for (uint n = 0; n < STATE; n++) {
        sum_a[n] = 0.0;
        dh[n] = 0.0;
        if (FINAL != 0) {
            dh[n] = dht[first_state(channel) + n];
        }
    }
    const uint chunks = (pc.len + CHUNK - 1) / CHUNK;
    for (uint k = 0; k < chunks; k++) {
        const uint chunk = chunks - 1 - k;
        const uint count = min(CHUNK, pc.len - chunk * CHUNK);
        for (uint n = 0; n < STATE; n++) {
            h[n] = kept[kept_at(chunk, n, channel)];
        }
        [[dont_unroll]] for (uint i = 0; i < count; i++) {
            for (uint n = 0; n < STATE; n++) {
                before[i * STATE + n] = h[n];
            }
            if (i + 1 < count) {
                step_state(first + chunk * CHUNK + i, channel);
            }
        }
        [[dont_unroll]] for (uint i = 0; i < count; i++) {
            const uint last = count - 1 - i;
            back_token(first + chunk * CHUNK + last, last, channel, mine);
        }
    }
    if (mine) {
        const uint to = gl_WorkGroupID.z * (STATE + 2) * pc.width + channel;
        for (uint n = 0; n < STATE; n++) {
            sums[to + n * pc.width] = sum_a[n];
            if (INIT != 0) {
                dh0[first_state(channel) + n] = dh[n];
            }
        }
        sums[to + STATE * pc.width] = sum_d;
        sums[to + (STATE + 1) * pc.width] = sum_bias;
    }
}

#elif defined(PASS_SHARED)

void main()
{
    const uint across = (pc.width + gl_WorkGroupSize.x - 1) / gl_WorkGroupSize.x;
    const uint count = pc.batch * pc.len * STATE;
    const uint lanes = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint e = gl_GlobalInvocationID.x; e < count; e += lanes) {
        const uint from = e / STATE * across * 2 * STATE + e % STATE;
        float sum_b = 0.0;
        float sum_c = 0.0;
        for (uint i = 0; i < across; i++) {
            sum_b += part[from + i * 2 * STATE];
            sum_c += part[from + i * 2 * STATE + STATE];
        }
        db[e] = vkz_store(sum_b);
        dc[e] = vkz_store(sum_c);
    }
}

#else // PASS_BATCHES

void main()
{
    const uint channel = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    const uint n = gl_WorkGroupID.y;
    if (channel >= pc.width) {
        return;
    }
    float sum = 0.0;
    for (uint i = 0; i < pc.batch; i++) {
        sum += sums[(i * (STATE + 2) + n) * pc.width + channel];
    }
    if (n < STATE) {
        da[channel * STATE + n] = sum;
    } else if (n == STATE) {
        dd[channel] = sum;
    } else {
        ddtb[channel] = sum;
    }
}

#endif
