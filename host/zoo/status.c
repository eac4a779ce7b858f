// SPDX-License-Identifier: MIT
// The error record: one message, formatted where the trouble was found.
// See vkzoo/status.h.
#include "vkzoo/status.h"

#include <stdarg.h>
#include <stdio.h>

enum vkz_status vkz_error_set(struct vkz_error *err, enum vkz_status status,
                              const char *format, ...)
{
    if (err) {
        // Callers may pass the old message as an argument of the new one.
        char message[sizeof err->message];
        va_list args;
        va_start(args, format);
        if (vsnprintf(message, sizeof message, format, args) < 0)
            message[0] = '\0';
        va_end(args);
        err->status = status;
        snprintf(err->message, sizeof err->message, "%s", message);
    }
    return status;
}

const char *vkz_status_name(enum vkz_status status)
{
    switch (status) {
    case VKZ_OK:
        return "ok";
    case VKZ_SKIP:
        return "skip";
    case VKZ_BAD_INPUT:
        return "bad input";
    case VKZ_NO_DEVICE:
        return "no device";
    case VKZ_DEVICE_LOST:
        return "device lost";
    case VKZ_FAILED:
        return "failed";
    }
    return "unknown status";
}
