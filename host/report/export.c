// SPDX-License-Identifier: MIT
// One run in the JSON of other benchmark tools, so that their dashboards and comparison
// scripts take the numbers. Only what the formats have a place for.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/json.h"
#include "report/report.h"
#include "report/rows.h"

static const char *text_or(const char *text, const char *other)
{
    return text[0] ? text : other;
}

static enum vkz_status write_doc(yyjson_mut_doc *doc, FILE *out, struct vkz_error *err)
{
    const yyjson_write_flag flags = YYJSON_WRITE_PRETTY | YYJSON_WRITE_ALLOW_INVALID_UNICODE;
    char *text = yyjson_mut_write(doc, flags, NULL);
    if (text)
        fprintf(out, "%s\n", text);
    const bool written = text != NULL;
    free(text);
    yyjson_mut_doc_free(doc);
    return written ? VKZ_OK : vkz_error_set(err, VKZ_FAILED, "out of host memory");
}

// Mean and standard deviation (n - 1) of the samples of a timing object.
static void moments(const struct vkz_times *timing, double *mean, double *deviation)
{
    const double n = (double)timing->sample_count;
    double sum = 0, squares = 0;
    for (size_t i = 0; i < timing->sample_count; i++)
        sum += timing->samples[i];
    *mean = n > 0 ? sum / n : (double)NAN;
    for (size_t i = 0; i < timing->sample_count; i++)
        squares += pow(timing->samples[i] - *mean, 2);
    *deviation = n > 1 ? sqrt(squares / (n - 1)) : (double)NAN;
}

// ---- Google Benchmark ----

static yyjson_mut_val *add_benchmark(yyjson_mut_doc *doc, yyjson_mut_val *array,
                                     const char *name, const char *suffix, size_t family)
{
    char text[800];
    yyjson_mut_val *b = yyjson_mut_arr_add_obj(doc, array);
    snprintf(text, sizeof text, "%.700s%s%s", name, suffix[0] ? "_" : "", suffix);
    yyjson_mut_obj_add_strcpy(doc, b, "name", text);
    yyjson_mut_obj_add_uint(doc, b, "family_index", family);
    yyjson_mut_obj_add_int(doc, b, "per_family_instance_index", 0);
    yyjson_mut_obj_add_strcpy(doc, b, "run_name", name);
    yyjson_mut_obj_add_str(doc, b, "run_type", suffix[0] ? "aggregate" : "iteration");
    return b;
}

// JSON has no word for what is not finite: it is left out.
static void add_finite(yyjson_mut_doc *doc, yyjson_mut_val *b, const char *key, double value)
{
    if (isfinite(value))
        yyjson_mut_obj_add_real(doc, b, key, value);
}

static int64_t count_of(double value, int64_t otherwise)
{
    return value >= 1 && value < 1e15 ? (int64_t)value : otherwise;
}

// Times are the device's: there is no time of the CPU, and both fields hold the same.
static void add_time(yyjson_mut_doc *doc, yyjson_mut_val *b, double value, const char *unit)
{
    add_finite(doc, b, "real_time", value);
    add_finite(doc, b, "cpu_time", value);
    yyjson_mut_obj_add_str(doc, b, "time_unit", unit);
}

static void add_rates(yyjson_mut_doc *doc, yyjson_mut_val *b,
                      const struct vkz_dataset_row *row, double ns)
{
    if (row->flops > 0 && ns > 0)
        add_finite(doc, b, "items_per_second", row->flops / ns * 1e9);
    if (row->bytes > 0 && ns > 0)
        add_finite(doc, b, "bytes_per_second", row->bytes / ns * 1e9);
}

// A repetition a sample, so that the U test of other tools has what it needs.
static void add_timing(yyjson_mut_doc *doc, yyjson_mut_val *array,
                       const struct vkz_dataset_row *row, const char *name, size_t family,
                       const struct vkz_times *timing)
{
    const size_t repetitions = timing->sample_count;
    double mean, deviation;
    moments(timing, &mean, &deviation);
    for (size_t i = 0; i < repetitions; i++) {
        const double ns = timing->samples[i];
        yyjson_mut_val *b = add_benchmark(doc, array, name, "", family);
        yyjson_mut_obj_add_uint(doc, b, "repetitions", repetitions);
        yyjson_mut_obj_add_uint(doc, b, "repetition_index", i);
        yyjson_mut_obj_add_int(doc, b, "threads", 1);
        yyjson_mut_obj_add_int(doc, b, "iterations", count_of(timing->per_batch, 1));
        add_time(doc, b, ns, "ns");
        add_rates(doc, b, row, ns);
    }
    const struct {
        const char *name, *unit;
        double value;
    } aggregates[] = {{"mean", "time", mean},
                      {"median", "time", timing->ns},
                      {"stddev", "time", deviation},
                      {"cv", "percentage", deviation / mean}};
    for (size_t a = 0; a < sizeof aggregates / sizeof *aggregates; a++) {
        if (!isfinite(aggregates[a].value))
            continue;
        yyjson_mut_val *b = add_benchmark(doc, array, name, aggregates[a].name, family);
        yyjson_mut_obj_add_uint(doc, b, "repetitions", repetitions);
        yyjson_mut_obj_add_int(doc, b, "threads", 1);
        yyjson_mut_obj_add_str(doc, b, "aggregate_name", aggregates[a].name);
        yyjson_mut_obj_add_str(doc, b, "aggregate_unit", aggregates[a].unit);
        yyjson_mut_obj_add_uint(doc, b, "iterations", repetitions);
        add_time(doc, b, aggregates[a].value, "ns");
        if (a < 2)
            add_rates(doc, b, row, aggregates[a].value);
    }
}

static enum vkz_status export_google(const struct vkz_dataset *d, FILE *out,
                                     struct vkz_error *err)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_val *header = d->runs[0].file->header;
    yyjson_val *device = vkz_json_object(header, "device");
    yyjson_val *tool = vkz_json_object(header, "tool");
    if (!doc || !root)
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_val *context = yyjson_mut_obj_add_obj(doc, root, "context");
    yyjson_mut_obj_add_str(doc, context, "date", vkz_json_text(header, "started"));
    yyjson_mut_obj_add_str(doc, context, "host_name", d->runs[0].label);
    yyjson_mut_obj_add_str(doc, context, "executable", "vkzoo");
    const double units = vkz_json_number(device, "compute_units");
    yyjson_mut_obj_add_int(doc, context, "num_cpus", count_of(units, 1));
    yyjson_mut_obj_add_int(doc, context, "mhz_per_cpu", 0);
    yyjson_mut_obj_add_bool(doc, context, "cpu_scaling_enabled", false);
    yyjson_mut_obj_add_arr(doc, context, "caches");
    yyjson_mut_obj_add_arr(doc, context, "load_avg");
    yyjson_mut_obj_add_str(doc, context, "library_build_type", "release");
    yyjson_mut_obj_add_str(doc, context, "vkzoo_commit", vkz_json_text(tool, "commit"));
    yyjson_mut_obj_add_str(doc, context, "device", vkz_json_text(device, "name"));
    yyjson_mut_obj_add_str(doc, context, "driver", vkz_json_text(device, "driver_info"));
    yyjson_mut_val *array = yyjson_mut_obj_add_arr(doc, root, "benchmarks");
    for (size_t i = 0; i < d->row_count; i++) {
        const struct vkz_dataset_row *row = &d->rows[i];
        const struct vkz_record *p = row->points[0];
        char name[700];
        const int used = snprintf(name, sizeof name, "%.500s/%.40s", row->name,
                                  text_or(row->variant, "default"));
        if (row->asked_kernel[0])
            snprintf(name + used, sizeof name - (size_t)used, "/%.100s", row->asked_kernel);
        if (p->counts) {
            add_timing(doc, array, row, name, i, &p->hot);
            strncat(name, "/cold", sizeof name - strlen(name) - 1);
            if (p->cold.sample_count)
                add_timing(doc, array, row, name, i, &p->cold);
        } else if (strcmp(p->status, "ok") != 0) {
            const bool skipped = strcmp(p->status, "skipped") == 0;
            yyjson_mut_val *b = add_benchmark(doc, array, name, "", i);
            yyjson_mut_obj_add_bool(doc, b, skipped ? "skipped" : "error_occurred", true);
            yyjson_mut_obj_add_str(doc, b, skipped ? "skip_message" : "error_message",
                                   text_or(p->reason, p->status));
        }
    }
    return write_doc(doc, out, err);
}

// ---- NVBench ----

// That format holds numbers as text, for those JSON has no word for.
static void add_named(yyjson_mut_doc *doc, yyjson_mut_val *array, const char *name,
                      const char *type, const char *value)
{
    yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, array);
    yyjson_mut_obj_add_strcpy(doc, o, "name", name);
    yyjson_mut_obj_add_str(doc, o, "type", type);
    yyjson_mut_obj_add_strcpy(doc, o, "value", value);
}

static void add_summary(yyjson_mut_doc *doc, yyjson_mut_val *array, const char *tag,
                        const char *name, const char *hint, double value)
{
    char text[40];
    if (!isfinite(value))
        return;
    yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, array);
    const bool whole = strcmp(hint, "sample_size") == 0;
    yyjson_mut_obj_add_str(doc, o, "tag", tag);
    yyjson_mut_obj_add_str(doc, o, "name", name);
    yyjson_mut_obj_add_str(doc, o, "hint", hint);
    snprintf(text, sizeof text, whole ? "%.0f" : "%.9g", value);
    add_named(doc, yyjson_mut_obj_add_arr(doc, o, "data"), "value",
              whole ? "int64" : "float64", text);
}

// Cold: memory flushed before every run. Batch: runs back to back.
static void add_summaries(yyjson_mut_doc *doc, yyjson_mut_val *array,
                          const struct vkz_dataset_row *row, const struct vkz_record *p)
{
    const struct vkz_times *hot = &p->hot, *cold = &p->cold;
    double mean, deviation;
    if (cold->sample_count) {
        moments(cold, &mean, &deviation);
        add_summary(doc, array, "nv/cold/sample_size", "Samples", "sample_size",
                    (double)cold->sample_count);
        add_summary(doc, array, "nv/cold/time/gpu/mean", "GPU Time", "duration",
                    mean * 1e-9);
        add_summary(doc, array, "nv/cold/time/gpu/stdev/absolute", "Noise", "duration",
                    deviation * 1e-9);
        add_summary(doc, array, "nv/cold/time/gpu/stdev/relative", "Noise", "percentage",
                    deviation / mean);
        add_summary(doc, array, "nv/cold/time/gpu/min", "Min GPU Time", "duration",
                    cold->min * 1e-9);
        add_summary(doc, array, "nv/cold/time/gpu/max", "Max GPU Time", "duration",
                    cold->max * 1e-9);
        if (row->bytes > 0)
            add_summary(doc, array, "nv/cold/bw/global/bytes_per_second", "GlobalMem BW",
                        "byte_rate", row->bytes / mean * 1e9);
        if (row->flops > 0)
            add_summary(doc, array, "nv/cold/bw/item_rate", "Elem/s", "item_rate",
                        row->flops / mean * 1e9);
    }
    moments(hot, &mean, &deviation);
    add_summary(doc, array, "nv/batch/sample_size", "Samples", "sample_size",
                (double)hot->sample_count);
    add_summary(doc, array, "nv/batch/time/gpu/mean", "Batch GPU", "duration", mean * 1e-9);
}

// The values an axis takes, each once.
static void add_axis(yyjson_mut_doc *doc, yyjson_mut_val *axes, const char *name,
                     const char *const *values, size_t count)
{
    yyjson_mut_val *axis = yyjson_mut_arr_add_obj(doc, axes);
    yyjson_mut_obj_add_str(doc, axis, "name", name);
    yyjson_mut_obj_add_str(doc, axis, "type", "string");
    yyjson_mut_obj_add_str(doc, axis, "flags", "");
    yyjson_mut_val *array = yyjson_mut_obj_add_arr(doc, axis, "values");
    for (size_t i = 0; i < count; i++) {
        size_t before = 0;
        while (before < i && strcmp(values[before], values[i]) != 0)
            before++;
        if (before < i)
            continue;
        yyjson_mut_val *value = yyjson_mut_arr_add_obj(doc, array);
        yyjson_mut_obj_add_str(doc, value, "input_string", values[i]);
        yyjson_mut_obj_add_str(doc, value, "description", "");
        yyjson_mut_obj_add_str(doc, value, "value", values[i]);
    }
}

static const char *chosen_by_name(const struct vkz_dataset_row *row)
{
    return text_or(row->asked_kernel, "best");
}

static void add_state(yyjson_mut_doc *doc, yyjson_mut_val *states,
                      const struct vkz_dataset_row *row)
{
    const struct vkz_record *p = row->points[0];
    char name[800];
    yyjson_mut_val *state = yyjson_mut_arr_add_obj(doc, states);
    snprintf(name, sizeof name, "Device=0 Case=%.500s Variant=%.40s Kernel=%.100s",
             vkz_dataset_settings(row), row->variant, chosen_by_name(row));
    yyjson_mut_obj_add_strcpy(doc, state, "name", name);
    yyjson_mut_obj_add_int(doc, state, "device", 0);
    yyjson_mut_obj_add_int(doc, state, "type_config_index", 0);
    yyjson_mut_val *values = yyjson_mut_obj_add_arr(doc, state, "axis_values");
    add_named(doc, values, "Case", "string", vkz_dataset_settings(row));
    add_named(doc, values, "Variant", "string", row->variant);
    add_named(doc, values, "Kernel", "string", chosen_by_name(row));
    yyjson_mut_val *summaries = yyjson_mut_obj_add_arr(doc, state, "summaries");
    if (p->counts)
        add_summaries(doc, summaries, row, p);
    yyjson_mut_obj_add_bool(doc, state, "is_skipped", !p->counts);
    if (!p->counts)
        yyjson_mut_obj_add_str(doc, state, "skip_reason", text_or(p->reason, p->status));
}

static enum vkz_status export_nvbench(const struct vkz_dataset *d, FILE *out,
                                      struct vkz_error *err)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_val *header = d->runs[0].file->header;
    yyjson_val *device = vkz_json_object(header, "device");
    const char **names = malloc((d->row_count + 1) * sizeof *names);
    if (!doc || !root || !names) {
        free(names);
        yyjson_mut_doc_free(doc);
        return vkz_error_set(err, VKZ_FAILED, "out of host memory");
    }
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_val *meta = yyjson_mut_obj_add_obj(doc, root, "meta");
    yyjson_mut_val *version =
        yyjson_mut_obj_add_obj(doc, yyjson_mut_obj_add_obj(doc, meta, "version"), "json");
    yyjson_mut_obj_add_int(doc, version, "major", 1);
    yyjson_mut_obj_add_int(doc, version, "minor", 0);
    yyjson_mut_obj_add_int(doc, version, "patch", 0);
    yyjson_mut_obj_add_str(doc, version, "string", "1.0.0");
    yyjson_mut_val *about =
        yyjson_mut_arr_add_obj(doc, yyjson_mut_obj_add_arr(doc, root, "devices"));
    yyjson_mut_obj_add_int(doc, about, "id", 0);
    yyjson_mut_obj_add_str(doc, about, "name", vkz_json_text(device, "name"));
    yyjson_mut_obj_add_real(doc, about, "global_memory_size",
                            fmax(0, vkz_json_number(device, "memory_bytes")));
    yyjson_mut_val *benchmarks = yyjson_mut_obj_add_arr(doc, root, "benchmarks");
    for (size_t first = 0, end, index = 0; first < d->row_count; first = end, index++) {
        yyjson_mut_val *b = yyjson_mut_arr_add_obj(doc, benchmarks);
        end = vkz_dataset_op_end(d, first);
        yyjson_mut_obj_add_str(doc, b, "name", d->rows[first].op);
        yyjson_mut_obj_add_uint(doc, b, "index", index);
        yyjson_mut_arr_add_int(doc, yyjson_mut_obj_add_arr(doc, b, "devices"), 0);
        yyjson_mut_val *axes = yyjson_mut_obj_add_arr(doc, b, "axes");
        for (size_t i = first; i < end; i++)
            names[i] = vkz_dataset_settings(&d->rows[i]);
        add_axis(doc, axes, "Case", names + first, end - first);
        for (size_t i = first; i < end; i++)
            names[i] = d->rows[i].variant;
        add_axis(doc, axes, "Variant", names + first, end - first);
        for (size_t i = first; i < end; i++)
            names[i] = chosen_by_name(&d->rows[i]);
        add_axis(doc, axes, "Kernel", names + first, end - first);
        yyjson_mut_val *states = yyjson_mut_obj_add_arr(doc, b, "states");
        for (size_t i = first; i < end; i++)
            add_state(doc, states, &d->rows[i]);
    }
    free(names);
    return write_doc(doc, out, err);
}

enum vkz_status vkz_report_export(const struct vkz_dataset *d, const char *format, FILE *out,
                                  struct vkz_error *err)
{
    const bool google = strcmp(format, "google-benchmark") == 0;
    if (!google && strcmp(format, "nvbench") != 0)
        return vkz_error_set(err, VKZ_BAD_INPUT,
                             "--export: expected google-benchmark or nvbench, found %s",
                             format);
    if (d->run_count != 1)
        return vkz_error_set(err, VKZ_BAD_INPUT,
                             "--export takes one result file, found %d: that format holds "
                             "one run", d->run_count);
    return google ? export_google(d, out, err) : export_nvbench(d, out, err);
}
