// SPDX-License-Identifier: MIT
// The probe that picks a kernel, and the table it fills: one JSON file a device, keyed by
// shape class, void when the SPIR-V it was measured with has changed.
#include "bench/choose.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <yyjson.h>

enum { MAX_CANDIDATES = 64, PROBE_ROUNDS = 5, PATH_MAX_BYTES = 1024 };
// After one run each, a candidate this much slower than the best is out.
static const double DROP_RATIO = 1.6;
// ... and on its way there, one this much slower is not looked at again.
static const double DROP_LATER = 3;

struct vkz_choices {
    char path[PATH_MAX_BYTES];
    yyjson_mut_doc *doc;
};

static bool make_folders(char *path)
{
    for (char *p = path + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        const bool made = mkdir(path, 0777) == 0 || errno == EEXIST;
        *p = '/';
        if (!made)
            return false;
    }
    return mkdir(path, 0777) == 0 || errno == EEXIST;
}

static bool cache_folder(const char *folder, char out[PATH_MAX_BYTES])
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (folder)
        snprintf(out, PATH_MAX_BYTES, "%s", folder);
    else if (xdg && *xdg)
        snprintf(out, PATH_MAX_BYTES, "%s/vkzoo", xdg);
    else if (home && *home)
        snprintf(out, PATH_MAX_BYTES, "%s/.cache/vkzoo", home);
    else
        return false;
    return make_folders(out);
}

// A file name a person recognises; driver and ids make it unique.
static void device_file(const struct vkz_gpu_info *info, char out[160])
{
    int n = 0;
    for (const char *p = info->name; *p && n < 60; p++) {
        const bool plain = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9');
        const bool upper = *p >= 'A' && *p <= 'Z';
        if (plain || upper)
            out[n++] = upper ? (char)(*p + 32) : *p;
        else if (n && out[n - 1] != '-')
            out[n++] = '-';
    }
    snprintf(out + n, 160 - (size_t)n, "-%04x-%04x-%08x-sg%u.json", info->vendor_id,
             info->device_id, info->driver_version, info->subgroup_size);
}

enum vkz_status vkz_choices_open(const struct vkz_gpu_info *info, const char *folder,
                                 struct vkz_choices **out, struct vkz_error *err)
{
    struct vkz_choices *choices = calloc(1, sizeof *choices);
    char dir[PATH_MAX_BYTES], file[160];
    *out = NULL;
    if (!choices)
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    if (cache_folder(folder, dir)) {
        device_file(info, file);
        if (snprintf(choices->path, sizeof choices->path, "%s/%s", dir, file) >=
            (int)sizeof choices->path)
            choices->path[0] = '\0';
    }
    // A missing or damaged cache is an empty one: it only costs probes.
    yyjson_doc *old =
        choices->path[0] ? yyjson_read_file(choices->path, 0, NULL, NULL) : NULL;
    if (old && yyjson_is_obj(yyjson_doc_get_root(old)))
        choices->doc = yyjson_doc_mut_copy(old, NULL);
    yyjson_doc_free(old);
    if (!choices->doc) {
        choices->doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_doc_set_root(choices->doc, yyjson_mut_obj(choices->doc));
    }
    *out = choices;
    return VKZ_OK;
}

void vkz_choices_close(struct vkz_choices **choices)
{
    if (!*choices)
        return;
    yyjson_mut_doc_free((*choices)->doc);
    free(*choices);
    *choices = NULL;
}

const char *vkz_choices_path(const struct vkz_choices *choices)
{
    return choices->path;
}

int vkz_choices_count(const struct vkz_choices *choices)
{
    return (int)yyjson_mut_obj_size(yyjson_mut_doc_get_root(choices->doc));
}

static const char *text_of(yyjson_mut_val *object, const char *key)
{
    const char *text = yyjson_mut_get_str(yyjson_mut_obj_get(object, key));
    return text ? text : "";
}

void vkz_choices_each(const struct vkz_choices *choices,
                      void (*visit)(void *context, const char *shape_class,
                                    const char *kernel, const char *variant,
                                    const char *tuning, double ratio),
                      void *context)
{
    size_t i, n;
    yyjson_mut_val *key, *value;
    yyjson_mut_obj_foreach(yyjson_mut_doc_get_root(choices->doc), i, n, key, value)
    {
        visit(context, yyjson_mut_get_str(key), text_of(value, "kernel"),
              text_of(value, "variant"), text_of(value, "tuning"),
              yyjson_mut_get_num(yyjson_mut_obj_get(value, "ratio")));
    }
}

void vkz_shape_class(const struct vkz_case *c, const char *variant, char out[VKZ_CLASS_MAX])
{
    int used = snprintf(out, VKZ_CLASS_MAX, "%s/%s", c->op->name, variant);
    for (const struct vkz_dim *d = c->op->dims; d && d->name; d++) {
        double value = 1;
        vkz_env_get(&c->env, d->name, &value);
        if (used < VKZ_CLASS_MAX)
            used += snprintf(out + used, VKZ_CLASS_MAX - (size_t)used, " %s=%.0f", d->name,
                             value <= 16 ? value : exp2(ceil(log2(value))));
    }
    for (const struct vkz_axis *a = c->op->axes; a && a->name; a++) {
        double value = 0;
        char name[64] = "";
        vkz_env_get(&c->env, a->name, &value);
        if (value != 0 && used < VKZ_CLASS_MAX && vkz_axis_name(a, (int)value, name))
            used += snprintf(out + used, VKZ_CLASS_MAX - (size_t)used, " %s=%s", a->name, name);
    }
}

// A digest of every candidate's SPIR-V: a choice is void when any competitor changed.
static void candidates_digest(const struct vkz_candidate *list, int count, char out[32])
{
    uint64_t h = 1469598103934665603u;
    for (int i = 0; i < count; i++) {
        const struct vkz_pass *pass = list[i].kernel->passes;
        for (int p = 0; pass[p].name; p++) {
            for (const char *s = list[i].variant->modules[p].sha256; *s; s++)
                h = (h ^ (uint8_t)*s) * 1099511628211u;
        }
        for (const char *s = list[i].settings ? list[i].settings : ""; *s; s++)
            h = (h ^ (uint8_t)*s) * 1099511628211u;
    }
    snprintf(out, 32, "%016llx", (unsigned long long)h);
}

// The variant of that name in any of the kernels: what storage and sums are asked for.
static const struct vkz_variant *wanted_variant(const struct vkz_kernel *const *kernels,
                                                const char *name)
{
    for (int k = 0; kernels[k]; k++) {
        const struct vkz_variant *v =
            name ? vkz_variant_find(kernels[k], name) : &kernels[k]->variants[0];
        if (v)
            return v;
    }
    return NULL;
}

static int collect(const struct vkz_choose_params *params,
                   struct vkz_candidate out[MAX_CANDIDATES], char why[512])
{
    struct vkz_gpu *gpu = params->meter->gpu;
    const struct vkz_gpu_info *info = vkz_gpu_get_info(gpu);
    const struct vkz_tuning none[] = {{"default", NULL}, {NULL, NULL}};
    const struct vkz_variant *wanted = wanted_variant(params->kernels, params->variant);
    int count = 0;
    why[0] = '\0';
    for (int k = 0; wanted && params->kernels[k]; k++) {
        const struct vkz_kernel *kernel = params->kernels[k];
        if (params->kernel && strcmp(kernel->name, params->kernel) != 0)
            continue;
        if (!params->kernel && kernel->baseline)
            continue;
        for (const struct vkz_variant *v = kernel->variants; v->name; v++) {
            struct vkz_error err = {0};
            if (!vkz_variant_same_numbers(v, wanted))
                continue;
            if (!vkz_gpu_can_run(gpu, kernel, v, &err)) {
                snprintf(why, 512, "%s.%s %.400s", kernel->name, v->name, err.message);
                continue;
            }
            int shapes = v->coopmat ? 0 : 1;
            while (v->coopmat && vkz_gpu_coopmat(info, v->coopmat, (uint32_t)shapes))
                shapes++;
            for (int t = -1; t < 0 || (kernel->tunings && kernel->tunings[t].name); t++) {
                const struct vkz_tuning *tuning = t < 0 ? &none[0] : &kernel->tunings[t];
                if (params->tuning && strcmp(tuning->name, params->tuning) != 0)
                    continue;
                for (int s = 0; s < shapes && count < MAX_CANDIDATES; s++)
                    out[count++] = (struct vkz_candidate){kernel, v, tuning->name,
                                                          tuning->settings, (uint32_t)s};
            }
        }
    }
    return count;
}

static void candidate_label(const struct vkz_candidate *candidate, char out[160])
{
    snprintf(out, 160, "%s.%s[%s]", candidate->kernel->name, candidate->variant->name,
             candidate->tuning);
}

static bool cached(const struct vkz_choices *choices, const char *shape_class,
                   const char *digest, const struct vkz_candidate *list, int count,
                   struct vkz_choice *out)
{
    yyjson_mut_val *entry =
        yyjson_mut_obj_get(yyjson_mut_doc_get_root(choices->doc), shape_class);
    if (!entry || strcmp(text_of(entry, "digest"), digest) != 0)
        return false;
    for (int i = 0; i < count; i++) {
        if (strcmp(list[i].kernel->name, text_of(entry, "kernel")) != 0 ||
            strcmp(list[i].variant->name, text_of(entry, "variant")) != 0 ||
            strcmp(list[i].tuning, text_of(entry, "tuning")) != 0 ||
            list[i].coopmat_index !=
                (uint32_t)yyjson_mut_get_uint(yyjson_mut_obj_get(entry, "coopmat")))
            continue;
        out->best = list[i];
        snprintf(out->by, sizeof out->by, "cache");
        snprintf(out->runner_up, sizeof out->runner_up, "%s", text_of(entry, "runner_up"));
        out->ratio = yyjson_mut_get_num(yyjson_mut_obj_get(entry, "ratio"));
        return true;
    }
    return false;
}

static void keep(struct vkz_choices *choices, const char *shape_class, const char *digest,
                 const struct vkz_choice *choice)
{
    yyjson_mut_doc *doc = choices->doc;
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *entry = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_str(doc, entry, "kernel", choice->best.kernel->name);
    yyjson_mut_obj_add_str(doc, entry, "variant", choice->best.variant->name);
    yyjson_mut_obj_add_str(doc, entry, "tuning", choice->best.tuning);
    yyjson_mut_obj_add_uint(doc, entry, "coopmat", choice->best.coopmat_index);
    yyjson_mut_obj_add_strcpy(doc, entry, "runner_up", choice->runner_up);
    if (isfinite(choice->ratio))
        yyjson_mut_obj_add_real(doc, entry, "ratio", choice->ratio);
    yyjson_mut_obj_add_strcpy(doc, entry, "digest", digest);
    yyjson_mut_obj_remove_key(root, shape_class);
    yyjson_mut_obj_add(root, yyjson_mut_strcpy(doc, shape_class), entry);
    if (!choices->path[0])
        return;
    // Written beside and renamed: a run that dies leaves the old table whole.
    char beside[PATH_MAX_BYTES + 16];
    snprintf(beside, sizeof beside, "%s.%ld", choices->path, (long)getpid());
    if (yyjson_mut_write_file(beside, doc, YYJSON_WRITE_PRETTY_TWO_SPACES, NULL, NULL)) {
        if (rename(beside, choices->path) != 0)
            unlink(beside);
    }
}

// Interleaved rounds over the candidates left; times[i] becomes each one's median.
static enum vkz_status probe_rounds(const struct vkz_choose_params *params,
                                    struct vkz_trial **trials, double *times, int count,
                                    struct vkz_error *err)
{
    double seen[MAX_CANDIDATES][PROBE_ROUNDS];
    const double deadline =
        vkz_host_ns() + (params->budget_ms > 0 ? params->budget_ms : 1500) * 1e6;
    double best = INFINITY;
    int rounds = 0, alive = 0;
    for (int i = 0; i < count; i++)
        best = trials[i] ? fmin(best, times[i]) : best;
    for (int i = 0; i < count; i++) {
        if (trials[i] && times[i] > DROP_RATIO * best)
            vkz_trial_destroy(&trials[i]);
        alive += trials[i] != NULL;
    }
    for (; alive > 1 && rounds < PROBE_ROUNDS; rounds++) {
        if (rounds > 0 && vkz_host_ns() > deadline)
            break;
        for (int at = 0; at < count; at++) {
            // Every other round backwards, so that drift hits all alike.
            const int i = rounds % 2 ? count - 1 - at : at;
            const int runs = best < 1e6 ? (int)fmin(64, 1e6 / best) + 1 : 1;
            if (!trials[i])
                continue;
            enum vkz_status status =
                vkz_measure_once(params->meter, trials[i], runs, &seen[i][rounds], err);
            if (status != VKZ_OK)
                return status;
        }
    }
    for (int i = 0; i < count && rounds; i++) {
        if (!trials[i])
            continue;
        vkz_sort(seen[i], rounds);
        times[i] = seen[i][rounds / 2];
    }
    return VKZ_OK;
}

// Candidates while they are tried.
struct field {
    const struct vkz_candidate *list;
    int count;
    struct vkz_trial *trials[MAX_CANDIDATES];
    double times[MAX_CANDIDATES]; // INFINITY: could not run, or not worth trying
    double best;
    int ran;
};

// One candidate: the first run pays for compilation, on the device's clock too where a driver
// compiles at the first dispatch, and for page faults. Only the second counts.
static enum vkz_status try_candidate(const struct vkz_choose_params *params,
                                     const struct vkz_case *c, struct vkz_data *data,
                                     struct field *field, int i, char why[512],
                                     struct vkz_error *err)
{
    const struct vkz_candidate *candidate = &field->list[i];
    struct vkz_error skip = {0};
    enum vkz_status status =
        vkz_trial_create(&(struct vkz_trial_params){.gpu = params->meter->gpu,
                                                    .c = c,
                                                    .kernel = candidate->kernel,
                                                    .variant = candidate->variant,
                                                    .data = data,
                                                    .tuning = candidate->settings,
                                                    .coopmat_index =
                                                        candidate->coopmat_index},
                         &field->trials[i], &skip);
    if (status == VKZ_SKIP) {
        snprintf(why, 512, "%s", skip.message);
        return VKZ_OK;
    }
    if (status != VKZ_OK)
        return vkz_error_set(err, status, "%s", skip.message);
    field->ran++;
    for (int run = 0; run < 2 && status == VKZ_OK; run++)
        status = vkz_measure_once(params->meter, field->trials[i], 1, &field->times[i], err);
    field->best = fmin(field->best, field->times[i]);
    if (field->times[i] > DROP_LATER * field->best)
        vkz_trial_destroy(&field->trials[i]);
    return status;
}

// A kernel whose defaults are this far behind is not tried with its other tunings: each is a
// pipeline to compile.
static bool worth_tuning(const struct field *field, int i)
{
    for (int j = 0; j < field->count; j++) {
        if (field->list[j].kernel == field->list[i].kernel &&
            field->list[j].variant == field->list[i].variant &&
            strcmp(field->list[j].tuning, "default") == 0 && isfinite(field->times[j]))
            return field->times[j] < DROP_LATER * field->best;
    }
    return true;
}

static enum vkz_status probe(const struct vkz_choose_params *params, const struct vkz_case *c,
                             struct vkz_data *data, const struct vkz_candidate *list,
                             int count, struct vkz_choice *out, char why[512],
                             struct vkz_error *err)
{
    struct field field = {.list = list, .count = count, .best = INFINITY};
    struct vkz_trial **trials = field.trials;
    double *times = field.times;
    enum vkz_status status = VKZ_OK;
    for (int i = 0; i < count; i++)
        times[i] = INFINITY;
    for (int round = 0; round < 2; round++) { // defaults first, then the other tunings
        for (int i = 0; i < count && status == VKZ_OK; i++) {
            const bool is_default = strcmp(list[i].tuning, "default") == 0;
            if (is_default == (round == 0) && (is_default || worth_tuning(&field, i)))
                status = try_candidate(params, c, data, &field, i, why, err);
        }
    }
    out->candidates = field.ran;
    if (status != VKZ_OK)
        goto done;
    status = probe_rounds(params, trials, times, count, err);
    if (status != VKZ_OK)
        goto done;
    int first = -1, second = -1;
    for (int i = 0; i < count; i++) {
        if (!isfinite(times[i]))
            continue;
        if (first < 0 || times[i] < times[first]) {
            second = first;
            first = i;
        } else if (second < 0 || times[i] < times[second]) {
            second = i;
        }
    }
    if (first < 0) {
        status = vkz_error_set(err, VKZ_SKIP, "no kernel can serve this case here: %s",
                               why[0] ? why : "none has this variant");
        goto done;
    }
    out->best = list[first];
    out->ratio = second >= 0 ? times[second] / times[first] : NAN;
    if (second >= 0)
        candidate_label(&list[second], out->runner_up);
    snprintf(out->by, sizeof out->by, "%s", out->candidates > 1 ? "probe" : "only");
done:
    for (int i = 0; i < count; i++)
        vkz_trial_destroy(&trials[i]);
    return status;
}

enum vkz_status vkz_choose(const struct vkz_choose_params *params, const struct vkz_case *c,
                           struct vkz_data *data, struct vkz_choice *out,
                           struct vkz_error *err)
{
    struct vkz_candidate list[MAX_CANDIDATES];
    char shape_class[VKZ_CLASS_MAX], digest[32], why[512];
    *out = (struct vkz_choice){.ratio = NAN};
    const int count = collect(params, list, why);
    if (count == 0)
        return vkz_error_set(err, VKZ_SKIP, "no kernel can serve this case here: %s",
                             why[0] ? why : "none has this variant");
    if (params->kernel && (count == 1 || params->tuning)) {
        out->best = list[0];
        out->candidates = count;
        snprintf(out->by, sizeof out->by, "flag");
        return VKZ_OK;
    }
    const char *variant = params->variant ? params->variant : list[0].variant->name;
    vkz_shape_class(c, variant, shape_class);
    candidates_digest(list, count, digest);
    out->candidates = count;
    const bool whole_field = !params->kernel && !params->tuning;
    if (params->choices && whole_field && !params->fresh &&
        cached(params->choices, shape_class, digest, list, count, out))
        return VKZ_OK;
    enum vkz_status status = probe(params, c, data, list, count, out, why, err);
    if (status == VKZ_OK && params->choices && whole_field)
        keep(params->choices, shape_class, digest, out);
    return status;
}
