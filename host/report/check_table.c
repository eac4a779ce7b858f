// SPDX-License-Identifier: MIT
// The table of checks: a row a kernel and variant, with counts over its cases and tunings
// and the worst accuracy among them. A single case is of interest only when it failed.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/rows.h"

enum { OK, FAILED, MISTRUSTED, ERRORS, SKIPPED, COUNTS, INDENT = 2, GAP = 2 };
static const char *const count_names[COUNTS] = {"ok", "failed", "mistrusted", "errors",
                                                "skipped"};

struct tally {
    const struct vkz_row *row; // one of its rows, for the names
    int count[COUNTS];
    const struct vkz_row *worst; // of worst accuracy; NULL: none was checked
};

static bool same_kernel(const struct vkz_row *a, const struct vkz_row *b)
{
    static const int keys[] = {VKZ_ROW_OP, VKZ_ROW_KERNEL, VKZ_ROW_VARIANT};
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        if (strcmp(a->text[keys[k]], b->text[keys[k]]) != 0)
            return false;
    }
    return true;
}

static void tally_row(struct tally *tally, const struct vkz_row *row)
{
    const int kind = vkz_row_is(row, "ok")           ? OK
                     : vkz_row_is(row, "failed")     ? FAILED
                     : vkz_row_is(row, "mistrusted") ? MISTRUSTED
                     : vkz_row_is(row, "skipped")    ? SKIPPED
                                                     : ERRORS;
    tally->count[kind]++;
    if (row->accuracy >= 0 && (!tally->worst || row->accuracy > tally->worst->accuracy))
        tally->worst = row;
}

// Kernels in order of appearance, ops together.
static size_t tally_all(const struct vkz_table *table, struct tally *tallies)
{
    size_t count = 0;
    for (size_t g = 0; g < table->count; g++) {
        if (!vkz_row_starts_group(table, g))
            continue;
        const char *op = table->rows[g].text[VKZ_ROW_OP];
        const size_t first = count;
        for (size_t i = g; i < table->count; i++) {
            const struct vkz_row *row = &table->rows[i];
            size_t t = first;
            if (strcmp(row->text[VKZ_ROW_OP], op) != 0)
                continue;
            while (t < count && !same_kernel(tallies[t].row, row))
                t++;
            if (t == count)
                tallies[count++] = (struct tally){.row = row};
            tally_row(&tallies[t], row);
        }
    }
    return count;
}

static int wider(int width, const char *text)
{
    const int has = vkz_text_width(text);
    return has > width ? has : width;
}

static const char *kernel_of(const struct tally *t)
{
    const char *kernel = t->row->text[VKZ_ROW_KERNEL];
    return kernel[0] ? kernel : "-";
}

static int error_width(int page)
{
    return page < 72 ? 5 : 9;
}

static void print_tally(const struct tally *t, FILE *out, const struct vkz_style *style,
                        const int width[COUNTS + 2], const bool shown[COUNTS], int page)
{
    char worst[300], number[VKZ_NUMBER_MAX];
    int at = INDENT + width[0] + GAP + width[1];
    fprintf(out, "%*s", INDENT, "");
    vkz_print_cell(out, style, kernel_of(t), width[0], false);
    fprintf(out, "%*s", GAP, "");
    vkz_print_cell(out, style, t->row->text[VKZ_ROW_VARIANT], width[1], false);
    for (int k = 0; k < COUNTS; k++) {
        if (!shown[k])
            continue;
        const enum vkz_color color = !t->count[k]                 ? VKZ_DIM
                                     : k == FAILED || k == ERRORS ? VKZ_RED
                                     : k == MISTRUSTED            ? VKZ_YELLOW
                                                                  : VKZ_PLAIN;
        fprintf(out, "%*s%s%*d%s", GAP, "", vkz_color_on(style, color), width[2 + k],
                t->count[k], vkz_color_off(style, color));
        at += GAP + width[2 + k];
    }
    vkz_number_text(t->worst ? t->worst->accuracy : (double)NAN, 3, number);
    fprintf(out, "%*s%*s", GAP, "", error_width(page), number[0] ? number : "-");
    at += GAP + error_width(page);
    // Where the worst was, if there is room for a useful part of it.
    if (t->worst && page - at - GAP >= 24) {
        const char *numbers = strchr(t->worst->text[VKZ_ROW_CASE], '@');
        const char *tuning = t->worst->text[VKZ_ROW_TUNING];
        const bool tuned = tuning[0] && strcmp(tuning, "default") != 0;
        snprintf(worst, sizeof worst, "%.200s%s%.60s%s", numbers ? numbers + 1 : "",
                 tuned ? " [" : "", tuned ? tuning : "", tuned ? "]" : "");
        fprintf(out, "%*s", GAP, "");
        vkz_print_text(out, style, worst, page - at - GAP);
    }
    fputc('\n', out);
}

static void print_tallies(const struct tally *tallies, size_t count, FILE *out,
                          const struct vkz_style *style)
{
    const int page = style->width > 0 ? style->width : 160;
    int width[COUNTS + 2] = {6, 7};
    bool shown[COUNTS] = {[OK] = true, [FAILED] = true, [SKIPPED] = true};
    for (size_t t = 0; t < count; t++) {
        width[0] = wider(width[0], kernel_of(&tallies[t]));
        width[1] = wider(width[1], tallies[t].row->text[VKZ_ROW_VARIANT]);
        for (int k = 0; k < COUNTS; k++)
            shown[k] |= tallies[t].count[k] > 0;
    }
    int total = INDENT + width[1] + GAP + GAP + error_width(page);
    for (int k = 0; k < COUNTS; k++) {
        width[2 + k] = wider(4, count_names[k]);
        total += shown[k] ? GAP + width[2 + k] : 0;
    }
    if (width[0] > page - total)
        width[0] = page - total > 10 ? page - total : 10;
    fprintf(out, "%s%*s%-*s%*s%-*s", vkz_color_on(style, VKZ_DIM), INDENT, "", width[0],
            "kernel", GAP, "", width[1], "variant");
    for (int k = 0; k < COUNTS; k++) {
        if (shown[k])
            fprintf(out, "%*s%*s", GAP, "", width[2 + k], count_names[k]);
    }
    fprintf(out, "%*s%*s%s%s\n", GAP, "", error_width(page),
            error_width(page) < 9 ? "err" : "err/naive",
            page - INDENT - width[0] - total >= 26 ? "  worst at" : "",
            vkz_color_off(style, VKZ_DIM));
    const char *op = NULL;
    for (size_t t = 0; t < count; t++) {
        const char *its = tallies[t].row->text[VKZ_ROW_OP];
        if (!op || strcmp(op, its) != 0) {
            fputs(vkz_color_on(style, VKZ_BOLD), out);
            vkz_print_text(out, style, its[0] ? its : "(no op)", page);
            fprintf(out, "%s\n", vkz_color_off(style, VKZ_BOLD));
        }
        op = its;
        print_tally(&tallies[t], out, style, width, shown, page);
    }
}

void vkz_print_check(const struct vkz_table *table, FILE *out,
                     const struct vkz_style *style)
{
    struct tally *tallies = calloc(table->count + 1, sizeof *tallies);
    if (!tallies) {
        fprintf(out, "out of host memory: no table\n");
        return;
    }
    print_tallies(tallies, tally_all(table, tallies), out, style);
    free(tallies);
}
