// SPDX-License-Identifier: MIT
// An identity's executions as trials: derived cases get their own plan and buffers.
#include "bench/device_identity.h"

#include <stdio.h>
#include <stdlib.h>

#include "zoo/identity.h"

static enum vkz_status read_outputs(struct vkz_trial *trial, const struct vkz_data *data,
                                    struct vkz_identity_output *outputs,
                                    struct vkz_error *err)
{
    for (int i = 0; i < data->array_count; i++) {
        const struct vkz_array *array = &data->arrays[i];
        const int bind = vkz_trial_bind(trial, array->tensor->name);
        if (array->tensor->io == VKZ_IN || array->count == 0 || bind < 0)
            continue;
        void *raw = malloc(vkz_plan_buffer_bytes(trial->plan, bind));
        double *values = malloc((size_t)array->count * sizeof *values);
        enum vkz_status status =
            raw && values ? vkz_trial_read(trial, 0, bind, raw, err)
                          : vkz_error_set(err, VKZ_FAILED, "out of host memory");
        for (int64_t j = 0; status == VKZ_OK && j < array->count; j++)
            values[j] = vkz_storage_get(array->type, raw, j);
        free(raw);
        if (status != VKZ_OK) {
            free(values);
            return status;
        }
        outputs[i] = (struct vkz_identity_output){.values = values, .count = array->count};
    }
    return VKZ_OK;
}

static enum vkz_status execute(void *context, const struct vkz_data *data,
                               struct vkz_identity_output outputs[VKZ_MAX_TENSORS],
                               struct vkz_error *err)
{
    const struct vkz_device_identity_params *params = context;
    struct vkz_trial_params derived = *params->trial;
    struct vkz_trial *trial = NULL;
    derived.c = data->c;
    // The trial only reads the arrays; the identity keeps them.
    derived.data = (struct vkz_data *)data;
    enum vkz_status status = vkz_trial_create(&derived, &trial, err);
    if (status == VKZ_OK)
        status = vkz_trial_run(trial, 0, params->batch, err);
    if (status == VKZ_OK)
        status = read_outputs(trial, data, outputs, err);
    vkz_trial_destroy(&trial);
    return status;
}

enum vkz_status vkz_device_identities(const struct vkz_device_identity_params *params,
                                      const struct vkz_case *c, int *held, char found[400],
                                      struct vkz_error *err)
{
    *held = 0;
    found[0] = '\0';
    for (const struct vkz_identity *i = c->op->identities; i && i->name; i++) {
        struct vkz_identity_run run = {.c = c,
                                       .variant = params->trial->variant,
                                       .execute = execute,
                                       .context = (void *)params};
        struct vkz_error trouble = {0};
        bool violated = false;
        enum vkz_status status = vkz_identity_check(i, &run, &violated, &trouble);
        if (violated) {
            snprintf(found, 400, "%.390s", trouble.message);
            return VKZ_OK;
        }
        if (status != VKZ_OK && status != VKZ_SKIP)
            return vkz_error_set(err, status, "identity %s: %s", i->name, trouble.message);
        *held += status == VKZ_OK;
    }
    return VKZ_OK;
}
