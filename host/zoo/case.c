// SPDX-License-Identifier: MIT
// Cases: resolving settings against a contract, ids that read back, sizes and work.
// See zoo/case.h.
#include "zoo/case.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "zoo/expr.h"
#include "zoo/fill.h"
#include "zoo/settings.h"

enum { MAX_SLOTS = 64 };

enum slot_kind { SLOT_DIM, SLOT_SCALAR, SLOT_AXIS };

// A dim, scalar or axis of the contract while the case is being built.
struct slot {
    enum slot_kind kind;
    const char *name;
    const char *value; // default expression; NULL: must be given (a dim)
    const struct vkz_axis *axis;
    int setting;       // which one gives it, or -1
    bool kept;         // taken from the base case ...
    double kept_value; // ... with this value
};

struct builder {
    const struct vkz_op *op;
    struct slot slots[MAX_SLOTS];
    int slot_count;
    const struct vkz_setting *settings;
    int setting_count;
    int fill_of[VKZ_SETTINGS_MAX]; // index of the tensor a setting fills, or -1
    int wrong;
    struct vkz_error *err;
};

void vkz_text_append(char *text, size_t size, const char *format, ...)
{
    const size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    vsnprintf(text + used, size - used, format, args);
    va_end(args);
}

static int slots_of(const struct vkz_op *op, struct slot slots[MAX_SLOTS])
{
    int n = 0;
    for (const struct vkz_dim *d = op->dims; d && d->name; d++) {
        assert(n < MAX_SLOTS);
        slots[n++] = (struct slot){SLOT_DIM, d->name, d->value, NULL, -1, false, 0};
    }
    for (const struct vkz_scalar *s = op->scalars; s && s->name; s++) {
        assert(n < MAX_SLOTS);
        slots[n++] = (struct slot){
            SLOT_SCALAR, s->name, s->value ? s->value : "0", NULL, -1, false, 0};
    }
    for (const struct vkz_axis *a = op->axes; a && a->name; a++) {
        assert(n < MAX_SLOTS);
        slots[n++] = (struct slot){SLOT_AXIS, a->name, "0", a, -1, false, 0};
    }
    return n;
}

// Scalars reach kernels as f32: the reference must see that number too.
static double slot_round(const struct slot *slot, double value)
{
    return slot->kind == SLOT_SCALAR ? (float)value : value;
}

static void env_put(struct vkz_env *env, const struct slot *slot, double value)
{
    if (slot->axis)
        vkz_env_set_axis(env, slot->name, (int)value, slot->axis->values);
    else
        vkz_env_set(env, slot->name, value);
}

static enum vkz_status slot_default(const struct vkz_op *op, const struct slot *slot,
                                    const struct vkz_env *env, double *value,
                                    struct vkz_error *err)
{
    struct vkz_error inner = {VKZ_OK, ""};
    const enum vkz_status status = vkz_expr_eval(slot->value, env, value, &inner);
    if (status != VKZ_OK)
        return vkz_error_set(err, status, "op %s: default of %s: %s", op->name,
                             slot->name, inner.message);
    *value = slot_round(slot, *value);
    return VKZ_OK;
}

static bool span_is(const char *text, size_t size, const char *name)
{
    return strlen(name) == size && memcmp(text, name, size) == 0;
}

static enum vkz_status fail_key(struct builder *b, const struct vkz_setting *s)
{
    char known[360] = "";
    for (int i = 0; i < b->slot_count; i++)
        vkz_text_append(known, sizeof known, " %s", b->slots[i].name);
    vkz_text_append(known, sizeof known, " and fill.TENSOR");
    return vkz_error_set(b->err, VKZ_BAD_INPUT, "unknown name '%.*s'; %s has%s",
                         s->name_size > 40 ? 40 : (int)s->name_size, s->name, b->op->name,
                         known);
}

static enum vkz_status find_fill(struct builder *b, int setting)
{
    const struct vkz_setting *s = &b->settings[setting];
    const char *name = s->name + 5;
    const size_t size = s->name_size - 5;
    char known[320] = "";
    int index = 0;
    for (const struct vkz_tensor *t = b->op->tensors; t && t->name; t++, index++) {
        if (t->io == VKZ_OUT)
            continue;
        vkz_text_append(known, sizeof known, " %s", t->name);
        if (span_is(name, size, t->name)) {
            b->fill_of[setting] = index;
            return VKZ_OK;
        }
    }
    return vkz_error_set(b->err, VKZ_BAD_INPUT, "unknown input '%.*s'; %s has%s",
                         size > 40 ? 40 : (int)size, name, b->op->name, known);
}

// Joins settings with slots and fills.
static enum vkz_status match_settings(struct builder *b)
{
    for (int i = 0; i < b->setting_count; i++) {
        const struct vkz_setting *s = &b->settings[i];
        b->wrong = i;
        for (int j = 0; j < i; j++) {
            if (s->name_size == b->settings[j].name_size &&
                memcmp(s->name, b->settings[j].name, s->name_size) == 0)
                return vkz_error_set(b->err, VKZ_BAD_INPUT, "%.*s is given twice",
                                     s->name_size > 60 ? 60 : (int)s->name_size, s->name);
        }
        b->fill_of[i] = -1;
        if (s->name_size > 5 && memcmp(s->name, "fill.", 5) == 0) {
            const enum vkz_status status = find_fill(b, i);
            if (status != VKZ_OK)
                return status;
            continue;
        }
        struct slot *slot = NULL;
        for (int j = 0; j < b->slot_count; j++) {
            if (span_is(s->name, s->name_size, b->slots[j].name))
                slot = &b->slots[j];
        }
        if (!slot)
            return fail_key(b, s);
        slot->setting = i;
    }
    b->wrong = -1;
    return VKZ_OK;
}

static enum vkz_status check_dim(struct builder *b, const struct slot *slot, double value)
{
    if (value >= 1 && value <= 0x1p40 && value == floor(value))
        return VKZ_OK;
    return vkz_error_set(b->err, VKZ_BAD_INPUT, "%s is %.10g: expected an integer >= 1",
                         slot->name, value);
}

static enum vkz_status parse_axis(struct builder *b, const struct slot *slot,
                                  const struct vkz_setting *s, double *value)
{
    char name[64];
    for (int i = 0; vkz_axis_name(slot->axis, i, name); i++) {
        if (span_is(s->value, s->value_size, name)) {
            *value = i;
            return VKZ_OK;
        }
    }
    const struct vkz_env none = {0};
    if (s->value_size > 0 && s->value[0] >= '0' && s->value[0] <= '9' &&
        vkz_expr_eval_span(s->value, s->value_size, &none, value, NULL) == VKZ_OK &&
        *value < 1000 && *value == floor(*value) &&
        vkz_axis_name(slot->axis, (int)*value, name))
        return VKZ_OK;
    return vkz_error_set(b->err, VKZ_BAD_INPUT,
                         "unknown value '%.*s' of %s; there are %s",
                         s->value_size > 60 ? 60 : (int)s->value_size, s->value,
                         slot->name, slot->axis->values);
}

// The value a setting gives to its slot: dims are constant expressions, scalars may use
// dims and axes.
static enum vkz_status parse_value(struct builder *b, const struct slot *slot,
                                   const struct vkz_env *env, double *value)
{
    const struct vkz_setting *s = &b->settings[slot->setting];
    if (slot->axis)
        return parse_axis(b, slot, s, value);
    const struct vkz_env none = {0};
    struct vkz_error inner = {VKZ_OK, ""};
    const enum vkz_status status = vkz_expr_eval_span(
        s->value, s->value_size, slot->kind == SLOT_DIM ? &none : env, value, &inner);
    if (status != VKZ_OK)
        return vkz_error_set(b->err, status, "%s: %s", slot->name, inner.message);
    *value = slot_round(slot, *value);
    if (!isfinite(*value))
        return vkz_error_set(b->err, VKZ_BAD_INPUT, "%s is %g: expected a finite number",
                             slot->name, *value);
    return VKZ_OK;
}

// Puts the given slots of one kind into env, then the defaults in declaration order.
static enum vkz_status resolve(struct builder *b, enum slot_kind kind,
                               struct vkz_env *env)
{
    for (int defaults = 0; defaults < 2; defaults++) {
        for (int i = 0; i < b->slot_count; i++) {
            const struct slot *slot = &b->slots[i];
            const bool given = slot->setting >= 0 || slot->kept;
            if (slot->kind != kind || given == (defaults == 1))
                continue;
            double value = slot->kept_value;
            enum vkz_status status = VKZ_OK;
            b->wrong = slot->setting;
            if (slot->setting >= 0)
                status = parse_value(b, slot, env, &value);
            else if (!slot->kept && !slot->value)
                status = vkz_error_set(b->err, VKZ_BAD_INPUT,
                                       "%s needs a value for %s, as in %s=64",
                                       b->op->name, slot->name, slot->name);
            else if (!slot->kept)
                status = slot_default(b->op, slot, env, &value, b->err);
            if (status == VKZ_OK && kind == SLOT_DIM)
                status = check_dim(b, slot, value);
            if (status != VKZ_OK)
                return status;
            env_put(env, slot, value);
        }
    }
    b->wrong = -1;
    return VKZ_OK;
}

// Keeps what the base case has set: every value that is not what its default would be.
static void keep_base(struct builder *b, const struct vkz_case *base)
{
    for (int i = 0; i < b->slot_count; i++) {
        struct slot *slot = &b->slots[i];
        if (slot->setting >= 0)
            continue;
        double usual = NAN, value = NAN;
        vkz_env_get(&base->env, slot->name, &value);
        if (slot->value)
            slot_default(b->op, slot, &base->env, &usual, NULL);
        slot->kept = value != usual;
        slot->kept_value = value;
    }
}

static enum vkz_status set_fill(struct builder *b, int setting, struct vkz_case *c)
{
    const struct vkz_setting *s = &b->settings[setting];
    const struct vkz_tensor *tensor = &b->op->tensors[b->fill_of[setting]];
    char text[sizeof c->fills[0].fill];
    size_t size = 0;
    b->wrong = setting;
    for (size_t i = 0; i < s->value_size; i++) {
        if (s->value[i] == ' ' || s->value[i] == '\t')
            continue;
        if (size + 1 == sizeof text)
            return vkz_error_set(b->err, VKZ_BAD_INPUT,
                                 "fill.%s: expected at most %zu characters", tensor->name,
                                 sizeof text - 1);
        text[size++] = s->value[i];
    }
    text[size] = '\0';
    const enum vkz_status status = vkz_fill_check(text, b->op, tensor, &c->env, b->err);
    if (status != VKZ_OK)
        return status;
    b->wrong = -1;
    if (tensor->fill && strcmp(text, tensor->fill) == 0)
        return VKZ_OK;
    if (c->fill_count == VKZ_CASE_FILLS)
        return vkz_error_set(b->err, VKZ_BAD_INPUT, "more than %d fills", VKZ_CASE_FILLS);
    c->fills[c->fill_count].tensor = tensor->name;
    memcpy(c->fills[c->fill_count++].fill, text, size + 1);
    return VKZ_OK;
}

// In the contract's tensor order, whatever the order of the settings: ids are canonical.
static enum vkz_status set_fills(struct builder *b, const struct vkz_case *base,
                                 struct vkz_case *c)
{
    int index = 0;
    for (const struct vkz_tensor *t = b->op->tensors; t && t->name; t++, index++) {
        int setting = -1;
        for (int i = 0; i < b->setting_count; i++) {
            if (b->fill_of[i] == index)
                setting = i;
        }
        if (setting >= 0) {
            const enum vkz_status status = set_fill(b, setting, c);
            if (status != VKZ_OK)
                return status;
            continue;
        }
        for (int i = 0; base && i < base->fill_count; i++) {
            if (strcmp(base->fills[i].tensor, t->name) == 0)
                c->fills[c->fill_count++] = base->fills[i];
        }
    }
    return VKZ_OK;
}

static enum vkz_status check_valid(const struct vkz_case *c, struct vkz_error *err)
{
    const struct vkz_op *op = c->op;
    struct vkz_error inner = {VKZ_OK, ""};
    double holds = 1;
    const enum vkz_status status = vkz_expr_eval(op->valid, &c->env, &holds, &inner);
    if (status != VKZ_OK)
        return vkz_error_set(err, status, "op %s: valid: %s", op->name, inner.message);
    if (holds == 0)
        return vkz_error_set(
            err, VKZ_BAD_INPUT, "not a case of %s: %s (%s)", op->name,
            op->valid_reason ? op->valid_reason : "a condition is not met", op->valid);
    return VKZ_OK;
}

static enum vkz_status make_id(const struct builder *b, struct vkz_case *c,
                               struct vkz_error *err)
{
    char id[2 * VKZ_ID_MAX];
    snprintf(id, sizeof id, "%s", b->op->name);
    char separator = '@';
    for (int i = 0; i < b->slot_count; i++) {
        const struct slot *slot = &b->slots[i];
        double value = 0, usual = NAN;
        vkz_env_get(&c->env, slot->name, &value);
        if (slot->kind != SLOT_DIM &&
            slot_default(b->op, slot, &c->env, &usual, NULL) == VKZ_OK && value == usual)
            continue;
        char text[64];
        if (slot->axis)
            vkz_axis_name(slot->axis, (int)value, text);
        else
            vkz_number_print(value, slot->kind == SLOT_SCALAR, text);
        vkz_text_append(id, sizeof id, "%c%s=%s", separator, slot->name, text);
        separator = ',';
    }
    for (int i = 0; i < c->fill_count; i++) {
        vkz_text_append(id, sizeof id, "%cfill.%s=%s", separator, c->fills[i].tensor,
                        c->fills[i].fill);
        separator = ',';
    }
    const size_t size = strlen(id);
    if (size >= sizeof c->id)
        return vkz_error_set(
            err, VKZ_BAD_INPUT,
            "the case's id is longer than %d characters: set fewer names",
            VKZ_ID_MAX - 1);
    memcpy(c->id, id, size + 1);
    return VKZ_OK;
}

// Names in the contract's order, whatever the order in which they were resolved.
static void sort_env(const struct builder *b, struct vkz_env *env)
{
    const struct vkz_env resolved = *env;
    env->count = 0;
    for (int i = 0; i < b->slot_count; i++) {
        double value = 0;
        vkz_env_get(&resolved, b->slots[i].name, &value);
        env_put(env, &b->slots[i], value);
    }
}

enum vkz_status vkz_case_build(const struct vkz_op *op, const struct vkz_case *base,
                               const struct vkz_setting *settings, int count,
                               uint64_t seed, struct vkz_case *out, int *wrong,
                               struct vkz_error *err)
{
    struct builder b = {
        .op = op, .settings = settings, .setting_count = count, .wrong = -1, .err = err};
    struct vkz_case c = {.op = op, .seed = seed};
    assert(count <= VKZ_SETTINGS_MAX);
    b.slot_count = slots_of(op, b.slots);
    enum vkz_status status = match_settings(&b);
    if (status == VKZ_OK && base)
        keep_base(&b, base);
    if (status == VKZ_OK)
        status = resolve(&b, SLOT_DIM, &c.env);
    if (status == VKZ_OK)
        status = resolve(&b, SLOT_AXIS, &c.env);
    if (status == VKZ_OK)
        status = resolve(&b, SLOT_SCALAR, &c.env);
    if (status == VKZ_OK)
        sort_env(&b, &c.env);
    if (status == VKZ_OK)
        status = set_fills(&b, base, &c);
    if (status == VKZ_OK)
        status = check_valid(&c, err);
    if (status == VKZ_OK)
        status = make_id(&b, &c, err);
    *wrong = b.wrong;
    if (status == VKZ_OK)
        *out = c;
    return status;
}

// Splits "k=v k=v" or "k=v,k=v".
static enum vkz_status split(const char *text,
                             struct vkz_setting settings[VKZ_SETTINGS_MAX], int *count,
                             struct vkz_error *err)
{
    *count = 0;
    for (size_t left = strlen(text); left > 0;) {
        const size_t size = vkz_span_item(text, left, ", \t");
        if (size > 0) {
            const char *equals = memchr(text, '=', size);
            if (!equals || equals == text || equals + 1 == text + size)
                return vkz_error_set(err, VKZ_BAD_INPUT,
                                     "expected name=value, found '%.*s'",
                                     size > 60 ? 60 : (int)size, text);
            if (*count == VKZ_SETTINGS_MAX)
                return vkz_error_set(err, VKZ_BAD_INPUT, "more than %d settings",
                                     VKZ_SETTINGS_MAX);
            settings[(*count)++] = (struct vkz_setting){
                .name = text,
                .name_size = (size_t)(equals - text),
                .value = equals + 1,
                .value_size = size - (size_t)(equals - text) - 1,
            };
        }
        if (size == left)
            break;
        text += size + 1;
        left -= size + 1;
    }
    return VKZ_OK;
}

static enum vkz_status build_from_text(const struct vkz_op *op,
                                       const struct vkz_case *base, const char *text,
                                       uint64_t seed, struct vkz_case *out,
                                       struct vkz_error *err)
{
    struct vkz_setting settings[VKZ_SETTINGS_MAX];
    int count, wrong;
    const enum vkz_status status = split(text, settings, &count, err);
    if (status != VKZ_OK)
        return status;
    return vkz_case_build(op, base, settings, count, seed, out, &wrong, err);
}

enum vkz_status vkz_case_parse(const struct vkz_op *op, const char *text, uint64_t seed,
                               struct vkz_case *out, struct vkz_error *err)
{
    return build_from_text(op, NULL, text, seed, out, err);
}

enum vkz_status vkz_case_parse_id(const char *id, uint64_t seed, struct vkz_case *out,
                                  struct vkz_error *err)
{
    char name[128];
    const size_t size = strcspn(id, "@");
    if (size == 0 || size >= sizeof name)
        return vkz_error_set(err, VKZ_BAD_INPUT,
                             "expected op@name=value,..., found '%.80s'", id);
    memcpy(name, id, size);
    name[size] = '\0';
    const struct vkz_op *op = vkz_op_find(name);
    if (!op)
        return vkz_error_set(err, VKZ_BAD_INPUT,
                             "unknown op '%s'; `vkzoo list` shows what there is", name);
    return vkz_case_parse(op, id[size] ? id + size + 1 : "", seed, out, err);
}

enum vkz_status vkz_case_with(const struct vkz_case *base, const char *settings,
                              struct vkz_case *out, struct vkz_error *err)
{
    struct vkz_case c;
    const enum vkz_status status =
        build_from_text(base->op, base, settings, base->seed, &c, err);
    if (status != VKZ_OK)
        return status;
    memcpy(c.tags, base->tags, sizeof c.tags);
    c.file = base->file;
    c.line = base->line;
    *out = c; // last: `out` may be `base`
    return VKZ_OK;
}

enum vkz_status vkz_case_tensor(const struct vkz_case *c, const struct vkz_tensor *tensor,
                                int64_t extents[VKZ_MAX_DIMS], int *dims, int64_t *count,
                                struct vkz_error *err)
{
    struct vkz_error inner = {VKZ_OK, ""};
    double exists;
    *dims = 0;
    *count = 0;
    enum vkz_status status = vkz_expr_eval(tensor->when, &c->env, &exists, &inner);
    if (status == VKZ_OK && exists != 0)
        status = vkz_shape_eval(tensor->shape, &c->env, extents, dims, count, &inner);
    if (status != VKZ_OK)
        vkz_error_set(err, status, "%s: tensor %s: %s", c->id, tensor->name,
                      inner.message);
    return status;
}

double vkz_case_flops(const struct vkz_case *c)
{
    double flops = NAN;
    if (!c->op->flops)
        return 0;
    vkz_expr_eval(c->op->flops, &c->env, &flops, NULL);
    return flops;
}

double vkz_case_bytes(const struct vkz_case *c, const struct vkz_variant *variant)
{
    if (c->op->bytes) {
        struct vkz_env env = c->env;
        double bytes = NAN;
        enum vkz_type type = vkz_variant_type(variant, "T");
        vkz_env_set(&env, "T.bytes", (double)vkz_type_size(type ? type : VKZ_F32));
        vkz_expr_eval(c->op->bytes, &env, &bytes, NULL);
        return bytes;
    }
    double bytes = 0;
    for (const struct vkz_tensor *t = c->op->tensors; t && t->name; t++) {
        int64_t extents[VKZ_MAX_DIMS], count;
        int dims;
        if (vkz_case_tensor(c, t, extents, &dims, &count, NULL) != VKZ_OK)
            return NAN;
        const enum vkz_type type = vkz_variant_type(variant, t->type);
        // What is updated in place is read and written.
        bytes += (double)count * (double)vkz_type_size(type ? type : VKZ_F32) *
                 (t->io == VKZ_INOUT ? 2 : 1);
    }
    return bytes;
}
