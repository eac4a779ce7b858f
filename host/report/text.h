// SPDX-License-Identifier: MIT
// Text for terminals: what the terminal can show, cells of a given width, numbers with
// units. Names from a result file are never trusted to be printable.
#ifndef VKZ_REPORT_TEXT_H
#define VKZ_REPORT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

// What the output can show.
struct vkz_style {
    int width;  // columns; 0: 160
    bool color; // ANSI colours
    bool utf8;  // else ASCII: +- for ±, us for µs, .. for …
};

// A terminal: its width (60 at least), colours unless NO_COLOR is set or TERM is dumb,
// UTF-8 by the locale. Anything else: 160 columns and no colour.
struct vkz_style vkz_style_for(FILE *out);

enum vkz_color { VKZ_PLAIN, VKZ_BOLD, VKZ_DIM, VKZ_RED, VKZ_YELLOW, VKZ_GREEN };
const char *vkz_color_on(const struct vkz_style *style, enum vkz_color color);
const char *vkz_color_off(const struct vkz_style *style, enum vkz_color color);

// Columns a text takes: its code points. Control characters count as the one '?' that is
// printed for them; so does anything beyond ASCII where the style has no UTF-8.
int vkz_text_width(const char *text);
// Prints exactly `width` columns, padded; what is too long ends in an ellipsis.
void vkz_print_cell(FILE *out, const struct vkz_style *style, const char *text, int width,
                    bool right);
// Prints a text in at most `width` columns, unpadded. Returns the columns printed.
int vkz_print_text(FILE *out, const struct vkz_style *style, const char *text, int width);
// Takes away a code point that was cut off at the text's end.
void vkz_text_trim(char *text);
// A cell of a Markdown table: what would end it or be taken for markup is escaped.
void vkz_print_md(FILE *out, const char *text);
// A quoted field of a CSV line; one that a spreadsheet would take for a formula begins with
// an apostrophe.
void vkz_print_csv(FILE *out, const char *text);
// A number with so many digits; nothing when it is not finite.
void vkz_print_csv_number(FILE *out, double value, int digits);
// Prints words over several lines of style->width, each after `indent` spaces.
void vkz_print_words(FILE *out, const struct vkz_style *style, const char *text,
                     int indent);

enum { VKZ_NUMBER_MAX = 32 };
// `digits` significant digits, never fewer than the integer part has; "" for NaN.
const char *vkz_number_text(double value, int digits, char out[VKZ_NUMBER_MAX]);

struct vkz_unit {
    double scale;     // the number to divide by
    const char *name; // "ms", "GFLOP/s", ...
};
// The unit of time in which `smallest_ns` is at least 1 ("ns" otherwise), at most
// seconds.
struct vkz_unit vkz_unit_time(double smallest_ns, bool utf8);
// The unit in which `largest` per second stays below 10000. `kind` is 'f' for FLOP/s, 'o'
// for OP/s, 'b' for bytes.
struct vkz_unit vkz_unit_rate(double largest, char kind);
// "64 KiB", "1.5 MiB", "100 B".
const char *vkz_bytes_text(double bytes, char out[VKZ_NUMBER_MAX]);
// A time or a rate with its own unit: "12.3 µs", "95.1 GFLOP/s".
const char *vkz_time_text(double ns, bool utf8, char out[VKZ_NUMBER_MAX]);
const char *vkz_rate_text(double per_second, char kind, char out[VKZ_NUMBER_MAX]);

#endif
