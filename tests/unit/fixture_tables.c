// SPDX-License-Identifier: MIT
// The tables of a build that has one op and one kernel: what the suites decide otherwise.
// No cmocka in here: the fuzz target uses them too.
#include "zoo/suite.h"

extern const struct vkz_op vkz_op_dot, vkz_op_dot_naive;
extern const struct vkz_kernel fixture_kernel;
extern const struct vkz_variant fixture_f32, fixture_f16, fixture_bf16;

const struct vkz_variant fixture_f32 = {.name = "f32", .types = "T=f32"};
const struct vkz_variant fixture_f16 = {.name = "f16", .types = "T=f16"};
const struct vkz_variant fixture_bf16 = {.name = "bf16", .types = "T=bf16"};

static const struct vkz_bind binds[] = {
    {"x", 0, VKZ_IN, "T", "m, k", NULL},
    {"w", 1, VKZ_IN, "T", "n, k", NULL},
    {"bias", 2, VKZ_IN, "f32", "BIAS == 2 ? n : m", "BIAS > 0"},
    {"y", 3, VKZ_OUT, "T", "m, n", NULL},
    {"positive", 4, VKZ_OUT, "i32", "m", "MODE == MODE.relu"},
    {"part", 5, VKZ_SCRATCH, "f32", "m, n, nsplit", NULL},
    {0},
};

static const struct vkz_push push[] = {
    {"m", VKZ_U32},     {"n", VKZ_U32},      {"k", VKZ_U32},
    {"alpha", VKZ_F32}, {"nsplit", VKZ_U32}, {0},
};

static const struct vkz_spec specs[] = {
    {"WG_SIZE", 0, VKZ_U32, 64, NULL, "workgroup size"},
    {"SPLIT", 3, VKZ_U32, 4, "k % 4 == 0 ? 8 : 4", "elements a part"},
    {"MODE", 16, VKZ_U32, 0, NULL, "axis"},
    {"BIAS", 17, VKZ_U32, 0, NULL, "axis"},
    {0},
};

static const struct vkz_let lets[] = {{"nsplit", "ceildiv(k, SPLIT)"}, {0}};
static const struct vkz_tuning tunings[] = {{"cpu", "WG_SIZE=8 SPLIT=16"}, {0}};

static const struct vkz_pass passes[] = {
    {"partial", {"ceildiv(m, WG_SIZE)", "n", "nsplit"}, NULL},
    {"combine", {"m", NULL, NULL}, NULL},
    {0},
};

static const struct vkz_variant variants[] = {
    {.name = "f32", .types = "T=f32"},
    {.name = "f16", .types = "T=f16"},
    {0},
};

const struct vkz_kernel fixture_kernel = {
    .name = "dot_split",
    .op = "dot",
    .abi = 1,
    .title = "rows times rows in parts",
    .file = "shaders/unit/dot_split.comp",
    .tier = "T0",
    .when = "k <= 4096",
    .when_reason = "serves k up to 4096",
    .shared = "4 * WG_SIZE",
    .binds = binds,
    .push = push,
    .specs = specs,
    .lets = lets,
    .tunings = tunings,
    .passes = passes,
    .variants = variants,
};

const struct vkz_kernel *const vkz_kernels[] = {&fixture_kernel, NULL};
const struct vkz_op *const vkz_ops[] = {&vkz_op_dot, NULL};
const struct vkz_op *const vkz_ops_naive[] = {&vkz_op_dot_naive, NULL};

static const char suite_text[] = "op dot\nkernel dot_split\ncase smoke m=4 k=8\n";
const struct vkz_suite_text vkz_suite_texts[] = {
    {"unit.suite", suite_text, sizeof suite_text - 1},
    {0},
};
