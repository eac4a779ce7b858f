// SPDX-License-Identifier: MIT
// What lstm and its gradient share: dims, axes, the order of tokens and the cells.
// Included by contract files only.
#ifndef VKZ_OPS_LINEAR_LSTM_H
#define VKZ_OPS_LINEAR_LSTM_H

#include <math.h>
#include <stddef.h>
#include <tgmath.h>

#include "zoo/identity.h"
#include "zoo/op.h"

#define LSTM_DIMS \
    {"batch", "independent sequences", NULL}, {"len", "tokens of a sequence", NULL}, \
        {"hid", "elements of the state", NULL}
#define LSTM_AXES \
    {"CELL", "lstm gru tanh", "the recurrent cell"}, \
        {"DIR", "forward reverse", "from the first token on, or from the last"}, \
        {"LENS", "off on", "sequences have their own lengths"}, \
        {"CACHE", "off on", "also write what the gradient needs"}

enum { CELL_LSTM, CELL_GRU, CELL_TANH };

// Gates of a cell, and numbers a token and unit that the cache holds.
#define LSTM_GATES "(CELL == CELL.lstm ? 4 : CELL == CELL.gru ? 3 : 1)"
#define LSTM_KEPT "(CELL == CELL.tanh ? 1 : 5)"
#define LSTM_IS_GRU "CELL == CELL.gru"
#define LSTM_IS_LSTM "CELL == CELL.lstm"
#define LSTM_TENSOR_WH \
    {"wh", VKZ_IN, "T", LSTM_GATES " * hid, hid", NULL, "linear_w", \
     "recurrent weights, a row a gate and unit"}
#define LSTM_TENSORS_STATE \
    {"h0", VKZ_IN, "f32", "batch, hid", NULL, "normal(0.5)", "state before the first"}, \
        {"c0", VKZ_IN, "f32", "batch, hid", LSTM_IS_LSTM, "normal(0.5)", \
         "cell before the first"}, \
        {"lens", VKZ_IN, "i32", "batch", "LENS == LENS.on", "op", \
         "tokens of each sequence"}

#define LSTM_EQUATIONS \
    "lstm: a = gx + h Whᵀ;  i, f, o = σ(a), g = tanh(a);  c = f c + i g;  h = o tanh c\n" \
    "gru:  r, z = σ(gx + h Whᵀ + bh);  n = tanh(gx_n + r ∘ (h Wh_nᵀ + bh_n))\n" \
    "      h = (1 - z) n + z h\n" \
    "tanh: h = tanh(gx + h Whᵀ)\n"

// Every length from 0 to len: of four, one is whole and one empty.
static inline void lstm_fill(struct vkz_fill *fill, const char *tensor)
{
    (void)tensor; // lens is the only one
    const int64_t len = (int64_t)vkz_fill_value(fill, "len");
    int32_t *lens = vkz_fill_int(fill);
    for (int64_t i = 0; i < vkz_fill_count(fill); i++) {
        const double u = vkz_fill_uniform(fill, (uint64_t)i);
        const int64_t any = (int64_t)(u * (double)(len + 1));
        lens[i] = (int32_t)(i % 4 == 0 ? len : i % 4 == 2 ? 0 : any);
    }
}

static inline int64_t lstm_gates(int cell)
{
    return cell == CELL_LSTM ? 4 : cell == CELL_GRU ? 3 : 1;
}

static inline int64_t lstm_kept(int cell)
{
    return cell == CELL_TANH ? 1 : 5;
}

// Tokens of sequence b that count, and which of them comes at step s.
static inline int64_t lstm_valid(struct vkz_ref *ref, int64_t b)
{
    const int32_t *lens = vkz_ref_in_int(ref, "lens");
    return vkz_ref_dim(ref, "LENS") != 0 ? lens[b] : vkz_ref_dim(ref, "len");
}

static inline int64_t lstm_token(struct vkz_ref *ref, int64_t valid, int64_t s)
{
    return vkz_ref_dim(ref, "DIR") != 0 ? valid - 1 - s : s;
}

static inline real lstm_sigma(real x)
{
    return (real)1 / ((real)1 + exp(-x));
}

#endif
