// SPDX-License-Identifier: MIT
// Cases to jobs. See cli/jobs.h.
#include "cli/jobs.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/header.h"
#include "report/floor.h"

struct maker {
    const struct vkz_options *options;
    enum vkz_verb verb;
    struct vkz_job_list *list;
};

static struct vkz_job *job_add(struct vkz_job_list *list)
{
    if (list->count == list->capacity) {
        const int capacity = list->capacity ? 2 * list->capacity : 256;
        struct vkz_job *jobs = realloc(list->jobs, (size_t)capacity * sizeof *jobs);
        if (!jobs)
            return NULL;
        list->jobs = jobs;
        list->capacity = capacity;
    }
    struct vkz_job *job = &list->jobs[list->count++];
    memset(job, 0, sizeof *job);
    return job;
}

static bool tag_wanted(const struct maker *maker, const char *tags)
{
    const struct vkz_options *o = maker->options;
    const char *wanted = o->tags;
    if (!wanted)
        wanted = maker->verb == VKZ_VERB_CHECK ? "smoke,check" : "quick";
    if (strcmp(wanted, "all") == 0)
        return true;
    char one[64];
    for (const char *p = wanted; *p; p += strcspn(p, ",") + (p[strcspn(p, ",")] == ',')) {
        snprintf(one, sizeof one, "%.*s", (int)strcspn(p, ","), p);
        if (vkz_tag_match(tags, one))
            return true;
    }
    return false;
}

// Big cases are checked on sampled rows: this many reference FLOPs at most.
static double reference_bound(enum vkz_verb verb)
{
    return verb == VKZ_VERB_CHECK ? 4e8 : 1e8;
}

static bool add_job(struct maker *maker, const struct vkz_case *c, const char *kernel,
                    const char *variant, const char *tuning)
{
    const struct vkz_options *o = maker->options;
    struct vkz_job *job = job_add(maker->list);
    if (!job)
        return false;
    job->verb = maker->verb;
    snprintf(job->case_id, sizeof job->case_id, "%s", c->id);
    snprintf(job->tags, sizeof job->tags, "%s", c->tags);
    snprintf(job->kernel, sizeof job->kernel, "%s", kernel ? kernel : "");
    snprintf(job->variant, sizeof job->variant, "%s", variant);
    snprintf(job->tuning, sizeof job->tuning, "%s", tuning ? tuning : "");
    snprintf(job->settings, sizeof job->settings, "%s", o->spec ? o->spec : "");
    job->seed = c->seed;
    job->budget_ms = o->budget_ms > 0 ? o->budget_ms : 1000;
    job->reference_flops = reference_bound(maker->verb);
    job->cold = !o->no_cold;
    job->fresh = o->fresh;
    job->statistics = o->statistics;
    job->identities = o->identities;
    return true;
}

// Where a case stands among the cases of its op that are run.
struct place {
    int index, count;
};

// Every tuning is checked on one case, spread over the list; the rest have the defaults. A
// tuning is a pipeline of its own, and compiling is most of a check's time on CPU devices.
static const char *tuning_for(const struct vkz_kernel *kernel, struct place place)
{
    int tunings = 0;
    while (kernel->tunings && kernel->tunings[tunings].name)
        tunings++;
    if (tunings >= place.count) { // a short list: in turn, as far as it goes
        const int turn = place.index % (tunings + 1);
        return turn == 0 ? "default" : kernel->tunings[turn - 1].name;
    }
    for (int t = 0; t < tunings; t++) {
        if (place.index == (2 * t + 1) * place.count / (2 * tunings))
            return kernel->tunings[t].name;
    }
    return "default";
}

static bool has_tuning(const struct vkz_kernel *kernel, const char *name)
{
    bool found = !name || strcmp(name, "default") == 0;
    for (const struct vkz_tuning *t = kernel->tunings; !found && t && t->name; t++)
        found = strcmp(t->name, name) == 0;
    return found;
}

static bool is_16bit_variant(const struct vkz_variant *v)
{
    return strstr(v->types, "16") != NULL;
}

// check: every kernel and variant. 16-bit variants share the code of f32 but for loads and
// stores: they take every fourth case and the smoke cases, with the default tuning.
static bool add_check_jobs(struct maker *maker, const struct vkz_suite_op *entry,
                           const struct vkz_case *c, struct place place)
{
    const struct vkz_options *o = maker->options;
    // What is asked for by name, as a repro line does, runs whatever its turn.
    const bool smoke = vkz_tag_match(c->tags, "smoke") || o->tags || o->variant ||
                       place.count == 1;
    // Variants outside, kernels inside: inputs and reference of a storage type are reused.
    const char *seen[32];
    int seen_count = 0;
    for (int k = 0; k < entry->kernel_count; k++) {
        for (const struct vkz_variant *v = entry->kernels[k]->variants; v->name; v++) {
            bool known = false;
            for (int i = 0; i < seen_count; i++)
                known = known || strcmp(seen[i], v->name) == 0;
            if (!known && seen_count < 32)
                seen[seen_count++] = v->name;
        }
    }
    for (int s = 0; s < seen_count; s++) {
        if (o->variant && strcmp(o->variant, seen[s]) != 0)
            continue;
        for (int k = 0; k < entry->kernel_count; k++) {
            const struct vkz_kernel *kernel = entry->kernels[k];
            const struct vkz_variant *v = vkz_variant_find(kernel, seen[s]);
            if (!v || (o->kernel && strcmp(o->kernel, kernel->name) != 0) ||
                !has_tuning(kernel, o->tuning))
                continue;
            const bool narrow = is_16bit_variant(v) && v != kernel->variants;
            if (narrow && (o->brief || (!smoke && (place.index + s) % 4)))
                continue;
            const char *tuning = o->tuning  ? o->tuning
                                 : narrow ? "default"
                                            : tuning_for(kernel, place);
            if (!add_job(maker, c, kernel->name, v->name, tuning))
                return false;
            // Each derived case costs a pipeline, and a kernel's variants share their code:
            // its first one runs the identities, on the smoke case.
            if (v == kernel->variants && vkz_tag_match(c->tags, "smoke") && !o->brief)
                maker->list->jobs[maker->list->count - 1].identities = true;
        }
    }
    return true;
}

// bench: one job a combination of storage and accumulation types, the kernel chosen by
// measurement; with --all-kernels one job a kernel and variant.
static bool add_bench_jobs(struct maker *maker, const struct vkz_suite_op *entry,
                           const struct vkz_case *c)
{
    const struct vkz_options *o = maker->options;
    const bool quick = !o->tags && !o->set && !o->selector_count;
    const struct vkz_variant *seen[32];
    int seen_count = 0;
    for (int k = 0; k < entry->kernel_count; k++) {
        const struct vkz_kernel *kernel = entry->kernels[k];
        if (o->kernel && strcmp(o->kernel, kernel->name) != 0)
            continue;
        for (const struct vkz_variant *v = kernel->variants; v->name; v++) {
            bool known = false;
            // The quick suite keeps to the two storage types most models use, summed in f32.
            if (o->variant ? strcmp(o->variant, v->name) != 0
                           : quick && (strstr(v->types, "bf16") ||
                                       strcmp(v->accumulate, "f32") != 0))
                continue;
            for (int i = 0; i < seen_count; i++)
                known = known || vkz_variant_same_numbers(seen[i], v);
            if (known && !o->all_kernels)
                continue;
            if (!known && seen_count < 32)
                seen[seen_count++] = v;
            if (!add_job(maker, c, o->all_kernels || o->kernel ? kernel->name : NULL, v->name,
                         o->tuning))
                return false;
        }
    }
    return true;
}

static bool add_case(struct maker *maker, const struct vkz_suite_op *entry,
                     const struct vkz_case *c, struct place place)
{
    return maker->verb == VKZ_VERB_CHECK ? add_check_jobs(maker, entry, c, place)
                                       : add_bench_jobs(maker, entry, c);
}

// Cases named on the command line: `op@k=v,…` and --set.
static enum vkz_status add_named(struct maker *maker, const struct vkz_selection *selection,
                                 int *added, struct vkz_error *err)
{
    const struct vkz_options *o = maker->options;
    for (int s = 0; s < selection->suite_count; s++) {
        for (int e = 0; e < selection->suites[s].op_count; e++) {
            const struct vkz_suite_op *entry = &selection->suites[s].ops[e];
            for (int i = 0; i < o->selector_count; i++) {
                const char *at = strchr(o->selectors[i], '@');
                const size_t length = strcspn(o->selectors[i], "@");
                struct vkz_case c;
                if ((!at && !o->set) || strlen(entry->op->name) != length ||
                    strncmp(entry->op->name, o->selectors[i], length) != 0)
                    continue;
                enum vkz_status status =
                    at ? vkz_case_parse_id(o->selectors[i], o->seed, &c, err)
                       : vkz_case_parse(entry->op, o->set, o->seed, &c, err);
                if (status != VKZ_OK)
                    return status;
                ++*added;
                if (!add_case(maker, entry, &c, (struct place){0, 1}))
                    return vkz_error_set(err, VKZ_FAILED, "out of host memory");
            }
        }
    }
    return VKZ_OK;
}

enum vkz_status vkz_job_list_create(const struct vkz_options *options, enum vkz_verb verb,
                                    const struct vkz_selection *selection,
                                    struct vkz_job_list *out, struct vkz_error *err)
{
    struct maker own = {options, verb, out}, *maker = &own;
    int named = 0;
    *out = (struct vkz_job_list){0};
    enum vkz_status status = vkz_selection_check_names(options, selection, err);
    if (status == VKZ_OK)
        status = add_named(maker, selection, &named, err);
    if (status != VKZ_OK)
        return status;
    if (options->set && !named)
        return vkz_error_set(err, VKZ_BAD_INPUT, "--set makes a case of one op: name the op, "
                             "as in `--op gemm --set m=64,n=64,k=64`");
    for (int s = 0; s < selection->suite_count && !named; s++) {
        const struct vkz_suite *suite = &selection->suites[s];
        for (int e = 0; e < suite->op_count; e++) {
            const struct vkz_suite_op *entry = &suite->ops[e];
            if (!vkz_selection_has(selection, suite, entry->op))
                continue;
            struct place place = {0, 0};
            for (int i = 0; i < entry->case_count; i++)
                place.count += tag_wanted(maker, entry->cases[i].tags);
            for (int i = 0; i < entry->case_count; i++) {
                if (!tag_wanted(maker, entry->cases[i].tags))
                    continue;
                if (!add_case(maker, entry, &entry->cases[i], place))
                    return vkz_error_set(err, VKZ_FAILED, "out of host memory");
                place.index++;
            }
        }
    }
    return out->count ? VKZ_OK : vkz_selection_no_case(options, selection, err);
}

void vkz_job_list_finish(struct vkz_job_list *list)
{
    free(list->jobs);
    *list = (struct vkz_job_list){0};
}

enum vkz_status vkz_cli_session(const struct vkz_options *o, int workers,
                                char *const *environment, const volatile int *interrupted,
                                struct vkz_session **out, struct vkz_error *err)
{
    char device[300], cache[1100], spirv[1300];
    char *argv[16];
    int n = 0;
    argv[n++] = "vkzoo";
    argv[n++] = "worker";
    argv[n++] = "--in-fd=3";
    argv[n++] = "--out-fd=4";
    if (o->device) {
        snprintf(device, sizeof device, "--device=%s", o->device);
        argv[n++] = device;
    }
    if (o->cache_folder) {
        snprintf(cache, sizeof cache, "--cache=%s", o->cache_folder);
        argv[n++] = cache;
    }
    if (o->spirv) {
        snprintf(spirv, sizeof spirv, "--spirv=%s", o->spirv);
        argv[n++] = spirv;
    }
    if (o->floor_limits)
        argv[n++] = "--floor-limits";
    if (o->core_only)
        argv[n++] = "--core-only";
    if (o->no_canary)
        argv[n++] = "--no-canary";
    argv[n] = NULL;
    return vkz_session_create(&(struct vkz_session_params){.worker_argv = argv,
                                                           .environment = environment,
                                                           .workers = workers,
                                                           .timeout_ms = o->timeout_s * 1e3,
                                                           .interrupted = interrupted},
                              out, err);
}

enum vkz_status vkz_cli_result_path(yyjson_val *hello, const char *suffix, char out[1024],
                                    struct vkz_error *err)
{
    char slug[96], when[32];
    const time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", &utc);
    vkz_header_device_slug(yyjson_obj_get(hello, "device"), slug, sizeof slug);
    if (mkdir("results", 0777) != 0 && errno != EEXIST)
        return vkz_error_set(err, VKZ_FAILED, "cannot make results/: %s; give --out FILE",
                             strerror(errno));
    snprintf(out, 1024, "results/%s", slug);
    if (mkdir(out, 0777) != 0 && errno != EEXIST)
        return vkz_error_set(err, VKZ_FAILED, "cannot make %s: %s; give --out FILE", out,
                             strerror(errno));
    snprintf(out, 1024, "results/%s/%s%s.jsonl", slug, when, suffix);
    return VKZ_OK;
}

static void add_floor(yyjson_mut_doc *doc, yyjson_mut_val *line, yyjson_val *result,
                      yyjson_val *ceilings, bool cold)
{
    yyjson_val *time =
        yyjson_obj_get(yyjson_obj_get(result, "time"), cold ? "cold" : "hot");
    yyjson_val *work = yyjson_obj_get(result, "work");
    if (!time || !work || !ceilings)
        return;
    const struct vkz_floor floor = vkz_floor_find(ceilings, work, cold);
    if (!isfinite(floor.ns))
        return;
    yyjson_mut_val *o = yyjson_mut_obj_add_obj(doc, line, cold ? "floor_cold" : "floor");
    vkz_json_real(doc, o, "ns", floor.ns);
    yyjson_mut_obj_add_strcpy(doc, o, "bound", floor.bound);
    yyjson_mut_obj_add_strcpy(doc, o, "ceiling", floor.ceiling);
    vkz_json_real(doc, line, cold ? "efficiency_cold" : "efficiency",
                  floor.ns / yyjson_get_num(yyjson_obj_get(time, "median_ns")));
}

void vkz_cli_add_floors(yyjson_mut_doc *doc, yyjson_mut_val *line, yyjson_val *result,
                        yyjson_val *ceilings)
{
    add_floor(doc, line, result, ceilings, false);
    add_floor(doc, line, result, ceilings, true);
}
