// SPDX-License-Identifier: MIT
// dispatch_map: lists of the tokens that each expert takes, contract and reference.
#include <tgmath.h>

#include "ops/moe/map.h"
#include "zoo/identity.h"

static const struct vkz_dim dims[] = {VKZ_MAP_DIMS, {0}};

static const struct vkz_scalar scalars[] = {
    VKZ_MAP_SCALARS,
    {"cap", "1", "entries an expert keeps with CAPACITY"},
    {0},
};

static const struct vkz_axis axes[] = {
    {"CAPACITY", "off on", "an expert's entries past the first cap are dropped"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    VKZ_MAP_IDX,
    {"count", VKZ_OUT, "i32", "experts", NULL, NULL, "entries of each expert"},
    {"start", VKZ_OUT, "i32", "experts + 1", NULL, NULL,
     "where each expert's positions begin, a multiple of bm; last: where they end"},
    {"src", VKZ_OUT, "i32", "cap_total", NULL, NULL,
     "entry t * topk + x at each position, -1 in padding"},
    {"pos", VKZ_OUT, "i32", "rows, topk", NULL, NULL,
     "position of each entry, -1: absent or dropped"},
    {"tile_expert", VKZ_OUT, "i32", "cap_total / bm", NULL, NULL,
     "expert of each tile of bm positions, -1 past the end"},
    {"args", VKZ_OUT, "u32", "3", NULL, NULL,
     "for an indirect dispatch: number of tiles, 1, 1"},
    {0},
};

static void fill(struct vkz_fill *to, const char *tensor)
{
    map_fill(to, tensor);
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    (void)unit; // every entry moves those after it
    static const char *const names[] = {"count", "start", "src", "pos", "tile_expert",
                                        "args"};
    struct map_case c;
    MAP_CASE(c, vkz_ref_value, ref);
    if (vkz_ref_dim(ref, "CAPACITY") != 0) {
        c.cap = (int64_t)vkz_ref_value(ref, "cap");
    }
    const int64_t counts[] = {c.experts, c.experts + 1, c.cap_total, c.rows * c.topk,
                              c.cap_total / c.bm, 3};
    int32_t *values[6];
    for (int i = 0; i < 6; i++) {
        values[i] = vkz_ref_temp(ref, (size_t)counts[i] * sizeof(int32_t));
    }
    const struct map_arrays arrays = {values[0], values[1], values[2],
                                      values[3], values[4], values[5]};
    map_build(&c, vkz_ref_in_int(ref, "idx"), &arrays);
    for (int i = 0; i < 6; i++) {
        double *out = vkz_ref_out(ref, names[i]);
        for (int64_t j = 0; j < counts[i]; j++) {
            out[j] = (double)values[i][j];
        }
    }
}

// What a position lists knows its position, and every entry kept is listed once.
static bool check_inverse(struct vkz_identity_run *run)
{
    struct vkz_data *data = vkz_identity_inputs(run, NULL);
    const int64_t entries = vkz_identity_count(data, "pos");
    const int64_t positions = vkz_identity_count(data, "src");
    const double *pos = vkz_identity_output(run, data, "pos");
    const double *src = vkz_identity_output(run, data, "src");
    const double *count = vkz_identity_output(run, data, "count");
    double *expected = vkz_identity_temp(run, entries + 2);
    double *found = vkz_identity_temp(run, entries + 2);
    if (pos == NULL || src == NULL || count == NULL || expected == NULL || found == NULL) {
        return false;
    }
    for (int64_t i = 0; i < entries; i++) {
        const bool kept = pos[i] >= 0 && pos[i] < (double)positions;
        expected[i] = (double)(pos[i] < 0 ? -1 : i);
        found[i] = kept ? src[(int64_t)pos[i]] : -1;
        expected[entries] += kept;
    }
    for (int64_t p = 0; p < positions; p++) {
        found[entries] += src[p] >= 0;
    }
    for (int64_t e = 0; e < vkz_identity_count(data, "count"); e++) {
        found[entries + 1] += count[e];
    }
    expected[entries + 1] = expected[entries];
    return vkz_identity_equal(run, "pos", expected, found, entries + 2, 1);
}

// Renaming the experts moves whole lists: the counts and the order inside stay.
static bool check_rename(struct vkz_identity_run *run)
{
    const int64_t experts = vkz_identity_dim(run, "experts");
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    int32_t *idx = vkz_identity_int(run, two, "idx");
    const int64_t entries = vkz_identity_count(two, "idx");
    for (int64_t i = 0; idx != NULL && i < entries; i++) {
        idx[i] = idx[i] < 0 ? -1 : (int32_t)(experts - 1 - idx[i]);
    }
    const double *src = vkz_identity_output(run, one, "src");
    const double *start = vkz_identity_output(run, one, "start");
    const double *count = vkz_identity_output(run, one, "count");
    const double *src2 = vkz_identity_output(run, two, "src");
    const double *start2 = vkz_identity_output(run, two, "start");
    double *a = vkz_identity_temp(run, entries), *b = vkz_identity_temp(run, entries);
    if (src == NULL || start == NULL || count == NULL || src2 == NULL || start2 == NULL ||
        a == NULL || b == NULL) {
        return false;
    }
    int64_t at = 0;
    for (int64_t e = 0; e < experts; e++) {
        for (int64_t i = 0; i < (int64_t)count[e] && at < entries; i++, at++) {
            a[at] = src[(int64_t)start[e] + i];
            b[at] = src2[(int64_t)start2[experts - 1 - e] + i];
        }
    }
    return vkz_identity_equal(run, "src", a, b, entries, 1);
}

static const struct vkz_identity identities[] = {
    {"inverse", "src of pos is the entry, counts add up to the entries kept", NULL,
     check_inverse},
    {"rename", "experts in opposite order have the same lists", "experts > 1",
     check_rename},
    {0},
};

VKZ_OP(dispatch_map) = {
    .name = "dispatch_map",
    .family = "moe",
    .abi = 1,
    .title = "lists of the tokens that each expert takes",
    .doc = "Entry t * topk + x goes to expert idx[t, x]. Each expert has a range of\n"
           "positions, a whole number of tiles of bm, that lists its entries in ascending\n"
           "order: a stable counting sort, with the inverse, the expert of each tile and\n"
           "the counts of an indirect dispatch over the tiles beside it.\n"
           "\n"
           "Switch arXiv 2101.03961 (capacity), MegaBlocks 2211.15841 (padded tiles).",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = VKZ_MAP_VALID " && cap >= 1 && cap == floor(cap)",
    .valid_reason = VKZ_MAP_VALID_REASON "; cap is a whole number from 1 on",
    .flops = "rows * topk",
    .tolerance = VKZ_TOL_EXACT,
    .metric = VKZ_METRIC_BYTES,
    .units = "1",
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .bitwise = true,
};
