// SPDX-License-Identifier: MIT
// Preloaded by a test: a machine on which no Vulkan loader is installed.
#include <dlfcn.h>
#include <string.h>

typedef void *(*open_function)(const char *, int);

void *dlopen(const char *file, int mode)
{
    union {
        void *object;
        open_function call;
    } real = {dlsym(RTLD_NEXT, "dlopen")};
    return file && strstr(file, "libvulkan.so") ? NULL : real.call(file, mode);
}
