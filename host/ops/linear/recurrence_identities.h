// SPDX-License-Identifier: MIT
// What must hold of a recurrence over tokens whatever the numbers: cutting a sequence
// changes nothing, what comes later changes nothing earlier, what is forgotten is gone,
// and everything is linear in the values.
//
// A contract that uses these has values v or x and as its first output what the tokens
// become, [batch, heads, len, ..]; where it has a state, also axes INIT and FINAL with s0
// and st, and perhaps z0 and zt of a second one.
// Included by contract files only; see zoo/identity.h for what a check sees.
#ifndef VKZ_OPS_LINEAR_RECURRENCE_IDENTITIES_H
#define VKZ_OPS_LINEAR_RECURRENCE_IDENTITIES_H

#include <stdio.h>
#include <string.h>

#include "zoo/identity.h"
#include "zoo/op.h"

// ---- Sequences and their parts ----

// Whether the contract has that tensor, in this case or another.
static inline bool recurrence_has(const struct vkz_identity_run *run, const char *tensor)
{
    for (const struct vkz_tensor *t = run->c->op->tensors; t->name != NULL; t++) {
        if (strcmp(t->name, tensor) == 0) {
            return true;
        }
    }
    return false;
}

// What the tokens come out as: o, or y.
static inline const char *recurrence_output(const struct vkz_identity_run *run)
{
    const struct vkz_tensor *t = run->c->op->tensors;
    while (t->io != VKZ_OUT) {
        t++;
    }
    return t->name;
}

static inline int64_t recurrence_blocks(const struct vkz_identity_run *run)
{
    return vkz_identity_dim(run, "batch") * vkz_identity_dim(run, "heads");
}

static inline void recurrence_scale_floats(float *x, int64_t count, float factor)
{
    for (int64_t i = 0; x != NULL && i < count; i++) {
        x[i] *= factor;
    }
}

static inline void recurrence_scale_doubles(double *x, int64_t count, double factor)
{
    for (int64_t i = 0; x != NULL && i < count; i++) {
        x[i] *= factor;
    }
}

// Elements of one token of an array whose tokens are those of each head.
static inline int64_t recurrence_width(const struct vkz_identity_run *run,
                                       struct vkz_data *data, const char *tensor)
{
    return vkz_identity_count(data, tensor) /
           (recurrence_blocks(run) * vkz_identity_dim(run, "len"));
}

// Copies the part of `from` that `to` has room for: an axis whose extents differ is that
// of the tokens, and its first one taken is `first`. Equal shapes are copied whole.
static inline void recurrence_cut_array(const struct vkz_array *to,
                                        const struct vkz_array *from, int64_t first)
{
    int64_t blocks = 1, width = 1;
    int axis = 0;
    while (axis < from->dims && to->extents[axis] == from->extents[axis]) {
        blocks *= from->extents[axis++];
    }
    const bool tokens = axis < from->dims;
    const int64_t len = tokens ? from->extents[axis] : 1;
    const int64_t taken = tokens ? to->extents[axis] : 1;
    const int64_t at = tokens ? first : 0;
    for (int i = axis + 1; i < from->dims; i++) {
        width *= from->extents[i];
    }
    for (int64_t x = 0; x < blocks; x++) { // floats or int32_t: of one size
        memcpy((float *)to->wide + x * taken * width,
               (const float *)from->wide + (x * len + at) * width,
               (size_t)(taken * width) * sizeof(float));
    }
}

// Inputs of a case that has only tokens [first, first + taken) of `whole`. What has no
// tokens, and the initial state where both have one, is that of `whole`.
static inline struct vkz_data *recurrence_cut(struct vkz_identity_run *run,
                                              const struct vkz_data *whole, int64_t first,
                                              int64_t taken, const char *settings)
{
    char text[128];
    snprintf(text, sizeof text, "len=%lld %s", (long long)taken, settings);
    struct vkz_data *part = vkz_identity_inputs(run, text);
    for (int i = 0; whole != NULL && part != NULL && i < whole->array_count; i++) {
        const struct vkz_array *from = &whole->arrays[i], *to = &part->arrays[i];
        if (from->tensor->io != VKZ_OUT && from->count > 0 && to->count > 0) {
            recurrence_cut_array(to, from, first);
        }
    }
    return part;
}

// Outputs of tokens [first, first + taken) of a sequence of `len`.
static inline double *recurrence_rows(struct vkz_identity_run *run, struct vkz_data *data,
                                      int64_t len, int64_t first, int64_t taken)
{
    const char *output = recurrence_output(run);
    const int64_t blocks = recurrence_blocks(run);
    const int64_t width = vkz_identity_count(data, output) / (blocks * len);
    const double *from = vkz_identity_output(run, data, output);
    double *rows = vkz_identity_temp(run, blocks * taken * width);
    for (int64_t x = 0; rows != NULL && from != NULL && x < blocks; x++) {
        memcpy(rows + x * taken * width, from + (x * len + first) * width,
               (size_t)(taken * width) * sizeof *rows);
    }
    return rows;
}

// Tokens [first, first + taken) of `whole` have the outputs of the last ones of `part`.
static inline bool recurrence_same_rows(struct vkz_identity_run *run,
                                        struct vkz_data *whole, int64_t first,
                                        int64_t taken, struct vkz_data *part,
                                        int64_t part_len, double factor)
{
    const int64_t len = vkz_identity_dim(run, "len");
    const char *output = recurrence_output(run);
    const int64_t width = recurrence_width(run, whole, output);
    const double *a = recurrence_rows(run, whole, len, first, taken);
    const double *b = recurrence_rows(run, part, part_len, part_len - taken, taken);
    return vkz_identity_equal(run, output, a, b, recurrence_blocks(run) * taken * width,
                              factor);
}

static const struct recurrence_state {
    const char *before, *after;
} recurrence_states[] = {{"s0", "st"}, {"z0", "zt"}};
enum { RECURRENCE_STATES = 2 };

// The state that `from` ends with is the one that `to` begins with.
static inline void recurrence_carry(struct vkz_identity_run *run, struct vkz_data *to,
                                    struct vkz_data *from)
{
    for (int s = 0; s < RECURRENCE_STATES; s++) {
        const struct recurrence_state state = recurrence_states[s];
        const int64_t count = recurrence_has(run, state.before)
                                  ? vkz_identity_count(to, state.before)
                                  : 0;
        if (count == 0) {
            continue;
        }
        float *x = vkz_identity_float(run, to, state.before);
        const double *y = vkz_identity_output(run, from, state.after);
        for (int64_t i = 0; x != NULL && y != NULL && i < count; i++) {
            x[i] = (float)y[i];
        }
    }
}

// Both end with the same state.
static inline bool recurrence_same_states(struct vkz_identity_run *run,
                                          struct vkz_data *one, struct vkz_data *two,
                                          double factor)
{
    for (int s = 0; s < RECURRENCE_STATES; s++) {
        const char *after = recurrence_states[s].after;
        const int64_t count =
            recurrence_has(run, after) ? vkz_identity_count(one, after) : 0;
        if (count > 0 &&
            !vkz_identity_equal(run, after, vkz_identity_output(run, one, after),
                                vkz_identity_output(run, two, after), count, factor)) {
            return false;
        }
    }
    return true;
}

// ---- The identities ----

// The first tokens do not see what comes after them.
static inline bool recurrence_check_prefix(struct vkz_identity_run *run)
{
    const int64_t taken = (vkz_identity_dim(run, "len") + 1) / 2;
    struct vkz_data *whole = vkz_identity_inputs(run, NULL);
    struct vkz_data *part = recurrence_cut(run, whole, 0, taken, "");
    return recurrence_same_rows(run, whole, 0, taken, part, taken, 2);
}

// Tokens [0, n), then [n, len) from the state that is left, are the whole. Three sevenths
// of a length are seldom whole tiles.
static inline bool recurrence_check_split(struct vkz_identity_run *run)
{
    const int64_t len = vkz_identity_dim(run, "len"), n = (len * 3 + 4) / 7;
    struct vkz_data *whole = vkz_identity_inputs(run, "FINAL=on");
    struct vkz_data *first = recurrence_cut(run, whole, 0, n, "FINAL=on");
    struct vkz_data *second = recurrence_cut(run, whole, n, len - n, "INIT=on FINAL=on");
    recurrence_carry(run, second, first);
    return recurrence_same_rows(run, whole, 0, n, first, n, 2) &&
           recurrence_same_rows(run, whole, n, len - n, second, len - n, 3) &&
           recurrence_same_states(run, whole, second, 3);
}

// From no state, doubled values give doubled outputs, and a doubled state where the case
// that `settings` make has one.
static inline bool recurrence_linear(struct vkz_identity_run *run, const char *settings)
{
    const char *values = recurrence_has(run, "v") ? "v" : "x";
    const char *outputs[] = {recurrence_output(run), "st"};
    struct vkz_data *one = vkz_identity_inputs(run, settings);
    struct vkz_data *two = vkz_identity_inputs(run, settings);
    recurrence_scale_floats(vkz_identity_float(run, two, values),
                            vkz_identity_count(two, values), 2);
    for (int i = 0; i < (recurrence_has(run, "st") ? 2 : 1); i++) {
        const int64_t count = vkz_identity_count(one, outputs[i]);
        double *y = vkz_identity_output(run, one, outputs[i]);
        recurrence_scale_doubles(y, count, 2);
        if ((i == 0 || count > 0) &&
            !vkz_identity_equal(run, outputs[i], y,
                                vkz_identity_output(run, two, outputs[i]), count, 2)) {
            return false;
        }
    }
    return true;
}

// With FINAL as the case has it: also for kernels that know no state.
static inline bool recurrence_check_linear(struct vkz_identity_run *run)
{
    return recurrence_linear(run, recurrence_has(run, "s0") ? "INIT=off" : NULL);
}

static inline bool recurrence_check_linear_state(struct vkz_identity_run *run)
{
    return recurrence_linear(run, "INIT=off FINAL=on");
}

// A `gate` of `value` at token n forgets all: outputs from n + delay on are those of a
// run that begins at n. `zeroed` (may be NULL) is set to 0 at that token, so that it does
// not bring the past back.
static inline bool recurrence_reset(struct vkz_identity_run *run, const char *gate,
                                    float value, const char *zeroed, int64_t delay)
{
    const int64_t len = vkz_identity_dim(run, "len"), n = len / 2;
    struct vkz_data *whole = vkz_identity_inputs(run, NULL);
    const char *const names[] = {gate, zeroed};
    const float values[] = {value, 0};
    for (int i = 0; i < (zeroed != NULL ? 2 : 1); i++) {
        float *x = vkz_identity_float(run, whole, names[i]);
        const int64_t width = recurrence_width(run, whole, names[i]);
        for (int64_t j = 0; x != NULL && j < recurrence_blocks(run) * width; j++) {
            x[(j / width * len + n) * width + j % width] = values[i];
        }
    }
    struct vkz_data *rest = recurrence_cut(run, whole, n, len - n, "INIT=off");
    return recurrence_same_rows(run, whole, n + delay, len - n - delay, rest, len - n, 2);
}

// A log decay g, of the token or of each of its key columns.
static inline bool recurrence_check_reset(struct vkz_identity_run *run)
{
    return recurrence_reset(run, "g", -1000, NULL, 0);
}

// Reverses each row of `width` values.
static inline void recurrence_reverse(float *values, int64_t count, int64_t width)
{
    for (int64_t i = 0; values != NULL && i < count; i += width) {
        for (int64_t c = 0; c < width / 2; c++) {
            const float kept = values[i + c];
            values[i + c] = values[i + width - 1 - c];
            values[i + width - 1 - c] = kept;
        }
    }
}

// Key columns have no order: q, k and a gate of the columns reversed together change
// nothing.
static inline bool recurrence_check_columns(struct vkz_identity_run *run)
{
    static const char *const columns[] = {"q", "k", "g"};
    const int64_t d = vkz_identity_dim(run, "head_dim");
    const char *output = recurrence_output(run);
    struct vkz_data *one = vkz_identity_inputs(run, "INIT=off FINAL=off");
    struct vkz_data *two = vkz_identity_inputs(run, "INIT=off FINAL=off");
    for (int i = 0; i < 3; i++) {
        const bool gate = i == 2;
        if (!gate || recurrence_width(run, two, "g") == d) {
            recurrence_reverse(vkz_identity_float(run, two, columns[i]),
                               vkz_identity_count(two, columns[i]), d);
        }
    }
    return vkz_identity_equal(run, output, vkz_identity_output(run, one, output),
                              vkz_identity_output(run, two, output),
                              vkz_identity_count(one, output), 2);
}

// Of a backward op: every gradient is linear in all that comes from above.
static inline bool recurrence_check_gradients(struct vkz_identity_run *run)
{
    static const char *const above[] = {"do", "dy", "dst"};
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    for (size_t i = 0; i < sizeof above / sizeof *above; i++) {
        if (recurrence_has(run, above[i]) && vkz_identity_count(two, above[i]) > 0) {
            recurrence_scale_floats(vkz_identity_float(run, two, above[i]),
                                    vkz_identity_count(two, above[i]), -2);
        }
    }
    for (const struct vkz_tensor *t = run->c->op->tensors; t->name != NULL; t++) {
        const int64_t count = t->io == VKZ_OUT ? vkz_identity_count(one, t->name) : 0;
        if (count == 0) {
            continue;
        }
        double *y = vkz_identity_output(run, one, t->name);
        recurrence_scale_doubles(y, count, -2);
        if (!vkz_identity_equal(run, t->name, y, vkz_identity_output(run, two, t->name),
                                count, 2)) {
            return false;
        }
    }
    return true;
}

// ---- Their lines of a table; `also` narrows what they apply to, or is "" ----

#define RECURRENCE_PREFIX(also) \
    {"prefix", "the first tokens do not see what comes after them", "len > 1" also, \
     recurrence_check_prefix}
#define RECURRENCE_SPLIT(also) \
    {"split", "two runs, the second from the state of the first, are one", \
     "len > 1" also, recurrence_check_split}
#define RECURRENCE_LINEAR \
    {"linear", "doubled values double outputs and state", NULL, \
     recurrence_check_linear_state}
#define RECURRENCE_RESET(also) \
    {"reset", "a gate of -1000 makes what follows independent of the past", \
     "len > 1" also, recurrence_check_reset}
#define RECURRENCE_COLUMNS \
    {"permute_columns", "key columns have no order", NULL, recurrence_check_columns}
#define RECURRENCE_GRADIENTS \
    {"linear", "every gradient is linear in what comes from above", NULL, \
     recurrence_check_gradients}

#endif
