// SPDX-License-Identifier: MIT
// Cells, words and numbers for a terminal that may be narrow, colourless or ASCII only.
#define _DEFAULT_SOURCE // fileno, isatty, winsize
#include "report/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { FILE_WIDTH = 160, LEAST_WIDTH = 60 };

static bool locale_is_utf8(void)
{
    // The first one set decides; the C library need not be asked for this.
    const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value && value[0]) {
            const char *charset = strchr(value, '.');
            return charset && (strncasecmp(charset, ".utf-8", 6) == 0 ||
                               strncasecmp(charset, ".utf8", 5) == 0);
        }
    }
    return false;
}

struct vkz_style vkz_style_for(FILE *out)
{
    struct vkz_style style = {.width = FILE_WIDTH, .utf8 = locale_is_utf8()};
    const int fd = fileno(out);
    if (fd < 0 || !isatty(fd))
        return style;
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        style.width = size.ws_col < LEAST_WIDTH ? LEAST_WIDTH : size.ws_col;
    else
        style.width = 80;
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    style.color = !(no_color && no_color[0]) && term && strcmp(term, "dumb") != 0;
    return style;
}

const char *vkz_color_on(const struct vkz_style *style, enum vkz_color color)
{
    static const char *const codes[] = {"",         "\033[1m",  "\033[2m",
                                        "\033[31m", "\033[33m", "\033[32m"};
    return style->color ? codes[color] : "";
}

const char *vkz_color_off(const struct vkz_style *style, enum vkz_color color)
{
    return style->color && color != VKZ_PLAIN ? "\033[0m" : "";
}

// Bytes of the code point at `text`, 1 for a byte that starts none.
static int point_bytes(const char *text)
{
    const unsigned char c = (unsigned char)*text;
    const int wanted = c >= 0xf0 && c < 0xf8 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 1;
    if (c >= 0xf8)
        return 1;
    for (int i = 1; i < wanted; i++) {
        if (((unsigned char)text[i] & 0xc0) != 0x80)
            return 1;
    }
    return wanted;
}

int vkz_text_width(const char *text)
{
    int width = 0;
    for (; *text; text += point_bytes(text))
        width++;
    return width;
}

static void print_point(FILE *out, const struct vkz_style *style, const char *text,
                        int bytes)
{
    const unsigned char c = (unsigned char)text[0];
    // C0, DEL and C1 controls could drive the terminal; a lone byte is no code point.
    const bool control = c < 0x20 || c == 0x7f ||
                         (bytes == 2 && c == 0xc2 && (unsigned char)text[1] < 0xa0);
    if (control || (bytes == 1 && c >= 0x80) || (bytes > 1 && !style->utf8))
        fputc('?', out);
    else
        fwrite(text, 1, (size_t)bytes, out);
}

int vkz_print_text(FILE *out, const struct vkz_style *style, const char *text, int width)
{
    const int has = vkz_text_width(text);
    const char *ellipsis = style->utf8 ? "…" : "..";
    const int tail = has > width ? vkz_text_width(ellipsis) : 0;
    int printed = 0;
    for (; *text && printed < (tail ? width - tail : width); printed++) {
        const int bytes = point_bytes(text);
        print_point(out, style, text, bytes);
        text += bytes;
    }
    if (tail && width >= tail) {
        fputs(ellipsis, out);
        printed += tail;
    }
    return printed;
}

void vkz_print_cell(FILE *out, const struct vkz_style *style, const char *text, int width,
                    bool right)
{
    const int has = vkz_text_width(text);
    const int space = has < width ? width - has : 0;
    if (right)
        fprintf(out, "%*s", space, "");
    const int printed = vkz_print_text(out, style, text, width);
    if (!right)
        fprintf(out, "%*s", width > printed ? width - printed : 0, "");
}

void vkz_print_words(FILE *out, const struct vkz_style *style, const char *text,
                     int indent)
{
    const int room = (style->width > 0 ? style->width : FILE_WIDTH) - indent;
    while (*text) {
        // The most that fits: up to the last space within the room, or a hard cut.
        const char *end = text, *space = NULL;
        int width = 0;
        while (*end && width < room) {
            if (*end == ' ')
                space = end;
            end += point_bytes(end);
            width++;
        }
        if (*end && *end != ' ' && space > text)
            end = space;
        fprintf(out, "%*s", indent, "");
        for (const char *p = text; p < end;) {
            const int bytes = point_bytes(p);
            print_point(out, style, p, bytes);
            p += bytes;
        }
        fputc('\n', out);
        for (text = end; *text == ' '; text++)
            continue;
    }
}

const char *vkz_number_text(double value, int digits, char out[VKZ_NUMBER_MAX])
{
    if (!isfinite(value)) {
        out[0] = '\0';
        return out;
    }
    const double size = fabs(value);
    if (size >= 1e9 || (size > 0 && size < 1e-4)) {
        snprintf(out, VKZ_NUMBER_MAX, "%.*e", digits > 2 ? 1 : 0, value);
        return out;
    }
    // Rounding may carry into a new digit: 9.996 with 3 digits is 10.0, not 10.00.
    int whole = size >= 1 ? (int)floor(log10(size)) + 1 : 1;
    int decimals = digits > whole ? digits - whole : 0;
    const double step = pow(10, decimals);
    if (decimals > 0 && floor(size * step + 0.5) / step >= pow(10, whole))
        decimals--;
    snprintf(out, VKZ_NUMBER_MAX, "%.*f", decimals, value);
    return out;
}

struct vkz_unit vkz_unit_time(double smallest_ns, bool utf8)
{
    if (smallest_ns >= 1e9)
        return (struct vkz_unit){1e9, "s"};
    if (smallest_ns >= 1e6)
        return (struct vkz_unit){1e6, "ms"};
    if (smallest_ns >= 1e3)
        return (struct vkz_unit){1e3, utf8 ? "µs" : "us"};
    return (struct vkz_unit){1, "ns"};
}

struct vkz_unit vkz_unit_rate(double largest, char kind)
{
    static const char *const flops[] = {"MFLOP/s", "GFLOP/s", "TFLOP/s", "PFLOP/s"};
    static const char *const ops[] = {"MOP/s", "GOP/s", "TOP/s", "POP/s"};
    static const char *const bytes[] = {"MB/s", "GB/s", "TB/s", "PB/s"};
    const char *const *names = kind == 'f' ? flops : kind == 'o' ? ops : bytes;
    int i = 0;
    double scale = 1e6;
    for (; i < 3 && largest / scale >= 1e4; i++)
        scale *= 1e3;
    return (struct vkz_unit){scale, names[i]};
}

const char *vkz_bytes_text(double bytes, char out[VKZ_NUMBER_MAX])
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    int i = 0;
    for (; i < 4 && bytes >= 1024; i++)
        bytes /= 1024;
    if (!(bytes >= 0) || !(bytes < 1e9))
        snprintf(out, VKZ_NUMBER_MAX, "?");
    else if (bytes == floor(bytes))
        snprintf(out, VKZ_NUMBER_MAX, "%.0f %s", bytes, names[i]);
    else
        snprintf(out, VKZ_NUMBER_MAX, "%.1f %s", bytes, names[i]);
    return out;
}

const char *vkz_time_text(double ns, bool utf8, char out[VKZ_NUMBER_MAX])
{
    const struct vkz_unit unit = vkz_unit_time(ns, utf8);
    char number[VKZ_NUMBER_MAX];
    snprintf(out, VKZ_NUMBER_MAX, "%.20s %s", vkz_number_text(ns / unit.scale, 3, number),
             unit.name);
    return out;
}

const char *vkz_rate_text(double per_second, char kind, char out[VKZ_NUMBER_MAX])
{
    const struct vkz_unit unit = vkz_unit_rate(per_second * 10, kind); // below 1000 here
    char number[VKZ_NUMBER_MAX];
    snprintf(out, VKZ_NUMBER_MAX, "%.20s %s",
             vkz_number_text(per_second / unit.scale, 3, number), unit.name);
    return out;
}

void vkz_print_md(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("|<>&`*_\\[]", *text))
            fputc('\\', out);
        fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
    }
}

void vkz_print_csv_number(FILE *out, double value, int digits)
{
    if (isfinite(value))
        fprintf(out, "%.*g", digits, value);
}

void vkz_text_trim(char *text)
{
    const size_t length = strlen(text);
    size_t tail = 0; // bytes behind the last point's first
    while (tail < 3 && tail < length && ((unsigned char)text[length - 1 - tail] & 0xc0) == 0x80)
        tail++;
    if (tail == length)
        return;
    const unsigned char first = (unsigned char)text[length - 1 - tail];
    const size_t needs = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
    if (needs > tail)
        text[length - 1 - tail] = '\0';
}

void vkz_print_csv(FILE *out, const char *text)
{
    fputc('"', out);
    if (*text && strchr("=+-@\t\r", *text))
        fputc('\'', out);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}
