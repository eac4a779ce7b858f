// SPDX-License-Identifier: MIT
// Identities of recurrences whose state can be handed from one run to the next: cutting a
// sequence changes nothing, and what comes later changes nothing earlier.
// Included by contract files only; see zoo/identity.h for what a check sees.
#ifndef VKZ_OPS_LINEAR_SEQUENCE_H
#define VKZ_OPS_LINEAR_SEQUENCE_H

#include <stdio.h>
#include <string.h>

#include "zoo/identity.h"

// An input with one row a token: [batch, `per`, len, anything].
struct sequence_tensor {
    const char *name; // NULL ends a list
    const char *per;  // the dim beside batch: "heads"
};

// What the checks below need to know of an op.
struct sequence_op {
    const struct sequence_tensor *tokens;
    const char *output; // [batch, heads, len, anything]
    // Axes INIT and FINAL, tensors s0 and st of one shape that has no len in it.
};

// Rows [first, first + taken) of each block of `from` (len rows) to those from row
// `at` on of `to` (to_len rows).
static inline void sequence_copy(float *to, int64_t to_len, int64_t at, const float *from,
                                 int64_t len, int64_t first, int64_t taken,
                                 int64_t blocks, int64_t width)
{
    for (int64_t x = 0; to != NULL && from != NULL && x < blocks; x++) {
        memcpy(to + (x * to_len + at) * width, from + (x * len + first) * width,
               (size_t)(taken * width) * sizeof *to);
    }
}

static inline void sequence_copy_double(double *to, int64_t to_len, int64_t at,
                                        const double *from, int64_t len, int64_t first,
                                        int64_t taken, int64_t blocks, int64_t width)
{
    for (int64_t x = 0; to != NULL && from != NULL && x < blocks; x++) {
        memcpy(to + (x * to_len + at) * width, from + (x * len + first) * width,
               (size_t)(taken * width) * sizeof *to);
    }
}

static inline int64_t sequence_blocks(struct vkz_identity_run *run, const char *per)
{
    return vkz_identity_dim(run, "batch") * vkz_identity_dim(run, per);
}

// Inputs of a case that has only tokens [first, first + taken) of `whole`.
static inline struct vkz_data *sequence_cut(struct vkz_identity_run *run,
                                            const struct sequence_op *op,
                                            struct vkz_data *whole, int64_t first,
                                            int64_t taken, const char *settings)
{
    const int64_t len = vkz_identity_dim(run, "len");
    char text[128];
    snprintf(text, sizeof text, "len=%lld %s", (long long)taken, settings);
    struct vkz_data *part = vkz_identity_inputs(run, text);
    for (const struct sequence_tensor *t = op->tokens; t->name != NULL; t++) {
        const int64_t blocks = sequence_blocks(run, t->per);
        sequence_copy(vkz_identity_float(run, part, t->name), taken, 0,
                      vkz_identity_float(run, whole, t->name), len, first, taken, blocks,
                      vkz_identity_count(whole, t->name) / (blocks * len));
    }
    return part;
}

// The first tokens do not see what comes after them.
static inline bool sequence_check_prefix(struct vkz_identity_run *run,
                                         const struct sequence_op *op)
{
    const int64_t len = vkz_identity_dim(run, "len"), taken = (len + 1) / 2;
    const int64_t blocks = sequence_blocks(run, "heads");
    struct vkz_data *whole = vkz_identity_inputs(run, "FINAL=off");
    struct vkz_data *part = sequence_cut(run, op, whole, 0, taken, "FINAL=off");
    const int64_t count = vkz_identity_count(part, op->output);
    double *expected = vkz_identity_temp(run, count);
    sequence_copy_double(expected, taken, 0, vkz_identity_output(run, whole, op->output),
                         len, 0, taken, blocks, count / (blocks * taken));
    return vkz_identity_equal(run, op->output, expected,
                              vkz_identity_output(run, part, op->output), count, 2);
}

// Running [0, n), then [n, len) from the state it left, is running [0, len).
static inline bool sequence_check_split(struct vkz_identity_run *run,
                                        const struct sequence_op *op)
{
    const int64_t len = vkz_identity_dim(run, "len"), taken = len / 2;
    const int64_t blocks = sequence_blocks(run, "heads");
    struct vkz_data *whole = vkz_identity_inputs(run, "FINAL=on");
    const int64_t count = vkz_identity_count(whole, op->output);
    const int64_t states = vkz_identity_count(whole, "st");
    const int64_t width = count / (blocks * len);
    struct vkz_data *head = sequence_cut(run, op, whole, 0, taken, "FINAL=on");
    struct vkz_data *tail =
        sequence_cut(run, op, whole, taken, len - taken, "INIT=on FINAL=on");
    float *s0 = vkz_identity_float(run, tail, "s0");
    const double *carried = vkz_identity_output(run, head, "st");
    for (int64_t i = 0; s0 != NULL && carried != NULL && i < states; i++) {
        s0[i] = (float)carried[i];
    }
    double *joined = vkz_identity_temp(run, count);
    sequence_copy_double(joined, len, 0, vkz_identity_output(run, head, op->output),
                         taken, 0, taken, blocks, width);
    sequence_copy_double(joined, len, taken, vkz_identity_output(run, tail, op->output),
                         len - taken, 0, len - taken, blocks, width);
    return vkz_identity_equal(run, op->output,
                              vkz_identity_output(run, whole, op->output), joined, count,
                              3) &&
           vkz_identity_equal(run, "st", vkz_identity_output(run, whole, "st"),
                              vkz_identity_output(run, tail, "st"), states, 3);
}

// The inputs times `factor`, from a state that is 0, give `factor` times the outputs.
static inline bool sequence_check_linear(struct vkz_identity_run *run,
                                         const struct sequence_op *op, const char *input)
{
    struct vkz_data *one = vkz_identity_inputs(run, "INIT=off FINAL=off");
    struct vkz_data *two = vkz_identity_inputs(run, "INIT=off FINAL=off");
    float *x = vkz_identity_float(run, two, input);
    for (int64_t i = 0; x != NULL && i < vkz_identity_count(two, input); i++) {
        x[i] *= 2;
    }
    const int64_t count = vkz_identity_count(one, op->output);
    double *y = vkz_identity_output(run, one, op->output);
    for (int64_t i = 0; y != NULL && i < count; i++) {
        y[i] *= 2;
    }
    return vkz_identity_equal(run, op->output, y,
                              vkz_identity_output(run, two, op->output), count, 2);
}

// After a token `at` whose `gate` forgets everything, nothing before it counts: doubling
// `input` before it changes no output from row at + delay on. `zeroed` (may be NULL) is
// set to 0 at that token, so that it does not bring the past back.
static inline bool sequence_check_reset(struct vkz_identity_run *run,
                                        const struct sequence_op *op, const char *gate,
                                        float value, const char *input,
                                        const char *zeroed, int64_t delay)
{
    const int64_t len = vkz_identity_dim(run, "len"), at = len / 2;
    const int64_t blocks = sequence_blocks(run, "heads");
    struct vkz_data *data[2];
    double *y[2], *rest[2];
    int64_t width = 0, from = at + delay;
    for (int i = 0; i < 2; i++) {
        data[i] = vkz_identity_inputs(run, "FINAL=off");
        float *g = vkz_identity_float(run, data[i], gate);
        float *x = vkz_identity_float(run, data[i], input);
        float *z = zeroed != NULL ? vkz_identity_float(run, data[i], zeroed) : NULL;
        const int64_t g_width = vkz_identity_count(data[i], gate) / (blocks * len);
        const int64_t x_width = vkz_identity_count(data[i], input) / (blocks * len);
        width = vkz_identity_count(data[i], op->output) / (blocks * len);
        for (int64_t b = 0; g != NULL && x != NULL && b < blocks; b++) {
            for (int64_t j = 0; j < g_width; j++) {
                g[(b * len + at) * g_width + j] = value;
            }
            for (int64_t j = 0; z != NULL && j < g_width; j++) {
                z[(b * len + at) * g_width + j] = 0;
            }
            for (int64_t j = 0; i == 1 && j < at * x_width; j++) {
                x[b * len * x_width + j] *= 2;
            }
        }
        y[i] = vkz_identity_output(run, data[i], op->output);
        rest[i] = vkz_identity_temp(run, blocks * (len - from) * width);
        sequence_copy_double(rest[i], len - from, 0, y[i], len, from, len - from, blocks,
                             width);
    }
    return vkz_identity_equal(run, op->output, rest[0], rest[1],
                              blocks * (len - from) * width, 2);
}

#endif
