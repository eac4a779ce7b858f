// SPDX-License-Identifier: MIT
// route_topk: which experts a token goes to and with which weights.
#include "ops/moe/route.h"

static const struct vkz_dim dims[] = {ROUTE_DIMS, {0}};

static const struct vkz_scalar scalars[] = {
    ROUTE_SCALAR_SCALE,
    ROUTE_SCALAR_EPS,
    ROUTE_SCALAR_TEMP,
    {"ngroup", "8", "groups of consecutive experts"},
    {"kgroup", "4", "groups kept"},
    {0},
};

static const struct vkz_axis axes[] = {
    ROUTE_AXIS_INPUT,
    ROUTE_AXIS_SCORE,
    ROUTE_AXIS_ORDER,
    ROUTE_AXIS_RENORM,
    {"BIAS", "off on", "bias is added for the choice, not for the weights"},
    {"GROUPS", "off on", "choose among the kgroup best of ngroup groups"},
    ROUTE_AXIS_NOISE,
    {"MASK", "off on", "tokens without their bit in valid get no expert"},
    {"CHOICE", "topk given", "given: the experts are an input"},
    ROUTE_AXIS_SAVE,
    {0},
};

static const struct vkz_tensor tensors[] = {
    ROUTE_INPUTS,
    {"bias", VKZ_IN, "f32", "experts", "BIAS == BIAS.on", "normal(1)", "of the choice"},
    ROUTE_NOISE_INPUTS,
    {"valid", VKZ_IN, "u32", "ceildiv(rows, 32)", "MASK == MASK.on", "op",
     "bit t % 32 of word t / 32: token t is routed"},
    {"given", VKZ_IN, "i32", "rows, topk", "CHOICE == CHOICE.given", "op",
     "experts of a token, -1: none"},
    {"idx", VKZ_OUT, "i32", "rows, topk", "CHOICE == CHOICE.topk", NULL,
     "experts, the best first; -1 in a masked row"},
    {"w", VKZ_OUT, "f32", "rows, topk", NULL, NULL, "their weights"},
    {"score", VKZ_OUT, "f32", "rows, experts", "SAVE == SAVE.on", NULL,
     "scores of all experts, without the bias"},
    {0},
};

// logits: what sorts badly. Equal ones, zeros of both signs, columns of -inf, ±80.
static void fill(struct vkz_fill *fill, const char *tensor)
{
    static const float hard[] = {0.0f, -0.0f, 1.0f, 1.0f, -2.5f, 80.0f, -80.0f, 79.5f};
    const int64_t count = vkz_fill_count(fill);
    const int64_t experts = (int64_t)vkz_fill_value(fill, "experts");
    const int64_t topk = (int64_t)vkz_fill_value(fill, "topk");
    for (int64_t i = 0; i < count; i++) {
        const double u = vkz_fill_uniform(fill, (uint64_t)i);
        if (tensor[0] == 'l') {
            const int pick = (int)(u * 16);
            vkz_fill_float(fill)[i] =
                i % experts % 5 == 3 ? -INFINITY
                : pick < 8           ? hard[pick]
                                     : (float)vkz_fill_normal(fill, (uint64_t)i);
        } else if (tensor[0] == 'v') {
            vkz_fill_int(fill)[i] = (int32_t)((uint32_t)(u * 0x1p32) | 0x00010100u);
        } else {
            // Different experts in a row: a stride that leaves none out.
            const double first = vkz_fill_uniform(fill, (uint64_t)(i - i % topk));
            const int64_t expert =
                ((int64_t)(first * (double)experts) + i % topk) % experts;
            vkz_fill_int(fill)[i] = u < 0.1 ? -1 : (int32_t)expert;
        }
    }
}

// a ranks before b; NaN ranks as -inf, equal ones by their places.
static bool before(const real *value, int64_t a, int64_t b)
{
    const real x = isnan(value[a]) ? -(real)INFINITY : value[a];
    const real y = isnan(value[b]) ? -(real)INFINITY : value[b];
    return x > y || (x == y && a < b);
}

// The `top` best of n by value among those allowed, in order; then the next one if there
// is one. Returns how many. *gap: the smallest difference between neighbours that are not
// equal.
static int64_t best(const real *value, const bool *allowed, int64_t n, int64_t top,
                    int64_t *out, bool order, real *gap)
{
    int64_t count = 0;
    *gap = (real)INFINITY;
    for (; count <= top; count++) {
        int64_t next = -1;
        for (int64_t i = 0; i < n; i++) {
            bool taken = !allowed[i];
            for (int64_t j = 0; j < count; j++) {
                taken = taken || out[j] == i;
            }
            if (!taken && (next < 0 || before(value, i, next))) {
                next = i;
            }
        }
        if (next < 0) {
            break;
        }
        out[count] = next;
        if (count > 0 && (order || count == top)) {
            const real d = value[out[count - 1]] - value[next];
            *gap = d > 0 && d < *gap ? d : *gap;
        }
    }
    return count < top ? count : top;
}

static real largest_of(const real *value, int64_t n)
{
    real most = 0;
    for (int64_t i = 0; i < n; i++) {
        most = isfinite(value[i]) && fabs(value[i]) > most ? fabs(value[i]) : most;
    }
    return most;
}

// Leaves the experts of the kgroup best groups allowed. `value` is what is added up.
static void limit_groups(struct vkz_ref *ref, const real *value, real error,
                         bool *allowed)
{
    const int64_t experts = vkz_ref_dim(ref, "experts");
    const int64_t ngroup = vkz_ref_dim(ref, "ngroup");
    const int64_t kgroup = vkz_ref_dim(ref, "kgroup");
    const int64_t size = experts / ngroup;
    real *score = vkz_ref_temp(ref, (size_t)ngroup * sizeof *score);
    bool *all = vkz_ref_temp(ref, (size_t)ngroup * sizeof *all);
    int64_t *kept = vkz_ref_temp(ref, (size_t)(kgroup + 1) * sizeof *kept);
    real gap = 0;
    for (int64_t g = 0; g < ngroup; g++) {
        real first = -(real)INFINITY, second = -(real)INFINITY;
        for (int64_t i = g * size; i < (g + 1) * size; i++) {
            const real v = isnan(value[i]) ? -(real)INFINITY : value[i];
            second = v > first ? first : v > second ? v : second;
            first = v > first ? v : first;
        }
        score[g] = size > 1 ? first + second : first;
        all[g] = true;
    }
    best(score, all, ngroup, kgroup, kept, false, &gap);
    if (gap < 4 * (real)0x1p-24 * largest_of(score, ngroup) + error) {
        vkz_ref_ambiguous(ref);
    }
    for (int64_t i = 0; i < experts; i++) {
        allowed[i] = false;
        for (int64_t j = 0; j < kgroup; j++) {
            allowed[i] = allowed[i] || kept[j] == i / size;
        }
    }
}

static void choose(struct vkz_ref *ref, const struct route_row *r, int64_t *chosen)
{
    const int64_t experts = r->experts, topk = vkz_ref_dim(ref, "topk");
    const bool soft = r->score == ROUTE_SOFTMAX || r->score == ROUTE_COSINE;
    const float *bias = vkz_ref_in(ref, "bias");
    const size_t size = (size_t)experts * sizeof(real);
    real *value = vkz_ref_temp(ref, size), *group_value = vkz_ref_temp(ref, size);
    bool *allowed = vkz_ref_temp(ref, (size_t)experts * sizeof *allowed);
    for (int64_t i = 0; i < experts; i++) {
        allowed[i] = true;
        value[i] = bias == NULL ? r->l[i] : (soft ? r->l[i] : r->s[i]) + (real)bias[i];
        group_value[i] = bias != NULL ? value[i]
                         : soft       ? exp(r->l[i] - r->largest)
                                      : r->s[i];
    }
    const real length = sqrt((real)vkz_ref_dim(ref, "width"));
    const real error = 4 * (real)0x1p-24 * length * r->largest_magnitude;
    if (vkz_ref_dim(ref, "GROUPS") != 0) {
        limit_groups(ref, group_value, error, allowed);
    }
    real gap = 0;
    best(value, allowed, experts, topk, chosen, true, &gap);
    // Logits that are inputs are compared as they are.
    const real rounding =
        bias != NULL ? 4 * (real)0x1p-24 * largest_of(value, experts) : (real)0;
    if (gap < rounding + error) {
        vkz_ref_ambiguous(ref);
    }
}

static void weigh(struct vkz_ref *ref, const struct route_row *r, const int64_t *chosen)
{
    const int64_t topk = vkz_ref_dim(ref, "topk");
    const bool after = vkz_ref_dim(ref, "ORDER") == ROUTE_TOPK_THEN_SOFTMAX;
    const real scale = (real)vkz_ref_value(ref, "scale");
    const real eps = (real)vkz_ref_value(ref, "eps");
    double *w = vkz_ref_out(ref, "w"), *w_scale = vkz_ref_scale(ref, "w");
    real *weight = vkz_ref_temp(ref, (size_t)topk * sizeof *weight);
    real most = (real)-3.0e38, sum = 0;
    for (int64_t t = 0; t < topk; t++) {
        most = chosen[t] >= 0 && r->l[chosen[t]] > most ? r->l[chosen[t]] : most;
    }
    for (int64_t t = 0; t < topk; t++) {
        if (chosen[t] >= 0) {
            weight[t] = after ? exp(r->l[chosen[t]] - most) : r->s[chosen[t]];
            sum += weight[t];
        }
    }
    for (int64_t t = 0; t < topk; t++) {
        if (chosen[t] < 0) {
            w[t] = 0;
            continue;
        }
        if (after) {
            weight[t] /= sum;
        } else if (vkz_ref_dim(ref, "RENORM") != 0) {
            weight[t] /= sum < eps ? eps : sum;
        }
        w[t] = (double)(weight[t] * scale);
        w_scale[t] = route_magnitude(r, chosen[t], (real)w[t]);
    }
}

static void reference(struct vkz_ref *ref, int64_t row)
{
    const int64_t topk = vkz_ref_dim(ref, "topk");
    const int32_t *valid = vkz_ref_in_int(ref, "valid");
    const int32_t *given = vkz_ref_in_int(ref, "given");
    double *idx = vkz_ref_out(ref, "idx"), *score = vkz_ref_out(ref, "score");
    const struct route_row r = route_row(ref, row);
    int64_t *chosen = vkz_ref_temp(ref, (size_t)(topk + 1) * sizeof *chosen);
    const bool masked = valid != NULL && ((uint32_t)valid[row / 32] >> row % 32 & 1) == 0;
    if (!masked && given == NULL) {
        choose(ref, &r, chosen);
    }
    for (int64_t t = 0; t < topk; t++) {
        chosen[t] = masked ? -1 : given != NULL ? given[row * topk + t] : chosen[t];
        if (idx != NULL) {
            idx[t] = (double)chosen[t];
        }
    }
    weigh(ref, &r, chosen);
    for (int64_t i = 0; score != NULL && i < r.experts; i++) {
        score[i] = (double)r.s[i];
        vkz_ref_scale(ref, "score")[i] = route_magnitude(&r, i, r.s[i]);
    }
}

// ---- identities: on logits without ties ----

#define PLAIN "fill.logits=normal(1) fill.x=normal(1) fill.wg=linear_w"

static void reverse(float *values, int64_t outer, int64_t n, int64_t inner)
{
    for (int64_t o = 0; values != NULL && o < outer; o++) {
        for (int64_t i = 0; i < n / 2; i++) {
            for (int64_t c = 0; c < inner; c++) {
                float *a = values + (o * n + i) * inner + c;
                float *b = values + (o * n + n - 1 - i) * inner + c;
                const float keep = *a;
                *a = *b;
                *b = keep;
            }
        }
    }
}

static bool check_permute_tokens(struct vkz_identity_run *run)
{
    const int64_t rows = vkz_identity_dim(run, "rows");
    const int64_t topk = vkz_identity_dim(run, "topk");
    const int64_t experts = vkz_identity_dim(run, "experts");
    struct vkz_data *one = vkz_identity_inputs(run, PLAIN);
    struct vkz_data *two = vkz_identity_inputs(run, PLAIN);
    reverse(vkz_identity_float(run, two, "logits"), 1, rows, experts);
    reverse(vkz_identity_float(run, two, "eps_n"), 1, rows, experts);
    reverse(vkz_identity_float(run, two, "x"), 1, rows, vkz_identity_dim(run, "width"));
    const double *idx = vkz_identity_output(run, two, "idx");
    const double *w = vkz_identity_output(run, two, "w");
    double *idx_back = vkz_identity_temp(run, rows * topk);
    double *w_back = vkz_identity_temp(run, rows * topk);
    if (idx == NULL || w == NULL || idx_back == NULL || w_back == NULL) {
        return false;
    }
    for (int64_t i = 0; i < rows * topk; i++) {
        const int64_t at = (rows - 1 - i / topk) * topk + i % topk;
        idx_back[i] = idx[at];
        w_back[i] = w[at];
    }
    return vkz_identity_equal(run, "idx", vkz_identity_output(run, one, "idx"), idx_back,
                              rows * topk, 1) &&
           vkz_identity_equal(run, "w", vkz_identity_output(run, one, "w"), w_back,
                              rows * topk, 2);
}

static bool check_permute_experts(struct vkz_identity_run *run)
{
    const int64_t rows = vkz_identity_dim(run, "rows");
    const int64_t topk = vkz_identity_dim(run, "topk");
    const int64_t experts = vkz_identity_dim(run, "experts");
    const int64_t width = vkz_identity_dim(run, "width");
    struct vkz_data *one = vkz_identity_inputs(run, PLAIN);
    struct vkz_data *two = vkz_identity_inputs(run, PLAIN);
    reverse(vkz_identity_float(run, two, "logits"), rows, experts, 1);
    reverse(vkz_identity_float(run, two, "eps_n"), rows, experts, 1);
    reverse(vkz_identity_float(run, two, "bias"), 1, experts, 1);
    reverse(vkz_identity_float(run, two, "wg"), 1, experts, width);
    reverse(vkz_identity_float(run, two, "wn"), 1, experts, width);
    double *idx = vkz_identity_output(run, two, "idx");
    for (int64_t i = 0; idx != NULL && i < rows * topk; i++) {
        idx[i] = idx[i] < 0 ? idx[i] : (double)(experts - 1) - idx[i];
    }
    return vkz_identity_equal(run, "idx", vkz_identity_output(run, one, "idx"), idx,
                              rows * topk, 1) &&
           vkz_identity_equal(run, "w", vkz_identity_output(run, one, "w"),
                              vkz_identity_output(run, two, "w"), rows * topk, 2);
}

static bool check_sum(struct vkz_identity_run *run)
{
    const int64_t rows = vkz_identity_dim(run, "rows");
    const int64_t topk = vkz_identity_dim(run, "topk");
    struct vkz_data *data = vkz_identity_inputs(run, PLAIN);
    const double *w = vkz_identity_output(run, data, "w");
    double *sum = vkz_identity_temp(run, rows), *one = vkz_identity_temp(run, rows);
    for (int64_t i = 0; w != NULL && sum != NULL && one != NULL && i < rows * topk; i++) {
        sum[i / topk] += w[i];
        one[i / topk] = vkz_identity_value(run, "scale");
    }
    return vkz_identity_equal(run, "w", sum, one, rows, 8);
}

// The softmax of the chosen is the chosen of the softmax, renormalised.
static bool check_order(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, PLAIN);
    struct vkz_data *two =
        vkz_identity_inputs(run, PLAIN " ORDER=topk_then_softmax RENORM=off");
    const int64_t count = vkz_identity_count(one, "w");
    return vkz_identity_equal(run, "idx", vkz_identity_output(run, one, "idx"),
                              vkz_identity_output(run, two, "idx"), count, 1) &&
           vkz_identity_equal(run, "w", vkz_identity_output(run, one, "w"),
                              vkz_identity_output(run, two, "w"), count, 4);
}

// On logits to which a constant is added exactly.
static bool check_shift(struct vkz_identity_run *run)
{
    struct vkz_data *one = vkz_identity_inputs(run, "fill.logits=dyadic");
    struct vkz_data *two = vkz_identity_inputs(run, "fill.logits=dyadic");
    float *logits = vkz_identity_float(run, two, "logits");
    const int64_t count = vkz_identity_count(one, "w");
    for (int64_t i = 0; i < vkz_identity_count(two, "logits"); i++) {
        logits[i] += 4;
    }
    return vkz_identity_equal(run, "idx", vkz_identity_output(run, one, "idx"),
                              vkz_identity_output(run, two, "idx"), count, 1) &&
           vkz_identity_equal(run, "w", vkz_identity_output(run, one, "w"),
                              vkz_identity_output(run, two, "w"), count, 2);
}

#define CHOOSES "CHOICE == CHOICE.topk"

static const struct vkz_identity identities[] = {
    {"permute_tokens", "the choice for a token does not depend on the others",
     CHOOSES " && MASK == MASK.off", check_permute_tokens},
    {"permute_experts", "experts in another order are chosen under their new numbers",
     CHOOSES, check_permute_experts},
    {"sum", "renormalised weights add up to scale",
     CHOOSES " && RENORM == RENORM.on && MASK == MASK.off && eps < 1e-10", check_sum},
    {"order", "the softmax of the chosen is the renormalised choice of the softmax",
     CHOOSES " && RENORM == RENORM.on && SCORE == SCORE.softmax && eps < 1e-10",
     check_order},
    {"shift", "a constant added to all logits changes nothing",
     CHOOSES " && INPUT == INPUT.logits && SCORE == SCORE.softmax && BIAS == BIAS.off",
     check_shift},
    {0},
};

VKZ_OP(route_topk) = {
    .name = "route_topk",
    .family = "moe",
    .abi = 1,
    .title = "the experts a token goes to, and their weights",
    .doc = "l = logits | x wgᵀ, + eps_n (softplus(x wnᵀ) + 0.01) with NOISE;\n"
           "cosine: l = x̂·ŵg / temp\n"
           "s = softmax(l) | σ(l) | sqrt(softplus(l)) | softmax(l)\n"
           "sel = s + bias, but l + bias where s is a softmax; without a bias l, which\n"
           "ranks as s does\n"
           "GROUPS: of experts/ngroup consecutive experts each; the kgroup with the\n"
           "largest sums of their two largest s (+ bias, or l + bias) stay\n"
           "idx = the topk largest sel, descending, ties to the lower index\n"
           "w = scale s[idx], divided by max(Σ s[idx], eps) with RENORM;\n"
           "topk_then_softmax: w = scale softmax(l[idx])\n"
           "\n"
           "A NaN ranks as -inf, which is chosen last. -0 equals +0. The normaliser never\n"
           "includes the bias. A group of one expert counts that one.\n"
           "Shazeer arXiv 1701.06538, Switch 2101.03961, DeepSeek-V3 2412.19437.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = ROUTE_VALID
        " && ngroup >= 1 && ngroup == floor(ngroup) && kgroup >= 1 && "
        "kgroup == floor(kgroup) && "
        "(GROUPS == GROUPS.off || (kgroup <= ngroup && "
        "experts % ngroup == 0 && topk <= kgroup * (experts / ngroup))) && "
        "(CHOICE == CHOICE.topk || (BIAS == BIAS.off && GROUPS == GROUPS.off))",
    .valid_reason = ROUTE_VALID_REASON
        "; ngroup and kgroup are whole numbers, groups divide the experts and those kept "
        "hold topk; BIAS and GROUPS are for "
        "CHOICE=topk",
    .flops = ROUTE_PRODUCTS " + rows * experts * (topk + 8)",
    .sum_length = "INPUT == INPUT.x ? width + 4 : 4",
    .tolerance = VKZ_TOL_SUM,
    .metric = VKZ_METRIC_BYTES,
    .units = "rows",
    .sampled = true,
    .reference = reference,
    .fill = fill,
    .identities = identities,
    .bitwise = true,
};
