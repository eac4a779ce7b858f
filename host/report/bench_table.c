// SPDX-License-Identifier: MIT
// The table of timed cases. Where the terminal is narrow, columns are shortened or
// dropped in a fixed order until a row fits; a row never wraps.
#include <math.h>
#include <string.h>

#include "report/judge.h"
#include "report/rows.h"

enum column {
    CASE,
    VARIANT,
    KERNEL,
    HOT,
    HALF_WIDTH,
    COLD,
    RATE,
    FLOOR,
    CEILING,
    ERROR,
    NOTE,
    COLUMNS,
};

// What is given up first when a row is too wide: what the group's title can say for every
// case, the ceiling's name, words of notes, the op's name before the kernel's; then
// columns.
enum narrowing {
    SHORT_CASE,
    NO_CEILING,
    SYMBOLS,
    SHORT_KERNEL,
    NO_ERROR,
    NO_COLD,
    NO_HALF_WIDTH,
    NARROWINGS,
};

enum { INDENT = 2, GAP = 2, CELL_MAX = 640, LEAST_NAME = 6 };

struct layout {
    const struct vkz_table *table;
    FILE *out;
    const struct vkz_style *style;
    int page;           // columns of the terminal
    int narrowed;       // narrowings in effect
    int width[COLUMNS]; // 0: column not shown
    struct vkz_unit time;
    bool cold, ceilings, notes;
};

static const struct {
    unsigned mark;
    const char *word, *symbol;
} notes[] = {
    {VKZ_MARK_UNVERIFIED, "unchecked", "x"},  {VKZ_MARK_IMPOSSIBLE, "impossible", "!"},
    {VKZ_MARK_MISTRUSTED, "mistrusted", "?"}, {VKZ_MARK_THROTTLED, "throttled", "v"},
    {VKZ_MARK_NOISY, "noisy", "~"},           {VKZ_MARK_SUBSTITUTE, "no ceiling", "s"},
};
enum { NOTES = sizeof notes / sizeof *notes };

static bool narrowed(const struct layout *l, enum narrowing step)
{
    return l->narrowed > (int)step;
}

static bool is_timed(const struct vkz_row *row)
{
    return row->hot_ns > 0;
}

static struct vkz_unit group_unit(const struct layout *l, const char *op)
{
    double largest = 0;
    char kind = 'f';
    for (size_t i = 0; i < l->table->count; i++) {
        const struct vkz_row *row = &l->table->rows[i];
        if (strcmp(row->text[VKZ_ROW_OP], op) == 0 && row->rate > 0) {
            largest = fmax(largest, row->rate);
            kind = row->rate_kind;
        }
    }
    return vkz_unit_rate(largest, kind);
}

static void note_text(const struct layout *l, const struct vkz_row *row, char *out,
                      size_t size)
{
    out[0] = '\0';
    for (int n = 0; n < NOTES; n++) {
        const size_t used = strlen(out);
        if (!(row->marks & notes[n].mark))
            continue;
        if (narrowed(l, SYMBOLS))
            snprintf(out + used, size - used, "%s", notes[n].symbol);
        else
            snprintf(out + used, size - used, "%s%s", used ? ", " : "", notes[n].word);
    }
}

static void cell_text(const struct layout *l, const struct vkz_row *row,
                      const struct vkz_naming *naming, struct vkz_unit rate, int column,
                      char out[CELL_MAX])
{
    char number[VKZ_NUMBER_MAX] = "";
    out[0] = '\0';
    switch (column) {
    case CASE:
        vkz_naming_case(naming, row->text[VKZ_ROW_CASE], out, CELL_MAX);
        return;
    case VARIANT:
        snprintf(out, CELL_MAX, "%s", row->text[VKZ_ROW_VARIANT]);
        return;
    case KERNEL:
        vkz_row_kernel(row, narrowed(l, SHORT_KERNEL), out, CELL_MAX);
        return;
    case NOTE:
        note_text(l, row, out, CELL_MAX);
        return;
    case CEILING:
        snprintf(out, CELL_MAX, "%s", row->efficiency >= 0 ? row->ceiling : "");
        return;
    case HOT:
        vkz_number_text(row->hot_ns / l->time.scale, 4, number);
        break;
    case HALF_WIDTH:
        vkz_number_text(100 * row->half_width, 2, number);
        break;
    case COLD:
        vkz_number_text(row->cold_ns / l->time.scale, 4, number);
        break;
    case RATE:
        vkz_number_text(row->rate / rate.scale, 4, number);
        break;
    case FLOOR:
        vkz_number_text(100 * row->efficiency, 2, number);
        break;
    case ERROR:
        vkz_number_text(row->accuracy, 3, number);
        break;
    default:
        break;
    }
    snprintf(out, CELL_MAX, "%s", number);
}

static void header_text(const struct layout *l, int column, char out[CELL_MAX])
{
    static const char *const names[COLUMNS] = {
        [CASE] = "case",      [VARIANT] = "variant",  [KERNEL] = "kernel[tuning]",
        [RATE] = "rate",      [FLOOR] = "% of floor", [CEILING] = "set by",
        [ERROR] = "err/naive"};
    if (column == HOT || column == COLD)
        snprintf(out, CELL_MAX, "%s %s", column == HOT ? "hot" : "cold", l->time.name);
    else if (column == HALF_WIDTH)
        snprintf(out, CELL_MAX, "%s", l->style->utf8 ? "±%" : "+-%");
    else if (column == FLOOR && narrowed(l, SYMBOLS))
        snprintf(out, CELL_MAX, "%%floor");
    else if (column == ERROR && narrowed(l, SYMBOLS))
        snprintf(out, CELL_MAX, "err");
    else if (column == KERNEL && narrowed(l, SHORT_KERNEL))
        snprintf(out, CELL_MAX, "kernel");
    else
        snprintf(out, CELL_MAX, "%s", names[column] ? names[column] : "");
}

static bool is_shown(const struct layout *l, int column)
{
    switch (column) {
    case COLD:
        return l->cold && !narrowed(l, NO_COLD);
    case CEILING:
        return l->ceilings && !narrowed(l, NO_CEILING);
    case FLOOR:
        return l->ceilings;
    case ERROR:
        return !narrowed(l, NO_ERROR);
    case HALF_WIDTH:
        return !narrowed(l, NO_HALF_WIDTH);
    case NOTE:
        return l->notes;
    default:
        return true;
    }
}

static void naming_of(const struct layout *l, const char *op, struct vkz_naming *out)
{
    vkz_naming_find(l->table, op, out);
    out->short_form = narrowed(l, SHORT_CASE);
}

static void measure_group(struct layout *l, const char *op)
{
    struct vkz_naming naming;
    const struct vkz_unit rate = group_unit(l, op);
    char text[CELL_MAX];
    naming_of(l, op, &naming);
    for (size_t i = 0; i < l->table->count; i++) {
        const struct vkz_row *row = &l->table->rows[i];
        if (strcmp(row->text[VKZ_ROW_OP], op) != 0)
            continue;
        // A row without times spreads its reason over the columns of numbers.
        for (int c = 0; c < (is_timed(row) ? COLUMNS : HOT); c++) {
            cell_text(l, row, &naming, rate, c, text);
            const int width = vkz_text_width(text);
            if (is_shown(l, c) && width > l->width[c])
                l->width[c] = width;
        }
    }
    if (l->width[RATE] < vkz_text_width(rate.name))
        l->width[RATE] = vkz_text_width(rate.name);
}

static int total_width(const struct layout *l)
{
    int total = INDENT;
    for (int c = 0; c < COLUMNS; c++)
        total += l->width[c] ? l->width[c] + (c ? GAP : 0) : 0;
    return total;
}

static void measure_columns(struct layout *l)
{
    char text[CELL_MAX];
    for (int c = 0; c < COLUMNS; c++) {
        header_text(l, c, text);
        l->width[c] = is_shown(l, c) ? vkz_text_width(text) : 0;
    }
    for (size_t i = 0; i < l->table->count; i++) {
        if (vkz_row_starts_group(l->table, i))
            measure_group(l, l->table->rows[i].text[VKZ_ROW_OP]);
    }
}

// What a name may be cut down to so that no column of numbers has to go: one long name
// shall not cost every row its spread.
static int least_width(const struct layout *l, int column)
{
    const int least = column == CASE     ? l->page / 4
                      : column == KERNEL ? l->page / 8
                      : column == NOTE   ? 10
                                         : l->width[column];
    return least < l->width[column] ? least : l->width[column];
}

static bool is_too_wide(const struct layout *l)
{
    int spare = 0;
    // Words are given up before names are cut, names are cut before columns are dropped.
    for (int c = 0; c < COLUMNS && narrowed(l, SHORT_KERNEL); c++)
        spare += l->width[c] - least_width(l, c);
    return total_width(l) - spare > l->page;
}

// Takes columns from the name with most to spare until the row fits.
static void squeeze_names(struct layout *l)
{
    for (int over = total_width(l) - l->page; over > 0; over--) {
        int best = -1, most = 0;
        for (int c = 0; c < COLUMNS; c++) {
            const int spare = l->width[c] - least_width(l, c);
            if (spare > most) {
                most = spare;
                best = c;
            }
        }
        if (best < 0) // a terminal too narrow for what is never dropped
            best = l->width[CASE] > LEAST_NAME ? CASE : KERNEL;
        if (l->width[best] <= LEAST_NAME)
            return;
        l->width[best]--;
    }
}

static void lay_out(struct layout *l)
{
    double smallest = INFINITY;
    for (size_t i = 0; i < l->table->count; i++) {
        const struct vkz_row *row = &l->table->rows[i];
        if (!is_timed(row))
            continue;
        smallest = fmin(smallest, row->hot_ns);
        l->cold |= row->cold_ns > 0;
        l->ceilings |= row->efficiency >= 0;
        l->notes |= (row->marks & ~(unsigned)VKZ_MARK_FEW) != 0;
    }
    l->time = vkz_unit_time(isfinite(smallest) ? smallest : 1e3, l->style->utf8);
    measure_columns(l);
    while (is_too_wide(l) && l->narrowed < NARROWINGS) {
        l->narrowed++;
        measure_columns(l);
    }
    squeeze_names(l);
}

static bool is_right(int column)
{
    return column >= HOT && column <= ERROR && column != CEILING;
}

static int column_start(const struct layout *l, int column)
{
    int at = INDENT;
    for (int c = 0; c < column; c++)
        at += l->width[c] ? l->width[c] + GAP : 0;
    return at;
}

// Prints the columns from..to; `end` when the line ends there: no blanks at its end then.
static void print_cells(const struct layout *l, char text[COLUMNS][CELL_MAX], int from,
                        int to, bool end)
{
    while (end && to > from && (!l->width[to] || !text[to][0]))
        to--;
    for (int c = from; c <= to; c++) {
        if (!l->width[c])
            continue;
        fprintf(l->out, "%*s", c ? GAP : INDENT, "");
        if (end && c == to && !is_right(c))
            vkz_print_text(l->out, l->style, text[c], l->width[c]);
        else
            vkz_print_cell(l->out, l->style, text[c], l->width[c], is_right(c));
    }
}

static void print_header(const struct layout *l)
{
    char text[COLUMNS][CELL_MAX];
    for (int c = 0; c < COLUMNS; c++)
        header_text(l, c, text[c]);
    fputs(vkz_color_on(l->style, VKZ_DIM), l->out);
    print_cells(l, text, CASE, NOTE, true);
    fprintf(l->out, "%s\n", vkz_color_off(l->style, VKZ_DIM));
}

// The op, what its cases have in common, and the unit of its rates under their heading.
static void print_title(const struct layout *l, const char *op,
                        const struct vkz_naming *naming, struct vkz_unit rate, bool timed)
{
    char title[CELL_MAX];
    const int end = column_start(l, RATE) + l->width[RATE] - vkz_text_width(rate.name);
    vkz_naming_title(naming, title, sizeof title);
    fputs(vkz_color_on(l->style, VKZ_BOLD), l->out);
    int at = vkz_print_text(l->out, l->style, op[0] ? op : "(no op)", end - GAP);
    fputs(vkz_color_off(l->style, VKZ_BOLD), l->out);
    if (title[0] && at + GAP + 4 < end - GAP) {
        fprintf(l->out, "%*s", GAP, "");
        at += GAP + vkz_print_text(l->out, l->style, title, end - GAP - at - GAP);
    }
    if (timed)
        fprintf(l->out, "%*s%s%s%s", end - at, "", vkz_color_on(l->style, VKZ_DIM),
                rate.name, vkz_color_off(l->style, VKZ_DIM));
    fputc('\n', l->out);
}

static void print_reason(const struct layout *l, const struct vkz_row *row)
{
    char text[CELL_MAX];
    const char *status = row->text[VKZ_ROW_STATUS], *reason = row->text[VKZ_ROW_REASON];
    const enum vkz_color color = vkz_row_is(row, "skipped")      ? VKZ_DIM
                                 : vkz_row_is(row, "ok")         ? VKZ_PLAIN
                                 : vkz_row_is(row, "mistrusted") ? VKZ_YELLOW
                                                                 : VKZ_RED;
    const char *shown = vkz_row_is(row, "failed") ? "FAILED"
                        : status[0]               ? status
                                                  : "no status";
    snprintf(text, sizeof text, "%.40s%s%.580s", shown, reason[0] ? ": " : "", reason);
    fprintf(l->out, "%*s%s", GAP, "", vkz_color_on(l->style, color));
    const int room = l->page - column_start(l, HOT);
    vkz_print_text(l->out, l->style, text, room > 0 ? room : 0);
    fputs(vkz_color_off(l->style, color), l->out);
}

static void print_row(const struct layout *l, const struct vkz_row *row,
                      const struct vkz_row *above, const struct vkz_naming *naming,
                      struct vkz_unit rate)
{
    char text[COLUMNS][CELL_MAX];
    for (int c = 0; c < COLUMNS; c++)
        cell_text(l, row, naming, rate, c, text[c]);
    if (above && strcmp(above->text[VKZ_ROW_CASE], row->text[VKZ_ROW_CASE]) == 0)
        text[CASE][0] = '\0'; // the same case by another kernel or variant
    print_cells(l, text, CASE, KERNEL, false);
    if (is_timed(row)) {
        const bool noted = l->width[NOTE] && text[NOTE][0];
        const enum vkz_color color =
            row->marks & VKZ_MARK_IMPOSSIBLE ? VKZ_RED : VKZ_PLAIN;
        fputs(vkz_color_on(l->style, color), l->out);
        print_cells(l, text, HOT, ERROR, !noted);
        fputs(vkz_color_off(l->style, color), l->out);
        if (noted) {
            fputs(vkz_color_on(l->style, VKZ_YELLOW), l->out);
            print_cells(l, text, NOTE, NOTE, true);
            fputs(vkz_color_off(l->style, VKZ_YELLOW), l->out);
        }
    } else {
        print_reason(l, row);
    }
    fputc('\n', l->out);
}

static void print_group(const struct layout *l, const char *op)
{
    struct vkz_naming naming;
    const struct vkz_unit rate = group_unit(l, op);
    const struct vkz_row *above = NULL;
    bool timed = false;
    naming_of(l, op, &naming);
    for (size_t i = 0; i < l->table->count; i++)
        timed |= strcmp(l->table->rows[i].text[VKZ_ROW_OP], op) == 0 &&
                 l->table->rows[i].rate > 0;
    print_title(l, op, &naming, rate, timed);
    for (size_t i = 0; i < l->table->count; i++) {
        const struct vkz_row *row = &l->table->rows[i];
        if (strcmp(row->text[VKZ_ROW_OP], op) != 0)
            continue;
        print_row(l, row, above, &naming, rate);
        above = row;
    }
}

// What the symbols stand for, as many on a line as fit.
static void print_legend(const struct layout *l)
{
    unsigned marks = 0;
    int at = 0;
    for (size_t i = 0; i < l->table->count; i++)
        marks |= is_timed(&l->table->rows[i]) ? l->table->rows[i].marks : 0;
    for (int n = 0; n < NOTES && narrowed(l, SYMBOLS); n++) {
        const int width = GAP + 2 + vkz_text_width(notes[n].word);
        if (!(marks & notes[n].mark))
            continue;
        if (at + width > l->page) {
            fputc('\n', l->out);
            at = 0;
        }
        fprintf(l->out, "%*s%s %s", GAP, "", notes[n].symbol, notes[n].word);
        at += width;
    }
    if (at > 0)
        fputc('\n', l->out);
}

void vkz_print_bench(const struct vkz_table *table, FILE *out,
                     const struct vkz_style *style)
{
    struct layout l = {.table = table,
                       .out = out,
                       .style = style,
                       .page = style->width > 0 ? style->width : 160};
    lay_out(&l);
    print_header(&l);
    for (size_t i = 0; i < table->count; i++) {
        if (vkz_row_starts_group(table, i))
            print_group(&l, table->rows[i].text[VKZ_ROW_OP]);
    }
    print_legend(&l);
}
