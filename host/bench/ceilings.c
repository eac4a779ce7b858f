// SPDX-License-Identifier: MIT
// The search for this device's ceilings: every kernel shape of the peak family is screened,
// the best ones are measured and checked.
#include "bench/ceilings.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/check.h"
#include "bench/job.h"

enum { MAX_SHAPES = 192, FINALISTS = 3, MAX_SWEEP = 24, LONGEST_CHAIN = 1024 };
static const double MIB = 1024 * 1024;

// One way to run an op of the peak family, and what the screening saw.
struct shape {
    const struct vkz_kernel *kernel;
    const struct vkz_variant *variant;
    const char *tuning, *settings;
    uint32_t coopmat_index;
    struct vkz_coopmat_shape coopmat; // m = 0: none
    double rate;                      // work a second as screened; 0: could not run
    char settings_case[128];          // the case it was screened on
};

struct search {
    const struct vkz_ceilings_params *params;
    yyjson_mut_doc *doc;
    yyjson_mut_val *rates, *left_out;
    struct shape shapes[MAX_SHAPES];
    int count;
    // Inputs of the last case: the shapes of an op share them, and filling takes longer than
    // running.
    char kept[256];
    struct vkz_case c;
    struct vkz_data *data;
};

static void say(const struct search *s, const char *what)
{
    if (s->params->progress)
        s->params->progress(s->params->context, what);
}

static struct vkz_gpu *gpu_of(const struct search *s)
{
    return s->params->meter->gpu;
}

static const struct vkz_gpu_info *info_of(const struct search *s)
{
    return vkz_gpu_get_info(gpu_of(s));
}

static void leave_out(struct search *s, const char *what, const char *reason)
{
    yyjson_mut_val *o = yyjson_mut_arr_add_obj(s->doc, s->left_out);
    yyjson_mut_obj_add_strcpy(s->doc, o, "what", what);
    yyjson_mut_obj_add_strcpy(s->doc, o, "reason", reason);
}

// Bytes a single buffer may have: well inside memory and the storage range.
static double largest_buffer(const struct search *s)
{
    const struct vkz_gpu_info *info = info_of(s);
    const double wanted = (info->is_cpu ? 128 : 512) * MIB;
    return fmin(wanted, fmin((double)info->max_storage_range,
                             (double)info->memory_bytes / 8));
}

// Every kernel, variant, tuning and matrix shape of an op this device offers.
static void collect_shapes(struct search *s, const char *op)
{
    char why[300] = "no kernel of it is in this build";
    s->count = 0;
    for (int k = 0; vkz_kernels[k]; k++) {
        const struct vkz_kernel *kernel = vkz_kernels[k];
        if (strcmp(kernel->op, op) != 0)
            continue;
        for (const struct vkz_variant *v = kernel->variants; v->name; v++) {
            struct vkz_error err = {0};
            if (!vkz_gpu_can_run(gpu_of(s), kernel, v, &err)) {
                snprintf(why, sizeof why, "%.290s", err.message);
                continue;
            }
            for (uint32_t index = 0; index == 0 || v->coopmat; index++) {
                const struct vkz_coopmat_shape *matrix =
                    v->coopmat ? vkz_gpu_coopmat(info_of(s), v->coopmat, index) : NULL;
                if (v->coopmat && !matrix)
                    break;
                for (int t = -1; t < 0 || (kernel->tunings && kernel->tunings[t].name); t++) {
                    if (s->count == MAX_SHAPES)
                        break;
                    struct shape *shape = &s->shapes[s->count++];
                    *shape = (struct shape){.kernel = kernel,
                                            .variant = v,
                                            .tuning = t < 0 ? "default"
                                                            : kernel->tunings[t].name,
                                            .settings = t < 0 ? NULL
                                                              : kernel->tunings[t].settings,
                                            .coopmat_index = index};
                    if (matrix)
                        shape->coopmat = *matrix;
                }
            }
        }
    }
    if (s->count == 0)
        leave_out(s, op, why);
}

static enum vkz_status prepare(struct search *s, const struct shape *shape,
                               const char *settings, struct vkz_error *err)
{
    char key[256];
    snprintf(key, sizeof key, "%s@%s|%s", shape->kernel->op, settings, shape->variant->types);
    if (strcmp(key, s->kept) == 0)
        return VKZ_OK;
    vkz_data_destroy(&s->data);
    s->kept[0] = '\0';
    enum vkz_status status =
        vkz_case_parse(vkz_op_find(shape->kernel->op), settings, 1, &s->c, err);
    if (status == VKZ_OK)
        status = vkz_data_create(&s->c, shape->variant, 0, &s->data, err);
    if (status == VKZ_OK)
        snprintf(s->kept, sizeof s->kept, "%s", key);
    return status;
}

// A trial of a shape on a case written as settings. The kept case is s->c from here on.
static enum vkz_status trial_start(struct search *s, const struct shape *shape,
                                   const char *settings, struct vkz_trial **trial,
                                   struct vkz_error *err)
{
    *trial = NULL;
    enum vkz_status status = prepare(s, shape, settings, err);
    if (status != VKZ_OK)
        return status;
    return vkz_trial_create(&(struct vkz_trial_params){.gpu = gpu_of(s),
                                                       .c = &s->c,
                                                       .kernel = shape->kernel,
                                                       .variant = shape->variant,
                                                       .data = s->data,
                                                       .tuning = shape->settings,
                                                       .coopmat_index = shape->coopmat_index},
                            trial, err);
}

static double work_of(const struct search *s, const struct shape *shape)
{
    return s->c.op->metric == VKZ_METRIC_BYTES ? vkz_case_bytes(&s->c, shape->variant)
                                               : vkz_case_flops(&s->c);
}

// The settings of the case an op is measured on; `effort` scales the compute ops' length.
static void case_settings(const struct search *s, const struct shape *shape, double effort,
                          char out[128])
{
    const char *op = shape->kernel->op;
    const bool cpu = info_of(s)->is_cpu;
    if (strcmp(op, "copy") == 0 || strcmp(op, "read") == 0 || strcmp(op, "triad") == 0)
        snprintf(out, 128, "n=%.0f", floor(0.5 * largest_buffer(s) / 4));
    else if (strcmp(op, "coopmat_mac") == 0)
        snprintf(out, 128, "m=%d n=%d k=%u iters=%.0f", cpu ? 128 : 2048, cpu ? 128 : 2048,
                 shape->coopmat.k, 2 * fmax(1, floor(effort * (cpu ? 2 : 64))) + 1);
    else {
        // Longer work means more lanes once the chains are long: rounding adds up along one.
        const double iters = fmax(64, floor(effort * 256));
        const double wider = exp2(ceil(log2(fmax(1, iters / LONGEST_CHAIN))));
        snprintf(out, 128, "lanes=%.0f iters=%.0f", (cpu ? 0x1p14 : 0x1p20) * wider,
                 floor(iters / wider));
    }
}

// Makes the compute ops long enough for the clock: about `aim_ns` a dispatch.
static enum vkz_status calibrate(struct search *s, const struct shape *shape,
                                 double aim_ns, double *effort, struct vkz_error *err)
{
    *effort = 1;
    for (int round = 0; round < 3; round++) {
        char settings[128];
        struct vkz_trial *trial = NULL;
        double ns = 0;
        case_settings(s, shape, *effort, settings);
        enum vkz_status status = trial_start(s, shape, settings, &trial, err);
        if (status != VKZ_OK)
            return status;
        status = vkz_measure_once(s->params->meter, trial, 1, &ns, err);
        if (status == VKZ_OK)
            status = vkz_measure_once(s->params->meter, trial, 1, &ns, err);
        vkz_trial_destroy(&trial);
        if (status != VKZ_OK)
            return status;
        if (ns > 0.3 * aim_ns)
            break;
        *effort *= fmin(64, aim_ns / fmax(ns, 1));
    }
    return VKZ_OK;
}

static enum vkz_status screen(struct search *s, double effort, struct vkz_error *err)
{
    for (int i = 0; i < s->count; i++) {
        struct shape *shape = &s->shapes[i];
        struct vkz_error skip = {0};
        struct vkz_trial *trial = NULL;
        double ns = 0, best = INFINITY;
        case_settings(s, shape, effort, shape->settings_case);
        enum vkz_status status = trial_start(s, shape, shape->settings_case, &trial, &skip);
        for (int run = 0; status == VKZ_OK && run < 3; run++) {
            status = vkz_measure_once(s->params->meter, trial, 1, &ns, &skip);
            if (run > 0)
                best = fmin(best, ns);
        }
        if (status == VKZ_OK)
            shape->rate = work_of(s, shape) / best * 1e9;
        vkz_trial_destroy(&trial);
        if (status != VKZ_OK && status != VKZ_SKIP)
            return vkz_error_set(err, status, "%s", skip.message);
    }
    return VKZ_OK;
}

static int faster_first(const void *a, const void *b)
{
    const double x = ((const struct shape *)a)->rate, y = ((const struct shape *)b)->rate;
    return (x < y) - (x > y);
}

static bool same_group(const struct shape *a, const struct shape *b)
{
    return strcmp(a->variant->name, b->variant->name) == 0 &&
           (!a->variant->coopmat ||
            (b->variant->coopmat && strcmp(a->variant->coopmat, b->variant->coopmat) == 0));
}

// The fastest sample; of slopes the median, because noise makes single slopes too steep and
// too flat alike.
static double best_ns(const struct vkz_timing *timing)
{
    return timing->mode == VKZ_TIME_STAMPS ? timing->summary.min : timing->summary.median;
}

// Measures one shape at length and checks it. A ceiling is what the device can do: the
// fastest sample counts, and the median is told beside it. *rate is 0 when it is wrong or cannot run.
static enum vkz_status measure_shape(struct search *s, const struct shape *shape,
                                     double budget_ms, struct vkz_timing *timing,
                                     double *rate, char why[320], struct vkz_error *err)
{
    struct vkz_trial *trial = NULL;
    struct vkz_reference *reference = NULL;
    struct vkz_check check = {0};
    *rate = 0;
    enum vkz_status status = trial_start(s, shape, shape->settings_case, &trial, err);
    if (status == VKZ_OK)
        status = vkz_reference_create(s->data, 1e6, 0, &reference, err);
    if (status == VKZ_OK)
        status = vkz_check_run(trial, reference, s->params->meter->batch, &check, err);
    if (status == VKZ_OK && !check.passed) {
        snprintf(why, 320, "%s.%s[%s] is wrong: %.200s", shape->kernel->name,
                 shape->variant->name, shape->tuning, check.why);
    } else if (status == VKZ_OK) {
        status = vkz_measure(s->params->meter, trial,
                             &(struct vkz_measure_params){.budget_ms = budget_ms}, timing, err);
        if (status == VKZ_OK)
            *rate = work_of(s, shape) / best_ns(timing) * 1e9;
    }
    vkz_reference_destroy(&reference);
    vkz_trial_destroy(&trial);
    return status;
}

// The finalists of one variant: the best median wins and becomes a line of `rates`.
static enum vkz_status settle(struct search *s, int first, int *winner, struct vkz_error *err)
{
    const double budget = s->params->full ? 1000 : 250;
    const int finalists = s->params->full ? s->count : FINALISTS;
    struct vkz_timing *timing = calloc(1, sizeof *timing);
    double best = 0, typical = 0;
    char why[320] = "";
    int tried = 0;
    enum vkz_status status = timing ? VKZ_OK : VKZ_FAILED;
    *winner = -1;
    for (int i = first; i < s->count && tried < finalists && status == VKZ_OK; i++) {
        double rate = 0;
        if (!same_group(&s->shapes[first], &s->shapes[i]) || s->shapes[i].rate <= 0)
            continue;
        tried++;
        status = measure_shape(s, &s->shapes[i], budget, timing, &rate, why, err);
        if (status == VKZ_OK && rate > best) {
            best = rate;
            typical = rate * best_ns(timing) / timing->summary.median;
            *winner = i;
        }
    }
    free(timing);
    if (status != VKZ_OK)
        return status;
    const struct shape *w = *winner >= 0 ? &s->shapes[*winner] : NULL;
    if (why[0] || !w)
        leave_out(s, s->shapes[first].kernel->op, why[0] ? why : "no shape could run");
    if (!w)
        return VKZ_OK;
    yyjson_mut_val *o = yyjson_mut_arr_add_obj(s->doc, s->rates);
    const bool bytes = vkz_op_find(w->kernel->op)->metric == VKZ_METRIC_BYTES;
    yyjson_mut_obj_add_str(s->doc, o, "op", w->kernel->op);
    yyjson_mut_obj_add_str(s->doc, o, "variant", w->variant->name);
    if (w->variant->coopmat) {
        char shape[80];
        snprintf(shape, sizeof shape, "%ux%ux%u", w->coopmat.m, w->coopmat.n, w->coopmat.k);
        yyjson_mut_obj_add_str(s->doc, o, "coopmat", w->variant->coopmat);
        yyjson_mut_obj_add_strcpy(s->doc, o, "shape", shape);
    } else {
        yyjson_mut_obj_add_null(s->doc, o, "coopmat");
    }
    vkz_json_real(s->doc, o, "rate", best);
    yyjson_mut_obj_add_str(s->doc, o, "unit", bytes ? "B/s" : "op/s");
    vkz_json_real(s->doc, o, "median_rate", typical);
    yyjson_mut_obj_add_str(s->doc, o, "kernel", w->kernel->name);
    yyjson_mut_obj_add_str(s->doc, o, "tuning", w->tuning);
    yyjson_mut_obj_add_strcpy(s->doc, o, "case", w->settings_case);
    yyjson_mut_obj_add_int(s->doc, o, "shapes_tried", s->count);
    yyjson_mut_obj_add_bool(s->doc, o, "checked", true);
    return VKZ_OK;
}

// One op: screen every shape, then settle each variant. The overall best goes to *best.
static enum vkz_status search_op(struct search *s, const char *op, struct shape *best,
                                 struct vkz_error *err)
{
    double effort = 1;
    bool settled[MAX_SHAPES] = {false};
    say(s, op);
    collect_shapes(s, op);
    if (best)
        best->rate = 0;
    if (s->count == 0)
        return VKZ_OK;
    enum vkz_status status =
        calibrate(s, &s->shapes[0], s->params->full ? 20e6 : 8e6, &effort, err);
    if (status == VKZ_SKIP)
        status = VKZ_OK;
    if (status == VKZ_OK)
        status = screen(s, effort, err);
    if (status != VKZ_OK)
        return status;
    qsort(s->shapes, (size_t)s->count, sizeof *s->shapes, faster_first);
    for (int i = 0; i < s->count && status == VKZ_OK; i++) {
        int winner = -1;
        if (settled[i])
            continue;
        for (int j = i; j < s->count; j++)
            settled[j] = settled[j] || same_group(&s->shapes[i], &s->shapes[j]);
        status = settle(s, i, &winner, err);
        if (best && winner >= 0 && s->shapes[winner].rate > best->rate)
            *best = s->shapes[winner];
    }
    return status;
}

// The rate of vkCmdCopyBuffer between two halves of a footprint, `rounds` copies a submission.
static enum vkz_status plain_copy(struct search *s, double footprint, int rounds, double *rate,
                                  struct vkz_error *err)
{
    struct vkz_meter *meter = s->params->meter;
    struct vkz_buffer a = {0}, b = {0};
    const size_t bytes = (size_t)(0.5 * footprint) / 4096 * 4096;
    double best = INFINITY;
    enum vkz_status status =
        vkz_buffer_create(meter->gpu, VKZ_BUFFER_DEVICE, bytes, &a, err);
    if (status == VKZ_OK)
        status = vkz_buffer_create(meter->gpu, VKZ_BUFFER_DEVICE, bytes, &b, err);
    if (status == VKZ_OK)
        status = vkz_buffer_fill(meter->gpu, &a, 0, bytes, 0x12345678, err);
    for (int i = 0; i < 6 && status == VKZ_OK; i++) {
        status = vkz_batch_begin(meter->batch, err);
        if (status != VKZ_OK)
            break;
        vkz_batch_barrier(meter->batch);
        vkz_batch_stamp(meter->batch, 0);
        for (int round = 0; round < rounds; round++) {
            vkz_batch_copy(meter->batch, &a, &b, bytes);
            vkz_batch_barrier(meter->batch);
        }
        vkz_batch_stamp(meter->batch, 1);
        status = vkz_batch_run(meter->batch, 0, err);
        if (status == VKZ_OK && i > 0)
            best = fmin(best, meter->clock.usable ? vkz_batch_elapsed_ns(meter->batch, 0, 1)
                                                  : vkz_batch_host_ns(meter->batch));
    }
    vkz_buffer_destroy(meter->gpu, &a);
    vkz_buffer_destroy(meter->gpu, &b);
    *rate = status == VKZ_OK ? 2 * (double)bytes * rounds / best * 1e9 : NAN;
    return status;
}

struct sweep_point {
    double bytes, copy, read, plain; // rates; NaN: not measured
};

static enum vkz_status sweep_rate(struct search *s, const struct shape *shape,
                                  const char *settings, double *rate, struct vkz_error *err)
{
    struct vkz_trial *trial = NULL;
    double ns = 0, best = INFINITY;
    const int rounds = s->params->full ? 15 : 5;
    enum vkz_status status = trial_start(s, shape, settings, &trial, err);
    for (int i = 0; status == VKZ_OK && i <= rounds; i++) {
        status = vkz_measure_once(s->params->meter, trial, 1, &ns, err);
        if (i > 0)
            best = fmin(best, ns);
    }
    *rate = status == VKZ_OK ? work_of(s, shape) / best * 1e9 : NAN;
    vkz_trial_destroy(&trial);
    return status == VKZ_SKIP ? VKZ_OK : status;
}

// Reads repeat small footprints many times, so that a dispatch is long against its launch.
static enum vkz_status sweep(struct search *s, const struct shape *copy,
                             const struct shape *read, struct sweep_point *points, int *count,
                             struct vkz_error *err)
{
    const double limit = (s->params->full ? 2 : 1) * largest_buffer(s);
    const double work = info_of(s)->is_cpu ? 32 * MIB : 1024 * MIB;
    *count = 0;
    say(s, "bandwidth over sizes");
    for (double bytes = 65536; bytes <= limit && *count < MAX_SWEEP; bytes *= 2) {
        struct sweep_point *point = &points[(*count)++];
        char settings[128];
        *point = (struct sweep_point){bytes, NAN, NAN, NAN};
        enum vkz_status status = VKZ_OK;
        const double parts = fmin(ceil(bytes / 4096), 4096);
        const double repeat = fmax(1, fmin(parts, floor(work / bytes)));
        if (read->rate > 0 && bytes <= largest_buffer(s)) {
            snprintf(settings, sizeof settings, "n=%.0f parts=%.0f repeat=%.0f", bytes / 4,
                     parts, repeat);
            status = sweep_rate(s, read, settings, &point->read, err);
        }
        if (status == VKZ_OK && copy->rate > 0 && bytes >= 4 * MIB) {
            snprintf(settings, sizeof settings, "n=%.0f", bytes / 8);
            status = sweep_rate(s, copy, settings, &point->copy, err);
        }
        if (status == VKZ_OK)
            status = plain_copy(s, bytes, (int)fmax(1, fmin(256, work / 4 / bytes)),
                                &point->plain, err);
        if (status != VKZ_OK)
            return status;
    }
    return VKZ_OK;
}

// The largest footprint that a curve serves clearly faster than its slowest point, memory.
static double knee(const struct sweep_point *points, int count, bool plain)
{
    double slowest = INFINITY, size = 0;
    for (int i = 0; i < count; i++) {
        const double rate = plain ? points[i].plain : points[i].read;
        slowest = rate > 0 ? fmin(slowest, rate) : slowest;
    }
    for (int i = 0; i < count; i++) {
        if ((plain ? points[i].plain : points[i].read) > 1.3 * slowest)
            size = points[i].bytes;
    }
    return size;
}

// The last-level cache. Shaders on a CPU device read through gathers, slower than any cache:
// there the curve of plain copies shows it.
static double cache_size(const struct search *s, const struct sweep_point *points, int count)
{
    return knee(points, count, info_of(s)->is_cpu);
}

// Device time of a further dispatch behind a barrier, and host time of a whole submission.
static enum vkz_status launch_costs(struct search *s, double *dispatch_ns, double *fence_ns,
                                    struct vkz_error *err)
{
    struct vkz_meter *meter = s->params->meter;
    struct vkz_trial *trial = NULL;
    double one[31], many[31], host[31];
    say(s, "launch costs");
    collect_shapes(s, "empty");
    if (s->count == 0)
        return VKZ_OK;
    enum vkz_status status = trial_start(s, &s->shapes[0], "n=1", &trial, err);
    for (int i = 0; i < 31 && status == VKZ_OK; i++) {
        status = vkz_measure_once(meter, trial, 1, &one[i], err);
        host[i] = vkz_batch_host_ns(meter->batch);
        if (status == VKZ_OK)
            status = vkz_measure_once(meter, trial, 65, &many[i], err);
        many[i] = (65 * many[i] - one[i]) / 64;
    }
    if (status == VKZ_OK) {
        *dispatch_ns = vkz_summarize(many, 31).median;
        *fence_ns = vkz_summarize(host, 31).median;
    }
    vkz_trial_destroy(&trial);
    return status;
}

static void add_sweep(struct search *s, yyjson_mut_val *ceilings,
                      const struct sweep_point *points, int count)
{
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(s->doc, ceilings, "sweep");
    for (int i = 0; i < count; i++) {
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(s->doc, list);
        vkz_json_real(s->doc, o, "bytes", points[i].bytes);
        vkz_json_real(s->doc, o, "copy", points[i].copy);
        vkz_json_real(s->doc, o, "read", points[i].read);
        vkz_json_real(s->doc, o, "plain_copy", points[i].plain);
    }
}

enum vkz_status vkz_ceilings_measure(const struct vkz_ceilings_params *params,
                                     yyjson_mut_doc *doc, yyjson_mut_val **out,
                                     struct vkz_error *err)
{
    static const char *const ops[] = {"triad", "fma", "fma_f16", "idot", "exp2", "coopmat_mac"};
    struct search *s = calloc(1, sizeof *s);
    struct sweep_point points[MAX_SWEEP];
    struct shape copy = {0}, read = {0};
    double plain = NAN, dispatch_ns = NAN, fence_ns = NAN;
    int count = 0;
    if (!s)
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    *s = (struct search){.params = params, .doc = doc};
    s->rates = yyjson_mut_arr(doc);
    s->left_out = yyjson_mut_arr(doc);
    enum vkz_status status = search_op(s, "copy", &copy, err);
    if (status == VKZ_OK)
        status = search_op(s, "read", &read, err);
    for (size_t i = 0; i < sizeof ops / sizeof *ops && status == VKZ_OK; i++)
        status = search_op(s, ops[i], NULL, err);
    if (status == VKZ_OK)
        status = sweep(s, &copy, &read, points, &count, err);
    if (status == VKZ_OK)
        status = plain_copy(s, largest_buffer(s), 1, &plain, err);
    if (status == VKZ_OK)
        status = launch_costs(s, &dispatch_ns, &fence_ns, err);
    if (status == VKZ_OK) {
        yyjson_mut_val *ceilings = yyjson_mut_obj(doc);
        params->meter->llc_bytes = cache_size(s, points, count);
        yyjson_mut_obj_add_val(doc, ceilings, "rates", s->rates);
        add_sweep(s, ceilings, points, count);
        vkz_json_real(doc, ceilings, "llc_bytes", params->meter->llc_bytes);
        vkz_json_real(doc, ceilings, "plain_copy", plain);
        vkz_json_real(doc, ceilings, "empty_dispatch_ns", dispatch_ns);
        vkz_json_real(doc, ceilings, "submit_to_fence_ns", fence_ns);
        yyjson_mut_obj_add_val(doc, ceilings, "left_out", s->left_out);
        *out = ceilings;
    }
    vkz_data_destroy(&s->data);
    free(s);
    return status;
}
