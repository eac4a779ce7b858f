// SPDX-License-Identifier: MIT
// Runs jobs one after another on one device. Inputs and reference of the last case are kept:
// the kernels and variants of one case come in a row.
#include "bench/worker.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/ceilings.h"
#include "bench/device_identity.h"
#include "bench/job.h"
#include "bench/override.h"

struct worker {
    const struct vkz_worker_params *params;
    FILE *out;
    struct vkz_instance *instance;
    struct vkz_gpu *gpu;
    struct vkz_meter meter;
    struct vkz_choices *choices;
    struct vkz_override *override;
    // The kept case.
    char kept_key[VKZ_ID_MAX + 64];
    struct vkz_case c;
    struct vkz_data *data;
    struct vkz_reference *reference;
    char mistrust[160];
    int jobs_done;
};

static void send_line(struct worker *w, yyjson_mut_doc *doc)
{
    size_t size = 0;
    char *text = yyjson_mut_write(doc, YYJSON_WRITE_INF_AND_NAN_AS_NULL, &size);
    if (text) {
        fwrite(text, 1, size, w->out);
        fputc('\n', w->out);
        fflush(w->out);
    }
    free(text);
    yyjson_mut_doc_free(doc);
}

static yyjson_mut_doc *event_doc(const char *event, yyjson_mut_val **root)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, *root);
    yyjson_mut_obj_add_str(doc, *root, "event", event);
    return doc;
}

static void send_progress(void *context, const char *what)
{
    yyjson_mut_val *root;
    yyjson_mut_doc *doc = event_doc("progress", &root);
    yyjson_mut_obj_add_strcpy(doc, root, "what", what);
    send_line(context, doc);
}

static void send_fatal(struct worker *w, const struct vkz_error *err)
{
    yyjson_mut_val *root;
    yyjson_mut_doc *doc = event_doc("fatal", &root);
    yyjson_mut_obj_add_str(doc, root, "status", vkz_status_name(err->status));
    yyjson_mut_obj_add_strcpy(doc, root, "message", err->message);
    send_line(w, doc);
}

static void forget_case(struct worker *w)
{
    vkz_reference_destroy(&w->reference);
    vkz_data_destroy(&w->data);
    w->kept_key[0] = '\0';
}

// The case's inputs under a variant's storage types: kept while the next job asks for the
// same. The reference follows when it is first needed.
static enum vkz_status prepare_data(struct worker *w, const struct vkz_job *job,
                                    const struct vkz_variant *variant, struct vkz_error *err)
{
    char key[VKZ_ID_MAX + 64];
    snprintf(key, sizeof key, "%s|%s|%llu", job->case_id, variant->types,
             (unsigned long long)job->seed);
    if (strcmp(key, w->kept_key) == 0)
        return VKZ_OK;
    forget_case(w);
    enum vkz_status status = vkz_case_parse_id(job->case_id, job->seed, &w->c, err);
    if (status == VKZ_OK)
        status = vkz_data_create(&w->c, variant, 0, &w->data, err);
    if (status == VKZ_OK)
        snprintf(w->kept_key, sizeof w->kept_key, "%s", key);
    return status;
}

static enum vkz_status prepare_reference(struct worker *w, const struct vkz_job *job,
                                         struct vkz_error *err)
{
    if (w->reference)
        return VKZ_OK;
    enum vkz_status status =
        vkz_reference_create(w->data, job->reference_flops, 0, &w->reference, err);
    if (status != VKZ_OK)
        return status;
    bool insensitive = false;
    w->mistrust[0] = '\0';
    if (!vkz_reference_mistrusted(w->reference, w->data, w->mistrust) &&
        job->verb == VKZ_VERB_CHECK && w->c.op->tolerance != VKZ_TOL_EXACT)
        status = vkz_case_insensitive(&w->c, w->data->variant, w->mistrust, &insensitive, err);
    return status;
}

static const struct vkz_tuning *tuning_find(const struct vkz_kernel *kernel, const char *name)
{
    for (const struct vkz_tuning *t = kernel->tunings; t && t->name; t++) {
        if (strcmp(t->name, name) == 0)
            return t;
    }
    return NULL;
}

// Every kernel of an op, for the chooser.
static int kernels_of(const struct worker *w, const struct vkz_op *op,
                      const struct vkz_kernel **out, int capacity)
{
    int n = 0;
    for (int i = 0; vkz_kernels[i] && n < capacity - 1; i++) {
        if (strcmp(vkz_kernels[i]->op, op->name) == 0)
            out[n++] = vkz_override_apply(w->override, vkz_kernels[i]);
    }
    out[n] = NULL;
    return n;
}

// What one job works on; all of it is released by job_finish.
struct attempt {
    struct vkz_result result;
    struct vkz_choice choice;
    struct vkz_check check;
    struct vkz_timing *hot, *cold;
    struct vkz_trial *trial, *statistics;
    char settings[800];
};

static void attempt_finish(struct attempt *a)
{
    vkz_trial_destroy(&a->trial);
    vkz_trial_destroy(&a->statistics);
    free(a->hot);
    free(a->cold);
}

// The kernel, variant and tuning the job names or the chooser finds. Fills a->result.
static enum vkz_status select_kernel(struct worker *w, const struct vkz_job *job,
                                     struct attempt *a, struct vkz_error *err)
{
    const struct vkz_op *op = w->c.op;
    const struct vkz_kernel *list[64];
    kernels_of(w, op, list, 64);
    if (job->verb == VKZ_VERB_BENCH && (!job->kernel[0] || !job->tuning[0])) {
        enum vkz_status status =
            vkz_choose(&(struct vkz_choose_params){.meter = &w->meter,
                                                   .choices = w->choices,
                                                   .kernels = list,
                                                   .variant = job->variant,
                                                   .kernel = job->kernel[0] ? job->kernel
                                                                            : NULL,
                                                   .tuning = job->tuning[0] ? job->tuning
                                                                            : NULL,
                                                   .fresh = job->fresh},
                       &w->c, w->data, &a->choice, err);
        if (status != VKZ_OK)
            return status;
        a->result.kernel = a->choice.best.kernel;
        a->result.variant = a->choice.best.variant;
        a->result.tuning = a->choice.best.tuning;
        a->result.choice = &a->choice;
        snprintf(a->settings, sizeof a->settings, "%s",
                 a->choice.best.settings ? a->choice.best.settings : "");
        return VKZ_OK;
    }
    const struct vkz_kernel *kernel = vkz_kernel_find(job->kernel);
    if (!kernel || strcmp(kernel->op, op->name) != 0)
        return vkz_error_set(err, VKZ_BAD_INPUT, "%s is no kernel of %s; `vkzoo list` shows "
                             "what there is", job->kernel, op->name);
    kernel = vkz_override_apply(w->override, kernel);
    a->result.kernel = kernel;
    a->result.variant = vkz_variant_find(kernel, job->variant);
    a->result.tuning = "default";
    if (!a->result.variant)
        return vkz_error_set(err, VKZ_SKIP, "%s has no variant %s in this build",
                             kernel->name, job->variant);
    if (job->tuning[0] && strcmp(job->tuning, "default") != 0) {
        const struct vkz_tuning *tuning = tuning_find(kernel, job->tuning);
        if (!tuning)
            return vkz_error_set(err, VKZ_BAD_INPUT, "%s has no tuning %s", kernel->name,
                                 job->tuning);
        a->result.tuning = tuning->name;
        snprintf(a->settings, sizeof a->settings, "%s", tuning->settings);
    }
    return VKZ_OK;
}

// The selected kernel on the kept case. a->settings becomes the constants set by name.
static struct vkz_trial_params trial_params(struct worker *w, const struct attempt *a)
{
    return (struct vkz_trial_params){.gpu = w->gpu,
                                     .c = &w->c,
                                     .kernel = a->result.kernel,
                                     .variant = a->result.variant,
                                     .data = w->data,
                                     .tuning = a->settings,
                                     .coopmat_index = a->choice.best.coopmat_index};
}

static enum vkz_status make_trial(struct worker *w, struct attempt *a, bool statistics,
                                  struct vkz_trial **out, struct vkz_error *err)
{
    struct vkz_trial_params params = trial_params(w, a);
    params.statistics = statistics;
    return vkz_trial_create(&params, out, err);
}

static enum vkz_status check_identities(struct worker *w, struct attempt *a,
                                        struct vkz_error *err)
{
    const struct vkz_trial_params params = trial_params(w, a);
    char found[400];
    enum vkz_status status =
        vkz_device_identities(&(struct vkz_device_identity_params){.trial = &params,
                                                                   .batch = w->meter.batch},
                              &w->c, &a->check.identities, found, err);
    if (status == VKZ_OK && found[0]) {
        a->check.passed = false;
        snprintf(a->check.why, sizeof a->check.why, "%.310s", found);
    }
    return status;
}

static enum vkz_status time_trial(struct worker *w, const struct vkz_job *job,
                                  struct attempt *a, struct vkz_error *err)
{
    a->hot = calloc(1, sizeof *a->hot);
    a->cold = calloc(1, sizeof *a->cold);
    if (!a->hot || !a->cold)
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    enum vkz_status status =
        vkz_measure(&w->meter, a->trial,
                    &(struct vkz_measure_params){.budget_ms = job->budget_ms}, a->hot, err);
    if (status != VKZ_OK)
        return status;
    a->result.hot = a->hot;
    if (!job->cold)
        return VKZ_OK;
    status = vkz_measure(&w->meter, a->trial,
                         &(struct vkz_measure_params){.budget_ms = 0.5 * job->budget_ms,
                                                      .cold = true},
                         a->cold, err);
    if (status == VKZ_OK)
        a->result.cold = a->cold;
    return status;
}

static enum vkz_status attempt_run(struct worker *w, const struct vkz_job *job,
                                   struct attempt *a, struct vkz_error *err)
{
    // Storage types are needed before the kernel is known: any kernel with that variant has
    // the same.
    const struct vkz_variant *model = NULL;
    const struct vkz_kernel *list[64];
    enum vkz_status status = vkz_case_parse_id(job->case_id, job->seed, &w->c, err);
    if (status != VKZ_OK)
        return status;
    kernels_of(w, w->c.op, list, 64);
    for (int i = 0; list[i] && !model; i++) {
        if (!job->kernel[0] || strcmp(list[i]->name, job->kernel) == 0)
            model = job->variant[0] ? vkz_variant_find(list[i], job->variant)
                                    : &list[i]->variants[0];
    }
    if (model && job->kernel[0]) {
        a->result.kernel = vkz_kernel_find(job->kernel);
        a->result.variant = model;
    }
    if (!model)
        return vkz_error_set(err, VKZ_SKIP, "no kernel of %s has the variant %s in this build",
                             w->c.op->name, job->variant);
    status = prepare_data(w, job, model, err);
    if (status == VKZ_OK)
        status = select_kernel(w, job, a, err);
    if (status != VKZ_OK)
        return status;
    const size_t used = strlen(a->settings);
    snprintf(a->settings + used, sizeof a->settings - used, " %s", job->settings);
    struct vkz_error can = {0};
    if (!vkz_gpu_can_run(w->gpu, a->result.kernel, a->result.variant, &can))
        return vkz_error_set(err, VKZ_SKIP, "%s", can.message);
    status = make_trial(w, a, false, &a->trial, err);
    if (status == VKZ_SKIP && a->result.choice && strcmp(a->choice.by, "cache") == 0) {
        // The cached winner of this shape class cannot serve this very shape.
        struct vkz_job fresh = *job;
        fresh.fresh = true;
        status = select_kernel(w, &fresh, a, err);
        const size_t chosen = strlen(a->settings);
        snprintf(a->settings + chosen, sizeof a->settings - chosen, " %s", job->settings);
        if (status == VKZ_OK)
            status = make_trial(w, a, false, &a->trial, err);
    }
    if (status != VKZ_OK)
        return status;
    a->result.specialization = vkz_plan_specialization(a->trial->plan);
    a->result.plan = a->trial->plan;
    a->result.scratch_bytes = (double)vkz_plan_scratch_bytes(a->trial->plan);
    a->result.shared_bytes = (double)vkz_plan_shared_bytes(a->trial->plan);
    a->result.tensor_bytes = (double)a->trial->set_bytes - a->result.scratch_bytes;
    status = prepare_reference(w, job, err);
    if (status == VKZ_OK)
        status = vkz_check_run(a->trial, w->reference, w->meter.batch, &a->check, err);
    if (status == VKZ_OK && a->check.passed && job->identities)
        status = check_identities(w, a, err);
    if (status != VKZ_OK)
        return status;
    a->result.check = &a->check;
    // No speed without a passing check.
    if (a->check.passed && job->verb == VKZ_VERB_BENCH) {
        status = time_trial(w, job, a, err);
        if (status == VKZ_OK && job->statistics)
            make_trial(w, a, true, &a->statistics, NULL);
        a->result.statistics = a->statistics;
    }
    uint64_t now = 0, peak = 0;
    vkz_gpu_memory(w->gpu, &now, &peak);
    a->result.peak_bytes = (double)now;
    return status;
}

static const char *status_word(const struct worker *w, const struct attempt *a,
                               enum vkz_status status)
{
    switch (status) {
    case VKZ_OK:
        return !a->check.passed ? "failed" : w->mistrust[0] ? "mistrusted" : "ok";
    case VKZ_SKIP:
        return "skipped";
    case VKZ_DEVICE_LOST:
        return "device lost";
    default:
        return "error";
    }
}

// Returns false when the worker must not go on: the device is lost.
static bool run_case(struct worker *w, const struct vkz_job *job)
{
    struct attempt a = {0};
    struct vkz_error err = {0};
    yyjson_mut_val *root;
    a.result.job = job;
    const enum vkz_status status = attempt_run(w, job, &a, &err);
    a.result.c = &w->c;
    a.result.status = status_word(w, &a, status);
    snprintf(a.result.reason, sizeof a.result.reason, "%s",
             status != VKZ_OK      ? err.message
             : !a.check.passed ? a.check.why
                                   : w->mistrust);
    yyjson_mut_doc *doc = event_doc("result", &root);
    yyjson_mut_obj_add_val(doc, root, "result",
                           w->c.op ? vkz_result_json(doc, &a.result)
                                   : vkz_result_lost_json(doc, job, a.result.status,
                                                          a.result.reason));
    // Before the result is sent: a driver that crashes here crashes on this case, not on
    // the next one.
    attempt_finish(&a);
    send_line(w, doc);
    return status != VKZ_DEVICE_LOST;
}

static bool run_ceilings(struct worker *w, const struct vkz_job *job)
{
    struct vkz_error err = {0};
    yyjson_mut_val *root, *ceilings = NULL;
    yyjson_mut_doc *doc = event_doc("result", &root);
    const enum vkz_status status =
        vkz_ceilings_measure(&(struct vkz_ceilings_params){.meter = &w->meter,
                                                           .full = job->full,
                                                           .progress = send_progress,
                                                           .context = w},
                             doc, &ceilings, &err);
    yyjson_mut_val *result = yyjson_mut_obj_add_obj(doc, root, "result");
    yyjson_mut_obj_add_str(doc, result, "type", "ceilings");
    yyjson_mut_obj_add_str(doc, result, "status",
                           status == VKZ_OK ? "ok" : vkz_status_name(status));
    if (status == VKZ_OK)
        yyjson_mut_obj_add_val(doc, result, "ceilings", ceilings);
    else
        yyjson_mut_obj_add_strcpy(doc, result, "reason", err.message);
    send_line(w, doc);
    return status != VKZ_DEVICE_LOST;
}

// For tests of the parent: VKZOO_FAULT="kill@N", "hang@N" or "lost@N" breaks the worker at
// its N-th job (counted from 1) the way a driver would.
static bool inject_fault(struct worker *w, const struct vkz_job *job)
{
    const char *fault = getenv("VKZOO_FAULT");
    const char *at = fault ? strchr(fault, '@') : NULL;
    if (!at || atoi(at + 1) != w->jobs_done + 1)
        return false;
    if (strncmp(fault, "kill", 4) == 0)
        raise(SIGKILL);
    if (strncmp(fault, "hang", 4) == 0) {
        for (;;)
            pause();
    }
    if (strncmp(fault, "lost", 4) != 0)
        return false;
    yyjson_mut_val *root;
    yyjson_mut_doc *doc = event_doc("result", &root);
    yyjson_mut_obj_add_val(doc, root, "result",
                           vkz_result_lost_json(doc, job, "device lost",
                                                "VK_ERROR_DEVICE_LOST (injected)"));
    send_line(w, doc);
    return true;
}

static enum vkz_status start(struct worker *w, struct vkz_error *err)
{
    int index = 0;
    enum vkz_status status = vkz_instance_create(&w->instance, err);
    if (status == VKZ_OK)
        status = vkz_instance_choose(w->instance, w->params->device, &index, err);
    if (status == VKZ_OK)
        status = vkz_gpu_create(w->instance, index,
                                &(struct vkz_gpu_params){.floor_limits =
                                                             w->params->floor_limits,
                                                         .core_only = w->params->core_only},
                                &w->gpu, err);
    if (status == VKZ_OK)
        status = vkz_batch_create(w->gpu, 2, &w->meter.batch, err);
    if (status == VKZ_OK)
        status = vkz_clock_test(w->gpu, &w->meter.clock, err);
    if (status != VKZ_OK)
        return status;
    w->meter.gpu = w->gpu;
    if (w->params->spirv)
        status = vkz_override_create(w->params->spirv, &w->override, err);
    if (status != VKZ_OK)
        return status;
    if (!w->params->no_canary) {
        // A device that cannot run the canary is still measured; the file says so.
        struct vkz_error ignored = {0};
        status = vkz_canary_create(w->gpu, &w->meter.canary, &ignored);
        if (status == VKZ_DEVICE_LOST)
            return vkz_error_set(err, status, "%s", ignored.message);
    }
    return vkz_choices_open(vkz_gpu_get_info(w->gpu), w->params->cache_folder, &w->choices,
                            err);
}

static void stop(struct worker *w)
{
    forget_case(w);
    vkz_choices_close(&w->choices);
    vkz_override_destroy(&w->override);
    vkz_canary_destroy(&w->meter.canary);
    vkz_batch_destroy(&w->meter.batch);
    vkz_gpu_destroy(&w->gpu);
    vkz_instance_destroy(&w->instance);
}

static void serve(struct worker *w, FILE *in)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    while ((size = getline(&line, &capacity, in)) > 0) {
        struct vkz_job job;
        yyjson_doc *doc = yyjson_read(line, (size_t)size, 0);
        if (!doc)
            continue;
        vkz_job_read(yyjson_doc_get_root(doc), &job);
        yyjson_doc_free(doc);
        w->meter.llc_bytes = job.llc_bytes;
        if (inject_fault(w, &job))
            break;
        const bool alive =
            job.verb == VKZ_VERB_CEILINGS ? run_ceilings(w, &job) : run_case(w, &job);
        w->jobs_done++;
        if (!alive)
            break;
    }
    free(line);
}

int vkz_worker_main(const struct vkz_worker_params *params)
{
    struct worker w = {.params = params};
    struct vkz_error err = {0};
    FILE *in = fdopen(params->in, "r");
    w.out = fdopen(params->out, "w");
    if (!in || !w.out)
        return 99;
    // The parent's Ctrl-C reaches the whole group: the parent decides when a worker ends.
    signal(SIGINT, SIG_IGN);
    int exit_status = 0;
    if (start(&w, &err) != VKZ_OK) {
        send_fatal(&w, &err);
        exit_status = err.status == VKZ_NO_DEVICE ? 77 : 99;
    } else {
        yyjson_mut_val *root;
        yyjson_mut_doc *doc = event_doc("ready", &root);
        yyjson_mut_obj_add_val(doc, root, "device",
                               vkz_device_json(doc, vkz_gpu_get_info(w.gpu)));
        yyjson_mut_obj_add_val(doc, root, "clock",
                               vkz_clock_json(doc, &w.meter.clock, w.meter.canary != NULL));
        send_line(&w, doc);
        serve(&w, in);
    }
    stop(&w);
    fclose(in);
    fclose(w.out);
    return exit_status;
}
