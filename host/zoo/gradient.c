// SPDX-License-Identifier: MIT
// Running a backward op's forward op on the same numbers. See zoo/gradient.h.
#include "zoo/gradient.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zoo/fill.h"
#include "zoo/reference.h"
#include "zoo/settings.h"

static const struct vkz_op *forward_of(const struct vkz_case *c, struct vkz_error *err)
{
    const struct vkz_op *op = c->op->forward ? vkz_op_find(c->op->forward) : NULL;
    if (!op)
        vkz_error_set(err, VKZ_FAILED, "%s: contract: %s",
                      c->id, c->op->forward ? "its forward op is not in this build"
                                            : "it names no forward op");
    return op;
}

// Whether an axis that the backward op does not have switches an output on that it takes
// (LSE=on for a saved lse).
static bool switches_saved(const struct vkz_op *backward, const struct vkz_op *forward,
                           const struct vkz_axis *axis)
{
    if (vkz_axis_value(axis, "on") < 0)
        return false;
    for (const struct vkz_tensor *y = forward->tensors; y->name; y++) {
        if (y->io != VKZ_OUT || !y->when || !strstr(y->when, axis->name))
            continue;
        for (const struct vkz_tensor *x = backward->tensors; x->name; x++) {
            if (x->fill && strcmp(x->fill, "forward") == 0 && strcmp(x->name, y->name) == 0)
                return true;
        }
    }
    return false;
}

// The same dims, scalars and axes; what the backward op does not have keeps its default,
// but for what switches an output on that it takes.
static enum vkz_status forward_case(const struct vkz_case *c, struct vkz_case *out,
                                    struct vkz_error *err)
{
    const struct vkz_op *op = forward_of(c, err);
    char text[2048] = "";
    double value;
    if (!op)
        return VKZ_FAILED;
    for (const struct vkz_dim *d = op->dims; d && d->name; d++) {
        if (vkz_env_get(&c->env, d->name, &value))
            vkz_text_append(text, sizeof text, "%s=%.0f ", d->name, value);
    }
    for (const struct vkz_scalar *s = op->scalars; s && s->name; s++) {
        if (vkz_env_get(&c->env, s->name, &value))
            vkz_text_append(text, sizeof text, "%s=%.17g ", s->name, value);
    }
    for (const struct vkz_axis *a = op->axes; a && a->name; a++) {
        if (vkz_env_get(&c->env, a->name, &value))
            vkz_text_append(text, sizeof text, "%s=%.0f ", a->name, value);
        else if (switches_saved(c->op, op, a))
            vkz_text_append(text, sizeof text, "%s=on ", a->name);
    }
    struct vkz_error inner = {VKZ_OK, ""};
    if (vkz_case_parse(op, text, c->seed, out, &inner) != VKZ_OK)
        return vkz_error_set(err, VKZ_FAILED, "%s: its forward case %s%s: %s", c->id,
                             c->op->forward, text, inner.message);
    return VKZ_OK;
}

// The forward op's inputs, with those that `data` has copied from it.
static enum vkz_status forward_data(const struct vkz_data *data,
                                    const struct vkz_case *forward, int threads,
                                    struct vkz_data **out, struct vkz_error *err)
{
    enum vkz_status status = vkz_data_create(forward, data->variant, threads, out, err);
    for (int i = 0; status == VKZ_OK && i < (*out)->array_count; i++) {
        struct vkz_array *to = &(*out)->arrays[i];
        const struct vkz_array *from =
            vkz_data_find((struct vkz_data *)data, to->tensor->name);
        if (!to->wide || !from || !from->wide)
            continue;
        if (from->count != to->count || from->type != to->type)
            return vkz_error_set(err, VKZ_FAILED, "%s: contract: %s is not what it is in %s",
                                 data->c->id, to->tensor->name, forward->id);
        memcpy(to->wide, from->wide, (size_t)to->count * 4);
        vkz_array_round(to);
    }
    return status;
}

static bool wants_forward(const struct vkz_data *data, const struct vkz_array *array)
{
    return array->wide && strcmp(vkz_case_fill(data->c, array->tensor), "forward") == 0;
}

static const double *output_of(const struct vkz_reference *reference, const char *name,
                               int64_t *count)
{
    for (int i = 0; i < reference->output_count; i++) {
        const struct vkz_expected *e = &reference->outputs[i];
        if (strcmp(e->array->tensor->name, name) == 0) {
            *count = reference->unit_count * e->per_unit;
            return e->reference;
        }
    }
    *count = 0;
    return NULL;
}

enum vkz_status vkz_forward_fill(struct vkz_data *data, int threads, struct vkz_error *err)
{
    bool wanted = false;
    for (int i = 0; i < data->array_count; i++)
        wanted = wanted || wants_forward(data, &data->arrays[i]);
    if (!wanted)
        return VKZ_OK;
    struct vkz_case forward;
    struct vkz_data *inputs = NULL;
    struct vkz_reference *reference = NULL;
    enum vkz_status status = forward_case(data->c, &forward, err);
    if (status == VKZ_OK)
        status = forward_data(data, &forward, threads, &inputs, err);
    if (status == VKZ_OK)
        status = vkz_reference_create_only(inputs, 0, threads, &reference, err);
    for (int i = 0; status == VKZ_OK && i < data->array_count; i++) {
        struct vkz_array *array = &data->arrays[i];
        int64_t count;
        if (!wants_forward(data, array))
            continue;
        const double *y = output_of(reference, array->tensor->name, &count);
        if (count != array->count) {
            status = vkz_error_set(err, VKZ_FAILED,
                                   "%s: contract: %s has no output %s of that shape",
                                   data->c->id, forward.id, array->tensor->name);
            break;
        }
        for (int64_t j = 0; j < count; j++) {
            if (vkz_type_is_float(array->type))
                ((float *)array->wide)[j] = (float)y[j];
            else
                ((int32_t *)array->wide)[j] = (int32_t)y[j];
        }
        vkz_array_round(array);
    }
    vkz_reference_destroy(&reference);
    vkz_data_destroy(&inputs);
    return status;
}

// ---- Finite differences ----

// Of input x the gradient is "dx", or "dx_" where "dx" is the name of a dim.
static const double *gradient_of(const struct vkz_reference *reference, const char *name,
                                 int64_t *count)
{
    char gradient[80];
    snprintf(gradient, sizeof gradient, "d%s", name);
    const double *d = output_of(reference, gradient, count);
    if (d)
        return d;
    snprintf(gradient, sizeof gradient, "d%s_", name);
    return output_of(reference, gradient, count);
}

// Sum of upstream gradient x output. An output without upstream gradient has no part.
static enum vkz_status loss(const struct vkz_data *backward, struct vkz_data *inputs,
                            int threads, double *out, struct vkz_error *err)
{
    struct vkz_reference *reference = NULL;
    const enum vkz_status status =
        vkz_reference_create_only(inputs, 0, threads, &reference, err);
    *out = 0;
    for (int i = 0; status == VKZ_OK && i < reference->output_count; i++) {
        const struct vkz_expected *e = &reference->outputs[i];
        char upstream[80];
        snprintf(upstream, sizeof upstream, "d%s", e->array->tensor->name);
        const struct vkz_array *dy =
            vkz_data_find((struct vkz_data *)backward, upstream);
        if (!dy || !dy->wide || dy->tensor->io == VKZ_OUT)
            continue;
        for (int64_t j = 0; j < dy->count; j++)
            *out += (double)((const float *)dy->wide)[j] * e->reference[j];
    }
    vkz_reference_destroy(&reference);
    return status;
}

static uint32_t random_word(uint64_t index)
{
    const uint32_t key[2] = {0x67726164u, 0x69656e74u};
    const uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), 0, 0};
    uint32_t out[4];
    vkz_philox(key, counter, out);
    return out[0];
}

// One input along one direction with steps of `step`: what the differences say, less what
// the gradient says; and the sum of |gradient x step|.
static enum vkz_status central(const struct vkz_data *backward, struct vkz_data *inputs,
                               struct vkz_array *x, const double *gradient, double step,
                               uint64_t direction, int threads, double *error,
                               double *magnitude, struct vkz_error *err)
{
    const size_t bytes = (size_t)x->count * sizeof(float);
    float *wide = x->wide, *keep = malloc(bytes ? bytes : 1);
    double high = 0, low = 0;
    if (!keep)
        return vkz_error_set(err, VKZ_FAILED, "out of memory: central differences");
    memcpy(keep, wide, bytes);
    *error = *magnitude = 0;
    enum vkz_status status = VKZ_OK;
    for (int side = 0; side < 2 && status == VKZ_OK; side++) {
        for (int64_t i = 0; i < x->count; i++) {
            const uint32_t word = random_word(direction * (uint64_t)x->count + (uint64_t)i);
            const double way = (word & 3) == 0 ? 0 : (word & 4) ? 1 : -1;
            const double size = step * way * (side == 0 ? 1 : -1);
            wide[i] = (float)((double)keep[i] + size);
            // The step that was really made, after rounding.
            const double made = (double)wide[i] - (double)keep[i];
            *error -= (side == 0 ? 1 : -1) * gradient[i] * made;
            *magnitude += fabs(gradient[i] * made);
        }
        status = loss(backward, inputs, threads, side == 0 ? &high : &low, err);
    }
    *error += high - low;
    memcpy(wide, keep, bytes);
    free(keep);
    return status;
}

static enum vkz_status check_input(const struct vkz_data *backward,
                                   struct vkz_data *inputs, struct vkz_array *x,
                                   const double *gradient, double tolerance, int threads,
                                   struct vkz_error *err)
{
    enum { DIRECTIONS = 3 };
    const double step = 0x1p-9;
    for (uint64_t direction = 0; direction < DIRECTIONS; direction++) {
        double error, wide_error, magnitude, wide_magnitude;
        enum vkz_status status = central(backward, inputs, x, gradient, step, direction,
                                         threads, &error, &magnitude, err);
        if (status == VKZ_OK)
            status = central(backward, inputs, x, gradient, 2 * step, direction, threads,
                             &wide_error, &wide_magnitude, err);
        if (status != VKZ_OK)
            return status;
        // The third derivative's part grows with the cube of the step: take it out.
        const double left = fabs(error - wide_error / 8);
        if (!(left <= tolerance * (magnitude + 1e-6)))
            return vkz_error_set(
                err, VKZ_FAILED,
                "%s: the gradient of %s along direction %d is off by %.3g of %.3g against "
                "central differences of %s",
                backward->c->id, x->tensor->name, (int)direction, left, magnitude,
                inputs->c->op->name);
    }
    return VKZ_OK;
}

enum vkz_status vkz_gradient_check(const struct vkz_case *c, double tolerance, int threads,
                                   struct vkz_error *err)
{
    static const struct vkz_variant f32 = {.name = "f32", .types = "T=f32 C=f32"};
    if (!c->op->forward)
        return VKZ_SKIP;
    struct vkz_case forward;
    struct vkz_data *backward = NULL, *inputs = NULL;
    struct vkz_reference *reference = NULL;
    int checked = 0;
    enum vkz_status status = forward_case(c, &forward, err);
    if (status == VKZ_OK)
        status = vkz_data_create(c, &f32, threads, &backward, err);
    if (status == VKZ_OK)
        status = forward_data(backward, &forward, threads, &inputs, err);
    if (status == VKZ_OK)
        status = vkz_reference_create_only(backward, 0, threads, &reference, err);
    for (int i = 0; status == VKZ_OK && i < inputs->array_count; i++) {
        struct vkz_array *x = &inputs->arrays[i];
        int64_t count;
        if (!x->wide || !vkz_type_is_float(x->type))
            continue;
        const double *gradient = gradient_of(reference, x->tensor->name, &count);
        if (!gradient)
            continue;
        if (count != x->count)
            status = vkz_error_set(err, VKZ_FAILED,
                                   "%s: contract: the gradient of %s has %lld elements",
                                   c->id, x->tensor->name, (long long)count);
        else
            status = check_input(backward, inputs, x, gradient, tolerance, threads, err);
        checked++;
    }
    if (status == VKZ_OK && checked == 0)
        status = vkz_error_set(err, VKZ_FAILED, "%s: contract: no output is a gradient of "
                               "an input of %s", c->id, c->op->forward);
    vkz_reference_destroy(&reference);
    vkz_data_destroy(&inputs);
    vkz_data_destroy(&backward);
    return status;
}
