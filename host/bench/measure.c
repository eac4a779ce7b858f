// SPDX-License-Identifier: MIT
// Timing by groups of samples between canary dispatches; see measuring rules in
// CONTRIBUTING.md. The host thread always sleeps on the fence: on a CPU device a spinning
// host would steal a core from the very thing it measures.
#include "bench/measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double DEFAULT_SUBMIT_NS = 200e6;
static const double SHORT_IN_STEPS = 50;     // shorter runs are timed as a slope
static const double CANARY_TOLERANCE = 0.90; // of the best rate seen
static const double GROUP_NS = 10e6;         // aimed length of a group of samples
enum { SLOPE_POINTS = 4, MIN_SAMPLES = 20, MAX_GROUP = 32, MAX_COLD_SETS = 64 };

struct vkz_canary {
    struct vkz_case c;
    struct vkz_data *data;
    struct vkz_trial *trial;
};

// The contract `fma` of the peak family is a chain of dependent multiply-adds. It must be long
// against the jitter of a launch, which on CPU devices is that of waking threads.
static const char CANARY_CASE[] = "lanes=1024 iters=16384";
static const char CANARY_CASE_CPU[] = "lanes=1024 iters=65536";

enum vkz_status vkz_canary_create(struct vkz_gpu *gpu, struct vkz_canary **out,
                                  struct vkz_error *err)
{
    const struct vkz_op *op = vkz_op_find("fma");
    const struct vkz_kernel *kernel = vkz_kernel_find("fma_chain");
    struct vkz_canary *canary = calloc(1, sizeof *canary);
    *out = NULL;
    if (!op || !kernel || !canary) {
        free(canary);
        return vkz_error_set(err, VKZ_SKIP, "this build has no canary kernel");
    }
    const struct vkz_variant *variant = vkz_variant_find(kernel, "f32");
    enum vkz_status status =
        vkz_case_parse(op, vkz_gpu_get_info(gpu)->is_cpu ? CANARY_CASE_CPU : CANARY_CASE, 1,
                       &canary->c, err);
    if (status == VKZ_OK)
        status = vkz_data_create(&canary->c, variant, 1, &canary->data, err);
    if (status == VKZ_OK)
        status = vkz_trial_create(&(struct vkz_trial_params){.gpu = gpu,
                                                             .c = &canary->c,
                                                             .kernel = kernel,
                                                             .variant = variant,
                                                             .data = canary->data},
                                  &canary->trial, err);
    if (status != VKZ_OK) {
        vkz_canary_destroy(&canary);
        return status;
    }
    *out = canary;
    return VKZ_OK;
}

void vkz_canary_destroy(struct vkz_canary **canary)
{
    if (!*canary)
        return;
    vkz_trial_destroy(&(*canary)->trial);
    vkz_data_destroy(&(*canary)->data);
    free(*canary);
    *canary = NULL;
}

const char *vkz_time_mode_name(enum vkz_time_mode mode)
{
    static const char *const names[] = {"timestamps", "slope", "host slope"};
    return names[mode];
}

const char *vkz_stop_name(enum vkz_stop stop)
{
    static const char *const names[] = {"converged", "budget", "samples"};
    return names[stop];
}

// One submission of `runs` runs, rotating over `sets` sets from *next on. Device time goes to
// *device_ns (host time when the clock is unusable), host time to *host_ns.
static enum vkz_status submit(struct vkz_meter *meter, struct vkz_trial *trial, int runs,
                              int sets, int *next, double *device_ns, double *host_ns,
                              struct vkz_error *err)
{
    enum vkz_status status = vkz_batch_begin(meter->batch, err);
    if (status != VKZ_OK)
        return status;
    vkz_batch_barrier(meter->batch);
    vkz_batch_stamp(meter->batch, 0);
    for (int i = 0; i < runs; i++) {
        vkz_record(trial->plan, trial->sets[*next].binding,
                   vkz_batch_command_buffer(meter->batch));
        vkz_batch_barrier(meter->batch);
        *next = (*next + 1) % sets;
    }
    vkz_batch_stamp(meter->batch, 1);
    status = vkz_batch_run(meter->batch, 0, err);
    if (status != VKZ_OK)
        return status;
    *host_ns = vkz_batch_host_ns(meter->batch);
    *device_ns = meter->clock.usable ? vkz_batch_elapsed_ns(meter->batch, 0, 1) : *host_ns;
    return VKZ_OK;
}

enum vkz_status vkz_measure_once(struct vkz_meter *meter, struct vkz_trial *trial, int runs,
                                 double *ns, struct vkz_error *err)
{
    double host = 0;
    int next = 0;
    enum vkz_status status = submit(meter, trial, runs, 1, &next, ns, &host, err);
    *ns /= runs;
    return status;
}

static enum vkz_status canary_run(struct vkz_meter *meter, struct vkz_timing *out,
                                  double *rate, struct vkz_error *err)
{
    double ns = INFINITY, host = 0;
    *rate = 1;
    if (!meter->canary)
        return VKZ_OK;
    // The faster of two: a throttled clock slows both, a busy moment seldom does.
    for (int i = 0; i < 2; i++) {
        double one = 0;
        int next = 0;
        enum vkz_status status =
            submit(meter, meter->canary->trial, 1, 1, &next, &one, &host, err);
        if (status != VKZ_OK)
            return status;
        ns = fmin(ns, one);
    }
    if (meter->canary_best_ns <= 0 || ns < meter->canary_best_ns)
        meter->canary_best_ns = ns;
    if (out->canary_count < VKZ_MAX_CANARY)
        out->canary[out->canary_count++] = ns;
    *rate = meter->canary_best_ns / ns;
    return VKZ_OK;
}

struct plan_of_attack {
    int runs;   // a sample's runs in one submission (stamps mode)
    int group;  // samples between canaries
    int sets;
    double one_ns; // a run, as first estimated
};

static int clamp_int(double x, int low, int high)
{
    return x < low ? low : x > high ? high : (int)x;
}

// Warm up by time and by settling, and learn how long a run takes.
static enum vkz_status warm_up(struct vkz_meter *meter, struct vkz_trial *trial,
                               double budget_ns, struct plan_of_attack *plan,
                               struct vkz_timing *out, struct vkz_error *err)
{
    const double start = vkz_host_ns();
    const double limit = fmin(0.25 * budget_ns, 500e6);
    double host = 0, rate = 0, last = INFINITY;
    int next = 0, settled = 0;
    enum vkz_status status;
    for (int i = 0; i < 64; i++) {
        double ns = 0;
        status = submit(meter, trial, 1, plan->sets, &next, &ns, &host, err);
        if (status == VKZ_OK)
            status = canary_run(meter, out, &rate, err);
        if (status != VKZ_OK)
            return status;
        plan->one_ns = i ? fmin(plan->one_ns, ns) : ns;
        settled = fabs(ns - last) < 0.05 * last && rate > CANARY_TOLERANCE ? settled + 1 : 0;
        last = ns;
        if ((settled >= 2 && i >= 2) || vkz_host_ns() - start > limit)
            break;
    }
    out->warmup_ms = (vkz_host_ns() - start) / 1e6;
    return VKZ_OK;
}

static void choose_mode(const struct vkz_meter *meter, double budget_ns,
                        struct plan_of_attack *plan, struct vkz_timing *out)
{
    const double submit_limit =
        meter->max_submit_ns > 0 ? meter->max_submit_ns : DEFAULT_SUBMIT_NS;
    const double step = fmax(meter->clock.step_ns, 1);
    out->mode = !meter->clock.usable                       ? VKZ_TIME_HOST
                : plan->one_ns < SHORT_IN_STEPS * step ? VKZ_TIME_SLOPE
                                                           : VKZ_TIME_STAMPS;
    // Long runs are sampled singly; short ones in batches long enough for the clock.
    const double aim = fmax(SHORT_IN_STEPS * step, 200e3);
    plan->runs = clamp_int(aim / plan->one_ns, 1, 4096);
    plan->runs = clamp_int(submit_limit / plan->one_ns, 1, plan->runs);
    const double sample = plan->one_ns * plan->runs;
    plan->group = clamp_int(fmin(GROUP_NS, budget_ns / 8) / sample, 1, MAX_GROUP);
    out->per_batch = plan->runs;
    out->sets = plan->sets;
    out->launch_ns = NAN;
}

// One sample: ns a run. In slope mode several submissions give one slope.
static enum vkz_status sample(struct vkz_meter *meter, struct vkz_trial *trial,
                              const struct plan_of_attack *plan, int *next,
                              struct vkz_timing *out, double *ns, double *host_ns,
                              struct vkz_error *err)
{
    if (out->mode == VKZ_TIME_STAMPS) {
        enum vkz_status status =
            submit(meter, trial, plan->runs, plan->sets, next, ns, host_ns, err);
        *ns /= plan->runs;
        *host_ns /= plan->runs;
        return status;
    }
    double x[SLOPE_POINTS], y[SLOPE_POINTS];
    for (int p = 0; p < SLOPE_POINTS; p++) {
        x[p] = (double)(plan->runs >> (SLOPE_POINTS - 1 - p));
        x[p] = x[p] < 1 ? p + 1 : x[p];
        enum vkz_status status = submit(meter, trial, (int)x[p], plan->sets, next, &y[p],
                                        host_ns, err);
        if (status != VKZ_OK)
            return status;
        *host_ns /= x[p];
    }
    double intercept = 0;
    vkz_fit_line(x, y, SLOPE_POINTS, &intercept, ns);
    out->launch_ns = isnan(out->launch_ns) ? intercept : fmin(out->launch_ns, intercept);
    return VKZ_OK;
}

static double median_of(double *values, int n)
{
    return vkz_summarize(values, n).median;
}

// Sets needed so that together they exceed four last-level caches. When one set's tensors
// are tiny the number is capped, and what was rotated is what the result says.
static int cold_sets(const struct vkz_meter *meter, const struct vkz_trial *trial)
{
    const double llc = meter->llc_bytes > 0 ? meter->llc_bytes : 32e6;
    const double set = trial->set_bytes > 0 ? (double)trial->set_bytes : 1;
    const double memory = (double)vkz_gpu_get_info(trial->gpu)->memory_bytes;
    const int wanted = clamp_int(ceil(4 * llc / set) + 1, 2, MAX_COLD_SETS);
    return clamp_int(0.25 * memory / set, 1, wanted);
}

enum vkz_status vkz_measure(struct vkz_meter *meter, struct vkz_trial *trial,
                            const struct vkz_measure_params *params, struct vkz_timing *out,
                            struct vkz_error *err)
{
    const double budget_ns = (params->budget_ms > 0 ? params->budget_ms : 1000) * 1e6;
    const double target = params->target > 0 ? params->target : 0.01;
    struct plan_of_attack plan = {.sets = params->cold ? cold_sets(meter, trial) : 1};
    double *hosts = calloc(VKZ_MAX_SAMPLES, sizeof *hosts);
    memset(out, 0, sizeof *out);
    if (!hosts)
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    enum vkz_status status = vkz_trial_grow(trial, plan.sets, err);
    if (status == VKZ_OK)
        status = warm_up(meter, trial, budget_ns, &plan, out, err);
    if (status != VKZ_OK)
        goto done;
    choose_mode(meter, budget_ns, &plan, out);

    const double start = vkz_host_ns();
    int next = 0;
    double before = 1, after = 1;
    out->stop = VKZ_STOP_SAMPLES;
    status = canary_run(meter, out, &before, err);
    while (status == VKZ_OK && out->count + plan.group <= VKZ_MAX_SAMPLES) {
        const int first = out->count;
        for (int i = 0; i < plan.group && status == VKZ_OK; i++) {
            status = sample(meter, trial, &plan, &next, out, &out->samples[out->count],
                            &hosts[out->count], err);
            out->count += status == VKZ_OK;
        }
        if (status == VKZ_OK)
            status = canary_run(meter, out, &after, err);
        if (status != VKZ_OK)
            break;
        out->groups++;
        const bool slow = fmin(before, after) < CANARY_TOLERANCE;
        const bool over = vkz_host_ns() - start > budget_ns;
        before = after;
        if (slow && !over) {
            out->count = first;
            out->discarded++;
            continue;
        }
        out->kept_slow += slow;
        out->summary = vkz_summarize(out->samples, out->count);
        if (out->count >= MIN_SAMPLES && vkz_summary_relative(&out->summary) < target) {
            out->stop = VKZ_STOP_CONVERGED;
            break;
        }
        // At least three samples, whatever the budget: fewer say nothing about spread.
        if (over && out->count >= 3) {
            out->stop = VKZ_STOP_BUDGET;
            break;
        }
    }
    if (status == VKZ_OK) {
        out->measured = true;
        out->summary = vkz_summarize(out->samples, out->count);
        out->host_ns = median_of(hosts, out->count);
    }
done:
    free(hosts);
    return status;
}
