// SPDX-License-Identifier: MIT
// What the selective state-space contracts share: the step size, the gate, one channel.
// Included by contract files only.
#ifndef VKZ_OPS_LINEAR_SELECTIVE_H
#define VKZ_OPS_LINEAR_SELECTIVE_H

#include <math.h>
#include <tgmath.h>

#include "zoo/op.h"

#define VKZ_SELECTIVE_DIMS \
    {"batch", "independent sequences", NULL}, {"len", "tokens", NULL}, \
    {"width", "channels", NULL}, {"state", "states of a channel", "16"}

#define VKZ_SELECTIVE_AXES \
    {"GATE", "off on", "y is multiplied by silu(z)"}, \
    {"INIT", "off on", "the state before the first token is given, else 0"}, \
    {"FINAL", "off on", "the state after the last token is used"}

// A is negative: that of a trained model spreads over two decades.
#define VKZ_SELECTIVE_TENSORS_IN \
    {"x", VKZ_IN, "T", "batch, len, width", NULL, "normal(1)", "input"}, \
    {"dt", VKZ_IN, "T", "batch, len, width", NULL, "normal(1)", "raw step size"}, \
    {"dtb", VKZ_IN, "f32", "width", NULL, "uniform(-4,0)", "bias of the step size"}, \
    {"d", VKZ_IN, "f32", "width", NULL, "normal(1)", "weight of the input itself"}, \
    {"a", VKZ_IN, "f32", "width, state", NULL, "uniform(-8,-0.1)", "decay rates, < 0"}, \
    {"b", VKZ_IN, "T", "batch, len, state", NULL, "normal(1)", "input weights"}, \
    {"c", VKZ_IN, "T", "batch, len, state", NULL, "normal(1)", "output weights"}, \
    {"z", VKZ_IN, "T", "batch, len, width", "GATE == GATE.on", "normal(1)", "gate"}, \
    {"h0", VKZ_IN, "f32", "batch, width, state", "INIT == INIT.on", "normal(1)", \
     "first state"}

static inline real selective_softplus(real x)
{
    return x > 20 ? x : (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
}

static inline real selective_sigmoid(real x)
{
    const real t = exp(-fabs(x));
    return x >= 0 ? 1 / (1 + t) : t / (1 + t);
}

static inline real selective_silu(real x)
{
    return x * selective_sigmoid(x);
}

#endif
