// SPDX-License-Identifier: MIT
// What the unit tests share besides the tables. See fixture.h.
#include "fixture.h"

struct vkz_case fixture_case(const char *settings)
{
    struct vkz_case c = {0};
    struct vkz_error err = {VKZ_OK, ""};
    if (vkz_case_parse(&vkz_op_dot, settings, 1, &c, &err) != VKZ_OK)
        fail_msg("%s: %s", settings, err.message);
    return c;
}

void fixture_expect_words(const char *message, const char *words)
{
    char copy[256];
    snprintf(copy, sizeof copy, "%s", words);
    for (char *word = strtok(copy, "|"); word; word = strtok(NULL, "|")) {
        if (!strstr(message, word))
            fail_msg("expected \"%s\" in \"%s\"", word, message);
    }
}
