// SPDX-License-Identifier: MIT
// delta_rule: a matrix state that corrects what it knows of a key, contract and
// reference.
#include "ops/linear/delta_tensors.h"

static const struct vkz_dim dims[] = {VKZ_DELTA_DIMS, {0}};
static const struct vkz_scalar scalars[] = {VKZ_STATE_TAU, {0}};
static const struct vkz_axis axes[] = {VKZ_DELTA_AXES, {0}};

static const struct vkz_tensor tensors[] = {
    VKZ_DELTA_INPUTS,
    {"o", VKZ_OUT, "T", "batch, heads, len, v_dim", NULL, NULL, "outputs"},
    {"st", VKZ_OUT, "f32", VKZ_STATE_SHAPE, "FINAL == FINAL.on", NULL, "the last state"},
    {0},
};

static void reference(struct vkz_ref *ref, int64_t unit)
{
    rule_forward(ref, unit, true);
}

// With beta = 0 nothing is written: the state only decays.
static bool check_only_decay(struct vkz_identity_run *run)
{
    struct vkz_data *data =
        vkz_identity_inputs(run, "INIT=on FINAL=on fill.beta=const(0)");
    const int64_t gate = vkz_identity_dim(run, "GATE");
    const int64_t len = vkz_identity_dim(run, "len"), dv = vkz_identity_dim(run, "v_dim");
    const int64_t d = vkz_identity_dim(run, "head_dim");
    const int64_t count = vkz_identity_count(data, "st");
    const float *g = gate != GATE_NONE ? vkz_identity_float(run, data, "g") : NULL;
    const float *s0 = vkz_identity_float(run, data, "s0");
    const double *st = vkz_identity_output(run, data, "st");
    double *expected = vkz_identity_temp(run, count);
    if (s0 == NULL || st == NULL || expected == NULL) {
        return false;
    }
    for (int64_t i = 0; i < count; i++) {
        const int64_t head = i / (d * dv), c = i / dv % d;
        double sum = 0;
        for (int64_t t = 0; t < len && g != NULL; t++) {
            const int64_t at = head * len + t;
            sum += (double)(gate == GATE_VECTOR ? g[at * d + c] : g[at]);
        }
        expected[i] = (double)s0[i] * (double)exp(sum);
    }
    return vkz_identity_equal(run, "st", expected, st, count, 2);
}

// Keys that are columns of the identity: with beta = 1 and no decay a query with the key
// of the token before gives tau times its value, however often the key was written.
static bool check_overwrite(struct vkz_identity_run *run)
{
    static const char settings[] = "GATE=none INIT=off FINAL=off fill.beta=const(1)";
    struct vkz_data *data = vkz_identity_inputs(run, settings);
    const int64_t len = vkz_identity_dim(run, "len"), dv = vkz_identity_dim(run, "v_dim");
    const int64_t d = vkz_identity_dim(run, "head_dim");
    const double tau = vkz_identity_value(run, "tau");
    float *q = vkz_identity_float(run, data, "q");
    float *k = vkz_identity_float(run, data, "k");
    const float *v = vkz_identity_float(run, data, "v");
    const int64_t keys = vkz_identity_count(data, "k");
    const int64_t count = vkz_identity_count(data, "o");
    double *expected = vkz_identity_temp(run, count);
    if (q == NULL || k == NULL || v == NULL || expected == NULL) {
        return false;
    }
    for (int64_t i = 0; i < keys; i++) {
        const int64_t t = i / d % len, c = i % d;
        k[i] = c == t % d;
        q[i] = c == (t > 0 ? t - 1 : t) % d;
    }
    for (int64_t i = 0; i < count; i++) {
        const int64_t t = i / dv % len;
        expected[i] = tau * (double)v[t > 0 ? i - dv : i];
    }
    return vkz_identity_equal(run, "o", expected, vkz_identity_output(run, data, "o"),
                              count, 2);
}

static bool same_outputs(struct vkz_identity_run *run, struct vkz_data *one,
                         struct vkz_data *two)
{
    return vkz_identity_equal(run, "o", vkz_identity_output(run, one, "o"),
                              vkz_identity_output(run, two, "o"),
                              vkz_identity_count(one, "o"), 2);
}

static bool check_no_gate(struct vkz_identity_run *run)
{
    return same_outputs(run, vkz_identity_inputs(run, NULL),
                        vkz_identity_inputs(run, "GATE=scalar fill.g=const(0)"));
}

static bool check_equal_columns(struct vkz_identity_run *run)
{
    const int64_t d = vkz_identity_dim(run, "head_dim");
    struct vkz_data *scalar = vkz_identity_inputs(run, NULL);
    struct vkz_data *vector = vkz_identity_inputs(run, "GATE=vector");
    const float *from = vkz_identity_float(run, scalar, "g");
    float *to = vkz_identity_float(run, vector, "g");
    for (int64_t i = 0; from != NULL && to != NULL &&
                        i < vkz_identity_count(vector, "g"); i++) {
        to[i] = from[i / d];
    }
    return same_outputs(run, scalar, vector);
}

static const struct vkz_identity identities[] = {
    RECURRENCE_PREFIX(""),
    RECURRENCE_SPLIT(""),
    RECURRENCE_LINEAR,
    RECURRENCE_RESET(" && GATE != GATE.none"),
    RECURRENCE_COLUMNS,
    {"only_decay", "with beta = 0 the state only decays", NULL, check_only_decay},
    {"overwrite", "orthonormal keys and beta = 1: a query of a key gives its last value",
     "head_dim > 1", check_overwrite},
    {"no_gate", "no gate is a scalar gate of 0", "GATE == GATE.none", check_no_gate},
    {"equal_columns", "a scalar gate is a vector gate of equal columns",
     "GATE == GATE.scalar", check_equal_columns},
    {0},
};

VKZ_OP(delta_rule) = {
    .name = "delta_rule",
    .family = "linear",
    .abi = 1,
    .title = "linear attention that corrects what its state knows of a key",
    .doc = "S <- e^g_t ∘ S;  S <- S + beta_t k_t ⊗ (v_t - Sᵀ k_t);  o_t = tau q_tᵀ S\n"
           "\n" VKZ_DELTA_DOC
           "\n"
           "DeltaNet arXiv 2406.06484; Gated DeltaNet 2412.06464; Kimi Delta Attention\n"
           "2510.26692.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = VKZ_DELTA_VALID,
    .valid_reason = VKZ_DELTA_VALID_REASON,
    .flops = "7 * batch * heads * len * head_dim * v_dim",
    .sum_length = "len",
    .tolerance = VKZ_TOL_REC,
    .metric = VKZ_METRIC_FLOPS,
    .units = "batch * heads",
    .sampled = true,
    .reference = reference,
    .fill = delta_fill,
    .identities = identities,
    .bitwise = true,
};
