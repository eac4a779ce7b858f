// SPDX-License-Identifier: MIT
// Collects result lines as rows, and finds what the names of an op's cases share.
#define _POSIX_C_SOURCE 200809L // strdup
#include "report/rows.h"

#include <stdlib.h>
#include <string.h>

#include "report/json.h"
#include "report/judge.h"

static const char *const text_keys[VKZ_ROW_TEXTS] = {
    "verb",   "case",    "asked_kernel", "asked_variant", "asked_tuning", "op",
    "kernel", "variant", "tuning",       "status",        "reason",       "repro"};

enum vkz_status vkz_table_create(struct vkz_table **out, struct vkz_error *err)
{
    *out = calloc(1, sizeof **out);
    return *out ? VKZ_OK : vkz_error_set(err, VKZ_FAILED, "out of host memory");
}

static void row_finish(struct vkz_row *row)
{
    for (int t = 0; t < VKZ_ROW_TEXTS; t++)
        free(row->text[t]);
    memset(row, 0, sizeof *row);
}

void vkz_table_destroy(struct vkz_table **table)
{
    if (!*table)
        return;
    for (size_t i = 0; i < (*table)->count; i++)
        row_finish(&(*table)->rows[i]);
    free((*table)->rows);
    free(*table);
    *table = NULL;
}

static void take_numbers(struct vkz_row *row, yyjson_val *line)
{
    yyjson_val *time = vkz_json_object(line, "time"),
               *work = vkz_json_object(line, "work");
    yyjson_val *hot = vkz_json_object(time, "hot");
    const char *unit = vkz_json_text(work, "unit");
    const bool bytes = vkz_json_is(work, "metric", "bytes");
    row->hot_ns = vkz_json_number(hot, "median_ns");
    row->half_width = vkz_timing_half_width(hot);
    row->cold_ns = vkz_json_number(vkz_json_object(time, "cold"), "median_ns");
    const double amount = vkz_json_number(work, bytes ? "bytes" : "flops");
    row->rate = row->hot_ns > 0 && amount > 0 ? amount / row->hot_ns * 1e9 : (double)NAN;
    row->rate_kind = 'f';
    if (strcmp(unit, "int") == 0 || strcmp(unit, "idot") == 0)
        row->rate_kind = 'o';
    if (bytes)
        row->rate_kind = 'b';
    row->efficiency = vkz_json_number(line, "efficiency");
    row->accuracy = vkz_json_number(vkz_json_object(line, "check"), "accuracy");
    row->marks = vkz_case_marks(line);
    snprintf(row->ceiling, sizeof row->ceiling, "%s",
             vkz_json_text(vkz_json_object(line, "floor"), "ceiling"));
}

static bool same_key(const struct vkz_row *a, const struct vkz_row *b)
{
    for (int t = 0; t < VKZ_ROW_KEYS; t++) {
        if (strcmp(a->text[t], b->text[t]) != 0)
            return false;
    }
    return true;
}

static bool row_init(struct vkz_row *row, yyjson_val *line)
{
    memset(row, 0, sizeof *row);
    for (int t = 0; t < VKZ_ROW_TEXTS; t++) {
        row->text[t] = strdup(vkz_json_text(line, text_keys[t]));
        if (!row->text[t]) {
            row_finish(row);
            return false;
        }
    }
    take_numbers(row, line);
    return true;
}

static bool append(struct vkz_table *table, const struct vkz_row *row)
{
    if (table->count == table->capacity) {
        const size_t capacity = table->capacity ? 2 * table->capacity : 64;
        struct vkz_row *rows = realloc(table->rows, capacity * sizeof *rows);
        if (!rows)
            return false;
        table->rows = rows;
        table->capacity = capacity;
    }
    table->rows[table->count++] = *row;
    return true;
}

static enum vkz_status add(struct vkz_table *table, yyjson_val *line, bool may_replace,
                           struct vkz_error *err)
{
    struct vkz_row row;
    if (!vkz_json_is(line, "type", "case"))
        return VKZ_OK;
    if (!row_init(&row, line))
        goto no_memory;
    for (size_t i = 0; may_replace && i < table->count; i++) {
        if (same_key(&table->rows[i], &row)) {
            row_finish(&table->rows[i]);
            table->rows[i] = row;
            return VKZ_OK;
        }
    }
    if (append(table, &row))
        return VKZ_OK;
    row_finish(&row);
no_memory:
    return vkz_error_set(err, VKZ_FAILED, "out of host memory");
}

enum vkz_status vkz_table_add(struct vkz_table *table, yyjson_val *line,
                              struct vkz_error *err)
{
    return add(table, line, true, err);
}

enum vkz_status vkz_table_add_file(struct vkz_table *table,
                                   const struct vkz_result_file *file,
                                   struct vkz_error *err)
{
    enum vkz_status status = VKZ_OK;
    for (size_t i = 0; i < file->case_count && status == VKZ_OK; i++) {
        if (!file->cases[i].superseded)
            status = add(table, file->cases[i].value, false, err);
    }
    return status;
}

bool vkz_row_is(const struct vkz_row *row, const char *status)
{
    return strcmp(row->text[VKZ_ROW_STATUS], status) == 0;
}

bool vkz_row_is_error(const struct vkz_row *row)
{
    return !vkz_row_is(row, "ok") && !vkz_row_is(row, "failed") &&
           !vkz_row_is(row, "skipped") && !vkz_row_is(row, "mistrusted");
}

struct vkz_table_counts vkz_table_count(const struct vkz_table *table)
{
    struct vkz_table_counts counts = {.cases = (int)table->count};
    for (size_t i = 0; i < table->count; i++) {
        const struct vkz_row *row = &table->rows[i];
        counts.ok += vkz_row_is(row, "ok");
        counts.failed += vkz_row_is(row, "failed");
        counts.skipped += vkz_row_is(row, "skipped");
        counts.mistrusted += vkz_row_is(row, "mistrusted");
        counts.errors += vkz_row_is_error(row);
    }
    return counts;
}

bool vkz_row_starts_group(const struct vkz_table *table, size_t row)
{
    for (size_t i = 0; i < row; i++) {
        if (strcmp(table->rows[i].text[VKZ_ROW_OP], table->rows[row].text[VKZ_ROW_OP]) ==
            0)
            return false;
    }
    return true;
}

void vkz_row_kernel(const struct vkz_row *row, bool strip, char *out, size_t size)
{
    const char *kernel = row->text[VKZ_ROW_KERNEL], *tuning = row->text[VKZ_ROW_TUNING];
    const char *op = row->text[VKZ_ROW_OP];
    const size_t length = strlen(op);
    if (!kernel[0]) {
        snprintf(out, size, "-");
        return;
    }
    if (strip && strncmp(kernel, op, length) == 0 && kernel[length] == '_' &&
        kernel[length + 1])
        kernel += length + 1;
    if (tuning[0] && strcmp(tuning, "default") != 0)
        snprintf(out, size, "%s[%s]", kernel, tuning);
    else
        snprintf(out, size, "%s", kernel);
}

int vkz_case_settings(const char *id, struct vkz_setting out[VKZ_SETTINGS_MAX])
{
    const char *at = strchr(id, '@');
    int count = 0;
    for (at = at ? at + 1 : ""; *at && count < VKZ_SETTINGS_MAX; at += *at == ',') {
        const int length = (int)strcspn(at, ",");
        const char *equals = memchr(at, '=', (size_t)length);
        const int key = equals ? (int)(equals - at) : length;
        if (length > 0)
            out[count++] = (struct vkz_setting){at, key, equals ? equals + 1 : "",
                                                equals ? length - key - 1 : 0};
        at += length;
    }
    return count;
}

static bool same_text(const char *a, int a_length, const char *b, int b_length)
{
    return a_length == b_length && memcmp(a, b, (size_t)a_length) == 0;
}

static const struct vkz_setting *setting_find(const struct vkz_setting *list, int count,
                                              const struct vkz_setting *like)
{
    for (int i = 0; i < count; i++) {
        if (same_text(list[i].key, list[i].key_length, like->key, like->key_length))
            return &list[i];
    }
    return NULL;
}

void vkz_naming_find(const struct vkz_table *table, const char *op,
                     struct vkz_naming *out)
{
    struct vkz_setting list[VKZ_SETTINGS_MAX];
    bool shared[VKZ_SETTINGS_MAX], equal[VKZ_SETTINGS_MAX], several = false;
    const char *first = NULL;
    int count = 0;
    memset(out, 0, sizeof *out);
    for (size_t r = 0; r < table->count; r++) {
        const struct vkz_row *row = &table->rows[r];
        const char *id = row->text[VKZ_ROW_CASE];
        if (strcmp(row->text[VKZ_ROW_OP], op) != 0)
            continue;
        if (!first) {
            first = id;
            count = vkz_case_settings(id, list);
            for (int s = 0; s < count; s++)
                shared[s] = equal[s] = true;
            continue;
        }
        struct vkz_setting other[VKZ_SETTINGS_MAX];
        const int others = vkz_case_settings(id, other);
        several = several || strcmp(first, id) != 0;
        for (int s = 0; s < count; s++) {
            const struct vkz_setting *same = setting_find(other, others, &list[s]);
            shared[s] = shared[s] && same;
            equal[s] = equal[s] && same &&
                       same_text(same->value, same->value_length, list[s].value,
                                 list[s].value_length);
        }
    }
    for (int s = 0; s < count; s++) {
        if (several && equal[s])
            out->common[out->common_count++] = list[s];
        else if (shared[s])
            out->listed[out->listed_count++] = list[s];
    }
}

// Appends as much as fits.
static void append_text(char *out, size_t size, const char *separator, const char *text,
                        int length)
{
    const size_t used = strlen(out);
    snprintf(out + used, size - used, "%s%.*s", used ? separator : "", length, text);
}

void vkz_naming_case(const struct vkz_naming *naming, const char *id, char *out,
                     size_t size)
{
    struct vkz_setting list[VKZ_SETTINGS_MAX];
    const int count = vkz_case_settings(id, list);
    out[0] = '\0';
    for (int s = 0; s < count; s++) {
        if (naming->short_form &&
            setting_find(naming->listed, naming->listed_count, &list[s]))
            append_text(out, size, ",", list[s].value, list[s].value_length);
    }
    for (int s = 0; s < count; s++) {
        if (setting_find(naming->common, naming->common_count, &list[s]) ||
            (naming->short_form &&
             setting_find(naming->listed, naming->listed_count, &list[s])))
            continue;
        const char *end = list[s].value_length ? list[s].value + list[s].value_length
                                               : list[s].key + list[s].key_length;
        append_text(out, size, " ", list[s].key, (int)(end - list[s].key));
    }
    if (!strchr(id, '@')) // no id of ours: as it is
        snprintf(out, size, "%s", id);
}

void vkz_naming_title(const struct vkz_naming *naming, char *out, size_t size)
{
    char keys[256] = "";
    out[0] = '\0';
    for (int s = 0; s < naming->listed_count && naming->short_form; s++)
        append_text(keys, sizeof keys, ",", naming->listed[s].key,
                    naming->listed[s].key_length);
    if (keys[0])
        snprintf(out, size, "(%s)", keys);
    for (int s = 0; s < naming->common_count; s++) {
        const struct vkz_setting *c = &naming->common[s];
        const char *end =
            c->value_length ? c->value + c->value_length : c->key + c->key_length;
        append_text(out, size, s ? " " : "  ", c->key, (int)(end - c->key));
    }
}
