// SPDX-License-Identifier: MIT
// token_decimation: keep the tokens with the largest steps; contract and reference.
#include <math.h>
#include <stdlib.h>
#include <tgmath.h>

#include "zoo/identity.h"

static const struct vkz_dim dims[] = {
    {"batch", "independent sequences", NULL},
    {"len", "tokens", NULL},
    {"width", "channels", NULL},
    {"state", "states of a channel", "16"},
    {"prompt", "tokens that are chosen from; those after them are always kept", "len"},
    {"budget", "tokens to keep of the prompt: floor(lbase beta^layer)", "2000"},
    {"minlen", "at least this many of them", "20"},
    {"keep", "tokens kept of the prompt",
     "min(prompt, max(min(prompt, budget), minlen))"},
    {0},
};

static const struct vkz_axis axes[] = {
    {"GATHER", "off on", "also copy the kept rows"},
    {0},
};

#define GATHER "GATHER == GATHER.on"
#define KEPT "batch, keep + len - prompt, "

static const struct vkz_tensor tensors[] = {
    {"delta", VKZ_IN, "T", "batch, len, width", NULL, "uniform(0,1)",
     "steps, after softplus"},
    {"x", VKZ_IN, "T", "batch, len, width", GATHER, "normal(1)", "rows to copy"},
    {"b", VKZ_IN, "T", "batch, len, state", GATHER, "normal(1)", "rows to copy"},
    {"c", VKZ_IN, "T", "batch, len, state", GATHER, "normal(1)", "rows to copy"},
    {"z", VKZ_IN, "T", "batch, len, width", GATHER, "normal(1)", "rows to copy"},
    {"idx", VKZ_OUT, "i32", "batch, keep + len - prompt", NULL, NULL, "tokens kept, ascending"},
    {"deltak", VKZ_OUT, "T", KEPT "width", GATHER, NULL, "their rows of delta"},
    {"xk", VKZ_OUT, "T", KEPT "width", GATHER, NULL, "their rows of x"},
    {"bk", VKZ_OUT, "T", KEPT "state", GATHER, NULL, "their rows of b"},
    {"ck", VKZ_OUT, "T", KEPT "state", GATHER, NULL, "their rows of c"},
    {"zk", VKZ_OUT, "T", KEPT "width", GATHER, NULL, "their rows of z"},
    {0},
};

struct token {
    real score;
    int64_t index;
};

static int by_score(const void *a, const void *b)
{
    const struct token *x = a, *y = b;
    if (x->score != y->score) {
        return x->score > y->score ? -1 : 1;
    }
    return x->index < y->index ? -1 : 1;
}

static int by_index(const void *a, const void *b)
{
    const struct token *x = a, *y = b;
    return x->index < y->index ? -1 : 1;
}

static void copy_rows(struct vkz_ref *ref, const char *to, const char *from, int64_t batch,
                      int64_t width, const struct token *tokens, int64_t count)
{
    const int64_t len = vkz_ref_dim(ref, "len");
    double *out = vkz_ref_out(ref, to);
    for (int64_t i = 0; out != NULL && i < count * width; i++) {
        const int64_t row = batch * len + tokens[i / width].index;
        out[i] = (double)vkz_ref_in(ref, from)[row * width + i % width];
    }
}

static void reference(struct vkz_ref *ref, int64_t batch)
{
    const int64_t len = vkz_ref_dim(ref, "len"), width = vkz_ref_dim(ref, "width");
    const int64_t chosen = vkz_ref_dim(ref, "prompt"), keep = vkz_ref_dim(ref, "keep");
    const int64_t state = vkz_ref_dim(ref, "state"), resp = len - chosen;
    const float *delta = vkz_ref_in(ref, "delta") + batch * len * width;
    double *idx = vkz_ref_out(ref, "idx");
    struct token *tokens = vkz_ref_temp(ref, (size_t)len * sizeof *tokens);
    for (int64_t t = 0; t < len; t++) {
        tokens[t].index = t;
        for (int64_t c = 0; c < width; c++) {
            tokens[t].score += (real)delta[t * width + c] * (real)delta[t * width + c];
        }
    }
    qsort(tokens, (size_t)chosen, sizeof *tokens, by_score);
    if (keep > 0 && keep < chosen) {
        const double last = (double)tokens[keep - 1].score;
        const double next = (double)tokens[keep].score, top = (double)tokens[0].score;
        if (last != next && last - next < 0x1p-22 * sqrt((double)width) * top) {
            vkz_ref_ambiguous(ref);
        }
    }
    qsort(tokens, (size_t)keep, sizeof *tokens, by_index);
    for (int64_t i = 0; i < resp; i++) {
        tokens[keep + i].index = chosen + i;
    }
    for (int64_t i = 0; i < keep + resp; i++) {
        idx[i] = (double)tokens[i].index;
    }
    copy_rows(ref, "deltak", "delta", batch, width, tokens, keep + resp);
    if (vkz_ref_dim(ref, "GATHER") != 0) {
        copy_rows(ref, "xk", "x", batch, width, tokens, keep + resp);
        copy_rows(ref, "bk", "b", batch, state, tokens, keep + resp);
        copy_rows(ref, "ck", "c", batch, state, tokens, keep + resp);
        copy_rows(ref, "zk", "z", batch, width, tokens, keep + resp);
    }
}

VKZ_OP(token_decimation) = {
    .name = "token_decimation",
    .family = "linear",
    .abi = 1,
    .title = "keep the tokens with the largest steps, and their rows",
    .doc = "score_t = ‖Δ_t‖₂ over channels; of the first `prompt` tokens the `keep` with\n"
           "the largest score stay, ties to the lower index, in order of time; all after\n"
           "them stay. GATHER copies the rows of Δ, x, B, C and z.\n"
           "DeciMamba, arXiv 2406.14528.",
    .dims = dims,
    .axes = axes,
    .tensors = tensors,
    .valid = "prompt <= len && keep <= prompt",
    .valid_reason = "what is kept is a part of the prompt, and that of the sequence",
    .flops = "2 * batch * len * width",
    .tolerance = VKZ_TOL_TOPK,
    .metric = VKZ_METRIC_BYTES,
    .units = "batch",
    .sampled = true,
    .reference = reference,
    .bitwise = true,
};
