// SPDX-License-Identifier: MIT
// The pass rule of the specifications, element by element, row by row and as a whole.
#include "bench/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zoo/stats.h"
#include "zoo/fill.h"

static const double TINY = 1e-37;

// What a class allows, whatever the naive emulation does.
struct allowance {
    double scale_part; // times s_i
    double ulps;       // units in the last place of the stored value
    double nmse;       // hard gate on the tensor; 0: none
    double relative_rms;
    double max_relative; // hard gate on |y - ref| / s
};

static bool is_16bit(enum vkz_type type)
{
    return type == VKZ_F16 || type == VKZ_BF16;
}

static double attention_nmse(enum vkz_type type)
{
    return type == VKZ_F32 ? 1e-10 : type == VKZ_F16 ? 5e-6 : 5e-5;
}

static struct allowance allow(const struct vkz_trial *trial, enum vkz_type type)
{
    const struct vkz_op *op = trial->c->op;
    const bool half_sums =
        trial->variant->accumulate && strcmp(trial->variant->accumulate, "f16") == 0;
    const double u = half_sums ? 0x1p-11 : 0x1p-24;
    double length = 1;
    vkz_expr_eval(op->sum_length ? op->sum_length : "1", &trial->c->env, &length, NULL);
    const bool narrow = is_16bit(type);
    struct allowance a = {0};
    if (!vkz_type_is_float(type))
        return a;
    switch (op->tolerance) {
    case VKZ_TOL_EXACT:
    case VKZ_TOL_TOPK:
        break;
    case VKZ_TOL_ELEM:
        a = (struct allowance){.scale_part = 8 * u, .max_relative = narrow ? 0 : 1e-5};
        break;
    case VKZ_TOL_SUM:
        a = (struct allowance){.scale_part = 4 * u * sqrt(length),
                               .nmse = narrow || half_sums ? 5e-4 : 1e-9};
        break;
    case VKZ_TOL_ATTN:
        a = (struct allowance){.scale_part = half_sums ? 4 * u * sqrt(length) : 1e-6,
                               .nmse = attention_nmse(half_sums ? VKZ_F16 : type)};
        break;
    case VKZ_TOL_REC:
        a = (struct allowance){.scale_part = 1e-6 * sqrt(length / 64 + 1),
                               .relative_rms = narrow ? 5e-3 : 1e-5};
        break;
    case VKZ_TOL_GRAD:
        a = (struct allowance){.scale_part = 4e-6, .relative_rms = narrow ? 1e-2 : 1e-4};
        break;
    }
    if (narrow && op->tolerance != VKZ_TOL_EXACT)
        a.ulps = op->tolerance == VKZ_TOL_GRAD ? 8 : 2;
    return a;
}

// Spacing of the storage type's values at |x|.
static double ulp(enum vkz_type type, double x)
{
    const int digits = type == VKZ_F16 ? 11 : type == VKZ_BF16 ? 8 : 24;
    const int lowest = type == VKZ_F16 ? -24 : -149;
    int exponent = 0;
    if (x == 0 || !isfinite(x))
        return ldexp(1, lowest);
    frexp(x, &exponent);
    const int place = exponent - digits;
    return ldexp(1, place > lowest ? place : lowest);
}

// Running comparison of one output tensor.
struct comparison {
    const struct vkz_array *array;
    struct allowance allowance;
    double naive_max;
    double max_error;
    double sum_sq, naive_sum_sq, floor_sum_sq; // of errors in units of s
    double sum_diff_sq, sum_ref_sq;            // absolute, for the NMSE
    int64_t n;
    struct {
        int64_t index; // of the row; -1 before the first
        double sum_sq, naive_sum_sq, floor_sum_sq;
        int64_t n;
    } row;
    double worst_row, naive_worst_row; // RMS errors; the former only beyond the floor
    int64_t worst_row_index;
};

static void describe_index(const struct vkz_array *array, int64_t index, char out[96])
{
    int64_t rest = index, at[VKZ_MAX_DIMS];
    for (int d = array->dims - 1; d >= 0; d--) {
        at[d] = rest % array->extents[d];
        rest /= array->extents[d];
    }
    int used = snprintf(out, 96, "%s[", array->tensor->name);
    for (int d = 0; d < array->dims && used < 80; d++)
        used += snprintf(out + used, 96 - (size_t)used, "%s%lld", d ? "," : "",
                         (long long)at[d]);
    snprintf(out + used, 96 - (size_t)used, "]");
}

static bool same_class(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b);
    if (isinf(a) || isinf(b))
        return a == b;
    return true;
}

static void complain(struct vkz_check *check, const struct comparison *cmp, int64_t index,
                     const char *what, double got, double want)
{
    char place[96];
    if (check->why[0])
        return;
    describe_index(cmp->array, index, place);
    snprintf(check->why, sizeof check->why, "%s %s: got %.9g, expected %.9g", place, what, got,
             want);
}

// A row that is within the floor is fine; the rest are held against naive's worst row at the
// end: naive is sometimes lucky in the very row where a kernel is not.
static void row_flush(struct comparison *cmp)
{
    if (cmp->row.n) {
        const double n = (double)cmp->row.n;
        const double error = sqrt(cmp->row.sum_sq / n);
        cmp->naive_worst_row = fmax(cmp->naive_worst_row, sqrt(cmp->row.naive_sum_sq / n));
        if (error > sqrt(cmp->row.floor_sum_sq / n) && error > cmp->worst_row) {
            cmp->worst_row = error;
            cmp->worst_row_index = cmp->row.index;
        }
    }
    cmp->row.n = 0;
    cmp->row.sum_sq = cmp->row.naive_sum_sq = cmp->row.floor_sum_sq = 0;
}

static void compare_element(struct comparison *cmp, struct vkz_check *check, int64_t index,
                            double got, double want, double naive, double scale)
{
    const enum vkz_type type = cmp->array->type;
    const double stored = vkz_type_is_float(type) ? vkz_storage_round(type, want) : want;
    if (!same_class(got, stored)) {
        check->nan_map_equal = false;
        complain(check, cmp, index, "NaN or infinity differs", got, want);
        return;
    }
    if (!isfinite(stored))
        return;
    const double s = fmax(fabs(scale), TINY);
    const double error = fabs(got - want) / s;
    const double naive_error = isfinite(naive) ? fabs(naive - want) / s : 0;
    const double floor =
        cmp->allowance.scale_part + cmp->allowance.ulps * ulp(type, want) / s;
    if (error > fmax(2 * cmp->naive_max, floor))
        complain(check, cmp, index, "is off by more than allowed", got, want);
    if (cmp->allowance.max_relative > 0 && error > cmp->allowance.max_relative)
        complain(check, cmp, index, "is beyond the hard limit", got, want);
    const int64_t last = cmp->array->dims ? cmp->array->extents[cmp->array->dims - 1] : 1;
    if (index / last != cmp->row.index) {
        row_flush(cmp);
        cmp->row.index = index / last;
    }
    cmp->row.n++;
    cmp->row.sum_sq += error * error;
    cmp->row.naive_sum_sq += naive_error * naive_error;
    cmp->row.floor_sum_sq += floor * floor;
    cmp->n++;
    cmp->max_error = fmax(cmp->max_error, error);
    cmp->sum_sq += error * error;
    cmp->naive_sum_sq += naive_error * naive_error;
    cmp->floor_sum_sq += floor * floor;
    cmp->sum_diff_sq += (got - want) * (got - want);
    cmp->sum_ref_sq += want * want;
}

static double naive_max_error(const struct vkz_reference *reference,
                              const struct vkz_expected *e)
{
    double worst = 0;
    if (!vkz_type_is_float(e->array->type))
        return 0; // an integer is right or wrong
    for (int64_t i = 0; i < reference->unit_count * e->per_unit; i++) {
        if (!reference->ambiguous[i / e->per_unit] && isfinite(e->reference[i]) &&
            isfinite(e->naive[i]))
            worst = fmax(worst, fabs(e->naive[i] - e->reference[i]) /
                                    fmax(fabs(e->scale[i]), TINY));
    }
    return worst;
}

static void judge_tensor(struct comparison *cmp, struct vkz_check *check)
{
    row_flush(cmp);
    const double n = cmp->n ? (double)cmp->n : 1;
    const double rms = sqrt(cmp->sum_sq / n), naive_rms = sqrt(cmp->naive_sum_sq / n);
    const double allowed = fmax(2 * naive_rms, sqrt(cmp->floor_sum_sq / n));
    const double nmse = cmp->sum_ref_sq > 0 ? cmp->sum_diff_sq / cmp->sum_ref_sq : 0;
    const char *name = cmp->array->tensor->name;
    if (!check->why[0] && rms > allowed)
        snprintf(check->why, sizeof check->why,
                 "%s: RMS error %.3g is above the allowed %.3g (naive: %.3g)", name, rms,
                 allowed, naive_rms);
    // A row of a few elements has no meaningful RMS: the element rule covers it.
    const int64_t last = cmp->array->dims ? cmp->array->extents[cmp->array->dims - 1] : 1;
    if (!check->why[0] && last >= 16 && cmp->worst_row > 2 * cmp->naive_worst_row)
        snprintf(check->why, sizeof check->why,
                 "%s: RMS error of row %lld is %.3g, more than twice naive's worst row's %.3g",
                 name, (long long)cmp->worst_row_index, cmp->worst_row, cmp->naive_worst_row);
    if (!check->why[0] && cmp->allowance.nmse > 0 && nmse > cmp->allowance.nmse)
        snprintf(check->why, sizeof check->why, "%s: NMSE %.3g is above the hard limit %.3g",
                 name, nmse, cmp->allowance.nmse);
    if (!check->why[0] && cmp->allowance.relative_rms > 0 &&
        sqrt(nmse) > cmp->allowance.relative_rms)
        snprintf(check->why, sizeof check->why,
                 "%s: relative RMSE %.3g is above the hard limit %.3g", name, sqrt(nmse),
                 cmp->allowance.relative_rms);
    check->max_error = fmax(check->max_error, cmp->max_error);
    check->naive_max_error = fmax(check->naive_max_error, cmp->naive_max);
    check->rms_error = fmax(check->rms_error, rms);
    check->naive_rms_error = fmax(check->naive_rms_error, naive_rms);
    check->nmse = fmax(check->nmse, nmse);
}

// Elements the reference did not sample: no NaN or infinity may hide among them when the
// sampled part of the tensor has none.
static void scan_rest(struct comparison *cmp, struct vkz_check *check, const void *first)
{
    if (!vkz_type_is_float(cmp->array->type))
        return;
    for (int64_t i = 0; i < cmp->array->count; i++) {
        const double y = vkz_storage_get(cmp->array->type, first, i);
        if (!isfinite(y)) {
            check->nan_map_equal = false;
            complain(check, cmp, i, "(not sampled) is not finite", y, 0);
            return;
        }
    }
}

static void compare_output(const struct vkz_trial *trial,
                           const struct vkz_reference *reference,
                           const struct vkz_expected *e, const void *first,
                           struct vkz_check *check)
{
    struct comparison cmp = {.array = e->array, .row.index = -1};
    cmp.allowance = allow(trial, e->array->type);
    cmp.naive_max = naive_max_error(reference, e);
    bool all_finite = true;
    for (int64_t u = 0; u < reference->unit_count; u++) {
        if (reference->ambiguous[u])
            continue;
        for (int64_t j = 0; j < e->per_unit; j++) {
            const int64_t i = u * e->per_unit + j;
            const int64_t index = reference->unit_index[u] * e->per_unit + j;
            all_finite = all_finite && isfinite(e->reference[i]);
            compare_element(&cmp, check, index,
                            vkz_storage_get(e->array->type, first, index), e->reference[i],
                            e->naive[i], e->scale[i]);
        }
    }
    judge_tensor(&cmp, check);
    if (reference->unit_count < reference->units && all_finite)
        scan_rest(&cmp, check, first);
}

// An element is unwritten when it holds this run's poison in both runs.
static void compare_runs(const struct vkz_trial *trial, const struct vkz_expected *e,
                         const uint8_t *first, const uint8_t *second,
                         struct vkz_check *check)
{
    const uint32_t words[2] = {VKZ_POISON_WORD, VKZ_POISON_WORD_2};
    const uint8_t *p1 = (const uint8_t *)&words[0], *p2 = (const uint8_t *)&words[1];
    const size_t size = vkz_type_size(e->array->type);
    const struct comparison cmp = {.array = e->array};
    for (int64_t i = 0; i < e->array->count; i++) {
        const size_t at = (size_t)i * size;
        bool unwritten = true;
        for (size_t b = 0; b < size && unwritten; b++)
            unwritten = first[at + b] == p1[(at + b) % 4] && second[at + b] == p2[(at + b) % 4];
        if (unwritten) {
            if (check->all_written && !check->why[0]) {
                char place[96];
                describe_index(cmp.array, i, place);
                snprintf(check->why, sizeof check->why, "%s was never written", place);
            }
            check->all_written = false;
            return;
        }
    }
    if (memcmp(first, second, (size_t)e->array->count * size) != 0) {
        check->repeatable = false;
        if (trial->c->op->bitwise && !check->why[0])
            snprintf(check->why, sizeof check->why,
                     "%s differs between two runs on the same inputs (it may read memory "
                     "nothing wrote)",
                     e->array->tensor->name);
    }
}

static enum vkz_status run_and_read(struct vkz_trial *trial,
                                    const struct vkz_reference *reference,
                                    struct vkz_batch *batch, uint32_t poison, void **outputs,
                                    struct vkz_check *check, struct vkz_error *err)
{
    char found[256];
    enum vkz_status status = vkz_trial_reset(trial, 0, poison, err);
    if (status == VKZ_OK)
        status = vkz_trial_run(trial, 0, batch, err);
    if (status == VKZ_OK)
        status = vkz_trial_inspect(trial, 0, found, err);
    if (status != VKZ_OK)
        return status;
    if (found[0]) {
        check->guards_intact = false;
        if (!check->why[0])
            snprintf(check->why, sizeof check->why, "%s", found);
    }
    for (int i = 0; i < reference->output_count; i++) {
        const char *name = reference->outputs[i].array->tensor->name;
        const int bind = vkz_trial_bind(trial, name);
        if (bind < 0)
            return vkz_error_set(err, VKZ_FAILED, "%s has no buffer for the output %s",
                                 trial->kernel->name, name);
        outputs[i] = malloc(vkz_plan_buffer_bytes(trial->plan, bind));
        if (!outputs[i])
            return vkz_error_set(err, VKZ_FAILED, "out of host memory reading %s", name);
        status = vkz_trial_read(trial, 0, bind, outputs[i], err);
        if (status != VKZ_OK)
            return status;
    }
    return VKZ_OK;
}

enum vkz_status vkz_check_run(struct vkz_trial *trial, const struct vkz_reference *reference,
                              struct vkz_batch *batch, struct vkz_check *out,
                              struct vkz_error *err)
{
    void *first[VKZ_MAX_TENSORS] = {0}, *second[VKZ_MAX_TENSORS] = {0};
    *out = (struct vkz_check){
        .all_written = true, .guards_intact = true, .nan_map_equal = true, .repeatable = true,
        .units = reference->unit_count, .units_total = reference->units,
    };
    enum vkz_status status =
        run_and_read(trial, reference, batch, VKZ_POISON_WORD, first, out, err);
    if (status == VKZ_OK)
        status = run_and_read(trial, reference, batch, VKZ_POISON_WORD_2, second, out, err);
    for (int i = 0; i < reference->output_count && status == VKZ_OK; i++) {
        compare_runs(trial, &reference->outputs[i], first[i], second[i], out);
        compare_output(trial, reference, &reference->outputs[i], first[i], out);
    }
    out->passed = !out->why[0];
    for (int i = 0; i < VKZ_MAX_TENSORS; i++) {
        free(first[i]);
        free(second[i]);
    }
    return status;
}

double vkz_check_accuracy(const struct vkz_check *check)
{
    if (check->naive_max_error > 0)
        return check->max_error / check->naive_max_error;
    return check->max_error > 0 ? INFINITY : 1;
}

// Typical magnitude of the case's first float input, as the scale outputs are held against:
// the median, which a few sentinels or spikes do not move.
static double input_scale(const struct vkz_data *data)
{
    enum { LOOKED_AT = 4096 };
    double magnitudes[LOOKED_AT];
    for (int i = 0; i < data->array_count; i++) {
        const struct vkz_array *a = &data->arrays[i];
        int n = 0;
        if (!a->wide || !vkz_type_is_float(a->type))
            continue;
        const float *x = a->wide;
        for (int64_t j = 0; j < a->count && n < LOOKED_AT; j++) {
            if (isfinite(x[j]))
                magnitudes[n++] = fabs((double)x[j]);
        }
        vkz_sort(magnitudes, n);
        return n ? magnitudes[n / 2] : 0;
    }
    return 0;
}

// Most of what is updated in place is not what it was: a reset that leaves zeros says as
// much as any other numbers.
static bool most_changed(const struct vkz_expected *e, int64_t count)
{
    int64_t changed = 0;
    if (e->array->tensor->io != VKZ_INOUT || e->array->count != count ||
        !vkz_type_is_float(e->array->type))
        return false;
    for (int64_t i = 0; i < count; i++)
        changed += e->reference[i] != (double)((const float *)e->array->wide)[i];
    return 2 * changed > count;
}

static bool output_mistrusted(const struct vkz_expected *e, int64_t count, double scale,
                              char why[160])
{
    const char *name = e->array->tensor->name;
    double sum = 0, sum_sq = 0;
    int64_t zeros = 0, finite = 0;
    for (int64_t i = 0; i < count; i++) {
        const double y = e->reference[i];
        if (isfinite(y) && vkz_type_is_float(e->array->type) &&
            isinf(vkz_storage_round(e->array->type, y))) {
            snprintf(why, 160, "%s overflows its storage type", name);
            return true;
        }
        if (!isfinite(y))
            continue;
        finite++;
        zeros += y == 0;
        sum += y;
        sum_sq += y * y;
    }
    if (most_changed(e, count))
        return false;
    // Flags and indices are right or wrong: many zeros among them are no weakness.
    if (finite >= 8 && 2 * zeros > finite && vkz_type_is_float(e->array->type)) {
        snprintf(why, 160, "more than half of %s is zero", name);
        return true;
    }
    const double n = (double)finite;
    const double deviation = sqrt(fmax(0, sum_sq / n - sum / n * (sum / n)));
    if (finite >= 8 && vkz_type_is_float(e->array->type) && deviation < 1e-3 * scale) {
        snprintf(why, 160, "%s is nearly constant (deviation %.2g)", name, deviation);
        return true;
    }
    return false;
}

bool vkz_reference_mistrusted(const struct vkz_reference *reference,
                              const struct vkz_data *data, char why[160])
{
    const double scale = input_scale(data);
    int64_t ambiguous = 0;
    why[0] = '\0';
    for (int64_t u = 0; u < reference->unit_count; u++)
        ambiguous += reference->ambiguous[u];
    if (4 * ambiguous > reference->unit_count) {
        snprintf(why, 160, "%lld of %lld units choose between scores too close to tell",
                 (long long)ambiguous, (long long)reference->unit_count);
        return true;
    }
    for (int i = 0; i < reference->output_count; i++) {
        const struct vkz_expected *e = &reference->outputs[i];
        if (output_mistrusted(e, reference->unit_count * e->per_unit, scale, why))
            return true;
    }
    return false;
}

static bool references_equal(const struct vkz_reference *a, const struct vkz_reference *b)
{
    for (int i = 0; i < a->output_count; i++) {
        const size_t bytes = (size_t)(a->unit_count * a->outputs[i].per_unit) * sizeof(double);
        if (memcmp(a->outputs[i].reference, b->outputs[i].reference, bytes) != 0)
            return false;
    }
    return true;
}

// A few units are enough to see whether an input matters.
static const double REDRAW_FLOPS = 2e5;

enum vkz_status vkz_case_insensitive(const struct vkz_case *c,
                                     const struct vkz_variant *variant, char why[160],
                                     bool *insensitive, struct vkz_error *err)
{
    struct vkz_data *base = NULL, *other = NULL;
    struct vkz_reference *before = NULL;
    struct vkz_case redrawn = *c;
    redrawn.seed = c->seed + 1;
    *insensitive = false;
    why[0] = '\0';
    enum vkz_status status = vkz_data_create(c, variant, 0, &base, err);
    if (status == VKZ_OK)
        status = vkz_data_create(&redrawn, variant, 0, &other, err);
    if (status == VKZ_OK)
        status = vkz_reference_create(base, REDRAW_FLOPS, 0, &before, err);
    for (int i = 0; status == VKZ_OK && i < base->array_count && !*insensitive; i++) {
        struct vkz_array *a = &base->arrays[i], *b = &other->arrays[i];
        const size_t bytes = (size_t)a->count * 4;
        // A fill that is the same for every seed (const, onehot) proves nothing either way.
        if (!a->wide || !vkz_type_is_float(a->type) || memcmp(a->wide, b->wide, bytes) == 0)
            continue;
        // Saved by the forward op: it follows the other inputs, a reference may do without.
        if (strcmp(vkz_case_fill(c, a->tensor), "forward") == 0)
            continue;
        struct vkz_reference *after = NULL;
        void *keep = a->wide;
        a->wide = b->wide;
        status = vkz_reference_create(base, REDRAW_FLOPS, 0, &after, err);
        a->wide = keep;
        if (status == VKZ_OK && references_equal(before, after)) {
            *insensitive = true;
            snprintf(why, 160, "the outputs do not change when %s is redrawn",
                     a->tensor->name);
        }
        vkz_reference_destroy(&after);
    }
    vkz_reference_destroy(&before);
    vkz_data_destroy(&other);
    vkz_data_destroy(&base);
    return status;
}
