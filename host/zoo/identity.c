// SPDX-License-Identifier: MIT
// Metamorphic identities: inputs, outputs and comparisons for a contract's checks, and
// the runner on the fp64 reference. See zoo/identity.h.
#include "zoo/identity.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zoo/reference.h"

// What a check has asked for: inputs with their outputs, or temporary values.
struct vkz_identity_item {
    struct vkz_identity_item *next;
    struct vkz_case c;
    struct vkz_data *data;
    bool executed;
    struct vkz_identity_output outputs[VKZ_MAX_TENSORS];
    double *temp;
};

static bool in_trouble(const struct vkz_identity_run *run)
{
    return run->trouble.status != VKZ_OK;
}

static void *trouble(struct vkz_identity_run *run, enum vkz_status status,
                     const char *message)
{
    if (!in_trouble(run))
        vkz_error_set(&run->trouble, status, "%s", message);
    return NULL;
}

static struct vkz_identity_item *new_item(struct vkz_identity_run *run)
{
    struct vkz_identity_item *item = calloc(1, sizeof *item);
    if (!item)
        return trouble(run, VKZ_FAILED, "out of memory");
    item->next = run->items;
    run->items = item;
    return item;
}

static void free_items(struct vkz_identity_run *run)
{
    while (run->items) {
        struct vkz_identity_item *item = run->items;
        run->items = item->next;
        for (int i = 0; i < VKZ_MAX_TENSORS; i++)
            free(item->outputs[i].values);
        vkz_data_destroy(&item->data);
        free(item->temp);
        free(item);
    }
}

static struct vkz_identity_item *item_of(struct vkz_identity_run *run,
                                         const struct vkz_data *data)
{
    for (struct vkz_identity_item *item = run->items; item; item = item->next) {
        if (item->data == data)
            return item;
    }
    assert(!"inputs that do not come from vkz_identity_inputs()");
    return NULL;
}

double vkz_identity_value(const struct vkz_identity_run *run, const char *name)
{
    double value = NAN;
    const bool known = vkz_env_get(&run->c->env, name, &value);
    assert(known && "an identity asks for a name that its contract does not have");
    (void)known;
    return value;
}

int64_t vkz_identity_dim(const struct vkz_identity_run *run, const char *name)
{
    return (int64_t)vkz_identity_value(run, name);
}

struct vkz_data *vkz_identity_inputs(struct vkz_identity_run *run, const char *settings)
{
    struct vkz_identity_item *item = in_trouble(run) ? NULL : new_item(run);
    struct vkz_error err = {VKZ_OK, ""};
    if (!item)
        return NULL;
    enum vkz_status status =
        vkz_case_with(run->c, settings ? settings : "", &item->c, &err);
    if (status == VKZ_OK)
        status = vkz_data_create(&item->c, run->variant, run->threads, &item->data, &err);
    return status == VKZ_OK ? item->data : trouble(run, status, err.message);
}

static struct vkz_array *find_array(struct vkz_data *data, const char *tensor)
{
    struct vkz_array *array = vkz_data_find(data, tensor);
    assert(array && "an identity asks for a tensor that its contract does not have");
    return array;
}

static void *wide_values(struct vkz_identity_run *run, struct vkz_data *data,
                         const char *tensor, bool as_float)
{
    if (in_trouble(run) || !data)
        return NULL;
    const struct vkz_array *array = find_array(data, tensor);
    const bool is_float =
        array->type == VKZ_F32 || array->type == VKZ_F16 || array->type == VKZ_BF16;
    assert(is_float == as_float && "a float tensor read as integers, or the other way");
    (void)is_float, (void)as_float;
    return array->wide;
}

float *vkz_identity_float(struct vkz_identity_run *run, struct vkz_data *data,
                          const char *tensor)
{
    return wide_values(run, data, tensor, true);
}

int32_t *vkz_identity_int(struct vkz_identity_run *run, struct vkz_data *data,
                          const char *tensor)
{
    return wide_values(run, data, tensor, false);
}

int64_t vkz_identity_count(struct vkz_data *data, const char *tensor)
{
    return data ? find_array(data, tensor)->count : 0;
}

static void execute(struct vkz_identity_run *run, struct vkz_identity_item *item)
{
    struct vkz_data *data = item->data;
    struct vkz_error err = {VKZ_OK, ""};
    for (int i = 0; i < data->array_count; i++) {
        struct vkz_array *array = &data->arrays[i];
        vkz_array_round(array);
        if (array->tensor->io == VKZ_IN || array->count == 0)
            continue;
        item->outputs[i].count = array->count;
        item->outputs[i].values = calloc((size_t)array->count, sizeof(double));
        if (!item->outputs[i].values) {
            trouble(run, VKZ_FAILED, "out of memory");
            return;
        }
    }
    const enum vkz_status status = run->execute(run->context, data, item->outputs, &err);
    if (status != VKZ_OK)
        trouble(run, status, err.message);
    item->executed = true;
}

double *vkz_identity_output(struct vkz_identity_run *run, struct vkz_data *data,
                            const char *tensor)
{
    if (in_trouble(run) || !data)
        return NULL;
    struct vkz_identity_item *item = item_of(run, data);
    if (!item->executed)
        execute(run, item);
    return in_trouble(run)
               ? NULL
               : item->outputs[find_array(data, tensor) - data->arrays].values;
}

double *vkz_identity_temp(struct vkz_identity_run *run, int64_t count)
{
    struct vkz_identity_item *item = in_trouble(run) ? NULL : new_item(run);
    if (!item)
        return NULL;
    item->temp = calloc(count > 0 ? (size_t)count : 1, sizeof *item->temp);
    return item->temp ? item->temp : trouble(run, VKZ_FAILED, "out of memory");
}

// ---- Comparing ----

static double storage_floor(enum vkz_type type)
{
    return type == VKZ_F16 ? 0x1p-9 : type == VKZ_BF16 ? 0x1p-6 : 0; // 2 ulp
}

bool vkz_identity_linear(struct vkz_identity_run *run, const char *const *inputs,
                         const char *const *outputs)
{
    struct vkz_data *one = vkz_identity_inputs(run, NULL);
    struct vkz_data *two = vkz_identity_inputs(run, NULL);
    for (; *inputs; inputs++) {
        float *values = vkz_identity_float(run, two, *inputs);
        for (int64_t i = 0; values && i < vkz_identity_count(two, *inputs); i++)
            values[i] *= 2;
    }
    for (; *outputs; outputs++) {
        const int64_t count = vkz_identity_count(one, *outputs);
        double *a = count > 0 ? vkz_identity_output(run, one, *outputs) : NULL;
        for (int64_t i = 0; a && i < count; i++)
            a[i] *= 2;
        if (count > 0 &&
            !vkz_identity_equal(run, *outputs, a, vkz_identity_output(run, two, *outputs),
                                count, 2))
            return false;
    }
    return run->trouble.status == VKZ_OK;
}

double vkz_identity_tolerance(const struct vkz_case *c, enum vkz_type type)
{
    const double u = 0x1p-24, storage = storage_floor(type);
    double length = 1;
    vkz_expr_eval(c->op->sum_length, &c->env, &length, NULL);
    length = fmax(length, 1);
    const double sum = storage + 4 * u * sqrt(length);
    switch (c->op->tolerance) {
    case VKZ_TOL_EXACT:
    case VKZ_TOL_TOPK:
        return 0;
    case VKZ_TOL_ELEM:
        return storage + 8 * u;
    case VKZ_TOL_SUM:
        return sum;
    case VKZ_TOL_ATTN:
        return storage + 1e-6;
    case VKZ_TOL_REC:
        return storage + 1e-6 * sqrt(length / 64 + 1);
    case VKZ_TOL_GRAD:
        return 4 * sum;
    }
    return 0;
}

// The largest magnitude behind a tensor over everything this check has executed.
static double magnitude(const struct vkz_identity_run *run, const char *tensor,
                        enum vkz_type *type)
{
    double scale = 0;
    for (struct vkz_identity_item *item = run->items; item; item = item->next) {
        if (!item->data || !item->executed)
            continue;
        const struct vkz_array *array = find_array(item->data, tensor);
        *type = array->type;
        scale = fmax(scale, item->outputs[array - item->data->arrays].scale);
    }
    return scale;
}

bool vkz_identity_equal(struct vkz_identity_run *run, const char *tensor, const double *a,
                        const double *b, int64_t count, double factor)
{
    if (in_trouble(run) || !a || !b)
        return false;
    enum vkz_type type = VKZ_F32;
    double scale = magnitude(run, tensor, &type);
    for (int64_t i = 0; i < count; i++) {
        scale = isfinite(a[i]) ? fmax(scale, fabs(a[i])) : scale;
        scale = isfinite(b[i]) ? fmax(scale, fabs(b[i])) : scale;
    }
    const bool exact = type != VKZ_F32 && type != VKZ_F16 && type != VKZ_BF16;
    const double allowed =
        exact ? 0 : factor * scale * vkz_identity_tolerance(run->c, type);
    int64_t worst = -1;
    double worst_difference = allowed;
    for (int64_t i = 0; i < count; i++) {
        if (a[i] == b[i] || (isnan(a[i]) && isnan(b[i])))
            continue;
        const double difference = fabs(a[i] - b[i]);
        if (!(difference <= worst_difference) && !isnan(worst_difference)) {
            worst = i;
            worst_difference = difference;
        }
    }
    if (worst < 0)
        return true;
    snprintf(run->message, sizeof run->message,
             "%s[%lld] is %.9g on one side and %.9g on the other; %.3g is allowed",
             tensor, (long long)worst, a[worst], b[worst], allowed);
    return false;
}

// ---- Running ----

enum vkz_status vkz_identity_check(const struct vkz_identity *identity,
                                   struct vkz_identity_run *run, bool *violated,
                                   struct vkz_error *err)
{
    double applies = 1;
    struct vkz_error inner = {VKZ_OK, ""};
    if (violated)
        *violated = false;
    const enum vkz_status status =
        vkz_expr_eval(identity->when, &run->c->env, &applies, &inner);
    if (status != VKZ_OK)
        return vkz_error_set(err, status, "op %s: identity %s: when: %s",
                             run->c->op->name, identity->name, inner.message);
    if (applies == 0)
        return vkz_error_set(err, VKZ_SKIP, "identity %s does not apply: %s",
                             identity->name, identity->when);
    run->trouble = (struct vkz_error){VKZ_OK, ""};
    run->message[0] = '\0';
    const bool holds = identity->check(run);
    free_items(run);
    if (in_trouble(run))
        return vkz_error_set(err, run->trouble.status, "%s: identity %s: %s", run->c->id,
                             identity->name, run->trouble.message);
    if (holds)
        return VKZ_OK;
    if (violated)
        *violated = true;
    return vkz_error_set(err, VKZ_FAILED, "%s: identity %s is violated (%s): %s",
                         run->c->id, identity->name, identity->doc, run->message);
}

static enum vkz_status
execute_reference(void *context, const struct vkz_data *data,
                  struct vkz_identity_output outputs[VKZ_MAX_TENSORS],
                  struct vkz_error *err)
{
    const int *threads = context;
    struct vkz_reference *r;
    const enum vkz_status status = vkz_reference_create_only(data, 0, *threads, &r, err);
    if (status != VKZ_OK)
        return status;
    for (int o = 0; o < r->output_count; o++) {
        const struct vkz_expected *e = &r->outputs[o];
        struct vkz_identity_output *out = &outputs[e->array - data->arrays];
        memcpy(out->values, e->reference, (size_t)out->count * sizeof *out->values);
        for (int64_t i = 0; i < out->count; i++) {
            if (isfinite(e->scale[i]))
                out->scale = fmax(out->scale, e->scale[i]);
        }
    }
    vkz_reference_destroy(&r);
    return VKZ_OK;
}

enum vkz_status vkz_identities_check_reference(const struct vkz_case *c,
                                               const struct vkz_variant *variant,
                                               int threads, struct vkz_error *err)
{
    struct vkz_identity_run run = {
        .c = c,
        .variant = variant,
        .threads = threads,
        .execute = execute_reference,
        .context = &threads,
    };
    for (const struct vkz_identity *i = c->op->identities; i && i->name; i++) {
        struct vkz_error inner = {VKZ_OK, ""};
        const enum vkz_status status = vkz_identity_check(i, &run, NULL, &inner);
        if (status != VKZ_OK && status != VKZ_SKIP)
            return vkz_error_set(err, status, "%s", inner.message);
    }
    return VKZ_OK;
}
