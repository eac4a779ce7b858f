// SPDX-License-Identifier: MIT
// What linear_scan and its gradient share: order of time, gates, names.
// Included by contract files only.
#ifndef VKZ_OPS_LINEAR_LINEAR_SCAN_H
#define VKZ_OPS_LINEAR_LINEAR_SCAN_H

#include <math.h>
#include <tgmath.h>

#include "zoo/op.h"

#define VKZ_LINEAR_SCAN_DIMS \
    {"batch", "independent sequences", NULL}, {"len", "steps of time", NULL}, \
    {"width", "channels, each with a recurrence of its own", NULL}

#define VKZ_LINEAR_SCAN_AXES \
    {"GATE", "a log_a", "whether a holds the factor or its logarithm"}, \
    {"DIR", "forward reverse", "reverse: time runs from the last step to the first"}, \
    {"INIT", "off on", "the state before the first step is given, else 0"}, \
    {"FINAL", "off on", "the state after the last step is used"}

struct linear_scan {
    int64_t len, width;
    bool log_gate, reverse;
    const float *a; // of this sequence
};

static inline struct linear_scan linear_scan_of(struct vkz_ref *ref, int64_t batch)
{
    const int64_t len = vkz_ref_dim(ref, "len"), width = vkz_ref_dim(ref, "width");
    return (struct linear_scan){
        .len = len,
        .width = width,
        .log_gate = vkz_ref_dim(ref, "GATE") != 0,
        .reverse = vkz_ref_dim(ref, "DIR") != 0,
        .a = vkz_ref_in(ref, "a") + batch * len * width,
    };
}

// Where step t of the recurrence's own time is in memory.
static inline int64_t linear_scan_at(const struct linear_scan *s, int64_t t)
{
    return (s->reverse ? s->len - 1 - t : t) * s->width;
}

static inline real linear_scan_gate(const struct linear_scan *s, int64_t at)
{
    return s->log_gate ? exp((real)s->a[at]) : (real)s->a[at];
}

#endif
