// SPDX-License-Identifier: MIT
// Between the files of the report's page: elements whose texts are escaped, whatever a
// result file says. Nothing else may write a file's text into the page.
#ifndef VKZ_REPORT_HTML_H
#define VKZ_REPORT_HTML_H

#include <stdio.h>

#include "report/dataset.h"

// Of more runs the table of cases has ranges: three columns a run would be too wide to read.
enum { VKZ_TABLED_RUNS = 12 };

// A page being written.
struct vkz_html {
    const struct vkz_dataset *d;
    FILE *out;
};

void vkz_html_text(const struct vkz_html *p, const char *text);
// `tag` may have attributes, "th scope=\"row\"", and is never a file's text.
void vkz_html_element(const struct vkz_html *p, const char *tag, const char *content);
// A case's settings: may break behind commas, where a browser would not, and copies as it is.
void vkz_html_settings(const struct vkz_html *p, const char *settings);
// Opens a section; the caller closes it.
void vkz_html_section(const struct vkz_html *p, const char *id, const char *title,
                      const char *note);
// A table that scrolls by itself on a narrow screen, up to its head; and from its body's end.
void vkz_html_begin_table(const struct vkz_html *p, const char *id, const char *caption);
void vkz_html_end_table(const struct vkz_html *p);
// `sort` orders the column, `shown` is what is read; a dash for NaN.
void vkz_html_number_cell(const struct vkz_html *p, double sort, const char *shown);

// "noisy, few samples": what enum vkz_mark says; "" for nothing.
void vkz_page_marks(unsigned marks, char out[160]);

// ---- Sections with a table a run in its columns ----

void vkz_page_capability(const struct vkz_html *p);
void vkz_page_launch(const struct vkz_html *p);
enum vkz_status vkz_page_tuning(const struct vkz_html *p, struct vkz_error *err);
void vkz_page_cases(const struct vkz_html *p);

#endif
