// SPDX-License-Identifier: MIT
// Matching the cases of two files, verdicts, geometric means. See report/compare.h.
#include "report/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/judge.h"

static const char *const verdict_names[VKZ_VERDICTS] = {"broken", "slower", "faster",
                                                        "cannot tell", "same"};

const char *vkz_verdict_name(enum vkz_verdict verdict)
{
    return verdict_names[verdict];
}

// ---- One pair of timings ----

struct rank {
    double value;
    int side;
};

static int compare_rank(const void *a, const void *b)
{
    const double x = ((const struct rank *)a)->value, y = ((const struct rank *)b)->value;
    return (x > y) - (x < y);
}

// Two-sided p of the Mann-Whitney test by its normal approximation with ties, NaN without
// memory.
static double rank_test(const struct vkz_times *a, const struct vkz_times *b)
{
    const size_t na = a->sample_count, nb = b->sample_count, n = na + nb;
    struct rank *ranks = malloc((n ? n : 1) * sizeof *ranks);
    if (!ranks)
        return (double)NAN;
    for (size_t i = 0; i < na; i++)
        ranks[i] = (struct rank){a->samples[i], 0};
    for (size_t i = 0; i < nb; i++)
        ranks[na + i] = (struct rank){b->samples[i], 1};
    qsort(ranks, n, sizeof *ranks, compare_rank);
    double sum_a = 0, ties = 0;
    for (size_t first = 0; first < n;) {
        size_t end = first + 1;
        while (end < n && !(ranks[end].value > ranks[first].value))
            end++;
        const double rank = 0.5 * (double)(first + end + 1), t = (double)(end - first);
        for (size_t j = first; j < end; j++)
            sum_a += ranks[j].side == 0 ? rank : 0;
        ties += t * t * t - t;
        first = end;
    }
    free(ranks);
    const double x = (double)na, y = (double)nb, total = x + y;
    const double u = sum_a - x * (x + 1) / 2;
    const double variance = x * y / 12 * (total + 1 - ties / (total * (total - 1)));
    if (!(variance > 0))
        return 1; // all samples are equal
    const double z = fmax(0, fabs(u - x * y / 2) - 0.5) / sqrt(variance);
    return erfc(z / sqrt(2));
}

// Half the interval of a median, as a logarithm.
static double half_log(const struct vkz_times *t)
{
    return t->low > 0 && t->high >= t->low ? log(t->high / t->low) / 2 : (double)NAN;
}

// The verdict on a logarithm of a ratio and half its interval; where the samples of `a` and
// `b` are given, a rank test of them has to agree. `interval` names it in the reason.
static enum vkz_verdict decide(double middle, double half, const char *interval,
                               const struct vkz_times *a, const struct vkz_times *b,
                               char reason[160])
{
    const enum vkz_verdict way = middle > 0 ? VKZ_VERDICT_SLOWER : VKZ_VERDICT_FASTER;
    const bool apart = fabs(middle) > half && fabs(middle) > log1p(VKZ_RESOLUTION);
    if (apart && (!a || rank_test(a, b) < 0.05))
        return way;
    if (fabs(middle) + half <= log1p(VKZ_SAMENESS))
        return VKZ_VERDICT_SAME;
    if (fabs(middle) <= half)
        snprintf(reason, 160, "%s, +-%.1f %%, is wider than the difference", interval,
                 100 * expm1(half));
    else if (!apart)
        snprintf(reason, 160, "the difference is below %.0f %%", 100 * VKZ_RESOLUTION);
    else
        snprintf(reason, 160, "the samples overlap too much");
    return VKZ_VERDICT_UNKNOWN;
}

// True when both are sides of one `bench --ab` and every block has a time: one that was cut
// short may have none, and then only the samples of all blocks say something.
static bool in_turns(const struct vkz_times *a, const struct vkz_times *b)
{
    bool whole = a->block_count >= VKZ_COMPARE_BLOCKS && a->block_count == b->block_count &&
                 strcmp(a->blocks_id, b->blocks_id) == 0;
    for (size_t i = 0; whole && i < a->block_count; i++)
        whole = a->blocks[i] > 0 && b->blocks[i] > 0;
    return whole;
}

enum vkz_verdict vkz_compare_times(const struct vkz_times *a, const struct vkz_times *b,
                                   struct vkz_ratio *ratio, char reason[160])
{
    const double half = hypot(half_log(a), half_log(b));
    const double middle = a->ns > 0 ? log(b->ns / a->ns) : (double)NAN;
    reason[0] = '\0';
    *ratio = (struct vkz_ratio){exp(middle), exp(middle - half), exp(middle + half)};
    if (!isfinite(middle) || !isfinite(half)) {
        *ratio = (struct vkz_ratio){(double)NAN, (double)NAN, (double)NAN};
        snprintf(reason, 160, "a time or its interval is missing");
        return VKZ_VERDICT_UNKNOWN;
    }
    if (a->sample_count < VKZ_COMPARE_SAMPLES || b->sample_count < VKZ_COMPARE_SAMPLES) {
        snprintf(reason, 160, "fewer than %d samples", VKZ_COMPARE_SAMPLES);
        return VKZ_VERDICT_UNKNOWN;
    }
    if ((a->marks | b->marks) & VKZ_MARK_THROTTLED) {
        snprintf(reason, 160, "the clock dropped while %s was measured",
                 b->marks & VKZ_MARK_THROTTLED ? "B" : "A");
        return VKZ_VERDICT_UNKNOWN;
    }
    if (in_turns(a, b))
        return vkz_compare_blocks(a->blocks, b->blocks, a->block_count, ratio, reason);
    return decide(middle, half, "the interval", a, b, reason);
}

// ---- Blocks taken in turns ----

// The 97.5 % quantile of Student's distribution.
static double student(size_t degrees)
{
    static const double table[] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306,
                                   2.262,  2.228, 2.201, 2.179, 2.160, 2.145, 2.131};
    const size_t known = sizeof table / sizeof *table;
    return degrees <= known ? table[degrees - 1] : 1.96 + 2.5 / (double)degrees;
}

enum vkz_verdict vkz_compare_blocks(const double *a, const double *b, size_t count,
                                    struct vkz_ratio *ratio, char reason[160])
{
    double sum = 0, squares = 0;
    reason[0] = '\0';
    for (size_t i = 0; i < count; i++)
        sum += log(b[i] / a[i]);
    const double middle = sum / (double)count;
    for (size_t i = 0; i < count; i++)
        squares += pow(log(b[i] / a[i]) - middle, 2);
    const double half = count > 1 ? student(count - 1) *
                                        sqrt(squares / (double)(count - 1) / (double)count)
                                  : (double)NAN;
    *ratio = (struct vkz_ratio){exp(middle), exp(middle - half), exp(middle + half)};
    if (!isfinite(middle) || !isfinite(half) || count < VKZ_COMPARE_BLOCKS) {
        *ratio = (struct vkz_ratio){(double)NAN, (double)NAN, (double)NAN};
        snprintf(reason, 160, "too few blocks, or one without a time");
        return VKZ_VERDICT_UNKNOWN;
    }
    return decide(middle, half, "the interval of the blocks", NULL, NULL, reason);
}

// ---- Matching ----

static int order_texts(const char *a, const char *b)
{
    return a == b ? 0 : strcmp(a, b); // of one store, equal texts are one pointer
}

static int compare_records(const struct vkz_record *a, const struct vkz_record *b)
{
    const char *const keys[][2] = {{a->name, b->name},
                                   {a->asked_kernel, b->asked_kernel},
                                   {a->asked_variant, b->asked_variant},
                                   {a->asked_tuning, b->asked_tuning}};
    int order = 0;
    for (size_t i = 0; !order && i < sizeof keys / sizeof *keys; i++)
        order = order_texts(keys[i][0], keys[i][1]);
    return order;
}

static int compare_record_pointers(const void *x, const void *y)
{
    return compare_records(*(const struct vkz_record *const *)x,
                           *(const struct vkz_record *const *)y);
}

// The sides of one `bench --ab` may have been asked for different things: the id of their
// blocks says what belongs together.
static int compare_by_blocks(const void *x, const void *y)
{
    const struct vkz_record *a = *(const struct vkz_record *const *)x;
    const struct vkz_record *b = *(const struct vkz_record *const *)y;
    const int order = order_texts(a->hot.blocks_id, b->hot.blocks_id);
    return order ? order : a->hot.blocks_id[0] ? 0 : compare_records(a, b);
}

typedef int compare_function(const void *x, const void *y);

// The records of bench lines, sorted; NULL without memory.
static const struct vkz_record **sorted_records(const struct vkz_run *run, size_t *count,
                                                compare_function *compare)
{
    const struct vkz_record **records = malloc((run->record_count + 1) * sizeof *records);
    *count = 0;
    for (size_t i = 0; records && i < run->record_count; i++) {
        if (strcmp(run->records[i].verb, "bench") == 0)
            records[(*count)++] = &run->records[i];
    }
    if (records)
        qsort(records, *count, sizeof *records, compare);
    return records;
}

// True when the runs are the two sides of one `bench --ab`.
static bool taken_in_turns(const struct vkz_run *a, const struct vkz_run *b)
{
    for (size_t i = 0; i < a->record_count; i++) {
        for (size_t j = 0; a->records[i].hot.blocks_id[0] && j < b->record_count; j++) {
            if (strcmp(a->records[i].hot.blocks_id, b->records[j].hot.blocks_id) == 0)
                return true;
        }
    }
    return false;
}

// Why this record's time means nothing; NULL when it does.
static const char *worthless(const struct vkz_record *r)
{
    return r->marks & VKZ_MARK_UNVERIFIED   ? "has a time without a passing check"
           : r->marks & VKZ_MARK_IMPOSSIBLE ? "beats a measured ceiling, which cannot be"
           : r->marks & VKZ_MARK_MISTRUSTED ? "has a check that proves little"
                                            : NULL;
}

void vkz_compare_pair(struct vkz_pair *pair)
{
    const struct vkz_record *a = pair->a, *b = pair->b;
    const bool ran_a = strcmp(a->status, "ok") == 0, ran_b = strcmp(b->status, "ok") == 0;
    pair->ratio = (struct vkz_ratio){(double)NAN, (double)NAN, (double)NAN};
    pair->verdict = VKZ_VERDICT_UNKNOWN;
    if (!ran_a || !ran_b) {
        const struct vkz_record *not_ok = ran_a ? b : a;
        // Skipped and mistrusted say nothing of b: the other words say that it is wrong.
        if (ran_a && strcmp(b->status, "skipped") != 0 && strcmp(b->status, "mistrusted") != 0)
            pair->verdict = VKZ_VERDICT_BROKEN;
        snprintf(pair->reason, sizeof pair->reason, "%.30s: %.120s", not_ok->status,
                 not_ok->reason);
        vkz_text_trim(pair->reason);
        return;
    }
    const char *why_a = worthless(a), *why_b = worthless(b);
    if (why_a || why_b) {
        snprintf(pair->reason, sizeof pair->reason, "%s %s", why_a ? "A" : "B",
                 why_a ? why_a : why_b);
        return;
    }
    if (!vkz_record_same_work(a, b)) {
        snprintf(pair->reason, sizeof pair->reason,
                 "the contracts count other %s: not the same work",
                 a->rate_kind == 'b' ? "bytes" : "flops");
        return;
    }
    pair->other_spirv = !a->spirv[0] || strcmp(a->spirv, b->spirv) != 0;
    pair->other_kernel = strcmp(a->kernel, b->kernel) != 0;
    pair->verdict = vkz_compare_times(&a->hot, &b->hot, &pair->ratio, pair->reason);
    pair->counts = isfinite(pair->ratio.value);
}

static enum vkz_status match(struct vkz_compare *c, const struct vkz_record **a, size_t na,
                             const struct vkz_record **b, size_t nb,
                             compare_function *compare, struct vkz_error *err)
{
    c->pairs = calloc(na < nb ? na + 1 : nb + 1, sizeof *c->pairs);
    c->only_a = malloc((na + 1) * sizeof *c->only_a);
    c->only_b = malloc((nb + 1) * sizeof *c->only_b);
    if (!c->pairs || !c->only_a || !c->only_b)
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    size_t i = 0, j = 0;
    while (i < na || j < nb) {
        const int order = i == na ? 1 : j == nb ? -1 : compare(&a[i], &b[j]);
        if (order == 0) {
            struct vkz_pair *pair = &c->pairs[c->pair_count++];
            *pair = (struct vkz_pair){.a = a[i++], .b = b[j++]};
            vkz_compare_pair(pair);
        } else if (order < 0) {
            c->only_a[c->only_a_count++] = a[i++];
        } else {
            c->only_b[c->only_b_count++] = b[j++];
        }
    }
    return VKZ_OK;
}

static int compare_pairs(const void *x, const void *y)
{
    const struct vkz_pair *a = x, *b = y;
    if (a->verdict != b->verdict)
        return (int)a->verdict - (int)b->verdict;
    const double size_a = isfinite(a->ratio.value) ? fabs(log(a->ratio.value)) : -1;
    const double size_b = isfinite(b->ratio.value) ? fabs(log(b->ratio.value)) : -1;
    if (size_a > size_b || size_a < size_b)
        return size_a < size_b ? 1 : -1;
    return compare_records(a->a, b->a);
}

// ---- Geometric means ----

// Sums on the way to one: of logarithms, and of squared half intervals.
struct sum {
    double logs, squares;
    int n;
};

static void sum_add(struct sum *sum, double middle, double half)
{
    sum->logs += middle;
    sum->squares += half * half;
    sum->n++;
}

static struct vkz_ratio sum_mean(const struct sum *sum)
{
    if (sum->n == 0)
        return (struct vkz_ratio){(double)NAN, (double)NAN, (double)NAN};
    const double middle = sum->logs / sum->n, half = sqrt(sum->squares) / sum->n;
    return (struct vkz_ratio){exp(middle), exp(middle - half), exp(middle + half)};
}

static void name_of(const struct vkz_pair *pair, enum vkz_compare_by by, char out[96])
{
    const struct vkz_record *r = pair->a;
    if (by == VKZ_BY_KERNEL)
        snprintf(out, 96, "%.20s/%.50s.%.20s", r->family, r->kernel, r->variant);
    else
        snprintf(out, 96, "%.20s/%.60s", r->family, r->op);
    vkz_text_trim(out);
}

static int compare_means(const void *x, const void *y)
{
    return strcmp(((const struct vkz_mean *)x)->name, ((const struct vkz_mean *)y)->name);
}

// Means of the pairs by op, or by kernel and variant; sorted by name.
static enum vkz_status group_pairs(const struct vkz_compare *c, enum vkz_compare_by by,
                                   struct vkz_mean **means, size_t *count,
                                   struct vkz_error *err)
{
    struct vkz_mean *named = calloc(c->pair_count + 1, sizeof *named);
    *means = named;
    *count = 0;
    if (!named)
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    // One entry a pair, then neighbours of one name become one.
    for (size_t i = 0; i < c->pair_count; i++) {
        name_of(&c->pairs[i], by, named[i].name);
        named[i].verdicts[c->pairs[i].verdict] = 1;
        named[i].cases = c->pairs[i].counts;
        named[i].ratio = c->pairs[i].ratio;
    }
    qsort(named, c->pair_count, sizeof *named, compare_means);
    for (size_t first = 0; first < c->pair_count;) {
        struct vkz_mean mean = {.cases = 0};
        struct sum sum = {0};
        size_t i = first;
        memcpy(mean.name, named[first].name, sizeof mean.name);
        for (; i < c->pair_count && strcmp(named[i].name, mean.name) == 0; i++) {
            for (int v = 0; v < VKZ_VERDICTS; v++)
                mean.verdicts[v] += named[i].verdicts[v];
            if (named[i].cases)
                sum_add(&sum, log(named[i].ratio.value),
                        log(named[i].ratio.high / named[i].ratio.low) / 2);
        }
        mean.cases = sum.n;
        mean.ratio = sum_mean(&sum);
        named[(*count)++] = mean;
        first = i;
    }
    return VKZ_OK;
}

static void add_mean(struct vkz_mean *to, struct sum *sum, const struct vkz_mean *from)
{
    to->cases += from->cases;
    for (int v = 0; v < VKZ_VERDICTS; v++)
        to->verdicts[v] += from->verdicts[v];
    if (isfinite(from->ratio.value))
        sum_add(sum, log(from->ratio.value), log(from->ratio.high / from->ratio.low) / 2);
}

static enum vkz_status group_families(struct vkz_compare *c, struct vkz_error *err)
{
    struct sum all = {0};
    c->families = calloc(c->op_count + 1, sizeof *c->families);
    if (!c->families)
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    for (size_t first = 0; first < c->op_count;) {
        struct vkz_mean *family = &c->families[c->family_count++];
        struct sum sum = {0};
        const size_t length = strcspn(c->ops[first].name, "/");
        size_t i = first;
        memcpy(family->name, c->ops[first].name, length);
        for (; i < c->op_count && strncmp(c->ops[i].name, family->name, length) == 0 &&
               c->ops[i].name[length] == '/';
             i++)
            add_mean(family, &sum, &c->ops[i]);
        family->ratio = sum_mean(&sum);
        add_mean(&c->all, &all, family);
        first = i;
    }
    c->all.ratio = sum_mean(&all);
    return VKZ_OK;
}

// ---- All together ----

enum vkz_status vkz_compare_create(const struct vkz_run *a, const struct vkz_run *b,
                                   struct vkz_compare **out, struct vkz_error *err)
{
    size_t na, nb;
    struct vkz_compare *c = calloc(1, sizeof *c);
    compare_function *compare =
        taken_in_turns(a, b) ? compare_by_blocks : compare_record_pointers;
    const struct vkz_record **records_a = sorted_records(a, &na, compare);
    const struct vkz_record **records_b = sorted_records(b, &nb, compare);
    enum vkz_status status = VKZ_OK;
    if (!c || !records_a || !records_b)
        status = vkz_error_set(err, VKZ_FAILED, "out of host memory");
    if (status == VKZ_OK) {
        c->a = a;
        c->b = b;
        status = match(c, records_a, na, records_b, nb, compare, err);
    }
    if (status == VKZ_OK) {
        qsort(c->pairs, c->pair_count, sizeof *c->pairs, compare_pairs);
        status = group_pairs(c, VKZ_BY_OP, &c->ops, &c->op_count, err);
    }
    if (status == VKZ_OK)
        status = group_pairs(c, VKZ_BY_KERNEL, &c->kernels, &c->kernel_count, err);
    if (status == VKZ_OK)
        status = group_families(c, err);
    free(records_a);
    free(records_b);
    *out = c;
    if (status != VKZ_OK)
        vkz_compare_destroy(out);
    return status;
}

void vkz_compare_destroy(struct vkz_compare **compare)
{
    struct vkz_compare *c = *compare;
    if (!c)
        return;
    free(c->pairs);
    free(c->only_a);
    free(c->only_b);
    free(c->kernels);
    free(c->ops);
    free(c->families);
    free(c);
    *compare = NULL;
}

bool vkz_compare_worse(const struct vkz_compare *compare, double fraction)
{
    for (size_t i = 0; i < compare->pair_count; i++) {
        const struct vkz_pair *pair = &compare->pairs[i];
        if (pair->verdict == VKZ_VERDICT_BROKEN ||
            (pair->verdict == VKZ_VERDICT_SLOWER && pair->ratio.value > 1 + fraction))
            return true;
    }
    return false;
}
