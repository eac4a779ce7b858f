// SPDX-License-Identifier: MIT
// What delta_rule and its backward op share: dims, axes, inputs and the fill of keys.
// Included by contract files only.
#ifndef VKZ_OPS_LINEAR_DELTA_TENSORS_H
#define VKZ_OPS_LINEAR_DELTA_TENSORS_H

#include "ops/linear/recurrence_identities.h"
#include "ops/linear/state_rule.h"

#define VKZ_DELTA_DIMS \
    {"batch", "independent sequences", NULL}, {"heads", "heads of v", NULL}, \
        {"kv_heads", "heads of q and k; each serves heads / kv_heads heads of v", \
         "heads"}, \
        {"len", "tokens of a sequence", NULL}, \
        {"head_dim", "width of a query and a key", NULL}, \
        {"v_dim", "width of a value", "head_dim"}

#define VKZ_DELTA_AXES \
    {"GATE", "none scalar vector", "decay: none, one a token, one a token and column"}, \
        VKZ_STATE_AXES

#define VKZ_DELTA_INPUTS \
    {"q", VKZ_IN, "T", "batch, kv_heads, len, head_dim", NULL, "normal(1)", "queries"}, \
        {"k", VKZ_IN, "T", "batch, kv_heads, len, head_dim", NULL, "unit", \
         "keys; of length at most sqrt(2 / beta), or the state grows"}, \
        {"v", VKZ_IN, "T", "batch, heads, len, v_dim", NULL, "normal(1)", "values"}, \
        {"beta", VKZ_IN, "f32", "batch, heads, len", NULL, "sigm", \
         "strength of the write, 0 to 1 (up to 2)"}, \
        {"g", VKZ_IN, "f32", \
         "batch, heads, len, GATE == GATE.vector ? head_dim : 1", \
         "GATE != GATE.none", "logdecay(16)", "log decay, at most 0"}, \
        VKZ_STATE_TENSOR_S0

#define VKZ_DELTA_VALID "heads % kv_heads == 0"
#define VKZ_DELTA_VALID_REASON "heads must be a multiple of kv_heads"

#define VKZ_DELTA_DOC \
    "S is [head_dim, v_dim] and begins as s0 or 0; " \
    "g is a log decay, at most 0, of the\n" \
    "token or of each of its key columns. Head x of v reads q and k of head\n" \
    "floor(x kv_heads / heads). Keys are expected normalised. fill.k=op gives keys of\n" \
    "length sqrt(2), for which beta = 1 is a reflection.\n"

static void delta_fill(struct vkz_fill *fill, const char *tensor)
{
    (void)tensor; // k is the only one
    const int64_t width = (int64_t)vkz_fill_value(fill, "head_dim");
    float *k = vkz_fill_float(fill);
    for (int64_t row = 0; row < vkz_fill_count(fill); row += width) {
        double sum = 0;
        for (int64_t i = row; i < row + width; i++) {
            const double x = vkz_fill_normal(fill, (uint64_t)i);
            k[i] = (float)x;
            sum += x * x;
        }
        const double factor = sum > 0 ? (double)sqrt(2 / sum) : 0;
        for (int64_t i = row; i < row + width; i++) {
            k[i] = (float)((double)k[i] * factor);
        }
    }
}

#endif
