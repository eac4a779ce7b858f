// SPDX-License-Identifier: MIT
// The agreement of kernels with contracts, tried on cases with odd sizes: texts may
// differ
// ("m, n" and "rows, cols"), numbers may not. See zoo/agree.h.
#include "zoo/agree.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zoo/expr.h"
#include "zoo/fill.h"
#include "zoo/settings.h"
#include "zoo/stats.h"

enum {
    PROBES = 200, // cases tried per kernel and per op ...
    DRAWS = 4000, // ... out of at most so many random ones
    SUITE_PROBES = 200,
    MESSAGE_MAX = 600,
};

// Whom the messages are about.
struct subject {
    struct vkz_agree *agree;
    char file[160];
    int limit; // reports left: one wrong line gives one message, not a message a probe
};

static void report(struct subject *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void report(struct subject *s, const char *format, ...)
{
    char message[MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    s->agree->count++;
    s->limit--;
    s->agree->report(s->agree->context, s->file, message);
}

// ---- Probing cases ----

static int pick(uint64_t *state, int count)
{
    return (int)(vkz_random_next(state) % (uint64_t)count);
}

// Distinct primes tell dims apart; small numbers, powers of two and multiples get through
// conditions such as heads % kv_heads == 0.
static int draw_dim(uint64_t *state, int style, int index, int offset)
{
    static const int primes[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43};
    enum { COUNT = sizeof primes / sizeof primes[0] };
    switch (style) {
    case 0:
        return primes[(index + offset) % COUNT];
    case 1:
        return primes[(index * 5 + offset) % COUNT];
    case 2:
        return 1 + pick(state, 12);
    case 3:
        return 1 << pick(state, 8);
    default:
        return (1 << pick(state, 6)) * (1 + pick(state, 5));
    }
}

// One random case of the op as settings; most obey its `valid`.
static bool draw_case(const struct vkz_op *op, uint64_t *state, int round,
                      struct vkz_case *out, struct vkz_error *err)
{
    char text[2048] = "";
    const int style = round < PROBES ? round % 5 : pick(state, 5),
              offset = pick(state, 14);
    int index = 0;
    for (const struct vkz_dim *d = op->dims; d && d->name; d++, index++) {
        // Half of the time a dim with a default takes it.
        if (!d->value || pick(state, 2))
            vkz_text_append(text, sizeof text, "%s=%d ", d->name,
                            draw_dim(state, style, index, offset));
    }
    static const char *const values[] = {"0", "1", "-1", "0.5", "3"};
    for (const struct vkz_scalar *s = op->scalars; s && s->name; s++) {
        if (pick(state, 3) == 0)
            vkz_text_append(text, sizeof text, "%s=%s ", s->name, values[pick(state, 5)]);
    }
    for (const struct vkz_axis *a = op->axes; a && a->name; a++) {
        char name[64];
        int count = 0;
        while (vkz_axis_name(a, count, name))
            count++;
        if (count > 0 && pick(state, 3))
            vkz_text_append(text, sizeof text, "%s=%d ", a->name, pick(state, count));
    }
    return vkz_case_parse(op, text, 1, out, err) == VKZ_OK;
}

// ---- Contracts ----

static const char *tensor_message(const struct vkz_case *c,
                                  const struct vkz_tensor *tensor, char out[MESSAGE_MAX])
{
    snprintf(out, MESSAGE_MAX, "tensor %s in %s", tensor->name, c->id);
    return out;
}

// Checks one tensor of a contract in a case; false when it was reported.
static bool check_tensor(struct subject *s, const struct vkz_case *c,
                         const struct vkz_tensor *tensor, int64_t units)
{
    int64_t extents[VKZ_MAX_DIMS], count;
    int dims;
    struct vkz_error err = {VKZ_OK, ""};
    char where[MESSAGE_MAX];
    if (vkz_case_tensor(c, tensor, extents, &dims, &count, &err) != VKZ_OK) {
        report(s, "%s", err.message);
        return false;
    }
    if (count == 0)
        return true;
    if (tensor->io == VKZ_OUT || tensor->io == VKZ_INOUT) {
        if (units > 0 && count % units != 0) {
            report(s, "%.200s: %lld elements are not a multiple of %lld units (%s)",
                   tensor_message(c, tensor, where), (long long)count, (long long)units,
                   c->op->units ? c->op->units : "1");
            return false;
        }
    }
    if (tensor->io == VKZ_OUT)
        return true;
    if (vkz_fill_check(vkz_case_fill(c, tensor), c->op, tensor, &c->env, &err) !=
        VKZ_OK) {
        report(s, "%.200s: fill: %.300s", tensor_message(c, tensor, where), err.message);
        return false;
    }
    return true;
}

static void check_number(struct subject *s, const struct vkz_case *c, const char *what,
                         const char *text, double least)
{
    struct vkz_error err = {VKZ_OK, ""};
    double value;
    if (!text)
        return;
    struct vkz_env env = c->env;
    vkz_env_set(&env, "T.bytes", 4);
    if (vkz_expr_eval(text, &env, &value, &err) != VKZ_OK)
        report(s, "%s: %s", what, err.message);
    else if (!(value >= least) || isinf(value))
        report(s, "%s is %g in %s: expected at least %g", what, value, c->id, least);
}

static void check_op_case(struct subject *s, const struct vkz_case *c)
{
    const struct vkz_op *op = c->op;
    struct vkz_error err = {VKZ_OK, ""};
    int64_t units = 1;
    if (vkz_expr_size(op->units ? op->units : "1", &c->env, &units, &err) != VKZ_OK)
        report(s, "units: %s", err.message);
    else if (units < 1)
        report(s, "units (%s) is 0 in %s", op->units, c->id);
    for (const struct vkz_tensor *t = op->tensors; t && t->name && s->limit > 0; t++)
        check_tensor(s, c, t, units);
    check_number(s, c, "flops", op->flops, 0);
    check_number(s, c, "bytes", op->bytes, 0);
    check_number(s, c, "sum_length", op->sum_length, 0);
    for (const struct vkz_identity *i = op->identities; i && i->name; i++)
        check_number(s, c, i->name, i->when, -INFINITY);
}

static void check_name(struct subject *s, const char **names, int *count,
                       const char *name)
{
    for (int i = 0; i < *count; i++) {
        if (strcmp(names[i], name) == 0)
            report(s, "the name %s is used twice", name);
    }
    if (*count < VKZ_ENV_MAX)
        names[(*count)++] = name;
}

static void check_op_names(struct subject *s, const struct vkz_op *op)
{
    const char *names[VKZ_ENV_MAX];
    int count = 0, tensors = 0;
    for (const struct vkz_dim *d = op->dims; d && d->name; d++)
        check_name(s, names, &count, d->name);
    for (const struct vkz_scalar *x = op->scalars; x && x->name; x++)
        check_name(s, names, &count, x->name);
    for (const struct vkz_axis *a = op->axes; a && a->name; a++) {
        char value[64];
        check_name(s, names, &count, a->name);
        if (!a->values || !vkz_axis_name(a, 0, value))
            report(s, "axis %s has no values", a->name);
    }
    count = 0;
    for (const struct vkz_tensor *t = op->tensors; t && t->name; t++, tensors++) {
        check_name(s, names, &count, t->name);
        if (t->io == VKZ_SCRATCH)
            report(s, "tensor %s is scratch: that is the kernel's affair", t->name);
        if (!t->type || !t->shape)
            report(s, "tensor %s needs a type and a shape", t->name);
    }
    if (tensors > VKZ_MAX_TENSORS)
        report(s, "%d tensors are more than VKZ_MAX_TENSORS", tensors);
    if (!op->reference)
        report(s, "there is no reference");
    if (!vkz_op_find_naive(op->name))
        report(s, "there is no naive twin: compile the contract with VKZ_NAIVE too");
}

static struct subject op_subject(struct vkz_agree *agree, const struct vkz_op *op)
{
    struct subject s = {.agree = agree, .limit = 8};
    snprintf(s.file, sizeof s.file, "host/ops/%s/%s.c", op->family, op->name);
    return s;
}

void vkz_agree_op(struct vkz_agree *agree, const struct vkz_op *op)
{
    struct subject s = op_subject(agree, op);
    struct vkz_error err = {VKZ_OK, ""};
    uint64_t state = 1;
    int cases = 0;
    check_op_names(&s, op);
    for (int i = 0; i < DRAWS && cases < PROBES && s.limit == 8; i++) {
        struct vkz_case c;
        if (!draw_case(op, &state, i, &c, &err))
            continue;
        check_op_case(&s, &c);
        cases++;
    }
    if (cases == 0 && s.limit == 8)
        report(&s, "no case out of %d could be made; the last: %s", DRAWS, err.message);
}

// ---- Kernels ----

struct kernel_check {
    struct subject subject;
    const struct vkz_kernel *kernel;
    const struct vkz_op *op;
    const struct vkz_case *c; // the probe ...
    struct vkz_env env;       // ... and the kernel's names in it
};

static bool mentions(const char *text, const char *name)
{
    const size_t size = strlen(name);
    const char *letters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    for (const char *at = text; at && *at;) {
        const size_t word = strspn(at, letters);
        // MASK in MASK.causal counts, causal does not.
        if (word == size && memcmp(at, name, size) == 0 && (at == text || at[-1] != '.'))
            return true;
        at += word ? word : 1;
    }
    return false;
}

// A kernel follows an axis when a constant or push field has its name, or when its
// condition or another constant depends on it. Otherwise it serves the value 0 only.
static bool follows_axis(const struct vkz_kernel *kernel, const char *axis)
{
    bool follows = mentions(kernel->when, axis);
    for (const struct vkz_spec *s = kernel->specs; s && s->name; s++)
        follows = follows || strcmp(s->name, axis) == 0 || mentions(s->value, axis);
    for (const struct vkz_let *l = kernel->lets; l && l->name; l++)
        follows = follows || mentions(l->value, axis);
    for (const struct vkz_push *p = kernel->push; p && p->name; p++)
        follows = follows || strcmp(p->name, axis) == 0;
    return follows;
}

static void set_device(struct vkz_env *env, bool cpu)
{
    vkz_env_set(env, "subgroup_size", cpu ? 8 : 32);
    vkz_env_set(env, "max_invocations", 1024);
    vkz_env_set(env, "max_shared_bytes", 32768);
    vkz_env_set(env, "compute_units", cpu ? 4 : 60);
    vkz_env_set(env, "is_cpu", cpu);
    vkz_env_set(env, "CM_M", cpu ? 8 : 16);
    vkz_env_set(env, "CM_N", cpu ? 8 : 16);
    vkz_env_set(env, "CM_K", cpu ? 8 : 16);
}

// Evaluates `text` and reports what is wrong with it.
static bool evaluate(struct kernel_check *k, const char *part, const char *name,
                     const char *text, double *value)
{
    struct vkz_error err = {VKZ_OK, ""};
    if (vkz_expr_eval(text, &k->env, value, &err) == VKZ_OK)
        return true;
    report(&k->subject, "%s %s: %s", part, name, err.message);
    return false;
}

static bool set_name(struct kernel_check *k, const char *name, double value)
{
    if (k->env.count == VKZ_ENV_MAX && !vkz_env_get(&k->env, name, NULL)) {
        report(&k->subject, "more than %d names of case, constants and lets together",
               VKZ_ENV_MAX);
        return false;
    }
    vkz_env_set(&k->env, name, value);
    return true;
}

static bool value_fits(enum vkz_type type, double value)
{
    if (type == VKZ_F32)
        return true;
    return value == floor(value) && value >= (type == VKZ_I32 ? INT32_MIN : 0) &&
           value <= (type == VKZ_I32 ? INT32_MAX : UINT32_MAX);
}

// Constants, then lets, in the order in which a plan resolves them.
static bool resolve_names(struct kernel_check *k)
{
    for (const struct vkz_spec *s = k->kernel->specs; s && s->name; s++) {
        double value = s->default_value;
        if (!vkz_env_get(&k->env, s->name, &value) && s->value &&
            !evaluate(k, "constant", s->name, s->value, &value))
            return false;
        if (!value_fits(s->type, value)) {
            report(&k->subject, "constant %s is %g in %.200s: that is no %s", s->name,
                   value, k->c->id, vkz_type_name(s->type));
            return false;
        }
        if (!set_name(k, s->name, value))
            return false;
    }
    for (const struct vkz_let *l = k->kernel->lets; l && l->name; l++) {
        double value;
        if (!evaluate(k, "let", l->name, l->value, &value) ||
            !set_name(k, l->name, value))
            return false;
    }
    return true;
}

// Does the kernel serve the probe? 1 yes, 0 no, -1 reported.
static int serves(struct kernel_check *k, const struct vkz_case *c, bool cpu)
{
    double holds;
    k->c = c;
    k->env = (struct vkz_env){0};
    set_device(&k->env, cpu);
    for (int i = 0; i < c->env.count; i++) {
        vkz_env_set(&k->env, c->env.vars[i].name, c->env.vars[i].value);
        if (c->env.vars[i].values)
            vkz_env_set_axis(&k->env, c->env.vars[i].name, (int)c->env.vars[i].value,
                             c->env.vars[i].values);
    }
    for (const struct vkz_axis *a = k->op->axes; a && a->name; a++) {
        double value = 0;
        vkz_env_get(&c->env, a->name, &value);
        if (value != 0 && !follows_axis(k->kernel, a->name))
            return 0;
    }
    // As a plan does: a condition that needs no constant also shields them.
    if (vkz_expr_eval(k->kernel->when, &k->env, &holds, NULL) == VKZ_OK && holds == 0)
        return 0;
    if (!resolve_names(k) || !evaluate(k, "when", "", k->kernel->when, &holds))
        return -1;
    return holds != 0;
}

static const struct vkz_tensor *find_tensor(const struct vkz_op *op, const char *name)
{
    for (const struct vkz_tensor *t = op->tensors; t && t->name; t++) {
        if (strcmp(t->name, name) == 0)
            return t;
    }
    return NULL;
}

static const struct vkz_bind *find_bind(const struct vkz_kernel *kernel, const char *name)
{
    for (const struct vkz_bind *b = kernel->binds; b && b->name; b++) {
        if (strcmp(b->name, name) == 0)
            return b;
    }
    return NULL;
}

static void print_extents(const int64_t *extents, int dims, char out[128])
{
    out[0] = '\0';
    for (int i = 0; i < dims; i++)
        vkz_text_append(out, 128, "%s%lld", i ? ", " : "", (long long)extents[i]);
}

static void check_bind_case(struct kernel_check *k, const struct vkz_bind *bind)
{
    int64_t extents[VKZ_MAX_DIMS], wanted[VKZ_MAX_DIMS], count, wanted_count;
    int dims, wanted_dims;
    double exists;
    struct vkz_error err = {VKZ_OK, ""};
    const struct vkz_tensor *tensor =
        bind->io == VKZ_SCRATCH ? NULL : find_tensor(k->op, bind->name);
    if (!evaluate(k, "bind", bind->name, bind->when, &exists))
        return;
    if (exists != 0 &&
        vkz_shape_eval(bind->shape, &k->env, extents, &dims, &count, &err) != VKZ_OK) {
        report(&k->subject, "bind %s: %s", bind->name, err.message);
        return;
    }
    if (!tensor || vkz_case_tensor(k->c, tensor, wanted, &wanted_dims, &wanted_count,
                                   NULL) != VKZ_OK)
        return; // the contract's own check reports it
    if ((exists != 0) != (wanted_count > 0)) {
        report(&k->subject,
               "bind %s exists when %s, in the contract when %s: they differ in %s",
               bind->name, bind->when ? bind->when : "always",
               tensor->when ? tensor->when : "always", k->c->id);
        return;
    }
    if (exists != 0 && (dims != wanted_dims ||
                        memcmp(extents, wanted, (size_t)dims * sizeof *extents) != 0)) {
        char have[128], want[128];
        print_extents(extents, dims, have);
        print_extents(wanted, wanted_dims, want);
        report(&k->subject,
               "bind %s has shape [%s], the contract has [%s]: [%s] and [%s] in %s",
               bind->name, bind->shape, tensor->shape, have, want, k->c->id);
    }
}

static void check_pass_case(struct kernel_check *k, const struct vkz_pass *pass)
{
    struct vkz_error err = {VKZ_OK, ""};
    int64_t groups;
    for (int i = 0; i < 3 && !pass->indirect; i++) {
        if (pass->groups[i] &&
            vkz_expr_size(pass->groups[i], &k->env, &groups, &err) != VKZ_OK)
            report(&k->subject, "pass %s: groups: %s", pass->name, err.message);
    }
}

static void check_push_case(struct kernel_check *k, const struct vkz_push *push)
{
    double value;
    if (!vkz_env_get(&k->env, push->name, &value))
        report(&k->subject, "push %s is no dim, scalar, axis, constant or let",
               push->name);
    else if (!value_fits(push->type, value))
        report(&k->subject, "push %s is %g in %.200s: that is no %s", push->name, value,
               k->c->id, vkz_type_name(push->type));
}

// Everything that depends on the sizes, in a case that the kernel serves.
static void check_kernel_case(struct kernel_check *k)
{
    const struct vkz_kernel *kernel = k->kernel;
    struct vkz_error err = {VKZ_OK, ""};
    int64_t shared;
    for (const struct vkz_bind *b = kernel->binds; b && b->name; b++)
        check_bind_case(k, b);
    for (const struct vkz_push *p = kernel->push; p && p->name; p++)
        check_push_case(k, p);
    for (const struct vkz_pass *p = kernel->passes; p && p->name; p++)
        check_pass_case(k, p);
    if (kernel->shared && vkz_expr_size(kernel->shared, &k->env, &shared, &err) != VKZ_OK)
        report(&k->subject, "shared: %s", err.message);
    for (const struct vkz_tensor *t = k->op->tensors; t && t->name; t++) {
        int64_t extents[VKZ_MAX_DIMS], count = 0;
        int dims;
        if (find_bind(kernel, t->name) ||
            vkz_case_tensor(k->c, t, extents, &dims, &count, NULL) != VKZ_OK ||
            count == 0)
            continue;
        report(&k->subject,
               "tensor %s is not bound, but %s has it: bind it, or let `when` leave such "
               "cases out",
               t->name, k->c->id);
    }
}

static void check_bind(struct kernel_check *k, const struct vkz_bind *bind)
{
    static const char *const io[] = {"in", "out", "inout", "scratch"};
    const struct vkz_tensor *tensor = find_tensor(k->op, bind->name);
    for (const struct vkz_bind *b = k->kernel->binds; b != bind; b++) {
        if (strcmp(b->name, bind->name) == 0)
            report(&k->subject, "bind %s is there twice", bind->name);
    }
    if (bind->io == VKZ_SCRATCH && tensor)
        report(&k->subject, "scratch %s has the name of a tensor: rename it", bind->name);
    for (const struct vkz_variant *v = k->kernel->variants; v && v->name; v++) {
        const enum vkz_type type = vkz_variant_type(v, bind->type);
        if (type == VKZ_TYPE_NONE)
            report(&k->subject, "bind %s: variant %s gives no storage type to '%s'",
                   bind->name, v->name, bind->type);
        else if (tensor && bind->io != VKZ_SCRATCH &&
                 type != vkz_variant_type(v, tensor->type))
            report(&k->subject,
                   "bind %s is %s, the contract has %s: they differ in variant %s",
                   bind->name, bind->type, tensor->type, v->name);
    }
    if (bind->io == VKZ_SCRATCH)
        return;
    if (!tensor) {
        char known[320] = "";
        for (const struct vkz_tensor *t = k->op->tensors; t && t->name; t++)
            vkz_text_append(known, sizeof known, " %s", t->name);
        report(&k->subject, "bind %s is no tensor of op %s, which has%s", bind->name,
               k->op->name, known);
        return;
    }
    if (tensor->io != bind->io)
        report(&k->subject, "bind %s is %s, the contract has %s", bind->name,
               io[bind->io], io[tensor->io]);
}

static const struct vkz_axis *find_axis(const struct vkz_op *op, const char *name)
{
    for (const struct vkz_axis *a = op->axes; a && a->name; a++) {
        if (strcmp(a->name, name) == 0)
            return a;
    }
    return NULL;
}

static void check_spec(struct kernel_check *k, const struct vkz_spec *spec)
{
    enum { FIRST_AXIS_ID = 16, LAST_AXIS_ID = 31 };
    const struct vkz_axis *axis = find_axis(k->op, spec->name);
    char name[64];
    for (const struct vkz_spec *s = k->kernel->specs; s != spec; s++) {
        if (s->id == spec->id || strcmp(s->name, spec->name) == 0)
            report(&k->subject, "constants %s (id %u) and %s (id %u) collide", s->name,
                   s->id, spec->name, spec->id);
    }
    if (axis && !vkz_axis_name(axis, (int)spec->default_value, name))
        report(&k->subject, "constant %s: the default %g is no value of the axis (%s)",
               spec->name, spec->default_value, axis->values);
    if (!axis && !spec->value && spec->id >= FIRST_AXIS_ID && spec->id <= LAST_AXIS_ID)
        report(
            &k->subject,
            "constant %s (id %u, a feature axis) is no axis of op %s, and no expression "
            "sets it",
            spec->name, spec->id, k->op->name);
}

static void check_tuning(struct kernel_check *k, const struct vkz_tuning *tuning)
{
    for (const char *at = tuning->settings ? tuning->settings : ""; *at;) {
        at += strspn(at, " ");
        const size_t word = strcspn(at, " "), size = strcspn(at, "= ");
        bool known = word == 0;
        for (const struct vkz_spec *s = k->kernel->specs; s && s->name; s++)
            known = known || (strlen(s->name) == size && memcmp(s->name, at, size) == 0 &&
                              !find_axis(k->op, s->name));
        if (!known || (word && word <= size + 1))
            report(&k->subject,
                   "tuning %s: '%.*s' sets no constant that a tuning may set",
                   tuning->name, (int)word, at);
        at += word;
    }
}

static void check_pass(struct kernel_check *k, const struct vkz_pass *pass)
{
    for (const struct vkz_pass *p = k->kernel->passes; p != pass; p++) {
        if (strcmp(p->name, pass->name) == 0)
            report(&k->subject, "pass %s is there twice", pass->name);
    }
    if (!pass->indirect) {
        if (!pass->groups[0])
            report(&k->subject, "pass %s has no group counts", pass->name);
        return;
    }
    const struct vkz_bind *bind = find_bind(k->kernel, pass->indirect);
    if (!bind || strcmp(bind->type, "u32") != 0)
        report(&k->subject, "pass %s: indirect %s must be a u32 buffer of the kernel",
               pass->name, pass->indirect);
}

// What does not depend on sizes.
static void check_kernel_text(struct kernel_check *k)
{
    const struct vkz_kernel *kernel = k->kernel;
    int fields = 0;
    for (const struct vkz_bind *b = kernel->binds; b && b->name; b++)
        check_bind(k, b);
    for (const struct vkz_spec *s = kernel->specs; s && s->name; s++)
        check_spec(k, s);
    for (const struct vkz_tuning *t = kernel->tunings; t && t->name; t++)
        check_tuning(k, t);
    for (const struct vkz_pass *p = kernel->passes; p && p->name; p++)
        check_pass(k, p);
    for (const struct vkz_push *p = kernel->push; p && p->name; p++)
        fields++;
    if (fields > 32)
        report(&k->subject, "%d push fields: expected at most 32 (128 bytes)", fields);
    if (!kernel->passes || !kernel->passes->name)
        report(&k->subject, "there is no pass");
    if (!kernel->variants || !kernel->variants->name)
        report(&k->subject, "there is no variant");
    for (const struct vkz_let *l = kernel->lets; l && l->name; l++) {
        for (const struct vkz_spec *s = kernel->specs; s && s->name; s++) {
            if (strcmp(l->name, s->name) == 0)
                report(&k->subject, "let %s has the name of a constant", l->name);
        }
    }
}

// Tries a case; true when the kernel serves it.
static bool probe(struct kernel_check *k, const struct vkz_case *c, int round)
{
    const int answer = serves(k, c, round % 2 == 1);
    if (answer == 1)
        check_kernel_case(k);
    return answer == 1;
}

void vkz_agree_kernel(struct vkz_agree *agree, const struct vkz_kernel *kernel,
                      const struct vkz_suite_op *probes)
{
    enum { LIMIT = 8 };
    struct kernel_check k = {.subject = {.agree = agree, .limit = LIMIT},
                             .kernel = kernel};
    snprintf(k.subject.file, sizeof k.subject.file, "%s", kernel->file);
    k.op = vkz_op_find(kernel->op);
    if (!k.op) {
        report(&k.subject, "op %s does not exist in this build", kernel->op);
        return;
    }
    if (k.op->abi != kernel->abi)
        report(&k.subject, "op %s/%d: the contract's abi is %d", kernel->op, kernel->abi,
               k.op->abi);
    check_kernel_text(&k);
    uint64_t state = 1;
    int served = 0;
    for (int i = 0; probes && i < probes->case_count && i < SUITE_PROBES; i++)
        served += k.subject.limit == LIMIT && probe(&k, &probes->cases[i], i);
    for (int i = 0, drawn = 0; i < DRAWS && drawn < PROBES && k.subject.limit == LIMIT;
         i++) {
        struct vkz_case c;
        if (draw_case(k.op, &state, i, &c, NULL) && probe(&k, &c, i)) {
            served++;
            drawn++;
        }
    }
    if (served == 0 && k.subject.limit == LIMIT)
        report(&k.subject,
               "it serves none of the suite's and of %d random cases (when %s): it would "
               "never run",
               DRAWS, kernel->when ? kernel->when : "always");
}

// ---- Everything ----

static void agree_suite(struct vkz_agree *agree, const struct vkz_suite_text *text)
{
    struct subject s = {.agree = agree, .limit = 1};
    struct vkz_suite suite;
    struct vkz_error err = {VKZ_OK, ""};
    snprintf(s.file, sizeof s.file, "suites/%s", text->name);
    if (vkz_suite_parse(text->name, text->text, text->size, 1, &suite, &err) != VKZ_OK) {
        report(&s, "%s", err.message);
        return;
    }
    for (int i = 0; i < suite.op_count; i++) {
        for (int j = 0; j < suite.ops[i].kernel_count; j++)
            vkz_agree_kernel(agree, suite.ops[i].kernels[j], &suite.ops[i]);
    }
    vkz_suite_finish(&suite);
}

void vkz_agree_all(struct vkz_agree *agree)
{
    for (int i = 0; vkz_ops[i]; i++)
        vkz_agree_op(agree, vkz_ops[i]);
    for (int i = 0; vkz_suite_texts[i].name; i++)
        agree_suite(agree, &vkz_suite_texts[i]);
}
