// SPDX-License-Identifier: MIT
// lora_linear: a frozen linear layer with a low-rank side path.
#include "ops/lora/lora_linear.h"

static const struct vkz_dim dims[] = {LORA_DIMS, {0}};
static const struct vkz_scalar scalars[] = {LORA_LINEAR_SCALARS, {0}};
static const struct vkz_axis axes[] = {
    LORA_WTYPE_AXIS,
    {"BIAS", "off on", "one value a column is added"},
    LORA_DROPMASK_AXIS,
    LORA_SAVE_AXIS,
    {0},
};
static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "rows, k", NULL, "normal(1)", "tokens"},
    LORA_W_TENSOR,
    LORA_A_TENSOR,
    LORA_B_TENSOR,
    {"bias", VKZ_IN, "f32", "n", "BIAS == BIAS.on", "normal(1)", NULL},
    LORA_WQ_TENSORS,
    {"y", VKZ_OUT, "T", "rows, n", NULL, NULL, NULL},
    {"z", VKZ_OUT, "f32", "rows, rank", "SAVE == SAVE.on", NULL, "x Aᵀ"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t row)
{
    struct lora l = lora_linear_open(ref);
    l.bias = vkz_ref_in(ref, "bias");
    lora_row(ref, &l, row, vkz_ref_out(ref, "y"), vkz_ref_scale(ref, "y"),
             vkz_ref_out(ref, "z"), vkz_ref_scale(ref, "z"));
}

static void fill(struct vkz_fill *fill, const char *tensor)
{
    (void)tensor; // drop is the only one
    lora_fill_drop(fill);
}

static bool check_base(struct vkz_identity_run *run)
{
    return lora_check_off(run, "b");
}

// The weights W + s B A alone give the same. On numbers that make them exact.
static bool check_merged(struct vkz_identity_run *run)
{
    static const char *const settings =
        "s=0.5 WTYPE=t DROPMASK=off fill.w=dyadic fill.a=dyadic fill.b=dyadic";
    const int64_t k = vkz_identity_dim(run, "k"), n = vkz_identity_dim(run, "n");
    const int64_t rank = vkz_identity_dim(run, "rank");
    struct vkz_data *one = vkz_identity_inputs(run, settings);
    struct vkz_data *two = vkz_identity_inputs(run, settings);
    float *w = vkz_identity_float(run, two, "w");
    const float *a = vkz_identity_float(run, two, "a");
    float *b = vkz_identity_float(run, two, "b");
    float *b_one = vkz_identity_float(run, one, "b");
    if (w == NULL || a == NULL || b == NULL || b_one == NULL) {
        return false;
    }
    for (int64_t i = 0; i < n * rank; i++) {
        b[i] = b_one[i] = i % rank < 2 ? b[i] : 0; // few bits: exact in 16 bits too
    }
    for (int64_t i = 0; i < n * k; i++) {
        for (int64_t j = 0; j < rank; j++) {
            w[i] += 0.5f * b[i / k * rank + j] * a[j * k + i % k];
        }
    }
    lora_multiply(run, two, "b", 0);
    return lora_same(run, "y", one, two, 4);
}

static const struct vkz_identity identities[] = {
    {"base", "with B = 0, A does not matter", NULL, check_base},
    {"balance", "A times 2 and B times 1/2 change nothing", NULL, lora_check_balance},
    {"split", "the adapters of both halves of the rank add up", "rank > 1",
     lora_check_split},
    {"merged", "the weights W + s B A without adapter give the same", NULL, check_merged},
    {0},
};

VKZ_OP(lora_linear) = {
    .name = "lora_linear",
    .family = "lora",
    .abi = 1,
    .title = "linear layer with a low-rank side path",
    .doc = "y = x Wᵀ + bias + s (x Aᵀ) Bᵀ\n"
           "\n"
           "DROPMASK drops elements of the side path's x only and divides the others by\n"
           "1 - p. W may be 8-bit integers with a scale a row or every 32 elements.\n"
           "SAVE also writes z = x Aᵀ.\n"
           "LoRA arXiv 2106.09685, rsLoRA arXiv 2312.03732.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = "p < 1",
    .valid_reason = "what is kept is divided by 1 - p",
    .flops = "2 * rows * k * n + 2 * rows * rank * (k + n)",
    .sum_length = "k + rank",
    .tolerance = VKZ_TOL_SUM,
    .metric = VKZ_METRIC_FLOPS,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .bitwise = true,
};
