// SPDX-License-Identifier: MIT
// Fills: the counter-based random source, the distributions over it, and the table of
// names. The same (seed, tensor, index) gives the same number on every machine: normals
// and uniforms are made of integer operations, + * / and sqrt only, which IEEE 754 fixes.
#include "zoo/fill.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zoo/expr.h"

// gcc joins no multiply and add in standard C mode; clang must be told.
#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif

// One Philox block gives four normals or two uniforms; streams keep the two apart.
enum { STREAM_NORMAL, STREAM_UNIFORM };

static inline void philox_round(uint32_t c[4], uint32_t k0, uint32_t k1)
{
    const uint64_t p0 = (uint64_t)0xd2511f53u * c[0];
    const uint64_t p1 = (uint64_t)0xcd9e8d57u * c[2];
    const uint32_t high0 = (uint32_t)(p0 >> 32), high1 = (uint32_t)(p1 >> 32);
    c[0] = high1 ^ c[1] ^ k0;
    c[1] = (uint32_t)p1;
    c[2] = high0 ^ c[3] ^ k1;
    c[3] = (uint32_t)p0;
}

void vkz_philox(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4])
{
    uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]};
    uint32_t k0 = key[0], k1 = key[1];
    for (int i = 0; i < 10; i++) {
        philox_round(c, k0, k1);
        k0 += 0x9e3779b9u;
        k1 += 0xbb67ae85u;
    }
    memcpy(out, c, sizeof c);
}

static void philox_block(const uint32_t key[2], uint64_t block, uint32_t stream,
                         uint32_t out[4])
{
    const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), stream, 0};
    vkz_philox(key, counter, out);
}

static void make_key(uint64_t seed, const char *name, uint32_t key[2])
{
    uint64_t hash = 0xcbf29ce484222325u; // FNV-1a
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    key[0] = (uint32_t)(seed ^ hash);
    key[1] = (uint32_t)((seed >> 32) ^ (hash >> 32));
}

// ---- Numbers from random words ----

static inline uint32_t float_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float bits_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// sqrt(-2 ln u) for u = (word | 1) / 2^32 in (0, 1].
static inline float radius(uint32_t word)
{
    const float u = (float)(int32_t)(word >> 1 | 1) * 0x1p-31f;
    // u = 2^e m with m in [sqrt(1/2), sqrt(2)); ln m = 2 artanh((m - 1) / (m + 1)).
    const uint32_t low = 0x3f3504f3u;
    const uint32_t shifted = float_bits(u) - low;
    const float e = (float)((int32_t)shifted >> 23);
    const float m = bits_float((shifted & 0x7fffffu) + low);
    const float s = (m - 1) / (m + 1), s2 = s * s;
    const float ln_m =
        2 * s * (1 + s2 * (1.f / 3 + s2 * (1.f / 5 + s2 * (1.f / 7 + s2 * (1.f / 9)))));
    const float ln_u = e * 0.693147181f + ln_m;
    return sqrtf(fabsf(-2 * ln_u));
}

// cos and sin of 2 pi word / 2^32: a quarter turn by the top bits, Taylor on the rest.
static inline void direction(uint32_t word, float *cosine, float *sine)
{
    const uint32_t turned = word + 0x20000000u;
    const uint32_t quarter = turned >> 30;
    const float a =
        (float)((int32_t)(turned & 0x3fffffffu) - 0x20000000) * (1.57079633f * 0x1p-30f);
    const float a2 = a * a;
    const float s =
        a * (1 + a2 * (-1.f / 6 + a2 * (1.f / 120 + a2 * (-1.f / 5040 + a2 / 362880))));
    const float c =
        1 + a2 * (-1.f / 2 + a2 * (1.f / 24 + a2 * (-1.f / 720 + a2 / 40320)));
    const float x = quarter & 1 ? s : c, y = quarter & 1 ? c : s;
    *cosine = quarter == 1 || quarter == 2 ? -x : x;
    *sine = quarter >= 2 ? -y : y;
}

// Box-Muller on the four words of a block.
static inline void normal_block(const uint32_t words[4], float out[4])
{
    float c, s;
    direction(words[1], &c, &s);
    const float r0 = radius(words[0]);
    out[0] = r0 * c;
    out[1] = r0 * s;
    direction(words[3], &c, &s);
    const float r1 = radius(words[2]);
    out[2] = r1 * c;
    out[3] = r1 * s;
}

static inline double uniform_of(uint32_t high, uint32_t low)
{
    return (double)((uint64_t)high << 21 | low >> 11) * 0x1p-53;
}

static double uniform_at(const uint32_t key[2], uint64_t index)
{
    uint32_t words[4];
    philox_block(key, index / 2, STREAM_UNIFORM, words);
    return index % 2 ? uniform_of(words[2], words[3]) : uniform_of(words[0], words[1]);
}

static float normal_at(const uint32_t key[2], uint64_t index)
{
    uint32_t words[4];
    float values[4];
    philox_block(key, index / 4, STREAM_NORMAL, words);
    normal_block(words, values);
    return values[index % 4];
}

// Normals in batches: plain loops of a fixed length over separate arrays, which compilers
// turn into vector code.
enum { BLOCKS = 64, BATCH = 4 * BLOCKS };

static void normal_batch(const uint32_t key[2], uint64_t first_block, float out[BATCH])
{
    uint32_t c0[BLOCKS], c1[BLOCKS], c2[BLOCKS], c3[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        const uint64_t block = first_block + (uint64_t)i;
        c0[i] = (uint32_t)block;
        c1[i] = (uint32_t)(block >> 32);
        c2[i] = STREAM_NORMAL;
        c3[i] = 0;
    }
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < BLOCKS; i++) {
            uint32_t c[4] = {c0[i], c1[i], c2[i], c3[i]};
            philox_round(c, k0, k1);
            c0[i] = c[0];
            c1[i] = c[1];
            c2[i] = c[2];
            c3[i] = c[3];
        }
        k0 += 0x9e3779b9u;
        k1 += 0xbb67ae85u;
    }
    float r0[BLOCKS], r1[BLOCKS], x0[BLOCKS], y0[BLOCKS], x1[BLOCKS], y1[BLOCKS];
    for (int i = 0; i < BLOCKS; i++)
        r0[i] = radius(c0[i]);
    for (int i = 0; i < BLOCKS; i++)
        r1[i] = radius(c2[i]);
    for (int i = 0; i < BLOCKS; i++)
        direction(c1[i], &x0[i], &y0[i]);
    for (int i = 0; i < BLOCKS; i++)
        direction(c3[i], &x1[i], &y1[i]);
    for (int i = 0; i < BLOCKS; i++) {
        out[4 * i] = r0[i] * x0[i];
        out[4 * i + 1] = r0[i] * y0[i];
        out[4 * i + 2] = r1[i] * x1[i];
        out[4 * i + 3] = r1[i] * y1[i];
    }
}

// ---- The fills ----

// Floats or integers of the wide array, before an integer fill of a float tensor (or the
// other way round) is converted in place.
union word {
    float f;
    int32_t i;
};

enum { MAX_ARGUMENTS = 2 };

struct job {
    struct vkz_fill fill;
    const struct entry *entry;
    double arguments[MAX_ARGUMENTS];
    int64_t width;  // last extent
    int64_t inner;  // elements of one token, for decay_hard ...
    int64_t tokens; // ... and tokens of one sequence
    int64_t chunk;  // elements a piece of work: whole rows
    double *table;  // zipf: cumulative probabilities
    int64_t table_size;
};

// Writes elements [first, first + count): whole rows of the last dim.
typedef void fill_function(const struct job *job, int64_t first, int64_t count,
                           union word *out);

static void normals(const uint32_t key[2], int64_t first, int64_t count, union word *out)
{
    float batch[BATCH];
    while (count > 0) {
        const int64_t start = first % BATCH;
        const int64_t take = count < BATCH - start ? count : BATCH - start;
        normal_batch(key, (uint64_t)(first / BATCH) * BLOCKS, batch);
        memcpy(out, batch + start, (size_t)take * sizeof *batch);
        first += take;
        count -= take;
        out += take;
    }
}

static void fill_normal(const struct job *job, int64_t first, int64_t count,
                        union word *out)
{
    const float sigma = (float)job->arguments[0];
    normals(job->fill.key, first, count, out);
    for (int64_t i = 0; i < count; i++)
        out[i].f *= sigma;
}

static void fill_uniform(const struct job *job, int64_t first, int64_t count,
                         union word *out)
{
    const double low = job->arguments[0], size = job->arguments[1] - low;
    for (int64_t i = 0; i < count;) {
        uint32_t words[4];
        const uint64_t index = (uint64_t)(first + i);
        philox_block(job->fill.key, index / 2, STREAM_UNIFORM, words);
        if (index % 2 == 0) {
            out[i++].f = (float)(low + size * uniform_of(words[0], words[1]));
            if (i == count)
                break;
        }
        out[i++].f = (float)(low + size * uniform_of(words[2], words[3]));
    }
}

// Integers low..low + size - 1 from one uniform.
static int64_t pick(double uniform, int64_t size)
{
    const int64_t i = (int64_t)(uniform * (double)size);
    return i < size ? i : size - 1;
}

static void fill_dyadic(const struct job *job, int64_t first, int64_t count,
                        union word *out)
{
    for (int64_t i = 0; i < count; i++) {
        const double u = uniform_at(job->fill.key, (uint64_t)(first + i));
        out[i].f = (float)(pick(u, 9) - 4) / 4;
    }
}

static void fill_heavy(const struct job *job, int64_t first, int64_t count,
                       union word *out)
{
    normals(job->fill.key, first, count, out);
    for (int64_t i = 0; i < count; i++) {
        if (uniform_at(job->fill.key, (uint64_t)(first + i)) < 0.01)
            out[i].f *= 16;
    }
}

static void fill_const(const struct job *job, int64_t first, int64_t count,
                       union word *out)
{
    (void)first;
    for (int64_t i = 0; i < count; i++)
        out[i].f = (float)job->arguments[0];
}

static void fill_zero(const struct job *job, int64_t first, int64_t count,
                      union word *out)
{
    (void)job, (void)first;
    memset(out, 0, (size_t)count * sizeof *out);
}

static void fill_onehot(const struct job *job, int64_t first, int64_t count,
                        union word *out)
{
    for (int64_t i = 0; i < count; i++) {
        const int64_t row = (first + i) / job->width, column = (first + i) % job->width;
        out[i].f = column == (7 * row + 3) % job->width;
    }
}

static void fill_dup(const struct job *job, int64_t first, int64_t count, union word *out)
{
    enum { DISTINCT = 8 };
    const int64_t width = job->width;
    for (int64_t i = 0; i < count; i += width) {
        const int64_t row = (first + i) / width % DISTINCT;
        if (i < DISTINCT * width)
            normals(job->fill.key, row * width, width, out + i);
        else
            memcpy(out + i, out + i - DISTINCT * width, (size_t)width * sizeof *out);
    }
}

static void fill_spike(const struct job *job, int64_t first, int64_t count,
                       union word *out)
{
    normals(job->fill.key, first, count, out);
    for (int64_t i = 0; i < count; i += job->width) {
        const double u = uniform_at(job->fill.key, (uint64_t)((first + i) / job->width));
        out[i + pick(u, job->width)].f *= 1e3f;
    }
}

// Subnormals of the storage type, of every magnitude.
static void fill_denorm(const struct job *job, int64_t first, int64_t count,
                        union word *out)
{
    const enum vkz_type type = job->fill.array->type;
    for (int64_t i = 0; i < count; i++) {
        uint32_t words[4];
        philox_block(job->fill.key, (uint64_t)(first + i), STREAM_UNIFORM, words);
        const uint32_t sign = words[1] & 0x80000000u;
        if (type == VKZ_F16) {
            const uint32_t mantissa = (words[0] & 0x3ff) >> words[2] % 10;
            out[i].f =
                vkz_f32_from_f16((uint16_t)(sign >> 16 | (mantissa ? mantissa : 1)));
        } else if (type == VKZ_BF16) {
            const uint32_t mantissa = (words[0] & 0x7f) >> words[2] % 7;
            out[i].f = bits_float(sign | (mantissa ? mantissa : 1) << 16);
        } else {
            const uint32_t mantissa = (words[0] & 0x7fffff) >> words[2] % 23;
            out[i].f = bits_float(sign | (mantissa ? mantissa : 1));
        }
    }
}

static void fill_nanprobe(const struct job *job, int64_t first, int64_t count,
                          union word *out)
{
    const double at = job->arguments[0];
    normals(job->fill.key, first, count, out);
    if (at >= (double)first && at < (double)(first + count))
        out[(int64_t)at - first].f = NAN;
}

static void fill_unit(const struct job *job, int64_t first, int64_t count,
                      union word *out)
{
    normals(job->fill.key, first, count, out);
    for (int64_t row = 0; row < count; row += job->width) {
        double sum = 0;
        for (int64_t i = row; i < row + job->width; i++)
            sum += (double)out[i].f * out[i].f;
        const double factor = sum > 0 ? 1 / sqrt(sum) : 0;
        for (int64_t i = row; i < row + job->width; i++)
            out[i].f = (float)(out[i].f * factor);
    }
}

static void fill_logdecay(const struct job *job, int64_t first, int64_t count,
                          union word *out)
{
    normals(job->fill.key, first, count, out);
    for (int64_t i = 0; i < count; i++)
        out[i].f = (float)(-log1p(exp(out[i].f)) / job->arguments[0]);
}

static void fill_decay_hard(const struct job *job, int64_t first, int64_t count,
                            union word *out)
{
    fill_logdecay(job, first, count, out);
    for (int64_t i = 0; i < count; i++) {
        const int64_t token = (first + i) / job->inner % job->tokens;
        if (token % 97 == 96)
            out[i].f = -1000;
        else if (token % 32 == 31)
            out[i].f = -30;
    }
}

static void fill_sigm(const struct job *job, int64_t first, int64_t count,
                      union word *out)
{
    normals(job->fill.key, first, count, out);
    for (int64_t i = 0; i < count; i++)
        out[i].f = (float)(1 / (1 + exp(-out[i].f)));
}

static void fill_linear_w(const struct job *job, int64_t first, int64_t count,
                          union word *out)
{
    const float sigma = (float)(1 / sqrt(job->arguments[0]));
    normals(job->fill.key, first, count, out);
    for (int64_t i = 0; i < count; i++)
        out[i].f *= sigma;
}

static void fill_range(const struct job *job, int64_t first, int64_t count,
                       union word *out)
{
    const int64_t low = (int64_t)job->arguments[0];
    const int64_t size = (int64_t)job->arguments[1] - low + 1;
    for (int64_t i = 0; i < count; i++) {
        const double u = uniform_at(job->fill.key, (uint64_t)(first + i));
        out[i].i = (int32_t)(low + pick(u, size));
    }
}

static void fill_zipf(const struct job *job, int64_t first, int64_t count,
                      union word *out)
{
    for (int64_t i = 0; i < count; i++) {
        const double u = uniform_at(job->fill.key, (uint64_t)(first + i));
        int64_t low = 0, high = job->table_size - 1; // first entry above u
        while (low < high) {
            const int64_t middle = low + (high - low) / 2;
            if (job->table[middle] > u)
                high = middle;
            else
                low = middle + 1;
        }
        out[i].i = (int32_t)low;
    }
}

static void fill_perm(const struct job *job, int64_t first, int64_t count,
                      union word *out)
{
    for (int64_t row = 0; row < count; row += job->width) {
        union word *p = out + row;
        for (int64_t i = 0; i < job->width; i++) {
            const double u = uniform_at(job->fill.key, (uint64_t)(first + row + i));
            const int64_t j = pick(u, i + 1);
            p[i] = p[j];
            p[j].i = (int32_t)i;
        }
    }
}

// What an argument that is not given is, and what it must obey.
static const struct entry {
    const char *name;
    fill_function *function;
    bool integral;                        // writes .i
    int needed;                           // arguments that must be given
    const char *arguments[MAX_ARGUMENTS]; // defaults, expressions; NULL: takes fewer
    const char *help;
} entries[] = {
    {"normal", fill_normal, false, 0, {"1"}, "normal(sigma)"},
    {"uniform", fill_uniform, false, 0, {"0", "1"}, "uniform(a,b)"},
    {"dyadic", fill_dyadic, false, 0, {NULL}, "dyadic"},
    {"heavy", fill_heavy, false, 0, {NULL}, "heavy"},
    {"const", fill_const, false, 1, {"0"}, "const(c)"},
    {"zero", fill_zero, false, 0, {NULL}, "zero"},
    {"onehot", fill_onehot, false, 0, {NULL}, "onehot"},
    {"dup", fill_dup, false, 0, {NULL}, "dup"},
    {"spike", fill_spike, false, 0, {NULL}, "spike"},
    {"denorm", fill_denorm, false, 0, {NULL}, "denorm"},
    {"nanprobe", fill_nanprobe, false, 0, {"0"}, "nanprobe(index)"},
    {"unit", fill_unit, false, 0, {NULL}, "unit"},
    {"logdecay", fill_logdecay, false, 0, {"16"}, "logdecay(a)"},
    {"decay_hard", fill_decay_hard, false, 0, {"16"}, "decay_hard"},
    {"sigm", fill_sigm, false, 0, {NULL}, "sigm"},
    {"linear_w", fill_linear_w, false, 0, {"tensor.width"}, "linear_w(in)"},
    {"range", fill_range, true, 2, {"0", "0"}, "range(first,last)"},
    {"zipf", fill_zipf, true, 1, {"1", "experts"}, "zipf(a,ids)"},
    {"perm", fill_perm, true, 0, {NULL}, "perm"},
};
enum { ENTRY_COUNT = sizeof entries / sizeof entries[0] };

static enum vkz_status fail_unknown(const char *text, size_t size, struct vkz_error *err)
{
    char known[360] = "";
    for (int i = 0; i < ENTRY_COUNT; i++) {
        const size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, " %s", entries[i].help);
    }
    return vkz_error_set(err, VKZ_BAD_INPUT, "unknown fill '%.*s'; there are%s",
                         size > 40 ? 40 : (int)size, text, known);
}

// Evaluates "a,b)" and the defaults of what is left out.
static enum vkz_status parse_arguments(const struct entry *entry, const char *text,
                                       const struct vkz_env *env,
                                       double arguments[MAX_ARGUMENTS],
                                       struct vkz_error *err)
{
    int given = 0;
    struct vkz_error inner = {VKZ_OK, ""};
    const size_t size = strlen(text);
    if (size > 0 && text[size - 1] != ')')
        return vkz_error_set(err, VKZ_BAD_INPUT, "fill %s: expected ')' at the end",
                             entry->name);
    for (size_t left = size > 0 ? size - 1 : 0; left > 0;) {
        const size_t item = vkz_span_item(text, left, ",");
        if (given == MAX_ARGUMENTS || !entry->arguments[given])
            return vkz_error_set(err, VKZ_BAD_INPUT, "too many arguments: expected %s",
                                 entry->help);
        const enum vkz_status status =
            vkz_expr_eval_span(text, item, env, &arguments[given], &inner);
        if (status != VKZ_OK)
            return vkz_error_set(err, status, "fill %s: %s", entry->name, inner.message);
        given++;
        if (item == left)
            break;
        text += item + 1;
        left -= item + 1;
        if (left == 0)
            return vkz_error_set(err, VKZ_BAD_INPUT,
                                 "expected an argument after ',' in %s", entry->help);
    }
    if (given < entry->needed)
        return vkz_error_set(err, VKZ_BAD_INPUT, "too few arguments: expected %s",
                             entry->help);
    for (int i = given; i < MAX_ARGUMENTS && entry->arguments[i]; i++) {
        if (vkz_expr_eval(entry->arguments[i], env, &arguments[i], NULL) != VKZ_OK)
            return vkz_error_set(err, VKZ_BAD_INPUT, "too few arguments: expected %s",
                                 entry->help);
    }
    return VKZ_OK;
}

static enum vkz_status check_arguments(const struct entry *entry,
                                       const double arguments[MAX_ARGUMENTS],
                                       struct vkz_error *err)
{
    const double a = arguments[0], b = arguments[1];
    bool good = true;
    if (entry->function == fill_range)
        good =
            a == floor(a) && b == floor(b) && a <= b && a >= INT32_MIN && b <= UINT32_MAX;
    else if (entry->function == fill_zipf)
        good = isfinite(a) && b >= 1 && b <= 0x1p28 && b == floor(b);
    else if (entry->function == fill_nanprobe)
        good = a >= 0 && a == floor(a);
    else if (entry->function == fill_logdecay || entry->function == fill_decay_hard ||
             entry->function == fill_linear_w)
        good = a > 0;
    else if (entry->arguments[0] && entry->function != fill_const)
        good = isfinite(a) && isfinite(b);
    if (!good)
        return vkz_error_set(
            err, VKZ_BAD_INPUT, "fill %s(%g,%g): expected %s", entry->name, a, b,
            entry->function == fill_range  ? "integers first <= last"
            : entry->function == fill_zipf ? "an exponent and 1..2^28 ids"
            : entry->function == fill_nanprobe
                ? "an element's index"
                : "a finite (where it divides, positive) number");
    return VKZ_OK;
}

static enum vkz_status parse_fill(const char *text, const struct vkz_tensor *tensor,
                                  const struct vkz_env *case_env,
                                  const struct entry **entry,
                                  double arguments[MAX_ARGUMENTS], struct vkz_error *err)
{
    const size_t size = strcspn(text, "(");
    *entry = NULL;
    for (int i = 0; i < ENTRY_COUNT; i++) {
        if (strlen(entries[i].name) == size && memcmp(text, entries[i].name, size) == 0)
            *entry = &entries[i];
    }
    if (!*entry)
        return fail_unknown(text, size, err);
    // tensor.width is for this tensor's default arguments.
    struct vkz_env env = *case_env;
    int64_t extents[VKZ_MAX_DIMS], count;
    int dims;
    enum vkz_status status =
        vkz_shape_eval(tensor->shape, case_env, extents, &dims, &count, err);
    if (status != VKZ_OK)
        return status;
    if (env.count < VKZ_ENV_MAX)
        vkz_env_set(&env, "tensor.width",
                    dims && extents[dims - 1] ? (double)extents[dims - 1] : 1);
    arguments[0] = arguments[1] = 0;
    status =
        parse_arguments(*entry, text + size + (text[size] == '('), &env, arguments, err);
    return status == VKZ_OK ? check_arguments(*entry, arguments, err) : status;
}

enum vkz_status vkz_fill_check(const char *text, const struct vkz_op *op,
                               const struct vkz_tensor *tensor, const struct vkz_env *env,
                               struct vkz_error *err)
{
    const struct entry *entry;
    double arguments[MAX_ARGUMENTS];
    if (strcmp(text, "op") == 0) {
        if (op->fill)
            return VKZ_OK;
        return vkz_error_set(err, VKZ_BAD_INPUT, "%s has no fill of its own for %s",
                             op->name, tensor->name);
    }
    if (strcmp(text, "forward") == 0) {
        if (op->forward)
            return VKZ_OK;
        return vkz_error_set(err, VKZ_BAD_INPUT, "%s has no forward op to fill %s from",
                             op->name, tensor->name);
    }
    return parse_fill(text, tensor, env, &entry, arguments, err);
}

const char *vkz_case_fill(const struct vkz_case *c, const struct vkz_tensor *tensor)
{
    for (int i = 0; i < c->fill_count; i++) {
        if (strcmp(c->fills[i].tensor, tensor->name) == 0)
            return c->fills[i].fill;
    }
    return tensor->fill ? tensor->fill : "normal(1)";
}

// ---- Filling an array ----

static void fill_chunk(void *context, int64_t i)
{
    const struct job *job = context;
    const struct vkz_array *array = job->fill.array;
    const int64_t first = i * job->chunk;
    const int64_t rest = array->count - first;
    const int64_t count = rest < job->chunk ? rest : job->chunk;
    union word *out = (union word *)array->wide + first;
    job->entry->function(job, first, count, out);
    if (vkz_type_is_float(array->type) && job->entry->integral) {
        for (int64_t j = 0; j < count; j++)
            out[j].f = (float)out[j].i;
    }
    if (!vkz_type_is_float(array->type) && !job->entry->integral) {
        for (int64_t j = 0; j < count; j++)
            out[j].i = (int32_t)vkz_storage_round(VKZ_I32, out[j].f);
    }
}

static bool make_zipf_table(struct job *job)
{
    job->table_size = (int64_t)job->arguments[1];
    job->table = malloc((size_t)job->table_size * sizeof *job->table);
    if (!job->table)
        return false;
    double sum = 0;
    for (int64_t i = 0; i < job->table_size; i++)
        job->table[i] = sum += pow((double)i + 1, -job->arguments[0]);
    for (int64_t i = 0; i < job->table_size; i++)
        job->table[i] /= sum;
    return true;
}

static bool span_is(const char *text, size_t size, const char *name)
{
    return strlen(name) == size && memcmp(text, name, size) == 0;
}

// Where decay_hard counts tokens: the dim named len, q_len or kv_len, else the last.
static void find_tokens(struct job *job)
{
    const struct vkz_array *array = job->fill.array;
    const char *item = array->tensor->shape ? array->tensor->shape : "";
    int at = array->dims - 1;
    for (int i = 0; i < array->dims; i++) {
        item += strspn(item, " ");
        const size_t size = vkz_span_item(item, strlen(item), ",");
        if (span_is(item, size, "len") || span_is(item, size, "q_len") ||
            span_is(item, size, "kv_len"))
            at = i;
        item += size + (item[size] == ',');
    }
    job->inner = 1;
    for (int i = at + 1; i < array->dims; i++)
        job->inner *= array->extents[i];
    job->tokens = at >= 0 ? array->extents[at] : 1;
}

enum vkz_status vkz_fill_array(const struct vkz_case *c, struct vkz_array *array,
                               const char *text, int threads, struct vkz_error *err)
{
    struct job job = {.fill = {.c = c, .array = array}};
    make_key(c->seed, array->tensor->name, job.fill.key);
    if (array->count == 0)
        return VKZ_OK;
    if (strcmp(text, "op") == 0) {
        memset(array->wide, 0, (size_t)array->count * sizeof(union word));
        c->op->fill(&job.fill, array->tensor->name);
        return VKZ_OK;
    }
    if (strcmp(text, "forward") == 0) { // see vkz_forward_fill
        memset(array->wide, 0, (size_t)array->count * sizeof(union word));
        return VKZ_OK;
    }
    const enum vkz_status status =
        parse_fill(text, array->tensor, &c->env, &job.entry, job.arguments, err);
    if (status != VKZ_OK)
        return status;
    job.width = array->dims ? array->extents[array->dims - 1] : 1;
    find_tokens(&job);
    const int64_t rows = job.width < 16384 ? 16384 / job.width : 1;
    job.chunk = rows * job.width;
    if (job.entry->function == fill_zipf && !make_zipf_table(&job))
        return vkz_error_set(err, VKZ_FAILED, "out of memory: zipf over %.0f ids",
                             job.arguments[1]);
    vkz_parallel_for((array->count + job.chunk - 1) / job.chunk, threads, fill_chunk,
                     &job);
    free(job.table);
    return VKZ_OK;
}

// ---- For the contracts' own fills ----

double vkz_fill_value(const struct vkz_fill *fill, const char *name)
{
    double value = NAN;
    const bool known = vkz_env_get(&fill->c->env, name, &value);
    assert(known && "a contract's fill asks for an unknown name");
    (void)known;
    return value;
}

float *vkz_fill_float(struct vkz_fill *fill)
{
    assert(vkz_type_is_float(fill->array->type));
    return fill->array->wide;
}

int32_t *vkz_fill_int(struct vkz_fill *fill)
{
    assert(!vkz_type_is_float(fill->array->type));
    return fill->array->wide;
}

int64_t vkz_fill_count(const struct vkz_fill *fill) { return fill->array->count; }

double vkz_fill_uniform(const struct vkz_fill *fill, uint64_t index)
{
    return uniform_at(fill->key, index);
}

double vkz_fill_normal(const struct vkz_fill *fill, uint64_t index)
{
    return normal_at(fill->key, index);
}
