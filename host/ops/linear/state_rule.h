// SPDX-License-Identifier: MIT
// A matrix state with a gate for every key column: what gated_linear_attention and
// delta_rule share. The loops are the recurrences of the papers, token by token.
// Included by contract files only, which are compiled once with `real` = double and once
// with `real` = float.
#ifndef VKZ_OPS_LINEAR_STATE_RULE_H
#define VKZ_OPS_LINEAR_STATE_RULE_H

#include <math.h>
#include <stddef.h>
#include <string.h>
#include <tgmath.h>

#include "ops/linear/recurrence.h"
#include "zoo/op.h"

enum { GATE_NONE, GATE_SCALAR, GATE_VECTOR };

#define VKZ_STATE_SHAPE "batch, heads, head_dim, v_dim"
#define VKZ_STATE_AXES \
    {"INIT", "off on", "start from s0 instead of zero"}, \
        {"FINAL", "off on", "the last state takes part: st is written, dst read"}
#define VKZ_STATE_TAU {"tau", "1 / sqrt(head_dim)", "factor of the outputs"}
#define VKZ_STATE_TENSOR_S0 \
    {"s0", VKZ_IN, "f32", VKZ_STATE_SHAPE, "INIT == INIT.on", "normal(1)", \
     "the state before the first token; rows are key columns"}

// One head of one case, everything looked up once. Head x of v uses q and k of head
// x / (heads / kv_heads).
struct rule {
    bool delta; // what the state already knows of a key is taken away before v is added
    int gate;
    int64_t len, d, dv;
    const float *q, *k, *v, *beta, *g;
    real tau;
    real *known; // Sdᵀ k of the last step [dv]
    real *keep;  // e^g of the last step [d]
};

static inline struct rule rule_open(struct vkz_ref *ref, int64_t head, bool delta)
{
    struct rule r = {
        .delta = delta,
        .gate = delta ? (int)vkz_ref_dim(ref, "GATE") : GATE_VECTOR,
        .len = vkz_ref_dim(ref, "len"),
        .d = vkz_ref_dim(ref, "head_dim"),
        .dv = vkz_ref_dim(ref, "v_dim"),
        .tau = (real)vkz_ref_value(ref, "tau"),
    };
    const int64_t group =
        delta ? vkz_ref_dim(ref, "heads") / vkz_ref_dim(ref, "kv_heads") : 1;
    r.q = vkz_ref_in(ref, "q") + head / group * r.len * r.d;
    r.k = vkz_ref_in(ref, "k") + head / group * r.len * r.d;
    r.v = vkz_ref_in(ref, "v") + head * r.len * r.dv;
    r.beta = delta ? vkz_ref_in(ref, "beta") + head * r.len : NULL;
    if (r.gate != GATE_NONE) {
        r.g = vkz_ref_in(ref, "g") + head * r.len * (r.gate == GATE_VECTOR ? r.d : 1);
    }
    r.known = vkz_ref_temp(ref, (size_t)r.dv * sizeof(real));
    r.keep = vkz_ref_temp(ref, (size_t)r.d * sizeof(real));
    return r;
}

// S <- e^g S, and known = Sᵀ k.
static inline void rule_decay(const struct rule *r, int64_t t, real *state)
{
    const float *k = r->k + t * r->d;
    for (int64_t j = 0; j < r->dv; j++) {
        r->known[j] = 0;
    }
    for (int64_t c = 0; c < r->d; c++) {
        real *row = state + c * r->dv;
        r->keep[c] = r->gate == GATE_NONE     ? (real)1
                     : r->gate == GATE_SCALAR ? exp((real)r->g[t])
                                              : exp((real)r->g[t * r->d + c]);
        for (int64_t j = 0; j < r->dv; j++) {
            row[j] *= r->keep[c];
            r->known[j] += (real)k[c] * row[j];
        }
    }
}

// What token t adds to the state along k: v, or beta (v - known).
static inline real rule_write(const struct rule *r, int64_t t, int64_t j)
{
    const real v = (real)r->v[t * r->dv + j];
    return r->delta ? (real)r->beta[t] * (v - r->known[j]) : v;
}

static inline void rule_step(const struct rule *r, int64_t t, real *state)
{
    rule_decay(r, t, state);
    for (int64_t c = 0; c < r->d; c++) {
        const real k = (real)r->k[t * r->d + c];
        for (int64_t j = 0; j < r->dv; j++) {
            state[c * r->dv + j] += k * rule_write(r, t, j);
        }
    }
}

// The magnitude of the sum behind the state after step t, S = Σ_s e^(G_t - G_s) k_s ⊗ x_s
// with x_s what token s writes, where `size` is that before the step and `state` the
// state after it. The magnitude of x_s is that of its own terms: a bound through all the
// steps would grow without end where the states do not.
static inline void rule_size(const struct rule *r, int64_t t, const real *state,
                             real *known, real *size)
{
    const real beta = r->delta ? fabs((real)r->beta[t]) : (real)1;
    for (int64_t j = 0; j < r->dv; j++) {
        known[j] = 0;
    }
    for (int64_t c = 0; c < r->d && r->delta; c++) {
        const real k = (real)r->k[t * r->d + c];
        for (int64_t j = 0; j < r->dv; j++) {
            known[j] += fabs(k * (state[c * r->dv + j] - k * rule_write(r, t, j)));
        }
    }
    for (int64_t c = 0; c < r->d; c++) {
        const real k = fabs((real)r->k[t * r->d + c]);
        for (int64_t j = 0; j < r->dv; j++) {
            const real x = beta * (fabs((real)r->v[t * r->dv + j]) + known[j]);
            size[c * r->dv + j] = r->keep[c] * size[c * r->dv + j] + k * x;
        }
    }
}

static inline void rule_forward(struct vkz_ref *ref, int64_t unit, bool delta)
{
    const struct rule r = rule_open(ref, unit, delta);
    struct recurrence s = recurrence_begin(ref, unit, r.d, r.dv);
    real *known = vkz_ref_temp(ref, (size_t)r.dv * sizeof(real));
    real *o = vkz_ref_temp(ref, (size_t)r.dv * sizeof(real));
    real *scale = vkz_ref_temp(ref, (size_t)r.dv * sizeof(real));
    for (int64_t t = 0; t < r.len; t++) {
        rule_step(&r, t, s.s);
        rule_size(&r, t, s.s, known, s.size);
        for (int64_t j = 0; j < r.dv; j++) {
            o[j] = 0;
            scale[j] = 0;
        }
        for (int64_t c = 0; c < r.d; c++) {
            recurrence_read_row(&s, c, (real)r.q[t * r.d + c], o, scale);
        }
        for (int64_t j = 0; j < r.dv; j++) {
            vkz_ref_out(ref, "o")[t * r.dv + j] = (double)(r.tau * o[j]);
            vkz_ref_scale(ref, "o")[t * r.dv + j] = (double)(r.tau * scale[j]);
        }
    }
    recurrence_end(&s, ref);
}

// ---- Backward ----

// States are kept at the first token of every segment; those within one are recomputed.
enum { SEGMENT = 64 };

struct rule_back {
    struct rule r;
    const float *go;   // do [len, dv]
    real *ds, *ds_size; // dS and its magnitude [d, dv]
    real *sums;        // scratch, 8 rows of dv
    // Outputs and scales of one head; dq and dk are added to.
    double *dq, *dk, *dv_, *dbeta, *dg, *dq_size, *dk_size, *dv_size, *dbeta_size,
        *dg_size;
};

// dg_t is also a sum over the tokens from t on: its magnitude is at least the largest of
// theirs.
static inline double latest_size(const struct rule_back *b, int64_t t, int64_t c,
                                 int64_t width, real size)
{
    const bool last = t == b->r.len - 1;
    const double later = last ? 0 : b->dg_size[(t + 1) * width + c];
    return later > (double)size ? later : (double)size;
}

// Token t in reverse: `before` and `size_before` are the state before it and its
// magnitude, `after` and `size_after` those behind it.
static inline void rule_back_step(struct rule_back *b, int64_t t, const real *before,
                                  const real *after, const real *size_after)
{
    const struct rule *r = &b->r;
    const int64_t d = r->d, dv = r->dv;
    const float *q = r->q + t * d, *k = r->k + t * d, *go = b->go + t * dv;
    const real beta = r->delta ? (real)r->beta[t] : (real)1;
    real *w = b->sums, *w_size = w + dv, *e = w + 2 * dv, *e_size = w + 3 * dv;
    memset(b->sums, 0, (size_t)(4 * dv) * sizeof *w);
    for (int64_t c = 0; c < d; c++) {
        const real keep = r->gate == GATE_NONE     ? (real)1
                          : r->gate == GATE_SCALAR ? exp((real)r->g[t])
                                                   : exp((real)r->g[t * d + c]);
        real dq = 0, dq_size = 0;
        r->keep[c] = keep;
        for (int64_t j = 0; j < dv; j++) {
            const int64_t at = c * dv + j;
            dq += after[at] * (real)go[j];
            dq_size += size_after[at] * fabs((real)go[j]);
            const real add = r->tau * (real)q[c] * (real)go[j];
            // As in rule_size: w by its own terms only.
            w_size[j] += (r->delta ? fabs(b->ds[at]) : b->ds_size[at]) * fabs((real)k[c]);
            w_size[j] += fabs(add * (real)k[c]);
            b->ds[at] += add;
            b->ds_size[at] += fabs(add);
            w[j] += b->ds[at] * (real)k[c];
            e[j] += keep * before[at] * (real)k[c]; // known, for now
            e_size[j] += fabs(keep * before[at] * (real)k[c]);
        }
        b->dq[t * d + c] += (double)(r->tau * dq);
        b->dq_size[t * d + c] += (double)(r->tau * dq_size);
    }
    real dbeta = 0, dbeta_size = 0;
    for (int64_t j = 0; j < dv; j++) {
        const real v = (real)r->v[t * dv + j];
        e[j] = r->delta ? v - e[j] : v;
        e_size[j] = fabs(v) + (r->delta ? e_size[j] : (real)0);
        b->dv_[t * dv + j] = (double)(beta * w[j]);
        b->dv_size[t * dv + j] = (double)(fabs(beta) * w_size[j]);
        dbeta += w[j] * e[j];
        dbeta_size += w_size[j] * e_size[j];
    }
    if (r->delta) {
        b->dbeta[t] = (double)dbeta;
        b->dbeta_size[t] = (double)dbeta_size;
    }
    real dg_all = 0, dg_all_size = 0;
    for (int64_t c = 0; c < d; c++) {
        real dk = 0, dk_size = 0, dg = 0, dg_size = 0;
        for (int64_t j = 0; j < dv; j++) {
            const int64_t at = c * dv + j;
            const real decayed = r->keep[c] * before[at];
            dk += b->ds[at] * e[j];
            dk_size += b->ds_size[at] * e_size[j];
            // What dg is the difference of when it is computed from q dq - k dk.
            dg_size += b->ds_size[at] * size_after[at];
            if (r->delta) {
                dk -= decayed * w[j];
                dk_size += fabs(decayed) * w_size[j];
                dg_size += fabs(beta * (real)k[c] * decayed) * w_size[j];
                b->ds[at] -= beta * (real)k[c] * w[j];
                b->ds_size[at] += fabs(beta * (real)k[c]) * w_size[j];
            }
            dg += b->ds[at] * decayed;
            b->ds[at] *= r->keep[c];
            b->ds_size[at] *= r->keep[c];
        }
        b->dk[t * d + c] += (double)(beta * dk);
        b->dk_size[t * d + c] += (double)(fabs(beta) * dk_size);
        dg_all += dg;
        dg_all_size += dg_size;
        if (r->gate == GATE_VECTOR) {
            b->dg[t * d + c] = (double)dg;
            b->dg_size[t * d + c] = latest_size(b, t, c, d, dg_size);
        }
    }
    if (r->gate == GATE_SCALAR) {
        b->dg[t] = (double)dg_all;
        b->dg_size[t] = latest_size(b, t, 0, 1, dg_all_size);
    }
}

// The whole head; the states before it are recomputed a segment at a time.
static inline void rule_back_run(struct vkz_ref *ref, int64_t head, struct rule_back *b)
{
    const struct rule *r = &b->r;
    const int64_t count = r->d * r->dv, segments = (r->len + SEGMENT - 1) / SEGMENT;
    real *starts = vkz_ref_temp(ref, (size_t)(segments * count) * sizeof(real));
    real *sizes = vkz_ref_temp(ref, (size_t)(segments * count) * sizeof(real));
    real *states = vkz_ref_temp(ref, (size_t)((SEGMENT + 1) * count) * sizeof(real));
    real *state_sizes = vkz_ref_temp(ref, (size_t)((SEGMENT + 1) * count) * sizeof(real));
    real *known = vkz_ref_temp(ref, (size_t)r->dv * sizeof(real));
    const size_t bytes = (size_t)count * sizeof(real);
    struct recurrence last = recurrence_begin(ref, head, r->d, r->dv);
    for (int64_t t = 0; t < r->len; t++) {
        if (t % SEGMENT == 0) {
            memcpy(starts + t / SEGMENT * count, last.s, bytes);
            memcpy(sizes + t / SEGMENT * count, last.size, bytes);
        }
        rule_step(r, t, last.s);
        rule_size(r, t, last.s, known, last.size);
    }
    for (int64_t s = segments - 1; s >= 0; s--) {
        const int64_t first = s * SEGMENT;
        const int64_t end = first + SEGMENT < r->len ? first + SEGMENT : r->len;
        memcpy(states, starts + s * count, bytes);
        memcpy(state_sizes, sizes + s * count, bytes);
        for (int64_t t = first; t < end; t++) {
            real *next = states + (t - first + 1) * count;
            real *next_size = state_sizes + (t - first + 1) * count;
            memcpy(next, next - count, bytes);
            memcpy(next_size, next_size - count, bytes);
            rule_step(r, t, next);
            rule_size(r, t, next, known, next_size);
        }
        for (int64_t t = end - 1; t >= first; t--) {
            const int64_t at = (t - first) * count;
            rule_back_step(b, t, states + at, states + at + count,
                           state_sizes + at + count);
        }
    }
}

// The heads [unit * group, (unit + 1) * group), which share q and k.
static inline void rule_backward(struct vkz_ref *ref, int64_t unit, bool delta)
{
    const int64_t group =
        delta ? vkz_ref_dim(ref, "heads") / vkz_ref_dim(ref, "kv_heads") : 1;
    for (int64_t x = 0; x < group; x++) {
        const int64_t head = unit * group + x;
        struct rule_back b = {.r = rule_open(ref, head, delta)};
        const int64_t len = b.r.len, d = b.r.d, dv = b.r.dv, count = d * dv;
        const int64_t gates = b.r.gate == GATE_VECTOR ? len * d : len;
        const float *dst = vkz_ref_in(ref, "dst");
        b.go = vkz_ref_in(ref, "do") + head * len * dv;
        b.ds = vkz_ref_temp(ref, (size_t)count * sizeof(real));
        b.ds_size = vkz_ref_temp(ref, (size_t)count * sizeof(real));
        b.sums = vkz_ref_temp(ref, (size_t)(8 * dv) * sizeof(real));
        b.dq = vkz_ref_out(ref, "dq");
        b.dq_size = vkz_ref_scale(ref, "dq");
        b.dk = vkz_ref_out(ref, "dk");
        b.dk_size = vkz_ref_scale(ref, "dk");
        for (int64_t i = 0; i < len * d && x == 0; i++) {
            b.dq[i] = b.dq_size[i] = b.dk[i] = b.dk_size[i] = 0;
        }
        b.dv_ = vkz_ref_out(ref, "dv_") + x * len * dv;
        b.dv_size = vkz_ref_scale(ref, "dv_") + x * len * dv;
        if (delta) {
            b.dbeta = vkz_ref_out(ref, "dbeta") + x * len;
            b.dbeta_size = vkz_ref_scale(ref, "dbeta") + x * len;
        }
        if (b.r.gate != GATE_NONE) {
            b.dg = vkz_ref_out(ref, "dg") + x * gates;
            b.dg_size = vkz_ref_scale(ref, "dg") + x * gates;
        }
        for (int64_t i = 0; i < count; i++) {
            b.ds[i] = dst != NULL ? (real)dst[head * count + i] : (real)0;
            b.ds_size[i] = fabs(b.ds[i]);
        }
        rule_back_run(ref, head, &b);
        double *ds0 = vkz_ref_out(ref, "ds0");
        for (int64_t i = 0; i < count && ds0 != NULL; i++) {
            ds0[x * count + i] = (double)b.ds[i];
            vkz_ref_scale(ref, "ds0")[x * count + i] = (double)b.ds_size[i];
        }
    }
}

#endif
