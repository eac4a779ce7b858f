// SPDX-License-Identifier: MIT
// A plan's numbers: constants, sizes, group counts, and whether the device can take them.
// No Vulkan object is made here, so a case that cannot run costs nothing.
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/internal.h"

#define COUNT(array, count)                                                              \
    do {                                                                                 \
        count = 0;                                                                       \
        while ((array) && (array)[count].name)                                           \
            count++;                                                                     \
    } while (0)

static const struct vkz_spec *spec_find(const struct vkz_kernel *kernel, const char *name)
{
    for (const struct vkz_spec *spec = kernel->specs; spec && spec->name; spec++)
        if (!strcmp(spec->name, name))
            return spec;
    return NULL;
}

static enum vkz_status skip(const struct vkz_plan *plan, struct vkz_error *err,
                            const char *reason)
{
    return vkz_error_set(err, VKZ_SKIP, "%s.%s %s", plan->kernel->name,
                         plan->variant->name, reason);
}

// Says in which part of the kernel an expression or a value went wrong.
static enum vkz_status wrong(const struct vkz_plan *plan, struct vkz_error *err,
                             enum vkz_status status, const char *part, const char *name,
                             const char *why)
{
    return vkz_error_set(err, status, "%s.%s: %s %s: %s", plan->kernel->name,
                         plan->variant->name, part, name, why);
}

// `values`: names of an axis' values, or NULL.
static enum vkz_status set_name(struct vkz_plan *plan, const char *name, double value,
                                const char *values, struct vkz_error *err)
{
    if (plan->env.count == VKZ_ENV_MAX && !vkz_env_get(&plan->env, name, NULL))
        return vkz_error_set(
            err, VKZ_BAD_INPUT,
            "%s: more than %d names of case, constants and lets together",
            plan->kernel->name, VKZ_ENV_MAX);
    if (values)
        vkz_env_set_axis(&plan->env, name, (int)value, values);
    else
        vkz_env_set(&plan->env, name, value);
    return VKZ_OK;
}

static enum vkz_status evaluate(const struct vkz_plan *plan, const char *part,
                                const char *name, const char *text, double *value,
                                struct vkz_error *err)
{
    struct vkz_error inner = {0};
    const enum vkz_status status = vkz_expr_eval(text, &plan->env, value, &inner);
    if (status != VKZ_OK)
        return wrong(plan, err, status, part, name, inner.message);
    return VKZ_OK;
}

// One 4-byte word for a constant or push field; false when the value does not fit.
static bool encode(enum vkz_type type, double value, uint32_t *word)
{
    if (type == VKZ_F32) {
        const float narrow = (float)value;
        memcpy(word, &narrow, sizeof *word);
        return true;
    }
    if (value != floor(value))
        return false;
    if (type == VKZ_I32 && value >= INT32_MIN && value <= INT32_MAX) {
        *word = (uint32_t)(int32_t)value;
        return true;
    }
    if (type == VKZ_U32 && value >= 0 && value <= UINT32_MAX) {
        *word = (uint32_t)value;
        return true;
    }
    return false;
}

static enum vkz_status encode_field(const struct vkz_plan *plan, const char *part,
                                    const char *name, enum vkz_type type, double value,
                                    uint32_t *word, struct vkz_error *err)
{
    if (encode(type, value, word))
        return VKZ_OK;
    char why[96];
    snprintf(why, sizeof why, "%.10g does not fit into %s", value, vkz_type_name(type));
    // A dimension beyond 32 bits is the case's doing, anything else the kernel author's.
    const bool large = value == floor(value) && value > UINT32_MAX;
    return wrong(plan, err, large ? VKZ_SKIP : VKZ_BAD_INPUT, part, name, why);
}

// ---- tuning ---------------------------------------------------------------------------

// Finds `name` in "WG_SIZE=8 TILE_M=16" (spaces or commas between); NULL when absent.
static const char *tuning_find(const char *tuning, const char *name, size_t *length)
{
    const size_t size = strlen(name);
    for (const char *at = tuning ? tuning : ""; *at;) {
        at += strspn(at, " ,");
        const size_t word = strcspn(at, " ,");
        if (word > size && at[size] == '=' && !strncmp(at, name, size)) {
            *length = word - size - 1;
            return at + size + 1;
        }
        at += word;
    }
    return NULL;
}

// Every setting must name a constant that a tuning may set, once.
static enum vkz_status tuning_check(const struct vkz_plan *plan, const char *tuning,
                                    struct vkz_error *err)
{
    for (const char *at = tuning ? tuning : ""; *at;) {
        at += strspn(at, " ,");
        const size_t word = strcspn(at, " ,");
        const size_t length = strcspn(at, "= ,");
        if (!word)
            break;
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)length, at);
        if (length == word || !spec_find(plan->kernel, name))
            return wrong(plan, err, VKZ_BAD_INPUT, "tuning", name,
                         "no constant of the kernel, or no =value after it");
        size_t unused;
        if (vkz_env_get(&plan->env, name, NULL))
            return wrong(plan, err, VKZ_BAD_INPUT, "tuning", name,
                         "the case or the device sets this constant");
        if (tuning_find(at + word, name, &unused))
            return wrong(plan, err, VKZ_BAD_INPUT, "tuning", name, "given twice");
        at += word;
    }
    return VKZ_OK;
}

static enum vkz_status tuning_value(const struct vkz_plan *plan, const char *name,
                                    const char *text, size_t length, double *value,
                                    struct vkz_error *err)
{
    char number[64];
    snprintf(number, sizeof number, "%.*s", (int)length, text);
    return evaluate(plan, "tuning", name, number, value, err);
}

// ---- names ----------------------------------------------------------------------------

static enum vkz_status resolve_coopmat(struct vkz_plan *plan, uint32_t index,
                                       struct vkz_error *err)
{
    const struct vkz_gpu_info *info = &plan->gpu->info;
    const char *types = plan->variant->coopmat;
    if (!types)
        return VKZ_OK;
    const struct vkz_coopmat_shape *shape = vkz_gpu_coopmat(info, types, index);
    if (shape) {
        vkz_env_set(&plan->env, "CM_M", shape->m);
        vkz_env_set(&plan->env, "CM_N", shape->n);
        vkz_env_set(&plan->env, "CM_K", shape->k);
        return VKZ_OK;
    }
    uint32_t seen = 0;
    while (vkz_gpu_coopmat(info, types, seen))
        seen++;
    char reason[128];
    snprintf(
        reason, sizeof reason,
        "needs cooperative matrix %s number %u at subgroup scope; the device lists %u",
        types, index, seen);
    return skip(plan, err, reason);
}

static enum vkz_status resolve_case(struct vkz_plan *plan,
                                    const struct vkz_plan_params *params,
                                    struct vkz_error *err)
{
    enum vkz_status status = VKZ_OK;
    vkz_gpu_env(plan->gpu, &plan->env);
    if (params->subgroup_size)
        vkz_env_set(&plan->env, "subgroup_size", params->subgroup_size);
    for (int i = 0; params->env && i < params->env->count && status == VKZ_OK; i++)
        status = set_name(plan, params->env->vars[i].name, params->env->vars[i].value,
                          params->env->vars[i].values, err);
    return status;
}

// The value of one constant: the case's or the device's when they know the name, else the
// tuning's, else its own expression's, else its default.
static enum vkz_status spec_value(const struct vkz_plan *plan,
                                  const struct vkz_spec *spec, const char *tuning,
                                  double *value, struct vkz_error *err)
{
    const bool shape = !strncmp(spec->name, "CM_", 3);
    size_t length;
    const char *text = tuning_find(tuning, spec->name, &length);
    // A variant without a cooperative matrix has CM_M = 0, which no constant may be.
    if (vkz_env_get(&plan->env, spec->name, value) && (!shape || *value > 0))
        return VKZ_OK;
    if (text)
        return tuning_value(plan, spec->name, text, length, value, err);
    *value = spec->default_value;
    if (spec->value)
        return evaluate(plan, "constant", spec->name, spec->value, value, err);
    return VKZ_OK;
}

static enum vkz_status resolve_specs(struct vkz_plan *plan, const char *tuning,
                                     struct vkz_error *err)
{
    enum vkz_status status = tuning_check(plan, tuning, err);
    COUNT(plan->kernel->specs, plan->constant_count);
    plan->constants = calloc((size_t)plan->constant_count + 1, sizeof *plan->constants);
    plan->entries = calloc((size_t)plan->constant_count + 1, sizeof *plan->entries);
    if (!plan->constants || !plan->entries)
        return vkz_error_set(err, VKZ_FAILED, "out of memory for a plan");
    for (int i = 0; i < plan->constant_count && status == VKZ_OK; i++) {
        const struct vkz_spec *spec = &plan->kernel->specs[i];
        double value = 0;
        status = spec_value(plan, spec, tuning, &value, err);
        if (status == VKZ_OK)
            status = encode_field(plan, "constant", spec->name, spec->type, value,
                                  &plan->constants[i], err);
        // What the case or the device set stays as it is: an axis knows its values'
        // names. Only CM_M without a cooperative matrix differs from the constant.
        double known;
        if (status == VKZ_OK &&
            (!vkz_env_get(&plan->env, spec->name, &known) || known != value))
            status = set_name(plan, spec->name, value, NULL, err);
        plan->entries[i] = (VkSpecializationMapEntry){
            .constantID = spec->id,
            .offset = (uint32_t)i * 4,
            .size = 4,
        };
    }
    return status;
}

static enum vkz_status resolve_lets(struct vkz_plan *plan, struct vkz_error *err)
{
    enum vkz_status status = VKZ_OK;
    for (const struct vkz_let *let = plan->kernel->lets; let && let->name; let++) {
        double value = 0;
        status = evaluate(plan, "let", let->name, let->value, &value, err);
        if (status == VKZ_OK)
            status = set_name(plan, let->name, value, NULL, err);
        if (status != VKZ_OK)
            break;
    }
    return status;
}

static enum vkz_status write_specialization(struct vkz_plan *plan, struct vkz_error *err)
{
    size_t size = 1, used = 0;
    for (int i = 0; i < plan->constant_count; i++)
        size += strlen(plan->kernel->specs[i].name) + 32;
    plan->specialization = calloc(1, size);
    if (!plan->specialization)
        return vkz_error_set(err, VKZ_FAILED, "out of memory for a plan");
    for (int i = 0; i < plan->constant_count; i++) {
        double value = 0;
        vkz_env_get(&plan->env, plan->kernel->specs[i].name, &value);
        used += (size_t)snprintf(plan->specialization + used, size - used, "%s%s=%.10g",
                                 i ? "," : "", plan->kernel->specs[i].name, value);
    }
    return VKZ_OK;
}

// ---- does the kernel serve the case ---------------------------------------------------

static bool mentions(const char *text, const char *name)
{
    const size_t size = strlen(name);
    for (const char *at = text; at && (at = strstr(at, name)); at++) {
        const char before = at > text ? at[-1] : ' ', after = at[size];
        if (!isalnum((unsigned char)before) && before != '_' && before != '.' &&
            !isalnum((unsigned char)after) && after != '_')
            return true;
    }
    return false;
}

// A kernel that computes with an axis has a constant or push field of its name, or uses
// it in the condition or value of one.
static bool kernel_uses(const struct vkz_kernel *kernel, const char *axis)
{
    if (spec_find(kernel, axis) || mentions(kernel->when, axis))
        return true;
    for (const struct vkz_spec *spec = kernel->specs; spec && spec->name; spec++)
        if (mentions(spec->value, axis))
            return true;
    for (const struct vkz_let *let = kernel->lets; let && let->name; let++)
        if (mentions(let->value, axis))
            return true;
    for (const struct vkz_push *push = kernel->push; push && push->name; push++)
        if (!strcmp(push->name, axis))
            return true;
    return false;
}

// The name of an axis' value 0, for the message.
static void axis_zero(const struct vkz_env *env, const char *axis, char out[64])
{
    const size_t size = strlen(axis);
    snprintf(out, 64, "0");
    for (int i = 0; i < env->count; i++) {
        const char *values = env->vars[i].values;
        if (values && !strcmp(env->vars[i].name, axis))
            snprintf(out, 64, "%.*s", (int)strcspn(values, " "), values);
        else if (!strncmp(env->vars[i].name, axis, size) &&
                 env->vars[i].name[size] == '.' && env->vars[i].value == 0)
            snprintf(out, 64, "%s", env->vars[i].name + size + 1);
    }
}

// Axes are the case's upper-case names. Ignoring one would compute something else, fast.
static enum vkz_status check_axes(const struct vkz_plan *plan,
                                  const struct vkz_env *given, struct vkz_error *err)
{
    struct vkz_env device = {0};
    vkz_gpu_env(plan->gpu, &device);
    for (int i = 0; given && i < given->count; i++) {
        const char *name = given->vars[i].name;
        if (!isupper((unsigned char)name[0]) || strchr(name, '.') ||
            given->vars[i].value == 0 || vkz_env_get(&device, name, NULL) ||
            kernel_uses(plan->kernel, name))
            continue;
        char zero[64], reason[256];
        axis_zero(given, name, zero);
        snprintf(reason, sizeof reason, "has no %s constant: it serves %s=%s only", name,
                 name, zero);
        return skip(plan, err, reason);
    }
    return VKZ_OK;
}

// `early`: before constants are known; a condition that needs them is left for later.
static enum vkz_status check_when(const struct vkz_plan *plan, bool early,
                                  struct vkz_error *err)
{
    const struct vkz_kernel *kernel = plan->kernel;
    struct vkz_error inner = {0};
    double serves = 1;
    const enum vkz_status status =
        vkz_expr_eval(kernel->when, &plan->env, &serves, &inner);
    if (status != VKZ_OK)
        return early ? VKZ_OK
                     : wrong(plan, err, status, "when", kernel->when, inner.message);
    if (serves != 0)
        return VKZ_OK;
    return skip(plan, err, kernel->when_reason ? kernel->when_reason : kernel->when);
}

// ---- buffers, push constants, groups --------------------------------------------------

bool vkz_bind_is_first(const struct vkz_plan *plan, int bind)
{
    for (int i = 0; i < bind; i++)
        if (plan->kernel->binds[i].binding == plan->kernel->binds[bind].binding)
            return false;
    return true;
}

static enum vkz_status bind_bytes(struct vkz_plan *plan, int index, struct vkz_error *err)
{
    const struct vkz_bind *bind = &plan->kernel->binds[index];
    double exists = 1;
    enum vkz_status status = evaluate(plan, "bind", bind->name, bind->when, &exists, err);
    if (status != VKZ_OK || exists == 0)
        return status;
    struct vkz_error inner = {0};
    int64_t extents[VKZ_MAX_DIMS], count = 0;
    int dims = 0;
    status = vkz_shape_eval(bind->shape, &plan->env, extents, &dims, &count, &inner);
    if (status != VKZ_OK)
        return wrong(plan, err, status, "bind", bind->name, inner.message);
    const size_t size = vkz_type_size(vkz_variant_type(plan->variant, bind->type));
    if (!size)
        return wrong(plan, err, VKZ_BAD_INPUT, "bind", bind->name,
                     "its type is no storage type under this variant");
    const uint64_t limit = plan->gpu->info.max_storage_range;
    if ((uint64_t)count > limit / size) {
        char reason[160];
        snprintf(reason, sizeof reason,
                 "needs %.1f MiB in the buffer %s; the device binds at most %.1f MiB",
                 (double)count * (double)size / (1 << 20), bind->name,
                 (double)limit / (1 << 20));
        return skip(plan, err, reason);
    }
    plan->bytes[index] = (size_t)count * size;
    if (bind->io == VKZ_SCRATCH)
        plan->scratch_bytes += plan->bytes[index];
    return VKZ_OK;
}

static enum vkz_status resolve_binds(struct vkz_plan *plan, struct vkz_error *err)
{
    enum vkz_status status = VKZ_OK;
    COUNT(plan->kernel->binds, plan->bind_count);
    plan->bytes = calloc((size_t)plan->bind_count + 1, sizeof *plan->bytes);
    if (!plan->bytes)
        return vkz_error_set(err, VKZ_FAILED, "out of memory for a plan");
    uint32_t distinct = 0;
    for (int i = 0; i < plan->bind_count && status == VKZ_OK; i++) {
        status = bind_bytes(plan, i, err);
        distinct += vkz_bind_is_first(plan, i);
    }
    if (status != VKZ_OK || distinct <= plan->gpu->limits.storage_buffers)
        return status;
    char reason[96];
    snprintf(reason, sizeof reason, "needs %u storage buffers; the device binds %u",
             distinct, plan->gpu->limits.storage_buffers);
    return skip(plan, err, reason);
}

static enum vkz_status resolve_push(struct vkz_plan *plan, struct vkz_error *err)
{
    enum vkz_status status = VKZ_OK;
    int count;
    COUNT(plan->kernel->push, count);
    plan->push_bytes = (uint32_t)count * 4;
    if (plan->push_bytes > plan->gpu->info.max_push_bytes) {
        char reason[96];
        snprintf(reason, sizeof reason,
                 "needs %u bytes of push constants; the device has %u", plan->push_bytes,
                 plan->gpu->info.max_push_bytes);
        return skip(plan, err, reason);
    }
    plan->push = calloc((size_t)count + 1, sizeof *plan->push);
    if (!plan->push)
        return vkz_error_set(err, VKZ_FAILED, "out of memory for a plan");
    for (int i = 0; i < count && status == VKZ_OK; i++) {
        const struct vkz_push *field = &plan->kernel->push[i];
        double value = 0;
        if (!vkz_env_get(&plan->env, field->name, &value))
            return wrong(plan, err, VKZ_BAD_INPUT, "push field", field->name,
                         "no dim, scalar, constant or let has this name");
        status = encode_field(plan, "push field", field->name, field->type, value,
                              &plan->push[i], err);
    }
    return status;
}

static enum vkz_status check_shared(struct vkz_plan *plan, struct vkz_error *err)
{
    int64_t bytes = 0;
    struct vkz_error inner = {0};
    if (!plan->kernel->shared)
        return VKZ_OK;
    const enum vkz_status status =
        vkz_expr_size(plan->kernel->shared, &plan->env, &bytes, &inner);
    if (status != VKZ_OK)
        return wrong(plan, err, status, "shared", plan->kernel->shared, inner.message);
    plan->shared_bytes = (size_t)bytes;
    if (plan->shared_bytes <= plan->gpu->info.max_shared_bytes)
        return VKZ_OK;
    char reason[112];
    snprintf(reason, sizeof reason, "needs %zu bytes of shared memory; the device has %u",
             plan->shared_bytes, plan->gpu->info.max_shared_bytes);
    return skip(plan, err, reason);
}

// The workgroup size after specialization.
static enum vkz_status pass_local_size(struct vkz_plan *plan, int index,
                                       struct vkz_error *err)
{
    const struct vkz_gpu_info *info = &plan->gpu->info;
    const struct vkz_module *module = &plan->variant->modules[index];
    uint32_t *size = plan->passes[index].local_size;
    uint64_t invocations = 1;
    bool fits = true;
    for (int i = 0; i < 3; i++) {
        size[i] = module->local_size[i];
        for (int c = 0; c < plan->constant_count && module->local_size_id[i] >= 0; c++)
            if (plan->entries[c].constantID == (uint32_t)module->local_size_id[i])
                size[i] = plan->constants[c];
        fits &= size[i] > 0 && size[i] <= info->max_workgroup_size[i];
        invocations *= fits ? size[i] : 1;
    }
    char reason[176];
    if (!fits || invocations > info->max_invocations) {
        snprintf(reason, sizeof reason,
                 "has workgroups of %ux%ux%u; the device takes %u invocations, "
                 "%ux%ux%u at most",
                 size[0], size[1], size[2], info->max_invocations,
                 info->max_workgroup_size[0], info->max_workgroup_size[1],
                 info->max_workgroup_size[2]);
        return skip(plan, err, reason);
    }
    const uint32_t width =
        plan->subgroup_size ? plan->subgroup_size : info->subgroup_size;
    if (vkz_list_has(module->capabilities, "CooperativeMatrixKHR") && size[0] % width) {
        snprintf(reason, sizeof reason,
                 "has workgroups %u wide; cooperative matrices need a multiple of the "
                 "subgroup size, %u",
                 size[0], width);
        return skip(plan, err, reason);
    }
    if (plan->subgroup_size &&
        invocations > (uint64_t)plan->subgroup_size * plan->gpu->limits.max_subgroups) {
        snprintf(reason, sizeof reason,
                 "has workgroups of %u invocations; the device takes %u subgroups of %u",
                 (uint32_t)invocations, plan->gpu->limits.max_subgroups,
                 plan->subgroup_size);
        return skip(plan, err, reason);
    }
    return VKZ_OK;
}

static enum vkz_status pass_groups(struct vkz_plan *plan, int index,
                                   struct vkz_error *err)
{
    const struct vkz_pass *pass = &plan->kernel->passes[index];
    struct vkz_plan_pass *out = &plan->passes[index];
    out->indirect = -1;
    if (pass->indirect) {
        for (int i = 0; i < plan->bind_count; i++)
            if (!strcmp(plan->kernel->binds[i].name, pass->indirect) &&
                plan->bytes[i] >= 12)
                out->indirect = i;
        if (out->indirect < 0)
            return wrong(plan, err, VKZ_BAD_INPUT, "pass", pass->name,
                         "its group counts are in no buffer of this case");
        return VKZ_OK;
    }
    for (int i = 0; i < 3; i++) {
        struct vkz_error inner = {0};
        int64_t groups = 1;
        const enum vkz_status status =
            pass->groups[i] ? vkz_expr_size(pass->groups[i], &plan->env, &groups, &inner)
                            : VKZ_OK;
        if (status != VKZ_OK)
            return wrong(plan, err, status, "pass", pass->name, inner.message);
        if (groups > plan->gpu->info.max_groups[i]) {
            char reason[128];
            snprintf(reason, sizeof reason,
                     "needs %lld workgroups in %c; the device takes %u",
                     (long long)groups, "xyz"[i], plan->gpu->info.max_groups[i]);
            return skip(plan, err, reason);
        }
        out->groups[i] = (uint32_t)groups;
    }
    return VKZ_OK;
}

static enum vkz_status resolve_passes(struct vkz_plan *plan, struct vkz_error *err)
{
    enum vkz_status status = VKZ_OK;
    COUNT(plan->kernel->passes, plan->pass_count);
    plan->passes = calloc((size_t)plan->pass_count + 1, sizeof *plan->passes);
    if (!plan->passes)
        return vkz_error_set(err, VKZ_FAILED, "out of memory for a plan");
    for (int i = 0; i < plan->pass_count && status == VKZ_OK; i++) {
        status = pass_local_size(plan, i, err);
        if (status == VKZ_OK)
            status = pass_groups(plan, i, err);
    }
    return status;
}

static enum vkz_status check_subgroup_size(struct vkz_plan *plan, uint32_t size,
                                           struct vkz_error *err)
{
    const struct vkz_gpu_info *info = &plan->gpu->info;
    plan->subgroup_size = size;
    if (!size)
        return VKZ_OK;
    char reason[160];
    if (!info->subgroup_size_control || !plan->gpu->limits.max_subgroups)
        snprintf(reason, sizeof reason,
                 "was asked for subgroups of %u; the device lets nobody choose "
                 "(subgroupSizeControl)",
                 size);
    else if (size < info->subgroup_min || size > info->subgroup_max ||
             (size & (size - 1)))
        snprintf(
            reason, sizeof reason,
            "was asked for subgroups of %u; the device has powers of two from %u to %u",
            size, info->subgroup_min, info->subgroup_max);
    else
        return VKZ_OK;
    return skip(plan, err, reason);
}

enum vkz_status vkz_plan_resolve(struct vkz_plan *plan,
                                 const struct vkz_plan_params *params,
                                 struct vkz_error *err)
{
    enum vkz_status status = resolve_case(plan, params, err);
    if (status == VKZ_OK)
        status = check_when(plan, true, err);
    if (status == VKZ_OK)
        status = check_axes(plan, params->env, err);
    if (status == VKZ_OK)
        status = check_subgroup_size(plan, params->subgroup_size, err);
    if (status == VKZ_OK)
        status = resolve_coopmat(plan, params->coopmat_index, err);
    if (status == VKZ_OK)
        status = resolve_specs(plan, params->tuning, err);
    if (status == VKZ_OK)
        status = resolve_lets(plan, err);
    if (status == VKZ_OK)
        status = check_when(plan, false, err);
    if (status == VKZ_OK)
        status = write_specialization(plan, err);
    if (status == VKZ_OK)
        status = resolve_binds(plan, err);
    if (status == VKZ_OK)
        status = resolve_push(plan, err);
    if (status == VKZ_OK)
        status = check_shared(plan, err);
    if (status == VKZ_OK)
        status = resolve_passes(plan, err);
    return status;
}
