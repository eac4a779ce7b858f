// SPDX-License-Identifier: MIT
// What linear_attention, its backward op and their like share: dims, tensors and the
// recurrence of one sequence, token by token.
#ifndef VKZ_OPS_LINEAR_LINEAR_ATTENTION_H
#define VKZ_OPS_LINEAR_LINEAR_ATTENTION_H

#include <math.h>
#include <tgmath.h>

#include "ops/linear/recurrence.h"
#include "ops/linear/recurrence_identities.h"

#define VKZ_LINEAR_ATTENTION_DIMS \
    {"batch", "independent sequences", NULL}, {"heads", "heads", NULL}, \
        {"len", "tokens of a sequence", NULL}, \
        {"head_dim", "width of queries and keys: rows of the state", NULL}, \
        {"v_dim", "width of values: columns of the state", NULL}

#define VKZ_LINEAR_ATTENTION_SCALARS \
    {"tau", "1/sqrt(head_dim)", "factor of the scores"}

#define VKZ_LINEAR_ATTENTION_AXES \
    {"DECAY", "none head token", "what the state decays by"}, \
    {"FEATURE", "identity elu1 relu silu", "feature map of queries and keys"}

#define VKZ_LINEAR_ATTENTION_TENSORS_QKV \
    {"q", VKZ_IN, "T", "batch, heads, len, head_dim", NULL, "normal(1)", "queries"}, \
    {"k", VKZ_IN, "T", "batch, heads, len, head_dim", NULL, "normal(1)", "keys"}, \
    {"v", VKZ_IN, "T", "batch, heads, len, v_dim", NULL, "normal(1)", "values"}

#define VKZ_LINEAR_ATTENTION_TENSOR_G \
    {"g", VKZ_IN, "f32", \
     "DECAY == DECAY.head ? 1 : batch, heads, DECAY == DECAY.head ? 1 : len", \
     "DECAY != DECAY.none", "op", "log decay <= 0, one a head or one a token"}

enum { DECAY_NONE, DECAY_HEAD, DECAY_TOKEN };
enum { FEATURE_IDENTITY, FEATURE_ELU1, FEATURE_RELU, FEATURE_SILU };

static inline real feature(int kind, float x)
{
    const real y = (real)x;
    switch (kind) {
    case FEATURE_ELU1:
        return y > 0 ? y + 1 : exp(y);
    case FEATURE_RELU:
        return y < 0 ? (real)0 : y;
    case FEATURE_SILU:
        return y / (1 + exp(-y));
    default:
        return y;
    }
}

// One sequence: what it reads, and its state.
struct sequence {
    int64_t len, head_dim, v_dim;
    int decay, feature;
    real tau;
    const float *q, *k, *v; // of this sequence
    const float *g;         // of this sequence, or of its head; NULL: no decay
    struct recurrence state;
    real *row, *size; // [v_dim] of the last step: φ(q) S and the magnitude behind it
};

static inline struct sequence sequence_begin(struct vkz_ref *ref, int64_t unit)
{
    struct sequence s = {
        .len = vkz_ref_dim(ref, "len"),
        .head_dim = vkz_ref_dim(ref, "head_dim"),
        .v_dim = vkz_ref_dim(ref, "v_dim"),
        .decay = (int)vkz_ref_dim(ref, "DECAY"),
        .feature = (int)vkz_ref_dim(ref, "FEATURE"),
        .tau = (real)vkz_ref_value(ref, "tau"),
    };
    s.q = vkz_ref_in(ref, "q") + unit * s.len * s.head_dim;
    s.k = vkz_ref_in(ref, "k") + unit * s.len * s.head_dim;
    s.v = vkz_ref_in(ref, "v") + unit * s.len * s.v_dim;
    if (s.decay != DECAY_NONE) {
        const int64_t head = unit % vkz_ref_dim(ref, "heads");
        s.g = vkz_ref_in(ref, "g") + (s.decay == DECAY_HEAD ? head : unit * s.len);
    }
    s.state = recurrence_begin(ref, unit, s.head_dim, s.v_dim);
    s.row = vkz_ref_temp(ref, (size_t)s.v_dim * sizeof(real));
    s.size = vkz_ref_temp(ref, (size_t)s.v_dim * sizeof(real));
    return s;
}

static inline real sequence_decay(const struct sequence *s, int64_t t)
{
    return s->g == NULL ? (real)1 : exp((real)s->g[s->decay == DECAY_HEAD ? 0 : t]);
}

// Moves the state on by token t and reads it: row = φ(q_t) S_t.
static inline void sequence_step(struct sequence *s, int64_t t)
{
    const real decay = sequence_decay(s, t);
    for (int64_t j = 0; j < s->v_dim; j++) {
        s->row[j] = s->size[j] = 0;
    }
    for (int64_t c = 0; c < s->head_dim; c++) {
        const real q = feature(s->feature, s->q[t * s->head_dim + c]);
        const real k = feature(s->feature, s->k[t * s->head_dim + c]);
        recurrence_decay_row(&s->state, c, decay);
        recurrence_add_row(&s->state, c, k, s->v + t * s->v_dim);
        recurrence_read_row(&s->state, c, q, s->row, s->size);
    }
}

static inline void sequence_end(struct sequence *s, struct vkz_ref *ref)
{
    recurrence_end(&s->state, ref);
}

// RetNet's decays for heads, -softplus(N(0,1))/16 for tokens.
static inline void linear_attention_fill_g(struct vkz_fill *to)
{
    float *g = vkz_fill_float(to);
    const bool head = (int)vkz_fill_value(to, "DECAY") == DECAY_HEAD;
    for (int64_t i = 0; i < vkz_fill_count(to); i++) {
        g[i] = head ? (float)log1p(-exp2(-5 - (double)i))
                    : (float)(-log1p(exp(vkz_fill_normal(to, (uint64_t)i))) / 16);
    }
}

#endif
