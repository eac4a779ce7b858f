// SPDX-License-Identifier: MIT
// What the contracts of rwkv6 and rwkv7 share.
#ifndef VKZ_OPS_LINEAR_RWKV_H
#define VKZ_OPS_LINEAR_RWKV_H

#include <math.h>
#include <tgmath.h>

#include "ops/linear/recurrence.h"
#include "ops/linear/recurrence_identities.h"
#include "zoo/op.h"

#define RWKV_DIMS \
    {"batch", "independent sequences", NULL}, {"heads", "heads", NULL}, \
    {"len", "tokens", NULL}, {"head_dim", "width of q and k", NULL}, \
    {"v_dim", "width of v", "head_dim"}

#define RWKV_AXES \
    {"INIT", "off on", "the state begins as s0, else as 0"}, \
    {"FINAL", "off on", "the state after the last token is kept"}

#define RWKV_KEYS "batch, heads, len, head_dim"
#define RWKV_VALUES "batch, heads, len, v_dim"
#define RWKV_STATE "batch, heads, head_dim, v_dim"

#define RWKV_QKVW \
    {"q", VKZ_IN, "T", RWKV_KEYS, NULL, "normal(1)", "queries (receptance)"}, \
    {"k", VKZ_IN, "T", RWKV_KEYS, NULL, "normal(1)", "keys"}, \
    {"v", VKZ_IN, "T", RWKV_VALUES, NULL, "normal(1)", "values"}, \
    {"w", VKZ_IN, "f32", RWKV_KEYS, NULL, "logdecay(16)", "log decay, at most 0"}

#define RWKV_RESULTS \
    {"s0", VKZ_IN, "f32", RWKV_STATE, "INIT == INIT.on", "normal(1)", "state before"}, \
    {"o", VKZ_OUT, "T", RWKV_VALUES, NULL, NULL, "the result"}, \
    {"st", VKZ_OUT, "f32", RWKV_STATE, "FINAL == FINAL.on", NULL, "state after"}

#endif
