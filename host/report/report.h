// SPDX-License-Identifier: MIT
// Reports of any number of result files: one self-contained page, text formats, and the
// charts as Vega-Lite specifications with their data.
#ifndef VKZ_REPORT_REPORT_H
#define VKZ_REPORT_REPORT_H

#include <stdio.h>

#include "report/dataset.h"

// The page: all tables, and charts where the build has the Vega bundles. Needs no network.
enum vkz_status vkz_report_html(const struct vkz_dataset *dataset, FILE *out,
                                struct vkz_error *err);
// Means, runs and cases as Markdown tables; a line a row and run as CSV.
void vkz_report_md(const struct vkz_dataset *dataset, FILE *out);
void vkz_report_csv(const struct vkz_dataset *dataset, FILE *out);
// One chart as a Vega-Lite specification with its data inside. VKZ_BAD_INPUT with the
// names there are for an unknown chart.
enum vkz_status vkz_report_vega(const struct vkz_dataset *dataset, const char *chart,
                                FILE *out, struct vkz_error *err);

// One run for other tools: "google-benchmark" or "nvbench" JSON. VKZ_BAD_INPUT for another
// name, or several runs.
enum vkz_status vkz_report_export(const struct vkz_dataset *dataset, const char *format,
                                  FILE *out, struct vkz_error *err);

// True when the charts' bundles are in this build.
bool vkz_report_has_charts(void);

#endif
