// SPDX-License-Identifier: MIT
// Jobs and results as JSON: the wire between parent and worker, and the result file's lines.
#include "bench/job.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const verb_names[] = {"check", "bench", "ceilings"};

void vkz_json_real(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, double value)
{
    if (isfinite(value))
        yyjson_mut_obj_add_real(doc, object, key, value);
    else
        yyjson_mut_obj_add_null(doc, object, key);
}

// Nanoseconds need no more than a tenth: keeps files with raw samples small.
static double tenth(double ns)
{
    return isfinite(ns) ? round(ns * 10) / 10 : ns;
}

static void add_ns(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, double ns)
{
    vkz_json_real(doc, object, key, tenth(ns));
}

static void add_samples(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key,
                        const double *samples, int count)
{
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    for (int i = 0; i < count; i++)
        yyjson_mut_arr_add_real(doc, list, tenth(samples[i]));
    yyjson_mut_obj_add_val(doc, object, key, list);
}

static void add_text(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key,
                     const char *text)
{
    if (text)
        yyjson_mut_obj_add_strcpy(doc, object, key, text);
    else
        yyjson_mut_obj_add_null(doc, object, key);
}

void vkz_job_write(const struct vkz_job *job, yyjson_mut_doc *doc, yyjson_mut_val *object)
{
    add_text(doc, object, "verb", verb_names[job->verb]);
    add_text(doc, object, "case", job->case_id);
    add_text(doc, object, "tags", job->tags);
    add_text(doc, object, "kernel", job->kernel);
    add_text(doc, object, "variant", job->variant);
    add_text(doc, object, "tuning", job->tuning);
    add_text(doc, object, "settings", job->settings);
    yyjson_mut_obj_add_uint(doc, object, "seed", job->seed);
    vkz_json_real(doc, object, "budget_ms", job->budget_ms);
    vkz_json_real(doc, object, "reference_flops", job->reference_flops);
    vkz_json_real(doc, object, "llc_bytes", job->llc_bytes);
    yyjson_mut_obj_add_bool(doc, object, "cold", job->cold);
    yyjson_mut_obj_add_bool(doc, object, "fresh", job->fresh);
    yyjson_mut_obj_add_bool(doc, object, "full", job->full);
    yyjson_mut_obj_add_bool(doc, object, "identities", job->identities);
    yyjson_mut_obj_add_bool(doc, object, "statistics", job->statistics);
}

static void read_text(yyjson_val *object, const char *key, char *out, size_t size)
{
    const char *text = yyjson_get_str(yyjson_obj_get(object, key));
    snprintf(out, size, "%s", text ? text : "");
}

static double read_real(yyjson_val *object, const char *key)
{
    return yyjson_get_num(yyjson_obj_get(object, key));
}

static bool read_bool(yyjson_val *object, const char *key)
{
    return yyjson_get_bool(yyjson_obj_get(object, key));
}

void vkz_job_read(yyjson_val *object, struct vkz_job *job)
{
    char verb[16];
    memset(job, 0, sizeof *job);
    read_text(object, "verb", verb, sizeof verb);
    for (int v = 0; v < 3; v++) {
        if (strcmp(verb, verb_names[v]) == 0)
            job->verb = (enum vkz_verb)v;
    }
    read_text(object, "case", job->case_id, sizeof job->case_id);
    read_text(object, "tags", job->tags, sizeof job->tags);
    read_text(object, "kernel", job->kernel, sizeof job->kernel);
    read_text(object, "variant", job->variant, sizeof job->variant);
    read_text(object, "tuning", job->tuning, sizeof job->tuning);
    read_text(object, "settings", job->settings, sizeof job->settings);
    job->seed = yyjson_get_uint(yyjson_obj_get(object, "seed"));
    job->budget_ms = read_real(object, "budget_ms");
    job->reference_flops = read_real(object, "reference_flops");
    job->llc_bytes = read_real(object, "llc_bytes");
    job->cold = read_bool(object, "cold");
    job->fresh = read_bool(object, "fresh");
    job->full = read_bool(object, "full");
    job->identities = read_bool(object, "identities");
    job->statistics = read_bool(object, "statistics");
}

void vkz_job_label(const struct vkz_job *job, char *out, size_t size)
{
    if (job->verb == VKZ_VERB_CEILINGS) {
        snprintf(out, size, "ceilings");
        return;
    }
    const char *numbers = strchr(job->case_id, '@');
    if (job->kernel[0])
        snprintf(out, size, "%s.%s%s%s%s%s", job->kernel, job->variant,
                 job->tuning[0] ? "[" : "", job->tuning, job->tuning[0] ? "]" : "",
                 numbers ? numbers : "");
    else
        snprintf(out, size, "%s %s", job->case_id, job->variant);
}

static yyjson_mut_val *check_json(yyjson_mut_doc *doc, const struct vkz_check *check)
{
    yyjson_mut_val *o = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_bool(doc, o, "passed", check->passed);
    vkz_json_real(doc, o, "error", check->max_error);
    vkz_json_real(doc, o, "naive_error", check->naive_max_error);
    vkz_json_real(doc, o, "accuracy", vkz_check_accuracy(check));
    vkz_json_real(doc, o, "rms_error", check->rms_error);
    vkz_json_real(doc, o, "naive_rms_error", check->naive_rms_error);
    vkz_json_real(doc, o, "nmse", check->nmse);
    yyjson_mut_obj_add_bool(doc, o, "all_written", check->all_written);
    yyjson_mut_obj_add_bool(doc, o, "guards_intact", check->guards_intact);
    yyjson_mut_obj_add_bool(doc, o, "nan_map_equal", check->nan_map_equal);
    yyjson_mut_obj_add_bool(doc, o, "repeatable", check->repeatable);
    yyjson_mut_obj_add_int(doc, o, "units", check->units);
    yyjson_mut_obj_add_int(doc, o, "units_total", check->units_total);
    yyjson_mut_obj_add_int(doc, o, "identities", check->identities);
    return o;
}

static yyjson_mut_val *timing_json(yyjson_mut_doc *doc, const struct vkz_timing *t)
{
    yyjson_mut_val *o = yyjson_mut_obj(doc);
    add_text(doc, o, "clock", vkz_time_mode_name(t->mode));
    yyjson_mut_obj_add_int(doc, o, "n", t->count);
    add_ns(doc, o, "median_ns", t->summary.median);
    add_ns(doc, o, "low_ns", t->summary.low);
    add_ns(doc, o, "high_ns", t->summary.high);
    add_ns(doc, o, "min_ns", t->summary.min);
    add_ns(doc, o, "q1_ns", t->summary.q1);
    add_ns(doc, o, "q3_ns", t->summary.q3);
    add_ns(doc, o, "max_ns", t->summary.max);
    add_ns(doc, o, "mad_ns", t->summary.mad);
    add_text(doc, o, "stop", vkz_stop_name(t->stop));
    yyjson_mut_obj_add_int(doc, o, "per_batch", t->per_batch);
    yyjson_mut_obj_add_int(doc, o, "sets", t->sets);
    yyjson_mut_obj_add_int(doc, o, "groups", t->groups);
    yyjson_mut_obj_add_int(doc, o, "discarded_groups", t->discarded);
    yyjson_mut_obj_add_int(doc, o, "slow_groups_kept", t->kept_slow);
    add_ns(doc, o, "launch_ns", t->launch_ns);
    add_ns(doc, o, "host_ns", t->host_ns);
    vkz_json_real(doc, o, "warmup_ms", tenth(t->warmup_ms));
    add_samples(doc, o, "samples_ns", t->samples, t->count);
    add_samples(doc, o, "canary_ns", t->canary, t->canary_count);
    return o;
}

static yyjson_mut_val *choice_json(yyjson_mut_doc *doc, const struct vkz_choice *choice)
{
    yyjson_mut_val *o = yyjson_mut_obj(doc);
    add_text(doc, o, "by", choice->by);
    yyjson_mut_obj_add_int(doc, o, "candidates", choice->candidates);
    if (choice->runner_up[0]) {
        add_text(doc, o, "runner_up", choice->runner_up);
        vkz_json_real(doc, o, "runner_up_time_ratio", choice->ratio);
    }
    return o;
}

static void add_repro(yyjson_mut_doc *doc, yyjson_mut_val *o, const struct vkz_job *job,
                      const struct vkz_result *r)
{
    char line[1100];
    int n = snprintf(line, sizeof line, "vkzoo %s '%s'", verb_names[job->verb], job->case_id);
    const char *kernel = r && r->kernel ? r->kernel->name : job->kernel;
    const char *variant = r && r->variant ? r->variant->name : job->variant;
    const char *tuning = r && r->tuning ? r->tuning : job->tuning;
    if (kernel[0])
        n += snprintf(line + n, sizeof line - (size_t)n, " --kernel %s", kernel);
    if (variant[0])
        n += snprintf(line + n, sizeof line - (size_t)n, " --variant %s", variant);
    if (tuning[0] && strcmp(tuning, "default") != 0)
        n += snprintf(line + n, sizeof line - (size_t)n, " --tuning %s", tuning);
    if (job->settings[0])
        n += snprintf(line + n, sizeof line - (size_t)n, " --spec '%s'", job->settings);
    snprintf(line + n, sizeof line - (size_t)n, " --seed %llu", (unsigned long long)job->seed);
    add_text(doc, o, "repro", line);
}

struct statistics_sink {
    yyjson_mut_doc *doc;
    yyjson_mut_val *list;
};

static void add_statistic(void *context, const char *pass, const char *executable,
                          const char *name, const char *value)
{
    struct statistics_sink *sink = context;
    yyjson_mut_val *o = yyjson_mut_obj(sink->doc);
    add_text(sink->doc, o, "pass", pass);
    add_text(sink->doc, o, "executable", executable);
    add_text(sink->doc, o, "name", name);
    add_text(sink->doc, o, "value", value);
    yyjson_mut_arr_append(sink->list, o);
}

static void add_kernel(yyjson_mut_doc *doc, yyjson_mut_val *o, const struct vkz_result *r)
{
    add_text(doc, o, "kernel", r->kernel ? r->kernel->name : NULL);
    add_text(doc, o, "variant", r->variant ? r->variant->name : r->job->variant);
    add_text(doc, o, "tuning", r->tuning);
    add_text(doc, o, "specialization", r->specialization);
    if (r->kernel) {
        yyjson_mut_val *hashes = yyjson_mut_arr(doc);
        for (int p = 0; r->kernel->passes[p].name; p++)
            yyjson_mut_arr_add_str(doc, hashes, r->variant->modules[p].sha256);
        add_text(doc, o, "tier", r->kernel->tier);
        yyjson_mut_obj_add_val(doc, o, "spirv_sha256", hashes);
    }
    if (r->choice)
        yyjson_mut_obj_add_val(doc, o, "chosen", choice_json(doc, r->choice));
}

yyjson_mut_val *vkz_result_json(yyjson_mut_doc *doc, const struct vkz_result *r)
{
    yyjson_mut_val *o = yyjson_mut_obj(doc);
    add_text(doc, o, "type", "case");
    add_text(doc, o, "verb", verb_names[r->job->verb]);
    add_text(doc, o, "op", r->c->op->name);
    add_text(doc, o, "case", r->job->case_id);
    add_text(doc, o, "tags", r->job->tags);
    add_text(doc, o, "asked_kernel", r->job->kernel);
    add_text(doc, o, "asked_variant", r->job->variant);
    add_text(doc, o, "asked_tuning", r->job->tuning);
    add_kernel(doc, o, r);
    yyjson_mut_obj_add_uint(doc, o, "seed", r->job->seed);
    add_text(doc, o, "status", r->status);
    add_text(doc, o, "reason", r->reason[0] ? r->reason : NULL);
    if (r->check)
        yyjson_mut_obj_add_val(doc, o, "check", check_json(doc, r->check));
    if (r->hot || r->cold) {
        yyjson_mut_val *time = yyjson_mut_obj_add_obj(doc, o, "time");
        if (r->hot)
            yyjson_mut_obj_add_val(doc, time, "hot", timing_json(doc, r->hot));
        if (r->cold)
            yyjson_mut_obj_add_val(doc, time, "cold", timing_json(doc, r->cold));
    }
    if (r->kernel) {
        yyjson_mut_val *work = yyjson_mut_obj_add_obj(doc, o, "work");
        vkz_json_real(doc, work, "flops", vkz_case_flops(r->c));
        vkz_json_real(doc, work, "bytes", vkz_case_bytes(r->c, r->variant));
        vkz_json_real(doc, work, "tensor_bytes", r->tensor_bytes);
        vkz_json_real(doc, work, "scratch_bytes", r->scratch_bytes);
        vkz_json_real(doc, work, "shared_bytes", r->shared_bytes);
        vkz_json_real(doc, work, "peak_device_bytes", r->peak_bytes);
        add_text(doc, work, "metric",
                 r->c->op->metric == VKZ_METRIC_BYTES ? "bytes" : "flops");
        add_text(doc, work, "unit", r->c->op->unit ? r->c->op->unit : "fma");
        add_text(doc, work, "accumulate", r->variant->accumulate);
        add_text(doc, work, "coopmat", r->variant->coopmat);
    }
    if (r->statistics) {
        struct statistics_sink sink = {doc, yyjson_mut_obj_add_arr(doc, o, "statistics")};
        vkz_plan_statistics(r->statistics->plan, add_statistic, &sink, NULL);
    }
    add_repro(doc, o, r->job, r);
    return o;
}

yyjson_mut_val *vkz_result_lost_json(yyjson_mut_doc *doc, const struct vkz_job *job,
                                     const char *status, const char *reason)
{
    yyjson_mut_val *o = yyjson_mut_obj(doc);
    char op[64];
    snprintf(op, sizeof op, "%.*s", (int)strcspn(job->case_id, "@"), job->case_id);
    add_text(doc, o, "type", "case");
    add_text(doc, o, "verb", verb_names[job->verb]);
    add_text(doc, o, "op", op);
    add_text(doc, o, "case", job->case_id);
    add_text(doc, o, "tags", job->tags);
    add_text(doc, o, "asked_kernel", job->kernel);
    add_text(doc, o, "asked_variant", job->variant);
    add_text(doc, o, "asked_tuning", job->tuning);
    add_text(doc, o, "kernel", job->kernel[0] ? job->kernel : NULL);
    add_text(doc, o, "variant", job->variant);
    add_text(doc, o, "tuning", job->tuning[0] ? job->tuning : NULL);
    yyjson_mut_obj_add_uint(doc, o, "seed", job->seed);
    add_text(doc, o, "status", status);
    add_text(doc, o, "reason", reason);
    add_repro(doc, o, job, NULL);
    return o;
}

static void add_version(yyjson_mut_doc *doc, yyjson_mut_val *o, const char *key, uint32_t v)
{
    char text[32];
    snprintf(text, sizeof text, "%u.%u.%u", VK_API_VERSION_MAJOR(v), VK_API_VERSION_MINOR(v),
             VK_API_VERSION_PATCH(v));
    add_text(doc, o, key, text);
}

static void add_coopmat(yyjson_mut_doc *doc, yyjson_mut_val *o,
                        const struct vkz_gpu_info *info)
{
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, o, "cooperative_matrix");
    for (int i = 0; i < info->coopmat_count; i++) {
        const struct vkz_coopmat_shape *s = &info->coopmat[i];
        yyjson_mut_val *shape = yyjson_mut_arr_add_obj(doc, list);
        yyjson_mut_obj_add_uint(doc, shape, "m", s->m);
        yyjson_mut_obj_add_uint(doc, shape, "n", s->n);
        yyjson_mut_obj_add_uint(doc, shape, "k", s->k);
        add_text(doc, shape, "types", s->types);
        add_text(doc, shape, "scope", s->subgroup_scope ? "subgroup" : "other");
    }
}

yyjson_mut_val *vkz_device_json(yyjson_mut_doc *doc, const struct vkz_gpu_info *info)
{
    yyjson_mut_val *o = yyjson_mut_obj(doc);
    add_text(doc, o, "name", info->name);
    add_text(doc, o, "type", info->type);
    add_text(doc, o, "driver", info->driver_name);
    add_text(doc, o, "driver_info", info->driver_info);
    yyjson_mut_obj_add_uint(doc, o, "driver_version", info->driver_version);
    add_version(doc, o, "api_version", info->api_version);
    yyjson_mut_obj_add_uint(doc, o, "vendor_id", info->vendor_id);
    yyjson_mut_obj_add_uint(doc, o, "device_id", info->device_id);
    yyjson_mut_obj_add_uint(doc, o, "subgroup_size", info->subgroup_size);
    yyjson_mut_obj_add_uint(doc, o, "subgroup_min", info->subgroup_min);
    yyjson_mut_obj_add_uint(doc, o, "subgroup_max", info->subgroup_max);
    yyjson_mut_obj_add_uint(doc, o, "max_invocations", info->max_invocations);
    yyjson_mut_obj_add_uint(doc, o, "max_shared_bytes", info->max_shared_bytes);
    yyjson_mut_obj_add_uint(doc, o, "max_push_bytes", info->max_push_bytes);
    yyjson_mut_obj_add_uint(doc, o, "max_storage_range", info->max_storage_range);
    yyjson_mut_obj_add_uint(doc, o, "memory_bytes", info->memory_bytes);
    yyjson_mut_obj_add_uint(doc, o, "compute_units", info->compute_units);
    yyjson_mut_obj_add_uint(doc, o, "timestamp_bits", info->timestamp_bits);
    vkz_json_real(doc, o, "timestamp_period_ns", info->timestamp_period_ns);
    yyjson_mut_obj_add_bool(doc, o, "is_cpu", info->is_cpu);
    add_text(doc, o, "features", info->features);
    add_coopmat(doc, o, info);
    return o;
}

yyjson_mut_val *vkz_clock_json(yyjson_mut_doc *doc, const struct vkz_clock *clock,
                               bool has_canary)
{
    yyjson_mut_val *o = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_bool(doc, o, "usable", clock->usable);
    add_text(doc, o, "reason", clock->usable ? NULL : clock->reason);
    vkz_json_real(doc, o, "step_ns", clock->step_ns);
    vkz_json_real(doc, o, "empty_pair_ns", clock->empty_ns);
    yyjson_mut_obj_add_bool(doc, o, "monotonic", clock->monotonic);
    vkz_json_real(doc, o, "drift_ppm", clock->drift_ppm);
    vkz_json_real(doc, o, "span_ms", clock->span_ms);
    yyjson_mut_obj_add_bool(doc, o, "canary", has_canary);
    return o;
}
