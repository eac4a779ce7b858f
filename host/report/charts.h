// SPDX-License-Identifier: MIT
// Between the files of the report: the charts, and what the page's data has in common with
// theirs.
#ifndef VKZ_REPORT_CHARTS_H
#define VKZ_REPORT_CHARTS_H

#include "report/dataset.h"

struct vkz_chart {
    const char *name;  // "speedup"
    const char *title;
    const char *note;  // what is seen, a few sentences
    const char *spec;  // Vega-Lite text
};
extern const struct vkz_chart vkz_charts[]; // NULL-terminated
extern const char vkz_report_css[], vkz_report_js[];
extern const char vkz_vega_js[], vkz_vega_lite_js[], vkz_vega_embed_js[]; // "" without
// SHA-256 of these scripts, in base64.
extern const char vkz_report_js_sha256[], vkz_vega_js_sha256[], vkz_vega_lite_js_sha256[],
    vkz_vega_embed_js_sha256[];

// Where a row stands in a series of cases that differ in their length alone.
struct vkz_length {
    const char *series; // what they have in common; "": in none
    double length;
};
// One a row. The caller frees the array; NULL without memory.
struct vkz_length *vkz_charts_lengths(const struct vkz_dataset *dataset);

// Adds a number with so many digits to an object, or to an array for a NULL key; one that
// is not finite is left out of the object and null in the array.
void vkz_charts_real(yyjson_mut_doc *doc, yyjson_mut_val *to, const char *key, double value,
                     int digits);
// "roofs": corners of each run's roofline, in FLOPs a byte and GFLOP/s.
void vkz_charts_add_roofs(yyjson_mut_doc *doc, yyjson_mut_val *root,
                          const struct vkz_dataset *dataset);

// The page's data as JSON without any "<", so that it can stand in a script element.
enum vkz_status vkz_page_data(const struct vkz_dataset *dataset, FILE *out,
                              struct vkz_error *err);

#endif
