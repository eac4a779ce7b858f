// SPDX-License-Identifier: MIT
// From parsed lines to records. See report/run.h.
#include "report/run.h"

#include <stdio.h>
#include <stdlib.h>

#include "report/json.h"
#include "report/judge.h"
#include "report/lint.h"
#include "report/text.h"
#include "zoo/op.h"

#define NONE ((double)NAN)
#define NO_TIMES                                                                         \
    {.ns = NONE,  .low = NONE,       .high = NONE, .min = NONE,                          \
     .max = NONE, .per_batch = NONE, .blocks_id = ""}

const struct vkz_record vkz_record_none = {
    .verb = "",         .op = "",       .family = "",         .name = "",
    .asked_kernel = "", .kernel = "",   .asked_variant = "",  .variant = "",
    .asked_tuning = "", .tuning = "",   .specialization = "", .spirv = "",
    .status = "",       .reason = "",   .repro = "",          .statistics = "",
    .ceiling = "",      .runner_up = "", .rate_kind = 'f',    .hot = NO_TIMES,
    .cold = NO_TIMES,   .flops = NONE,  .bytes = NONE,        .rate = NONE,
    .efficiency = NONE, .accuracy = NONE, .candidates = NONE, .runner_up_ratio = NONE,
};

const char *vkz_asked_text(const char *kernel, const char *tuning, char out[160])
{
    snprintf(out, 160, "%.90s%s%.60s%s", kernel, tuning[0] ? "[" : "", tuning,
             tuning[0] ? "]" : "");
    return out;
}

const char *vkz_record_case(const struct vkz_record *r, char *out, size_t size)
{
    char asked[160];
    vkz_asked_text(r->asked_kernel, r->asked_tuning, asked);
    snprintf(out, size, "%s%s%s", r->name, asked[0] ? " " : "", asked);
    vkz_text_trim(out);
    return out;
}

bool vkz_record_same_work(const struct vkz_record *a, const struct vkz_record *b)
{
    const double x = a->rate_kind == 'b' ? a->bytes : a->flops;
    const double y = a->rate_kind == 'b' ? b->bytes : b->flops;
    return !(fabs(x - y) > 0);
}

// The store's copy of an array of numbers; NULL without memory, or without numbers.
static const double *keep_numbers(struct vkz_store *store, yyjson_val *array, size_t *count)
{
    const size_t n = yyjson_arr_size(array);
    double *copy = n ? vkz_store_take(store, n * sizeof *copy) : NULL;
    size_t i, all;
    yyjson_val *value;
    *count = copy ? n : 0;
    yyjson_arr_foreach(array, i, all, value) {
        if (copy)
            copy[i] = yyjson_get_num(value);
    }
    return copy;
}

bool vkz_times_read(yyjson_val *object, struct vkz_store *store, struct vkz_times *out)
{
    yyjson_val *samples = vkz_json_array(object, "samples_ns");
    yyjson_val *blocks = vkz_json_object(object, "blocks");
    yyjson_val *medians = vkz_json_array(blocks, "medians_ns");
    *out = (struct vkz_times){
        .ns = vkz_json_number(object, "median_ns"),
        .low = vkz_json_number(object, "low_ns"),
        .high = vkz_json_number(object, "high_ns"),
        .min = vkz_json_number(object, "min_ns"),
        .max = vkz_json_number(object, "max_ns"),
        .per_batch = vkz_json_number(object, "per_batch"),
        .marks = vkz_timing_marks(object),
        .blocks_id = vkz_store_text(store, vkz_json_text(blocks, "id")),
    };
    out->samples = keep_numbers(store, samples, &out->sample_count);
    out->blocks = keep_numbers(store, medians, &out->block_count);
    return out->blocks_id && out->sample_count == yyjson_arr_size(samples) &&
           out->block_count == yyjson_arr_size(medians);
}

// While a line becomes a record: one place to ask for memory.
struct taking {
    struct vkz_store *store;
    bool no_memory;
};

static const char *keep(struct taking *t, const char *text)
{
    const char *kept = vkz_store_text(t->store, text);
    t->no_memory = t->no_memory || !kept;
    return kept ? kept : "";
}

// The JSON of a value, for who reads it later; "" without one.
static const char *keep_json(struct taking *t, yyjson_val *value)
{
    char *text = value ? yyjson_val_write(value, 0, NULL) : NULL;
    const char *kept = text ? keep(t, text) : "";
    free(text);
    return kept;
}

static const char *keep_spirv(struct taking *t, yyjson_val *line)
{
    yyjson_val *hashes = vkz_json_array(line, "spirv_sha256"), *hash;
    char text[1200];
    size_t i, count, used = 0;
    text[0] = '\0';
    yyjson_arr_foreach(hashes, i, count, hash) {
        const char *word = yyjson_get_str(hash);
        if (word && used + strlen(word) + 2 < sizeof text)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i ? " " : "",
                                     word);
    }
    return keep(t, text);
}

static void take_canary(struct taking *t, yyjson_val *hot, struct vkz_record *r)
{
    yyjson_val *canary = vkz_json_array(hot, "canary_ns"), *value;
    const size_t n = yyjson_arr_size(canary);
    float *copy = n ? vkz_store_take(t->store, n * sizeof *copy) : NULL;
    size_t i, count;
    t->no_memory = t->no_memory || (n && !copy);
    r->canary = copy;
    r->canary_count = copy ? n : 0;
    yyjson_arr_foreach(canary, i, count, value) {
        if (copy)
            copy[i] = (float)yyjson_get_num(value);
    }
}

static void take_work(yyjson_val *line, struct vkz_record *r)
{
    yyjson_val *work = vkz_json_object(line, "work");
    const char *unit = vkz_json_text(work, "unit");
    const bool bytes = vkz_json_is(work, "metric", "bytes");
    r->rate_kind = bytes                                                       ? 'b'
                   : strcmp(unit, "int") == 0 || strcmp(unit, "idot") == 0 ? 'o'
                                                                               : 'f';
    r->flops = vkz_json_number(work, "flops");
    r->bytes = vkz_json_number(work, "bytes");
    r->rate = r->hot.ns > 0 ? (bytes ? r->bytes : r->flops) / r->hot.ns * 1e9 : NONE;
}

bool vkz_record_read(yyjson_val *line, int number, struct vkz_store *store,
                     struct vkz_record *r)
{
    struct taking taking = {.store = store}, *t = &taking;
    yyjson_val *time = vkz_json_object(line, "time");
    yyjson_val *hot = vkz_json_object(time, "hot");
    yyjson_val *chosen = vkz_json_object(line, "chosen");
    const struct vkz_op *op = vkz_op_find(vkz_json_text(line, "op"));
    *r = vkz_record_none;
    r->line = number;
    const struct {
        const char **to, *key;
    } texts[] = {
        {&r->verb, "verb"},
        {&r->op, "op"},
        {&r->name, "case"},
        {&r->asked_kernel, "asked_kernel"},
        {&r->asked_variant, "asked_variant"},
        {&r->asked_tuning, "asked_tuning"},
        {&r->kernel, "kernel"},
        {&r->variant, "variant"},
        {&r->tuning, "tuning"},
        {&r->specialization, "specialization"},
        {&r->status, "status"},
        {&r->reason, "reason"},
        {&r->repro, "repro"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i].to = keep(t, vkz_json_text(line, texts[i].key));
    r->family = op ? op->family : "other";
    r->spirv = keep_spirv(t, line);
    r->statistics = keep_json(t, yyjson_obj_get(line, "statistics"));
    r->ceiling = keep(t, vkz_json_text(vkz_json_object(line, "floor"), "ceiling"));
    r->runner_up = keep(t, vkz_json_text(chosen, "runner_up"));
    r->runner_up_ratio = vkz_json_number(chosen, "runner_up_time_ratio");
    r->candidates = vkz_json_number(chosen, "candidates");
    t->no_memory = !vkz_times_read(hot, t->store, &r->hot) ||
                   !vkz_times_read(vkz_json_object(time, "cold"), t->store, &r->cold) ||
                   t->no_memory;
    take_canary(t, hot, r);
    take_work(line, r);
    r->efficiency = vkz_json_number(line, "efficiency");
    r->accuracy = vkz_json_number(vkz_json_object(line, "check"), "accuracy");
    r->marks = vkz_case_marks(line);
    r->counts = r->hot.ns > 0 && isfinite(r->hot.ns) && strcmp(r->status, "ok") == 0 &&
                !(r->marks & (VKZ_MARK_UNVERIFIED | VKZ_MARK_IMPOSSIBLE |
                              VKZ_MARK_MISTRUSTED));
    return !taking.no_memory;
}

static enum vkz_status take_records(struct vkz_run *run, struct vkz_store *store,
                                    struct vkz_error *err)
{
    const struct vkz_result_file *file = run->file;
    bool enough = true;
    run->records = malloc((file->case_count + 1) * sizeof *run->records);
    for (size_t i = 0; run->records && i < file->case_count && enough; i++) {
        if (file->cases[i].superseded)
            continue;
        struct vkz_record *r = &run->records[run->record_count++];
        enough = vkz_record_read(file->cases[i].value, file->cases[i].line, store, r);
        run->ok += strcmp(r->status, "ok") == 0;
        run->skipped += strcmp(r->status, "skipped") == 0;
    }
    run->failed = (int)run->record_count - run->ok - run->skipped;
    if (!run->records || !enough)
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    return VKZ_OK;
}

enum vkz_status vkz_run_load(const char *path, struct vkz_store *store, struct vkz_run *run,
                             struct vkz_error *err)
{
    struct vkz_lint *lint = NULL;
    *run = (struct vkz_run){.file = NULL};
    enum vkz_status status = vkz_result_file_load(path, &run->file, err);
    if (status == VKZ_OK)
        status = vkz_lint_create(&lint, err);
    if (status == VKZ_OK)
        status = vkz_lint_loaded(lint, run->file, err);
    if (status == VKZ_OK) {
        run->errors = vkz_lint_count(lint, VKZ_LINT_ERROR);
        run->warnings = vkz_lint_count(lint, VKZ_LINT_WARNING);
        status = take_records(run, store, err);
    }
    if (status == VKZ_OK)
        vkz_result_file_forget_cases(run->file);
    vkz_lint_destroy(&lint);
    return status;
}

void vkz_run_finish(struct vkz_run *run)
{
    vkz_result_file_destroy(&run->file);
    free(run->records);
    run->records = NULL;
    run->record_count = 0;
}
