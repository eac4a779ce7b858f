// SPDX-License-Identifier: MIT
// A device's ceilings as a table, and as the one line under a table of cases.
#include <math.h>
#include <string.h>

#include "report/json.h"
#include "report/table.h"

enum { NAME_BYTES = 80, PAGE = 160 };

// What kind of thing a rate counts: bytes, integer operations or FLOPs.
static char rate_kind(yyjson_val *rate)
{
    const char *op = vkz_json_text(rate, "op");
    const char *result = strrchr(vkz_json_text(rate, "coopmat"), ',');
    if (strcmp(op, "copy") == 0 || strcmp(op, "read") == 0 || strcmp(op, "triad") == 0)
        return 'b';
    // The last type is the result's: i32, s32 and u32 are integers, f16 and f32 are not.
    return strcmp(op, "idot") == 0 || (result && result[1] && strchr("isu", result[1]))
               ? 'o'
               : 'f';
}

static void rate_name(yyjson_val *rate, char out[NAME_BYTES])
{
    const char *op = vkz_json_text(rate, "op"), *coopmat = vkz_json_text(rate, "coopmat");
    const char *variant = vkz_json_text(rate, "variant");
    if (coopmat[0])
        snprintf(out, NAME_BYTES, "coopmat %.60s", coopmat);
    else if (strcmp(op, "fma_f16") == 0)
        snprintf(out, NAME_BYTES, "fma f16");
    else if (rate_kind(rate) == 'f' && variant[0])
        snprintf(out, NAME_BYTES, "%.30s %.30s", op, variant);
    else
        snprintf(out, NAME_BYTES, "%.60s", op);
}

// In the table the matrix shape is told too.
static void row_name(yyjson_val *rate, char out[NAME_BYTES])
{
    const char *shape = vkz_json_text(rate, "shape");
    rate_name(rate, out);
    const size_t used = strlen(out);
    if (shape[0])
        snprintf(out + used, NAME_BYTES - used, " %.20s", shape);
}

static int page_width(const struct vkz_style *style)
{
    return style->width > 0 ? style->width : PAGE;
}

static int wider(int width, const char *text)
{
    const int has = vkz_text_width(text);
    return has > width ? has : width;
}

static void kernel_name(yyjson_val *rate, char out[2 * NAME_BYTES])
{
    const char *tuning = vkz_json_text(rate, "tuning");
    const bool named = tuning[0] && strcmp(tuning, "default") != 0;
    snprintf(out, 2 * NAME_BYTES, "%.70s%s%.60s%s", vkz_json_text(rate, "kernel"),
             named ? "[" : "", named ? tuning : "", named ? "]" : "");
}

static void print_rates(yyjson_val *ceilings, FILE *out, const struct vkz_style *style)
{
    yyjson_val *rates = vkz_json_array(ceilings, "rates"), *rate;
    char name[NAME_BYTES], kernel[2 * NAME_BYTES], number[VKZ_NUMBER_MAX],
        middle[VKZ_NUMBER_MAX];
    int name_width = 7, kernel_width = 14;
    size_t i, count;
    yyjson_arr_foreach(rates, i, count, rate) {
        row_name(rate, name);
        kernel_name(rate, kernel);
        name_width = wider(name_width, name);
        kernel_width = wider(kernel_width, kernel);
    }
    // Both rates and their unit take 33 columns with the gaps.
    if (name_width > page_width(style) / 2)
        name_width = page_width(style) / 2;
    if (kernel_width > page_width(style) - name_width - 33)
        kernel_width = page_width(style) - name_width - 33;
    const bool kernels = kernel_width >= 6;
    fprintf(out, kernels ? "%s  %-*s  %8s  %8s  %-9s" : "%s  %-*s  %8s  %8s%s",
            vkz_color_on(style, VKZ_DIM), name_width, "ceiling", "best", "median", "");
    vkz_print_text(out, style, kernels ? "kernel[tuning]" : "", kernel_width);
    fprintf(out, "%s\n", vkz_color_off(style, VKZ_DIM));
    yyjson_arr_foreach(rates, i, count, rate) {
        const double best = vkz_json_number(rate, "rate");
        const double median = vkz_json_number(rate, "median_rate");
        const struct vkz_unit unit = vkz_unit_rate(best, rate_kind(rate));
        row_name(rate, name);
        kernel_name(rate, kernel);
        fputs("  ", out);
        vkz_print_cell(out, style, name, name_width, false);
        fprintf(out, "  %8s  %8s  ", vkz_number_text(best / unit.scale, 4, number),
                vkz_number_text(median / unit.scale, 4, middle));
        fprintf(out, kernels ? "%-7s  " : "%s", unit.name);
        vkz_print_text(out, style, kernels ? kernel : "", kernel_width);
        if (yyjson_is_false(yyjson_obj_get(rate, "checked")))
            fprintf(out, "  %sunchecked%s", vkz_color_on(style, VKZ_YELLOW),
                    vkz_color_off(style, VKZ_YELLOW));
        fputc('\n', out);
    }
}

static double sweep_best(yyjson_val *sweep)
{
    double best = 0;
    size_t i, count;
    yyjson_val *point;
    yyjson_arr_foreach(sweep, i, count, point) {
        best = fmax(best, vkz_json_number(point, "copy")); // fmax passes NaN over
        best = fmax(best, vkz_json_number(point, "read"));
    }
    return best;
}

static void print_bar(FILE *out, const struct vkz_style *style, double share, int width)
{
    const int filled = share > 0 ? (int)(share * width + 0.5) : 0;
    for (int i = 0; i < filled; i++)
        fputs(style->utf8 ? "▪" : "#", out);
}

static void print_sweep(yyjson_val *ceilings, FILE *out, const struct vkz_style *style)
{
    yyjson_val *sweep = vkz_json_array(ceilings, "sweep"), *point;
    const double best = sweep_best(sweep), llc = vkz_json_number(ceilings, "llc_bytes");
    const struct vkz_unit unit = vkz_unit_rate(best, 'b');
    const int bar = page_width(style) >= 100 ? 40 : 24;
    char bytes[VKZ_NUMBER_MAX], copy[VKZ_NUMBER_MAX], read[VKZ_NUMBER_MAX];
    size_t i, count;
    bool past = !(llc > 0);
    if (!(best > 0))
        return;
    fprintf(out, "%s  footprint  copy %-4s  read %-4s%s\n", vkz_color_on(style, VKZ_DIM),
            unit.name, unit.name, vkz_color_off(style, VKZ_DIM));
    yyjson_arr_foreach(sweep, i, count, point) {
        const double size = vkz_json_number(point, "bytes");
        const double c = vkz_json_number(point, "copy"),
                     r = vkz_json_number(point, "read");
        if (!past && size > llc) {
            fprintf(out, "  %s--- last-level cache: %s ---%s\n",
                    vkz_color_on(style, VKZ_DIM), vkz_bytes_text(llc, bytes),
                    vkz_color_off(style, VKZ_DIM));
            past = true;
        }
        fprintf(out, "  %9s  %9s  %9s  ", vkz_bytes_text(size, bytes),
                vkz_number_text(c / unit.scale, 3, copy),
                vkz_number_text(r / unit.scale, 3, read));
        print_bar(out, style, fmax(c, r) / best, bar);
        fputc('\n', out);
    }
}

static void print_costs(yyjson_val *ceilings, FILE *out, const struct vkz_style *style)
{
    static const struct {
        const char *key, *what;
        char kind; // 't' a time, 'b' a bandwidth, 's' a size
    } costs[] = {
        {"llc_bytes", "last-level cache", 's'},
        {"plain_copy", "vkCmdCopyBuffer, read + written", 'b'},
        {"empty_dispatch_ns", "empty dispatch", 't'},
        {"submit_to_fence_ns", "submit to fence", 't'},
    };
    char text[VKZ_NUMBER_MAX];
    for (size_t c = 0; c < sizeof costs / sizeof *costs; c++) {
        const double value = vkz_json_number(ceilings, costs[c].key);
        if (!(value > 0))
            continue;
        fprintf(out, "  %-31s  %s\n", costs[c].what,
                costs[c].kind == 't'   ? vkz_time_text(value, style->utf8, text)
                : costs[c].kind == 'b' ? vkz_rate_text(value, 'b', text)
                                       : vkz_bytes_text(value, text));
    }
}

static void print_left_out(yyjson_val *ceilings, FILE *out, const struct vkz_style *style)
{
    size_t i, count;
    yyjson_val *entry;
    yyjson_arr_foreach(vkz_json_array(ceilings, "left_out"), i, count, entry) {
        char text[700];
        snprintf(text, sizeof text, "left out: %.100s: %.500s",
                 vkz_json_text(entry, "what"), vkz_json_text(entry, "reason"));
        vkz_print_words(out, style, text, 2);
    }
}

void vkz_ceilings_print(yyjson_val *ceilings, FILE *out, const struct vkz_style *style)
{
    const struct vkz_style found = style ? *style : vkz_style_for(out);
    if (!yyjson_is_obj(ceilings)) {
        fputs("no ceilings were measured; `vkzoo peak` measures them\n", out);
        return;
    }
    print_rates(ceilings, out, &found);
    fputc('\n', out);
    print_sweep(ceilings, out, &found);
    fputc('\n', out);
    print_costs(ceilings, out, &found);
    print_left_out(ceilings, out, &found);
}

void vkz_ceilings_print_line(yyjson_val *ceilings, FILE *out,
                             const struct vkz_style *style)
{
    const struct vkz_style found = style ? *style : vkz_style_for(out);
    const char *separator = "ceilings: ";
    int at = 0;
    size_t i, count;
    yyjson_val *rate;
    yyjson_arr_foreach(vkz_json_array(ceilings, "rates"), i, count, rate) {
        char name[NAME_BYTES], number[VKZ_NUMBER_MAX],
            text[NAME_BYTES + VKZ_NUMBER_MAX + 16];
        rate_name(rate, name);
        snprintf(text, sizeof text, "%s%s %s", separator, name,
                 vkz_rate_text(vkz_json_number(rate, "rate"), rate_kind(rate), number));
        if (at + vkz_text_width(text) + 5 > page_width(&found)) {
            fputs(" ...", out);
            break;
        }
        at += vkz_print_text(out, &found, text, vkz_text_width(text));
        separator = ", ";
    }
    if (at > 0)
        fputc('\n', out);
}
