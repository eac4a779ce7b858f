// SPDX-License-Identifier: MIT
// What lora_linear and its gradient share: axes and inputs. Included by contract files only.
#ifndef VKZ_OPS_LORA_LORA_LINEAR_H
#define VKZ_OPS_LORA_LORA_LINEAR_H

#include "ops/lora/lora.h"

#define LORA_LINEAR_SCALARS \
    {"s", "2", "factor of the side path: alpha / rank, or alpha / sqrt(rank)"}, \
        {"p", "0.125", "DROPMASK: what is kept is divided by 1 - p"}
#define LORA_WTYPE_AXIS \
    {"WTYPE", "t i8_row i8_block", \
     "frozen weights: T, or 8-bit integers with a scale a row or every 32 elements"}
#define LORA_DROPMASK_AXIS {"DROPMASK", "off on", "drops elements of the side path's x"}
#define LORA_SAVE_AXIS {"SAVE", "off on", "z is written, and read by the gradient"}

#define LORA_QUANT "WTYPE != WTYPE.t"
#define LORA_W_TENSOR \
    {"w", VKZ_IN, "T", "n, k", "WTYPE == WTYPE.t", "linear_w", "frozen weights"}
#define LORA_A_TENSOR {"a", VKZ_IN, "T", "rank, k", NULL, "linear_w", "down"}
#define LORA_B_TENSOR {"b", VKZ_IN, "T", "n, rank", NULL, "normal(0.02)", "up"}
#define LORA_WQ_TENSORS \
    {"drop", VKZ_IN, "u32", "ceildiv(rows * k, 32)", "DROPMASK == DROPMASK.on", "op", \
     "bit e % 32 of word e / 32 keeps element e of x"}, \
        {"wq", VKZ_IN, "i8", "n, k", LORA_QUANT, "range(-127,127)", "quantised weights"}, \
        {"wscale", VKZ_IN, "f32", "n, WTYPE == WTYPE.i8_block ? ceildiv(k, 32) : 1", \
         LORA_QUANT, "uniform(0.007/sqrt(k), 0.02/sqrt(k))", "what 1 of them is"}

static inline struct lora lora_linear_open(struct vkz_ref *ref)
{
    struct lora l = lora_open(ref);
    l.s = (real)vkz_ref_value(ref, "s");
    l.wq = vkz_ref_in_int(ref, "wq");
    l.wscale = vkz_ref_in(ref, "wscale");
    l.block = vkz_ref_dim(ref, "WTYPE") == WTYPE_I8_BLOCK ? LORA_BLOCK : l.k;
    l.drop = (const uint32_t *)vkz_ref_in_int(ref, "drop");
    l.keep = (real)1 / ((real)1 - (real)vkz_ref_value(ref, "p"));
    return l;
}

// Three bits of four are kept.
static inline void lora_fill_drop(struct vkz_fill *fill)
{
    int32_t *drop = vkz_fill_int(fill);
    const int64_t count = vkz_fill_count(fill);
    for (int64_t i = 0; i < count; i++) {
        uint32_t words[2];
        for (int x = 0; x < 2; x++) {
            words[x] = (uint32_t)(vkz_fill_uniform(fill, (uint64_t)(2 * i + x)) * 0x1p32);
        }
        const uint32_t kept = words[0] | words[1];
        drop[i] = (int32_t)kept;
    }
}

#endif
