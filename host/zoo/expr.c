// SPDX-License-Identifier: MIT
// The names-and-numbers map and the expression evaluator: a recursive descent parser that
// computes while it reads. See vkzoo/env.h for the language.
#include "zoo/expr.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool name_equal(const char *name, const char *text, size_t size)
{
    return strncmp(name, text, size) == 0 && name[size] == '\0';
}

static int env_index(const struct vkz_env *env, const char *name, size_t size)
{
    for (int i = 0; i < env->count; i++) {
        if (name_equal(env->vars[i].name, name, size))
            return i;
    }
    return -1;
}

// The position of a word in a list of words separated by spaces, or -1.
static int word_index(const char *words, const char *word, size_t size)
{
    for (int i = 0; *words; i++) {
        const size_t length = strcspn(words, " ");
        if (length == size && memcmp(words, word, size) == 0)
            return i;
        words += length;
        words += strspn(words, " ");
    }
    return -1;
}

static bool env_find(const struct vkz_env *env, const char *name, size_t size,
                     double *value)
{
    int i = env_index(env, name, size);
    if (i >= 0) {
        *value = env->vars[i].value;
        return true;
    }
    const char *dot = memchr(name, '.', size);
    if (!dot)
        return false;
    const size_t axis_size = (size_t)(dot - name);
    i = env_index(env, name, axis_size);
    if (i < 0 || !env->vars[i].values)
        return false;
    const int number = word_index(env->vars[i].values, dot + 1, size - axis_size - 1);
    if (number < 0)
        return false;
    *value = number;
    return true;
}

static void env_put(struct vkz_env *env, const char *name, double value,
                    const char *values)
{
    int i = env_index(env, name, strlen(name));
    if (i < 0) {
        assert(env->count < VKZ_ENV_MAX && "an environment is full: raise VKZ_ENV_MAX");
        i = env->count++;
        env->vars[i].name = name;
        env->vars[i].values = NULL;
    }
    env->vars[i].value = value;
    if (values)
        env->vars[i].values = values;
}

void vkz_env_set(struct vkz_env *env, const char *name, double value)
{
    env_put(env, name, value, NULL);
}

void vkz_env_set_axis(struct vkz_env *env, const char *name, int value,
                      const char *values)
{
    env_put(env, name, value, values);
}

bool vkz_env_get(const struct vkz_env *env, const char *name, double *value)
{
    double found;
    if (!env_find(env, name, strlen(name), &found))
        return false;
    if (value)
        *value = found;
    return true;
}

// Deep enough for any text a person writes; shallow enough for a small thread stack.
enum { MAX_DEPTH = 100, MAX_ARGUMENTS = 8 };

struct parser {
    const char *begin, *at, *end;
    const struct vkz_env *env;
    struct vkz_error *err;
    enum vkz_status status;
    int depth;
    // 0 where the value is wanted; above, in the branch of ?: && || that is not taken:
    // names must exist there too, but a division by zero does not matter.
    int unused;
};

static double parse_choice(struct parser *p);

static double fail(struct parser *p, const char *at, const char *what)
{
    if (p->status == VKZ_OK) {
        const ptrdiff_t size = p->end - p->begin;
        p->status = vkz_error_set(p->err, VKZ_BAD_INPUT, "column %d of \"%.*s%s\": %s",
                                  (int)(at - p->begin) + 1, size > 160 ? 160 : (int)size,
                                  p->begin, size > 160 ? "..." : "", what);
        p->at = p->end; // every caller stops
    }
    return 0;
}

static double fail_expected(struct parser *p, const char *expected)
{
    char what[96];
    if (p->at < p->end)
        snprintf(what, sizeof what, "expected %s, found '%c'", expected,
                 *p->at >= ' ' && *p->at <= '~' ? *p->at : '?');
    else
        snprintf(what, sizeof what, "expected %s, found the end", expected);
    return fail(p, p->at, what);
}

static void skip_space(struct parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t'))
        p->at++;
}

static bool take(struct parser *p, const char *token)
{
    skip_space(p);
    const size_t size = strlen(token);
    if ((size_t)(p->end - p->at) < size || memcmp(p->at, token, size) != 0)
        return false;
    p->at += size;
    return true;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static double f_ceildiv(const double *a) { return ceil(a[0] / a[1]); }
static double f_floordiv(const double *a) { return floor(a[0] / a[1]); }
static double f_min(const double *a) { return fmin(a[0], a[1]); }
static double f_max(const double *a) { return fmax(a[0], a[1]); }
static double f_abs(const double *a) { return fabs(a[0]); }
static double f_sqrt(const double *a) { return sqrt(a[0]); }
static double f_ln(const double *a) { return log(a[0]); }
static double f_log2(const double *a) { return log2(a[0]); }
static double f_exp(const double *a) { return exp(a[0]); }
static double f_exp2(const double *a) { return exp2(a[0]); }
static double f_pow(const double *a) { return pow(a[0], a[1]); }
static double f_floor(const double *a) { return floor(a[0]); }
static double f_ceil(const double *a) { return ceil(a[0]); }
static double f_round(const double *a) { return round(a[0]); }
static double f_next_pow2(const double *a)
{
    return a[0] <= 1 ? 1 : exp2(ceil(log2(a[0])));
}
static double f_prev_pow2(const double *a)
{
    return a[0] < 2 ? 1 : exp2(floor(log2(a[0])));
}

static const struct function {
    const char *name;
    int arguments;
    bool divides; // the second argument must not be 0
    double (*call)(const double *arguments);
} functions[] = {
    {"ceildiv", 2, true, f_ceildiv},
    {"floordiv", 2, true, f_floordiv},
    {"min", 2, false, f_min},
    {"max", 2, false, f_max},
    {"abs", 1, false, f_abs},
    {"sqrt", 1, false, f_sqrt},
    {"ln", 1, false, f_ln},
    {"log2", 1, false, f_log2},
    {"exp", 1, false, f_exp},
    {"exp2", 1, false, f_exp2},
    {"pow", 2, false, f_pow},
    {"floor", 1, false, f_floor},
    {"ceil", 1, false, f_ceil},
    {"round", 1, false, f_round},
    {"next_pow2", 1, false, f_next_pow2},
    {"prev_pow2", 1, false, f_prev_pow2},
};

static double divided(struct parser *p, const char *at, double divisor)
{
    if (divisor == 0 && !p->unused && p->status == VKZ_OK)
        fail(p, at, "division by zero");
    return divisor;
}

// After "name(": the arguments and the closing parenthesis.
static double parse_call(struct parser *p, const char *name, size_t size)
{
    const struct function *function = NULL;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        if (name_equal(functions[i].name, name, size))
            function = &functions[i];
    }
    if (!function)
        return fail(
            p, name,
            "unknown function; there are ceildiv floordiv min max abs sqrt ln log2 "
            "exp exp2 pow floor ceil round next_pow2 prev_pow2");
    double arguments[MAX_ARGUMENTS];
    for (int i = 0; i < function->arguments; i++) {
        arguments[i] = parse_choice(p);
        if (i + 1 < function->arguments && !take(p, ","))
            return fail_expected(p, "',' and a second argument");
    }
    if (!take(p, ")"))
        return fail_expected(p, "')'");
    if (function->divides)
        divided(p, name, arguments[1]);
    return function->call(arguments);
}

static double parse_name(struct parser *p)
{
    const char *name = p->at;
    while (p->at < p->end && (is_letter(*p->at) || is_digit(*p->at) || *p->at == '.'))
        p->at++;
    const size_t size = (size_t)(p->at - name);
    if (take(p, "("))
        return parse_call(p, name, size);
    double value;
    if (env_find(p->env, name, size, &value))
        return value;
    char what[96];
    snprintf(what, sizeof what, "unknown name '%.*s'", size > 60 ? 60 : (int)size, name);
    return fail(p, name, what);
}

static double parse_number(struct parser *p)
{
    // strtod would read past the span only if the span ended inside a number, and spans
    // end at separators.
    char *end;
    const double value = strtod(p->at, &end);
    if (end > p->end || end == p->at)
        return fail_expected(p, "a number");
    const char *start = p->at;
    p->at = end;
    if (p->at < p->end && (is_letter(*p->at) || is_digit(*p->at) || *p->at == '.'))
        return fail(p, start, "expected a number or a name");
    return value;
}

static double parse_primary(struct parser *p)
{
    skip_space(p);
    if (p->at == p->end)
        return fail_expected(p, "a number, a name or '('");
    if (take(p, "(")) {
        const double value = parse_choice(p);
        return take(p, ")") ? value : fail_expected(p, "')'");
    }
    if (is_letter(*p->at))
        return parse_name(p);
    if (is_digit(*p->at) || *p->at == '.')
        return parse_number(p);
    return fail_expected(p, "a number, a name or '('");
}

static double parse_unary(struct parser *p)
{
    skip_space(p);
    if (++p->depth > MAX_DEPTH)
        return fail(p, p->at, "nested too deeply");
    double value;
    if (take(p, "-"))
        value = -parse_unary(p);
    else if (p->end - p->at >= 1 && *p->at == '!' &&
             (p->end - p->at < 2 || p->at[1] != '='))
        p->at++, value = parse_unary(p) == 0;
    else
        value = parse_primary(p);
    p->depth--;
    return value;
}

static double parse_product(struct parser *p)
{
    double value = parse_unary(p);
    for (;;) {
        skip_space(p);
        const char *at = p->at;
        if (take(p, "*"))
            value *= parse_unary(p);
        else if (take(p, "/"))
            value /= divided(p, at, parse_unary(p));
        else if (take(p, "%"))
            value = fmod(value, divided(p, at, parse_unary(p)));
        else
            return value;
    }
}

static double parse_sum(struct parser *p)
{
    double value = parse_product(p);
    for (;;) {
        if (take(p, "+"))
            value += parse_product(p);
        else if (take(p, "-"))
            value -= parse_product(p);
        else
            return value;
    }
}

static double parse_order(struct parser *p)
{
    double value = parse_sum(p);
    for (;;) {
        if (take(p, "<="))
            value = value <= parse_sum(p);
        else if (take(p, ">="))
            value = value >= parse_sum(p);
        else if (take(p, "<"))
            value = value < parse_sum(p);
        else if (take(p, ">"))
            value = value > parse_sum(p);
        else
            return value;
    }
}

static double parse_equality(struct parser *p)
{
    double value = parse_order(p);
    for (;;) {
        if (take(p, "=="))
            value = value == parse_order(p);
        else if (take(p, "!="))
            value = value != parse_order(p);
        else
            return value;
    }
}

static double parse_and(struct parser *p)
{
    double value = parse_equality(p);
    while (take(p, "&&")) {
        const bool skip = value == 0;
        p->unused += skip;
        const double right = parse_equality(p);
        p->unused -= skip;
        value = !skip && right != 0;
    }
    return value;
}

static double parse_or(struct parser *p)
{
    double value = parse_and(p);
    while (take(p, "||")) {
        const bool skip = value != 0;
        p->unused += skip;
        const double right = parse_and(p);
        p->unused -= skip;
        value = skip || right != 0;
    }
    return value;
}

static double parse_choice(struct parser *p)
{
    if (++p->depth > MAX_DEPTH)
        return fail(p, p->at, "nested too deeply");
    double value = parse_or(p);
    if (take(p, "?")) {
        const bool yes = value != 0;
        p->unused += !yes;
        const double left = parse_choice(p);
        p->unused -= !yes;
        if (!take(p, ":"))
            return fail_expected(p, "':'");
        p->unused += yes;
        const double right = parse_choice(p);
        p->unused -= yes;
        value = yes ? left : right;
    }
    p->depth--;
    return value;
}

enum vkz_status vkz_expr_eval_span(const char *text, size_t size,
                                   const struct vkz_env *env, double *result,
                                   struct vkz_error *err)
{
    struct parser p = {
        .begin = text, .at = text, .end = text + size, .env = env, .err = err};
    const double value = parse_choice(&p);
    if (p.status != VKZ_OK)
        return p.status;
    skip_space(&p);
    if (p.at < p.end) {
        fail_expected(&p, "an operator or the end");
        return p.status;
    }
    *result = value;
    return VKZ_OK;
}

enum vkz_status vkz_expr_eval(const char *text, const struct vkz_env *env, double *result,
                              struct vkz_error *err)
{
    if (!text) {
        *result = 1;
        return VKZ_OK;
    }
    return vkz_expr_eval_span(text, strlen(text), env, result, err);
}

static const double max_exact = 9007199254740992.0; // 2^53

static enum vkz_status eval_size(const char *text, size_t size, const struct vkz_env *env,
                                 int64_t *result, struct vkz_error *err)
{
    double value;
    const enum vkz_status status = vkz_expr_eval_span(text, size, env, &value, err);
    if (status != VKZ_OK)
        return status;
    if (!(value >= 0 && value <= max_exact) || value != floor(value))
        return vkz_error_set(err, VKZ_BAD_INPUT,
                             "\"%.*s\" is %g: expected an integer from 0 to 2^53",
                             size > 200 ? 200 : (int)size, text, value);
    *result = (int64_t)value;
    return VKZ_OK;
}

enum vkz_status vkz_expr_size(const char *text, const struct vkz_env *env,
                              int64_t *result, struct vkz_error *err)
{
    return eval_size(text ? text : "1", text ? strlen(text) : 1, env, result, err);
}

size_t vkz_span_item(const char *text, size_t size, const char *separators)
{
    int depth = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '(')
            depth++;
        else if (text[i] == ')' && depth > 0)
            depth--;
        else if (depth == 0 && text[i] && strchr(separators, text[i]))
            return i;
    }
    return size;
}

enum vkz_status vkz_shape_eval(const char *text, const struct vkz_env *env,
                               int64_t extents[VKZ_MAX_DIMS], int *dims, int64_t *count,
                               struct vkz_error *err)
{
    *dims = 0;
    *count = 1;
    size_t left = text ? strlen(text) : 0;
    if (left == strspn(text ? text : "", " "))
        return VKZ_OK;
    for (const char *item = text;;) {
        const size_t size = vkz_span_item(item, left, ",");
        if (*dims == VKZ_MAX_DIMS)
            return vkz_error_set(err, VKZ_BAD_INPUT, "shape \"%s\" has more than %d dims",
                                 text, VKZ_MAX_DIMS);
        int64_t extent = 0;
        const enum vkz_status status = eval_size(item, size, env, &extent, err);
        if (status != VKZ_OK)
            return status;
        if (extent && *count > (int64_t)max_exact / extent)
            return vkz_error_set(err, VKZ_BAD_INPUT, "shape \"%s\" has too many elements",
                                 text);
        *count *= extent;
        extents[(*dims)++] = extent;
        if (size == left)
            return VKZ_OK;
        item += size + 1;
        left -= size + 1;
    }
}

void vkz_number_print(double value, bool single, char out[32])
{
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(out, 32, "%.*g", digits, value);
        const double back = strtod(out, NULL);
        if ((single ? (float)back : back) == value)
            break;
    }
    // 1e+06 is right but nobody writes a size so.
    if (value == floor(value) && fabs(value) < 1e9)
        snprintf(out, 32, "%.0f", value == 0 ? 0.0 : value);
}
