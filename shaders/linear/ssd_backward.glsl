// SPDX-License-Identifier: MIT
//
// The passes of the ssd_backward kernels: three or four walks of lib/chunk.glsl's hooks
//
//   pass   walk       q    k         v    state      o
//   y      forwards   c    step b'   x    [ns, p]    y before the gate: dz  (GATE only)
//   dx     backwards  b    c         gy   [ns, p]    dv; what is left of the state is ds0
//   db     backwards  x    gy        c    [p, ns]    db of a head, without the step
//   dc     forwards   gy   step x'   b    [p, ns]    dc of a head; <st, dst>
//   dots   a lane a token    x.dv = b.db, c.dc and gy.x
//   sum    a group a head    dg_t = <st, dst> + sum_{s>=t} (c.dc - step b.db)_s, then ddt
//   heads  sums of db and dc over the heads of a group
//   params sums over sequences
//
// db and dc leave the token itself out: its part, gy.x times c or step b, is in both and
// would cancel in dg. They do so by taking k and v of the token before, one decay older.
//
// Each gradient is itself such a recurrence: dv_j = sum_{i>=j} Gamma_ij (b_j c_i) gy_i runs
// backwards with the decay of the token after, and so on. No pass keeps states.
//
// The includer declares layout, SSD_STAGE if the walks are those of lib/recurrent.glsl,
// and WG_SIZE invocations.
#ifndef VKZ_LINEAR_SSD_BACKWARD_GLSL
#define VKZ_LINEAR_SSD_BACKWARD_GLSL

#include "lib/activation.glsl"
#include "linear/rows.glsl"
#include "linear/ssd_step.glsl"

layout(constant_id = 6) const uint VEC = 1;
layout(constant_id = 16) const uint INIT = 0;
layout(constant_id = 17) const uint FINAL = 0;
layout(constant_id = 18) const uint GATE = 0;
layout(constant_id = 19) const uint CLAMP = 0;
layout(constant_id = 32) const uint STATE = 64; // ns
layout(constant_id = 33) const uint WIDTH = 64; // p
// No lane's columns are past the last one, in any walk.
const bool LINEAR_WHOLE =
    STATE % (4u * COLUMN_LANES) + WIDTH % (4u * COLUMN_LANES) == 0u;

layout(push_constant, std430) uniform Push {
    uint batch, heads, groups, len;
    float lo, hi;
} pc;

layout(std430, binding = 0) restrict readonly buffer X { T x[]; };
layout(std430, binding = 0) restrict readonly buffer X4 { W4 x4[]; };
layout(std430, binding = 1) restrict readonly buffer Dt { float dt[]; };
layout(std430, binding = 2) restrict readonly buffer Dtb { float dtb[]; };
layout(std430, binding = 3) restrict readonly buffer Alog { float alog[]; };
layout(std430, binding = 4) restrict readonly buffer Skip { float d_skip[]; };
layout(std430, binding = 5) restrict readonly buffer B { T b[]; };
layout(std430, binding = 5) restrict readonly buffer B4 { W4 b4[]; };
layout(std430, binding = 6) restrict readonly buffer C { T c[]; };
layout(std430, binding = 6) restrict readonly buffer C4 { W4 c4[]; };
layout(std430, binding = 7) restrict readonly buffer Z { T z[]; };
layout(std430, binding = 7) restrict readonly buffer Z4 { W4 z4[]; };
layout(std430, binding = 8) restrict readonly buffer S0 { float s0[]; };
layout(std430, binding = 8) restrict readonly buffer S04 { vec4 s04[]; };
layout(std430, binding = 9) restrict readonly buffer Dy { T dy[]; };
layout(std430, binding = 9) restrict readonly buffer Dy4 { W4 dy4[]; };
layout(std430, binding = 10) restrict readonly buffer Dst { float dst[]; };
layout(std430, binding = 10) restrict readonly buffer Dst4 { vec4 dst4[]; };
layout(std430, binding = 11) restrict writeonly buffer Dx { T dx[]; };
layout(std430, binding = 11) restrict writeonly buffer Dx4 { W4 dx4[]; };
layout(std430, binding = 12) restrict writeonly buffer Ddt { float ddt[]; };
layout(std430, binding = 13) restrict writeonly buffer Ddtb { float ddtb[]; };
layout(std430, binding = 14) restrict writeonly buffer Dalog { float dalog[]; };
layout(std430, binding = 15) restrict writeonly buffer Dskip { float dd_skip[]; };
layout(std430, binding = 16) restrict writeonly buffer Db { T db[]; };
layout(std430, binding = 16) restrict writeonly buffer Db4 { W4 db4[]; };
layout(std430, binding = 17) restrict writeonly buffer Dc { T dc[]; };
layout(std430, binding = 17) restrict writeonly buffer Dc4 { W4 dc4[]; };
layout(std430, binding = 18) restrict writeonly buffer Dz { T dz[]; };
layout(std430, binding = 18) restrict writeonly buffer Dz4 { W4 dz4[]; };
layout(std430, binding = 19) restrict writeonly buffer Ds0 { float ds0[]; };
layout(std430, binding = 19) restrict writeonly buffer Ds04 { vec4 ds04[]; };
layout(std430, binding = 20) restrict buffer Pb { float head_db[]; };
layout(std430, binding = 20) restrict buffer Pb4 { vec4 head_db4[]; };
layout(std430, binding = 21) restrict buffer Pc { float head_dc[]; };
layout(std430, binding = 21) restrict buffer Pc4 { vec4 head_dc4[]; };
// x.dv, what the token adds to dg, gy.x, step
layout(std430, binding = 22) restrict buffer Tok { vec4 tok[]; };
layout(std430, binding = 23) restrict buffer Fin { float fin[]; };
layout(std430, binding = 24) restrict buffer Part { vec4 part[]; }; // a head's sums

uint io_unit;  // batch * heads + head: the sequence of x
uint io_group; // batch * groups + group: the sequence of b and c
float io_a;    // of the head, and the next two
float io_bias;
float io_skip;

void io_begin(const uint head, const uint batch)
{
    io_unit = batch * pc.heads + head;
    io_group = batch * pc.groups + head * pc.groups / pc.heads;
    io_a = -vkz_exp2_accurate(alog[head] * VKZ_LOG2E);
    io_bias = dtb[head];
    io_skip = d_skip[head];
}

float io_raw(const uint t)
{
    return dt[io_unit * pc.len + t] + io_bias;
}

float io_step(const uint t)
{
    const float step = ssd_softplus(io_raw(t));
    return CLAMP != 0 ? ssd_clamp(step, pc.lo, pc.hi) : step;
}

const uint STATE_QUADS = (STATE + 3u) / 4u;
const uint WIDTH_QUADS = (WIDTH + 3u) / 4u;

vec4 io_b(const uint t, const uint n)
{
    LINEAR_LOAD4(b, b4, io_group * pc.len + t, STATE, n);
}

vec4 io_c(const uint t, const uint n)
{
    LINEAR_LOAD4(c, c4, io_group * pc.len + t, STATE, n);
}

vec4 io_x(const uint t, const uint n)
{
    LINEAR_LOAD4(x, x4, io_unit * pc.len + t, WIDTH, n);
}

vec4 io_z(const uint t, const uint n)
{
    LINEAR_LOAD4(z, z4, io_unit * pc.len + t, WIDTH, n);
}

vec4 io_dy(const uint t, const uint n)
{
    LINEAR_LOAD4(dy, dy4, io_unit * pc.len + t, WIDTH, n);
}

vec4 io_head_db(const uint row, const uint n)
{
    LINEAR_LOAD4_F32(head_db, head_db4, row, STATE, n);
}

vec4 io_head_dc(const uint row, const uint n)
{
    LINEAR_LOAD4_F32(head_dc, head_dc4, row, STATE, n);
}

vec4 io_gy(const uint t, const uint n)
{
    vec4 g = io_dy(t, n);
    if (GATE != 0) {
        const vec4 y = io_z(t, n);
        g *= vec4(vkz_silu(y.x), vkz_silu(y.y), vkz_silu(y.z), vkz_silu(y.w));
    }
    return g;
}

// Rows 4 * n .. + 3 of column j of a state [ns, p], as a row of its transpose.
#define IO_LOAD_COLUMN(name, j, n)                                                      \
    vec4 column_ = vec4(0.0);                                                           \
    [[unroll]] for (uint i = 0; i < 4u; i++) {                                          \
        if (4u * (n) + i < STATE) {                                                     \
            column_[i] = name[(io_unit * STATE + 4u * (n) + i) * WIDTH + (j)];          \
        }                                                                               \
    }                                                                                   \
    return column_

vec4 io_s0_column(const uint j, const uint n) { IO_LOAD_COLUMN(s0, j, n); }
vec4 io_dst_column(const uint j, const uint n) { IO_LOAD_COLUMN(dst, j, n); }

// --- the walks ------------------------------------------------------------------------

#if defined(PASS_Y) || defined(PASS_DX) || defined(PASS_DB) || defined(PASS_DC)
#define SSD_WALK

#if defined(PASS_DX) || defined(PASS_DB)
uint io_token(const uint step) { return pc.len - 1u - step; }
const bool BACKWARDS = true;
#else
uint io_token(const uint step) { return step; }
const bool BACKWARDS = false;
#endif

#define CHUNK_GATE CHUNK_GATE_TOKEN
#define CHUNK_HAS_GATE
// Between token t + 1 and t lies the decay of t + 1.
float chunk_gate(const uint step)
{
    const uint t = io_token(step);
    if (!BACKWARDS) {
        return io_step(t) * io_a;
    }
    const float g = io_step(min(t + 1u, pc.len - 1u)) * io_a;
    return step == 0u ? 0.0 : g;
}

float chunk_q_scale(const uint step) { return 1.0; }

#if defined(PASS_Y) || defined(PASS_DX)
#define HEAD_DIM STATE
const bool SSD_BEGIN = BACKWARDS ? FINAL != 0 : INIT != 0;
const uint SSD_COLUMNS = WIDTH_QUADS;
#else
#define HEAD_DIM WIDTH
const bool SSD_BEGIN = BACKWARDS ? FINAL != 0 : INIT != 0;
const uint SSD_COLUMNS = STATE_QUADS;
#endif

#if defined(PASS_Y)

const bool SSD_END = false;
vec4 chunk_q(const uint step, const uint n) { return io_c(step, n); }
vec4 chunk_k(const uint step, const uint n) { return io_b(step, n); }
float chunk_k_scale(const uint step) { return io_step(step); }
vec4 chunk_v(const uint step, const uint j) { return io_x(step, j); }

float io_silu_slope(const float y)
{
    const float s = 1.0 / (1.0 + vkz_exp2_accurate(min(-y * VKZ_LOG2E, 126.0)));
    return s * fma(y, 1.0 - s, 1.0);
}

void chunk_store(const uint step, const uint j, const vec4 o, const float sum)
{
    const vec4 y = fma(vec4(io_skip), io_x(step, j), o);
    const vec4 g = io_z(step, j);
    const vec4 slope = vec4(io_silu_slope(g.x), io_silu_slope(g.y), io_silu_slope(g.z),
                            io_silu_slope(g.w));
    const vec4 r = io_dy(step, j) * y * slope;
    LINEAR_STORE4(dz, dz4, io_unit * pc.len + step, WIDTH, j, r);
}

vec4 chunk_load_s(const uint row, const uint j)
{
    LINEAR_LOAD4_F32(s0, s04, io_unit * STATE + row, WIDTH, j);
}

void chunk_store_s(const uint row, const uint j, const vec4 s) {}

#elif defined(PASS_DX)

const bool SSD_END = INIT != 0;
vec4 chunk_q(const uint step, const uint n) { return io_b(io_token(step), n); }
vec4 chunk_k(const uint step, const uint n) { return io_c(io_token(step), n); }
float chunk_k_scale(const uint step) { return 1.0; }
vec4 chunk_v(const uint step, const uint j) { return io_gy(io_token(step), j); }

void chunk_store(const uint step, const uint j, const vec4 o, const float sum)
{
    const uint t = io_token(step);
    const vec4 r = fma(vec4(io_skip), io_gy(t, j), io_step(t) * o);
    LINEAR_STORE4(dx, dx4, io_unit * pc.len + t, WIDTH, j, r);
}

vec4 chunk_load_s(const uint row, const uint j)
{
    LINEAR_LOAD4_F32(dst, dst4, io_unit * STATE + row, WIDTH, j);
}

void chunk_store_s(const uint row, const uint j, const vec4 s)
{
    const vec4 r = s * vkz_exp2_accurate(io_step(0u) * io_a * VKZ_LOG2E);
    LINEAR_STORE4_F32(ds0, ds04, io_unit * STATE + row, WIDTH, j, r);
}

#elif defined(PASS_DB)

const bool SSD_END = false;
vec4 chunk_q(const uint step, const uint n) { return io_x(io_token(step), n); }
uint io_before(const uint step) { return io_token(max(step, 1u) - 1u); }
vec4 chunk_k(const uint step, const uint n) { return io_gy(io_before(step), n); }
float chunk_k_scale(const uint step)
{
    const float d = vkz_exp2_accurate(chunk_gate(step) * VKZ_LOG2E);
    return step == 0u ? 0.0 : d;
}
vec4 chunk_v(const uint step, const uint j) { return io_c(io_before(step), j); }

void chunk_store(const uint step, const uint j, const vec4 o, const float sum)
{
    LINEAR_STORE4_F32(head_db, head_db4, io_unit * pc.len + io_token(step), STATE, j, o);
}

vec4 chunk_load_s(const uint row, const uint j) { return io_dst_column(row, j); }
void chunk_store_s(const uint row, const uint j, const vec4 s) {}

#else

const bool SSD_END = FINAL != 0;
vec4 chunk_q(const uint step, const uint n) { return io_gy(step, n); }
uint io_before(const uint step) { return max(step, 1u) - 1u; }
vec4 chunk_k(const uint step, const uint n) { return io_x(io_before(step), n); }
float chunk_k_scale(const uint step)
{
    const float d = vkz_exp2_accurate(chunk_gate(step) * VKZ_LOG2E);
    return step == 0u ? 0.0 : io_step(io_before(step)) * d;
}
vec4 chunk_v(const uint step, const uint j) { return io_b(io_before(step), j); }

void chunk_store(const uint step, const uint j, const vec4 o, const float sum)
{
    LINEAR_STORE4_F32(head_dc, head_dc4, io_unit * pc.len + step, STATE, j, o);
}

vec4 chunk_load_s(const uint row, const uint j) { return io_s0_column(row, j); }

void chunk_store_s(const uint row, const uint j, const vec4 s)
{
    if (j < STATE_QUADS) {
        // The last token has not been added.
        const uint t = pc.len - 1u;
        const float v = io_step(t) * vkz_load(x[(io_unit * pc.len + t) * WIDTH + row]);
        const vec4 st = fma(vec4(v), io_b(t, j), s);
        fin[(io_unit * WIDTH + row) * STATE_QUADS + j] = dot(st, io_dst_column(row, j));
    }
}

#endif

#elif defined(PASS_DOTS)

void main()
{
    io_begin(gl_WorkGroupID.y, gl_WorkGroupID.z);
    const uint t = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (t < pc.len) {
        const uint row = io_unit * pc.len + t;
        vec4 xdv = vec4(0.0);
        vec4 cdc = vec4(0.0);
        vec4 gyx = vec4(0.0);
        vec4 bc = vec4(0.0);
        for (uint n = 0; n < STATE_QUADS; n++) {
            xdv = fma(io_b(t, n), io_head_db(row, n), xdv);
            cdc = fma(io_c(t, n), io_head_dc(row, n), cdc);
            bc = fma(io_b(t, n), io_c(t, n), bc);
        }
        for (uint n = 0; n < WIDTH_QUADS; n++) {
            gyx = fma(io_gy(t, n), io_x(t, n), gyx);
        }
        const float step = io_step(t);
        const float w = dot(xdv, vec4(1.0));
        const float own = dot(gyx, vec4(1.0));
        tok[row] = vec4(fma(own, dot(bc, vec4(1.0)), w),
                        fma(-step, w, dot(cdc, vec4(1.0))), own, step);
    }
}

#elif defined(PASS_SUM)

shared vec4 sums[gl_WorkGroupSize.x];

void main()
{
    io_begin(gl_WorkGroupID.x, gl_WorkGroupID.y);
    const uint lanes = gl_WorkGroupSize.x;
    const uint lane = gl_LocalInvocationID.x;
    // A lane has a run of tokens; what comes after its run are the runs of later lanes.
    const uint run = (pc.len + lanes - 1u) / lanes;
    const uint begin = min(lane * run, pc.len);
    const uint end = min(begin + run, pc.len);
    const uint base = io_unit * pc.len;
    float mine = 0.0;
    for (uint t = begin; t < end; t++) {
        mine += tok[base + t].y;
    }
    float last = 0.0;
    if (FINAL != 0) {
        const uint count = WIDTH * STATE_QUADS;
        for (uint i = lane; i < count; i += lanes) {
            last += fin[io_unit * count + i];
        }
    }
    sums[lane] = vec4(mine, last, 0.0, 0.0);
    barrier();
    float dg = 0.0;
    for (uint i = 0; i < lanes; i++) {
        const vec4 s = sums[i];
        dg += s.y + (i > lane ? s.x : 0.0);
    }
    vec4 total = vec4(0.0);
    for (uint t = end; t > begin; t--) {
        const vec4 k = tok[base + t - 1u];
        const float raw = io_raw(t - 1u);
        const float free = ssd_softplus(raw);
        const bool clamped = CLAMP != 0 && (free < pc.lo || free > pc.hi);
        dg += k.y;
        const float g = clamped ? 0.0 : ssd_sigmoid(raw) * fma(io_a, dg, k.x);
        ddt[base + t - 1u] = g;
        total += vec4(g, k.w * io_a * dg, k.z, 0.0);
    }
    barrier();
    sums[lane] = total;
    barrier();
    if (lane == 0u) {
        vec4 s = vec4(0.0);
        for (uint i = 0; i < lanes; i++) {
            s += sums[i];
        }
        part[io_unit] = s;
    }
}

#elif defined(PASS_HEADS)

// The same row and columns of every head of the group.
void add_heads(const uint t, const uint n, const uint group, const uint batch)
{
    const uint heads = pc.heads / pc.groups;
    const uint to = (batch * pc.groups + group) * pc.len + t;
    io_group = batch * pc.groups + group;
    const vec4 own_b = io_b(t, n);
    const vec4 own_c = io_c(t, n);
    vec4 sum_b = vec4(0.0);
    vec4 sum_c = vec4(0.0);
    for (uint h = 0; h < heads; h++) {
        const uint row = (batch * pc.heads + group * heads + h) * pc.len + t;
        const vec4 k = tok[row];
        sum_b = fma(vec4(k.w), fma(vec4(k.z), own_c, io_head_db(row, n)), sum_b);
        sum_c += fma(vec4(k.w * k.z), own_b, io_head_dc(row, n));
    }
    LINEAR_STORE4(db, db4, to, STATE, n, sum_b);
    LINEAR_STORE4(dc, dc4, to, STATE, n, sum_c);
}

void main()
{
    const uint lanes = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    const uint count = pc.len * STATE_QUADS;
    for (uint i = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x; i < count;
         i += lanes) {
        add_heads(i / STATE_QUADS, i % STATE_QUADS, gl_WorkGroupID.y, gl_WorkGroupID.z);
    }
}

#elif defined(PASS_PARAMS)

void main()
{
    for (uint h = gl_LocalInvocationID.x; h < pc.heads; h += gl_WorkGroupSize.x) {
        vec4 s = vec4(0.0);
        for (uint i = 0; i < pc.batch; i++) {
            s += part[i * pc.heads + h];
        }
        ddtb[h] = s.x;
        dalog[h] = s.y;
        dd_skip[h] = s.z;
    }
}

#endif

#endif
