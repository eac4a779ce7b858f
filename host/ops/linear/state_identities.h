// SPDX-License-Identifier: MIT
// What must hold of gated_linear_attention and delta_rule whatever the numbers.
// Included by contract files only; see zoo/identity.h for what a check sees.
#ifndef VKZ_OPS_LINEAR_STATE_IDENTITIES_H
#define VKZ_OPS_LINEAR_STATE_IDENTITIES_H

#include <stdio.h>

#include "ops/linear/state_rule.h"
#include "zoo/identity.h"

// Tensors with a row a token. A name that the op or the case lacks is passed over.
static const struct {
    const char *name;
    bool delta; // delta_rule only
    bool grouped;
} token_tensors[] = {
    {"q", false, true}, {"k", false, true},    {"v", false, false},
    {"g", false, false}, {"beta", true, false},
};
enum { TOKEN_TENSORS = sizeof token_tensors / sizeof *token_tensors };

static inline bool is_delta(const struct vkz_identity_run *run)
{
    return run->c->op->name[0] == 'd';
}

static inline int gate_of(const struct vkz_identity_run *run)
{
    return is_delta(run) ? (int)vkz_identity_dim(run, "GATE") : GATE_VECTOR;
}

static inline int64_t token_blocks(const struct vkz_identity_run *run, int tensor)
{
    const char *heads =
        is_delta(run) && token_tensors[tensor].grouped ? "kv_heads" : "heads";
    return vkz_identity_dim(run, "batch") * vkz_identity_dim(run, heads);
}

// Inputs of a case that has only tokens [first, first + taken) of `whole`.
static inline struct vkz_data *cut_tokens(struct vkz_identity_run *run,
                                          struct vkz_data *whole, int64_t first,
                                          int64_t taken, const char *settings)
{
    char text[128];
    const int64_t len = vkz_identity_dim(run, "len");
    snprintf(text, sizeof text, "len=%lld %s", (long long)taken, settings);
    struct vkz_data *part = vkz_identity_inputs(run, text);
    for (int i = 0; i < TOKEN_TENSORS; i++) {
        const char *name = token_tensors[i].name;
        if (token_tensors[i].delta && !is_delta(run)) {
            continue;
        }
        float *to = vkz_identity_float(run, part, name);
        const float *from = vkz_identity_float(run, whole, name);
        const int64_t blocks = token_blocks(run, i);
        const int64_t width = vkz_identity_count(whole, name) / (blocks * len);
        for (int64_t x = 0; to != NULL && from != NULL && x < blocks; x++) {
            memcpy(to + x * taken * width, from + (x * len + first) * width,
                   (size_t)(taken * width) * sizeof *to);
        }
    }
    return part;
}

// Rows [first, first + taken) of every block of o.
static inline double *cut_outputs(struct vkz_identity_run *run, const double *o,
                                  int64_t first, int64_t taken)
{
    const int64_t len = vkz_identity_dim(run, "len"), dv = vkz_identity_dim(run, "v_dim");
    const int64_t blocks = token_blocks(run, 2);
    double *cut = vkz_identity_temp(run, blocks * taken * dv);
    for (int64_t x = 0; o != NULL && cut != NULL && x < blocks; x++) {
        memcpy(cut + x * taken * dv, o + (x * len + first) * dv,
               (size_t)(taken * dv) * sizeof *cut);
    }
    return cut;
}

static inline void copy_state(struct vkz_identity_run *run, struct vkz_data *to,
                              const double *state)
{
    float *s0 = vkz_identity_float(run, to, "s0");
    const int64_t count = vkz_identity_count(to, "s0");
    for (int64_t i = 0; s0 != NULL && state != NULL && i < count; i++) {
        s0[i] = (float)state[i];
    }
}

// A run of the first tokens, then one of the rest from the state the first left.
static inline bool check_split(struct vkz_identity_run *run)
{
    const int64_t len = vkz_identity_dim(run, "len"), cut = (len * 3 + 4) / 7 + 1;
    const int64_t rest = len - cut, width = vkz_identity_dim(run, "v_dim");
    struct vkz_data *whole = vkz_identity_inputs(run, "FINAL=on");
    struct vkz_data *first = cut_tokens(run, whole, 0, cut, "FINAL=on");
    struct vkz_data *second = cut_tokens(run, whole, cut, rest, "FINAL=on INIT=on");
    const float *s0 = vkz_identity_float(run, whole, "s0");
    if (s0 != NULL && vkz_identity_float(run, first, "s0") != NULL) {
        memcpy(vkz_identity_float(run, first, "s0"), s0,
               (size_t)vkz_identity_count(whole, "s0") * sizeof *s0);
    }
    copy_state(run, second, vkz_identity_output(run, first, "st"));
    const double *o = vkz_identity_output(run, whole, "o");
    const int64_t blocks = token_blocks(run, 2);
    return vkz_identity_equal(run, "o", cut_outputs(run, o, 0, cut),
                              vkz_identity_output(run, first, "o"), blocks * cut * width,
                              2) &&
           vkz_identity_equal(run, "o", cut_outputs(run, o, cut, rest),
                              vkz_identity_output(run, second, "o"),
                              blocks * rest * width, 3) &&
           vkz_identity_equal(run, "st", vkz_identity_output(run, whole, "st"),
                              vkz_identity_output(run, second, "st"),
                              vkz_identity_count(whole, "st"), 3);
}

// A gate of -1000 at token n: what follows does not know what was before.
static inline bool check_reset(struct vkz_identity_run *run)
{
    const int64_t len = vkz_identity_dim(run, "len"), n = len / 2;
    struct vkz_data *whole = vkz_identity_inputs(run, NULL);
    float *g = vkz_identity_float(run, whole, "g");
    const int64_t blocks = token_blocks(run, 3);
    const int64_t width = vkz_identity_count(whole, "g") / (blocks * len);
    for (int64_t i = 0; g != NULL && i < blocks * width; i++) {
        g[(i / width * len + n) * width + i % width] = -1000;
    }
    struct vkz_data *rest = cut_tokens(run, whole, n, len - n, "INIT=off");
    const double *o = vkz_identity_output(run, whole, "o");
    return vkz_identity_equal(run, "o", cut_outputs(run, o, n, len - n),
                              vkz_identity_output(run, rest, "o"),
                              vkz_identity_count(rest, "o"), 2);
}

// Values and states are linear in v and s0 together.
static inline bool check_scale(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, "INIT=off FINAL=on");
    struct vkz_data *two = vkz_identity_inputs(run, "INIT=off FINAL=on");
    float *v = vkz_identity_float(run, two, "v");
    for (int64_t i = 0; v != NULL && i < vkz_identity_count(two, "v"); i++) {
        v[i] *= 2;
    }
    double *o = vkz_identity_output(run, one, "o");
    double *st = vkz_identity_output(run, one, "st");
    const int64_t count = vkz_identity_count(one, "o");
    const int64_t states = vkz_identity_count(one, "st");
    for (int64_t i = 0; o != NULL && i < count; i++) {
        o[i] *= 2;
    }
    for (int64_t i = 0; st != NULL && i < states; i++) {
        st[i] *= 2;
    }
    return vkz_identity_equal(run, "o", o, vkz_identity_output(run, two, "o"), count,
                              2) &&
           vkz_identity_equal(run, "st", st, vkz_identity_output(run, two, "st"), states,
                              2);
}

// The first tokens do not see what comes after them.
static inline bool check_prefix(struct vkz_identity_run *run)
{
    const int64_t len = vkz_identity_dim(run, "len"), taken = (len + 1) / 2;
    struct vkz_data *whole = vkz_identity_inputs(run, "INIT=off FINAL=off");
    struct vkz_data *part = cut_tokens(run, whole, 0, taken, "INIT=off FINAL=off");
    const double *o = vkz_identity_output(run, whole, "o");
    return vkz_identity_equal(run, "o", cut_outputs(run, o, 0, taken),
                              vkz_identity_output(run, part, "o"),
                              vkz_identity_count(part, "o"), 2);
}

// Reverses each row of `width` values.
static inline void reverse_columns(float *values, int64_t count, int64_t width)
{
    for (int64_t i = 0; values != NULL && i < count; i += width) {
        for (int64_t c = 0; c < width / 2; c++) {
            const float kept = values[i + c];
            values[i + c] = values[i + width - 1 - c];
            values[i + width - 1 - c] = kept;
        }
    }
}

// Key columns have no order: q, k and a vector gate reversed together change nothing.
static inline bool check_columns(struct vkz_identity_run *run)
{
    const int64_t d = vkz_identity_dim(run, "head_dim");
    struct vkz_data *one = vkz_identity_inputs(run, "INIT=off FINAL=off");
    struct vkz_data *two = vkz_identity_inputs(run, "INIT=off FINAL=off");
    reverse_columns(vkz_identity_float(run, two, "q"), vkz_identity_count(two, "q"), d);
    reverse_columns(vkz_identity_float(run, two, "k"), vkz_identity_count(two, "k"), d);
    if (gate_of(run) == GATE_VECTOR) {
        reverse_columns(vkz_identity_float(run, two, "g"), vkz_identity_count(two, "g"),
                        d);
    }
    return vkz_identity_equal(run, "o", vkz_identity_output(run, one, "o"),
                              vkz_identity_output(run, two, "o"),
                              vkz_identity_count(one, "o"), 2);
}

#define STATE_IDENTITIES(has_gate) \
    {"split", "tokens in two runs with the state carried over", "len > 2", check_split}, \
        {"reset", "a gate of -1000 makes the rest independent of the past", \
         has_gate " len > 1", check_reset}, \
        {"scale_values", "doubling v doubles outputs and state", NULL, check_scale}, \
        {"prefix", "the first tokens do not see what comes after them", "len > 1", \
         check_prefix}, \
        {"permute_columns", "key columns have no order", NULL, check_columns}

// ---- Backward ----

// Gradients are linear in what comes from above.
static inline bool check_linear(struct vkz_identity_run *run)
{
    static const char *const all[] = {"dq", "dk", "dv_", "dg", "ds0", "dbeta"};
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    float *go = vkz_identity_float(run, two, "do");
    float *dst = vkz_identity_float(run, two, "dst");
    for (int64_t i = 0; go != NULL && i < vkz_identity_count(two, "do"); i++) {
        go[i] *= 2;
    }
    for (int64_t i = 0; dst != NULL && i < vkz_identity_count(two, "dst"); i++) {
        dst[i] *= 2;
    }
    for (size_t i = 0; i < sizeof all / sizeof *all - (is_delta(run) ? 0 : 1); i++) {
        const int64_t count = vkz_identity_count(one, all[i]);
        double *x = vkz_identity_output(run, one, all[i]);
        double *y = vkz_identity_output(run, two, all[i]);
        for (int64_t k = 0; x != NULL && k < count; k++) {
            x[k] *= 2;
        }
        if (count > 0 && !vkz_identity_equal(run, all[i], x, y, count, 2)) {
            return false;
        }
    }
    return true;
}

#endif
