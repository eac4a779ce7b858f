// SPDX-License-Identifier: MIT
// Escaped texts and the elements all sections use. See report/html.h.
#include "report/html.h"

#include <math.h>
#include <string.h>

void vkz_html_text(const struct vkz_html *p, const char *s)
{
    for (; *s; s++) {
        switch (*s) {
        case '<':
            fputs("&lt;", p->out);
            break;
        case '>':
            fputs("&gt;", p->out);
            break;
        case '&':
            fputs("&amp;", p->out);
            break;
        case '"':
            fputs("&quot;", p->out);
            break;
        case '\'':
            fputs("&#39;", p->out);
            break;
        default:
            fputc((unsigned char)*s < ' ' ? ' ' : *s, p->out);
        }
    }
}

void vkz_html_element(const struct vkz_html *p, const char *tag, const char *content)
{
    fprintf(p->out, "<%s>", tag);
    vkz_html_text(p, content);
    fprintf(p->out, "</%.*s>", (int)strcspn(tag, " "), tag);
}

void vkz_html_settings(const struct vkz_html *p, const char *settings)
{
    for (const char *at = settings; *at; at++) {
        const char one[2] = {*at, '\0'};
        vkz_html_text(p, one);
        fputs(*at == ',' ? "<wbr>" : "", p->out);
    }
}

void vkz_html_section(const struct vkz_html *p, const char *id, const char *title,
                      const char *note)
{
    fprintf(p->out, "\n<section id=\"%s\"><h2>%s</h2>", id, title);
    if (note)
        fprintf(p->out, "<p class=\"note\">%s</p>", note);
}

void vkz_html_begin_table(const struct vkz_html *p, const char *id, const char *caption)
{
    fputs("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"", p->out);
    vkz_html_text(p, caption);
    fprintf(p->out, "\"><table id=\"%s\">", id);
    vkz_html_element(p, "caption", caption);
    fputc('\n', p->out);
}

void vkz_html_end_table(const struct vkz_html *p)
{
    fputs("</tbody></table></div>\n", p->out);
}

void vkz_html_number_cell(const struct vkz_html *p, double sort, const char *shown)
{
    if (isfinite(sort))
        fprintf(p->out, "<td class=\"number\" data-v=\"%.6g\">", sort);
    else
        fputs("<td class=\"number empty\">", p->out);
    vkz_html_text(p, isfinite(sort) ? shown : "–");
    fputs("</td>", p->out);
}
