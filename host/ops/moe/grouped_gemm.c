// SPDX-License-Identifier: MIT
// grouped_gemm: a matrix product per expert over the rows it takes, contract and reference.
#include "ops/gemm/product.h"
#include "ops/moe/map.h"
#include "zoo/identity.h"

enum { EPILOGUE_SWIGLU = EPILOGUE_SCALE_COL + 1 };
enum { GATHER_ON, GATHER_OFF };

static const struct vkz_dim dims[] = {
    VKZ_MAP_DIMS,
    {"n", "columns of the product", NULL},
    {"k", "length of the sums", NULL},
    {0},
};

static const struct vkz_scalar scalars[] = {VKZ_MAP_SCALARS, {0}};

static const struct vkz_axis axes[] = {
    {"TRANS", VKZ_GEMM_TRANS_VALUES,
     "nt: y = x Wᵀ, the linear layer; nn: y = x W; tn: the gradient dW = dyᵀ x"},
    {"EPILOGUE", VKZ_GEMM_EPILOGUE_VALUES " swiglu",
     "what happens to a sum before it is stored, as in gemm; swiglu: silu(gate) up"},
    {"GATHER", "on off", "x has a row a token, or a row a position"},
    {0},
};

#define IS_TN "TRANS == TRANS.tn"
#define W_ROWS "EPILOGUE == EPILOGUE.swiglu ? 2 * n : n"

static const struct vkz_tensor tensors[] = {
    {"x", VKZ_IN, "T", "GATHER == GATHER.on ? rows : cap_total, k", NULL, "normal(1)",
     "rows of the tokens or of the positions"},
    {"w", VKZ_IN, "T", "experts, TRANS == TRANS.nn ? k : " W_ROWS ", TRANS == TRANS.nn ? n : k",
     "TRANS != TRANS.tn", "linear_w",
     "[n, k] of each expert, for nn [k, n], for swiglu [2 n, k], gate first"},
    {"dy", VKZ_IN, "T", "cap_total, n", IS_TN, "normal(1)", "a row a position"},
    VKZ_MAP_SRC,
    {"tile_expert", VKZ_IN, "i32", "cap_total / bm", NULL, "op",
     "expert of each tile of bm positions, -1 past the end"},
    {"start", VKZ_IN, "i32", "experts + 1", NULL, "op",
     "where each expert's positions begin; last: where they end"},
    {"args", VKZ_IN, "u32", "3", NULL, "op", "number of tiles, 1, 1"},
    {"c0", VKZ_IN, "T", "cap_total, n", "EPILOGUE == EPILOGUE.residual", "normal(1)",
     "added"},
    {"bias", VKZ_IN, "f32", "experts, n", VKZ_GEMM_HAS_BIAS, "normal(1)",
     "one a column of each expert"},
    {"scale", VKZ_IN, "f32", "EPILOGUE == EPILOGUE.scale_row ? cap_total : experts * n",
     VKZ_GEMM_HAS_SCALE, "uniform(0.5,2)", "one a position, or one a column of each expert"},
    {"y", VKZ_OUT, "T", "cap_total, n", "TRANS != TRANS.tn", NULL, "0 in padding"},
    {"dw", VKZ_OUT, "f32", "experts, n, k", IS_TN, NULL, "0 of an expert without rows"},
    {0},
};

static void fill(struct vkz_fill *to, const char *tensor)
{
    map_fill(to, tensor);
}

// Row of x at a position, NULL in padding.
static const float *row_of_x(const struct vkz_ref *ref, int64_t p)
{
    const int32_t entry = vkz_ref_in_int(ref, "src")[p];
    const int64_t row = vkz_ref_dim(ref, "GATHER") == GATHER_ON
                            ? entry / vkz_ref_dim(ref, "topk")
                            : p;
    return entry < 0 ? NULL : vkz_ref_in(ref, "x") + row * vkz_ref_dim(ref, "k");
}

static void reference_tn(struct vkz_ref *ref, int64_t unit)
{
    const int64_t n = vkz_ref_dim(ref, "n"), k = vkz_ref_dim(ref, "k");
    const int32_t *start = vkz_ref_in_int(ref, "start") + unit / n;
    const float *dy = vkz_ref_in(ref, "dy") + unit % n;
    double *dw = vkz_ref_out(ref, "dw"), *scale = vkz_ref_scale(ref, "dw");
    real *sum = vkz_ref_temp(ref, (size_t)k * sizeof(real));
    real *magnitude = vkz_ref_temp(ref, (size_t)k * sizeof(real));
    for (int64_t p = start[0]; p < start[1]; p++) {
        const float *x = row_of_x(ref, p);
        for (int64_t l = 0; x != NULL && l < k; l++) {
            const real term = (real)dy[p * n] * (real)x[l];
            sum[l] += term;
            magnitude[l] += fabs(term);
        }
    }
    for (int64_t l = 0; l < k; l++) {
        dw[l] = (double)sum[l];
        scale[l] = (double)magnitude[l];
    }
}

static void swiglu(int64_t n, const real *sum, const real *magnitude, double *out,
                   double *scale)
{
    for (int64_t j = 0; j < n; j++) {
        const real gate = product_silu(sum[j]);
        out[j] = (double)(gate * sum[n + j]);
        scale[j] = (double)(magnitude[j] * fabs(sum[n + j]) +
                            fabs(gate) * magnitude[n + j]);
    }
}

static void reference(struct vkz_ref *ref, int64_t p)
{
    const int64_t n = vkz_ref_dim(ref, "n"), k = vkz_ref_dim(ref, "k");
    const int trans = (int)vkz_ref_dim(ref, "TRANS");
    const int epilogue = (int)vkz_ref_dim(ref, "EPILOGUE");
    if (trans == TRANS_TN) {
        reference_tn(ref, p);
        return;
    }
    const float *x = row_of_x(ref, p);
    double *y = vkz_ref_out(ref, "y"), *scale = vkz_ref_scale(ref, "y");
    if (x == NULL) {
        for (int64_t j = 0; j < n; j++) {
            y[j] = 0;
        }
        return;
    }
    const int64_t expert = vkz_ref_in_int(ref, "tile_expert")[p / vkz_ref_dim(ref, "bm")];
    const int64_t columns = epilogue == EPILOGUE_SWIGLU ? 2 * n : n;
    real *sum = vkz_ref_temp(ref, (size_t)columns * sizeof(real));
    real *magnitude = vkz_ref_temp(ref, (size_t)columns * sizeof(real));
    const struct product_row row = {
        .a = x,
        .a_step = 1,
        .b = vkz_ref_in(ref, "w") + expert * columns * k,
        .b_by_column = trans == TRANS_NT,
        .n = columns,
        .k = k,
    };
    product_row_run(&row, sum, magnitude);
    if (epilogue == EPILOGUE_SWIGLU) {
        swiglu(n, sum, magnitude, y, scale);
        return;
    }
    const float *c0 = vkz_ref_in(ref, "c0"), *bias = vkz_ref_in(ref, "bias");
    struct product_epilogue finish = {
        .kind = epilogue,
        .alpha = 1,
        .c0 = c0 != NULL ? c0 + p * n : NULL,
        .bias = bias != NULL ? bias + expert * n : NULL,
        .scale = vkz_ref_in(ref, "scale"),
    };
    if (finish.scale != NULL) {
        finish.scale += epilogue == EPILOGUE_SCALE_ROW ? p : expert * n;
    }
    product_finish(&finish, n, sum, magnitude, y, scale);
}

static const char *product_of(const struct vkz_identity_run *run)
{
    return vkz_identity_dim(run, "TRANS") == TRANS_TN ? "dw" : "y";
}

// Doubling x doubles the sums: exact in binary.
static bool check_double(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, "EPILOGUE=none");
    struct vkz_data *two = vkz_identity_inputs(run, "EPILOGUE=none");
    float *x = vkz_identity_float(run, two, "x");
    for (int64_t i = 0; i < vkz_identity_count(two, "x"); i++) {
        x[i] *= 2;
    }
    const char *name = product_of(run);
    const int64_t count = vkz_identity_count(one, name);
    double *a = vkz_identity_output(run, one, name);
    for (int64_t i = 0; a != NULL && i < count; i++) {
        a[i] *= 2;
    }
    return vkz_identity_equal(run, name, a, vkz_identity_output(run, two, name), count, 2);
}

// Rows gathered as they are loaded, or laid out beforehand.
static bool check_gather(struct vkz_identity_run *run)
{
    const int64_t k = vkz_identity_dim(run, "k"), topk = vkz_identity_dim(run, "topk");
    struct vkz_data *on = vkz_identity_inputs(run, "GATHER=on");
    struct vkz_data *off = vkz_identity_inputs(run, "GATHER=off");
    const float *x = vkz_identity_float(run, on, "x");
    float *xs = vkz_identity_float(run, off, "x");
    const int32_t *src = vkz_identity_int(run, off, "src");
    if (x == NULL || xs == NULL || src == NULL) {
        return false;
    }
    for (int64_t i = 0; i < vkz_identity_count(off, "x"); i++) {
        const int32_t entry = src[i / k];
        xs[i] = entry < 0 ? 3.0f : x[entry / topk * k + i % k];
    }
    const char *name = product_of(run);
    return vkz_identity_equal(run, name, vkz_identity_output(run, on, name),
                              vkz_identity_output(run, off, name),
                              vkz_identity_count(on, name), 2);
}

static const struct vkz_identity identities[] = {
    {"double", "doubling x doubles the product", NULL, check_double},
    {"gather", "gathered rows and rows laid out beforehand agree", NULL, check_gather},
    {0},
};

VKZ_OP(grouped_gemm) = {
    .name = "grouped_gemm",
    .family = "moe",
    .abi = 1,
    .title = "a matrix product per expert over the rows it takes",
    .doc = "y[p] = epilogue(x' W_eᵀ), e the expert of p's tile, x' = x[src[p] / topk]\n"
           "(GATHER=on) or x[p]; rows of padding are 0, whatever the epilogue.\n"
           "TRANS nn: x' W_e. tn: dW_e = Σ_p dy[p] ⊗ x' over the positions of e.\n"
           "EPILOGUE as in gemm, with a bias and a column scale of each expert's own;\n"
           "swiglu: W_e has 2 n rows, gate first: y = silu(x' W_gateᵀ) (x' W_upᵀ).\n"
           "The map is dispatch_map's; its args drive the dispatch over the tiles.\n"
           "\n"
           "MegaBlocks arXiv 2211.15841.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = VKZ_MAP_VALID " && (TRANS == TRANS.nt || EPILOGUE != EPILOGUE.swiglu) && "
                           "(TRANS != TRANS.tn || EPILOGUE == EPILOGUE.none)",
    .valid_reason = VKZ_MAP_VALID_REASON
        "; swiglu takes TRANS=nt, and tn takes EPILOGUE=none",
    .flops = "2 * (" W_ROWS ") * k * rows * topk",
    .bytes = IS_TN " ? T.bytes * (rows * k + rows * topk * n) + 4 * experts * n * k"
             " : T.bytes * (" VKZ_MAP_TAKEN " * (" W_ROWS ") * k + rows *"
             " (GATHER == GATHER.on ? 1 : topk) * k + cap_total * n)",
    .sum_length = "TRANS == TRANS.tn ? rows * topk : k",
    .tolerance = VKZ_TOL_SUM,
    .metric = VKZ_METRIC_FLOPS,
    .units = "TRANS == TRANS.tn ? experts * n : cap_total",
    .sampled = true,
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .bitwise = true,
};
