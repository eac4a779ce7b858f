// SPDX-License-Identifier: MIT
// Build step: prints every disagreement between kernels, contracts and suites as
// "file: message" and exits with 1 when there is one.
#include <stdio.h>

#include "zoo/agree.h"

static void print(void *context, const char *file, const char *message)
{
    (void)context;
    fprintf(stderr, "%s: %s\n", file, message);
}

int main(void)
{
    struct vkz_agree agree = {.report = print};
    vkz_agree_all(&agree);
    if (agree.count)
        return 1;
    int ops = 0, kernels = 0;
    while (vkz_ops[ops])
        ops++;
    while (vkz_kernels[kernels])
        kernels++;
    printf("%d ops and %d kernels agree\n", ops, kernels);
    return 0;
}
