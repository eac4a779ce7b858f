// SPDX-License-Identifier: MIT
// What ssd and its backward op share: names, fills, and the step.
#ifndef VKZ_OPS_LINEAR_SSD_H
#define VKZ_OPS_LINEAR_SSD_H

#include <math.h>
#include <tgmath.h>

#include "zoo/op.h"

#define SSD_DIMS \
    {"batch", "independent sequences", NULL}, {"heads", "heads", NULL}, \
    {"groups", "heads share b and c in groups", "1"}, {"len", "tokens", NULL}, \
    {"head_dim", "channels of a head (p)", NULL}, \
    {"state", "state values of a channel (ns)", NULL}

#define SSD_SCALARS \
    {"lo", "0.001", "CLAMP: least step"}, {"hi", "0.1", "CLAMP: greatest step"}

#define SSD_AXES \
    {"GATE", "off on", "y is multiplied by silu(z)"}, \
    {"CLAMP", "off on", "the step is kept within [lo, hi]"}, \
    {"INIT", "off on", "the state begins as s0, else as 0"}, \
    {"FINAL", "off on", "the state after the last token is kept"}

#define SSD_INPUTS \
    {"x", VKZ_IN, "T", "batch, heads, len, head_dim", NULL, "normal(1)", "channels"}, \
    {"dt", VKZ_IN, "f32", "batch, heads, len", NULL, "normal(1)", "raw step"}, \
    {"dtb", VKZ_IN, "f32", "heads", NULL, "uniform(-4,-1)", "bias of the step"}, \
    {"alog", VKZ_IN, "f32", "heads", NULL, "uniform(0,2.75)", "A = -e^alog"}, \
    {"d_skip", VKZ_IN, "f32", "heads", NULL, "normal(1)", "D, what x adds to y"}, \
    {"b", VKZ_IN, "T", "batch, groups, len, state", NULL, "normal(1)", "B"}, \
    {"c", VKZ_IN, "T", "batch, groups, len, state", NULL, "normal(1)", "C"}, \
    {"z", VKZ_IN, "T", "batch, heads, len, head_dim", "GATE == GATE.on", "normal(1)", \
     "gate"}

#define SSD_STATE "batch, heads, state, head_dim"

#define SSD_VALID "heads % groups == 0 && lo <= hi"
#define SSD_VALID_REASON "heads must be a multiple of groups, lo at most hi"

static inline real ssd_sigmoid(real x) { return 1 / (1 + exp(-x)); }

// The step and its derivative with respect to the raw step.
static inline real ssd_step(const struct vkz_ref *ref, real raw, real *slope)
{
    const real lo = (real)vkz_ref_value(ref, "lo"), hi = (real)vkz_ref_value(ref, "hi");
    const real step = raw > 20 ? raw : log1p(exp(raw));
    *slope = raw > 20 ? 1 : ssd_sigmoid(raw);
    if (vkz_ref_dim(ref, "CLAMP") == 0) {
        return step;
    }
    if (step < lo || step > hi) {
        *slope = 0;
        return step < lo ? lo : hi;
    }
    return step;
}

#endif
