// SPDX-License-Identifier: MIT
// The rows behind a table: what is kept of a result line, and how a case's name is
// shortened among others of its op. Shared by the files that print tables.
#ifndef VKZ_REPORT_ROWS_H
#define VKZ_REPORT_ROWS_H

#include "report/table.h"

enum vkz_row_text {
    VKZ_ROW_VERB,
    VKZ_ROW_CASE, // the id; the asked names complete the key
    VKZ_ROW_ASKED_KERNEL,
    VKZ_ROW_ASKED_VARIANT,
    VKZ_ROW_ASKED_TUNING,
    VKZ_ROW_KEYS,
    VKZ_ROW_OP = VKZ_ROW_KEYS,
    VKZ_ROW_KERNEL,
    VKZ_ROW_VARIANT,
    VKZ_ROW_TUNING,
    VKZ_ROW_STATUS,
    VKZ_ROW_REASON,
    VKZ_ROW_REPRO,
    VKZ_ROW_TEXTS,
};

struct vkz_row {
    char *text[VKZ_ROW_TEXTS]; // never NULL, "" where the line has none
    double hot_ns, half_width, cold_ns;
    double rate;       // FLOPs, operations or bytes a second, hot
    char rate_kind;    // 'f', 'o' or 'b'
    double efficiency; // hot
    double accuracy;
    char ceiling[64]; // that sets the hot floor
    unsigned marks;
};

struct vkz_table {
    struct vkz_row *rows;
    size_t count, capacity;
};

// One key=value of a case id; both point into the id.
struct vkz_setting {
    const char *key;
    int key_length;
    const char *value;
    int value_length;
};
enum { VKZ_SETTINGS_MAX = 48 };
// The settings of "op@k=v,k=v", those beyond the maximum left out. Returns how many.
int vkz_case_settings(const char *id, struct vkz_setting out[VKZ_SETTINGS_MAX]);

// How the cases of one op are written: what all have in common once, the rest per row.
struct vkz_naming {
    struct vkz_setting common[VKZ_SETTINGS_MAX];
    int common_count;
    struct vkz_setting listed[VKZ_SETTINGS_MAX]; // keys that all have, values differ
    int listed_count;
    bool short_form; // listed values without their keys
};
void vkz_naming_find(const struct vkz_table *table, const char *op,
                     struct vkz_naming *out);
// "m=1024 n=1024 TRANS=nt" without the common part; short form "1024,1024 TRANS=nt".
void vkz_naming_case(const struct vkz_naming *naming, const char *id, char *out,
                     size_t size);
// Behind the op in a group's title: "(m,n)  k=512".
void vkz_naming_title(const struct vkz_naming *naming, char *out, size_t size);

// True for the first row of its op: where a group starts.
bool vkz_row_starts_group(const struct vkz_table *table, size_t row);
bool vkz_row_is(const struct vkz_row *row, const char *status);
bool vkz_row_is_error(
    const struct vkz_row *row); // error, crashed, timed out, device lost
// "kernel[tuning]", without the op's name in front if `strip`; "-" when none was chosen.
void vkz_row_kernel(const struct vkz_row *row, bool strip, char *out, size_t size);

// Kinds of tables, printed by vkz_table_print.
void vkz_print_bench(const struct vkz_table *table, FILE *out,
                     const struct vkz_style *style);
void vkz_print_check(const struct vkz_table *table, FILE *out,
                     const struct vkz_style *style);

#endif
