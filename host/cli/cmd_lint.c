// SPDX-License-Identifier: MIT
// vkzoo lint: is a result file whole, plausible and verified?
#include <stdio.h>

#include "cli/cli.h"
#include "report/lint.h"

int vkz_cmd_lint(const struct vkz_options *options)
{
    struct vkz_lint *lint = NULL;
    struct vkz_error err = {0};
    if (options->selector_count == 0) {
        fprintf(stderr, "vkzoo: lint needs result files, as in `vkzoo lint results/*/*.jsonl`\n");
        return VKZ_EXIT_USAGE;
    }
    enum vkz_status status = vkz_lint_create(&lint, &err);
    for (int i = 0; i < options->selector_count && status == VKZ_OK; i++)
        status = vkz_lint_file(lint, options->selectors[i], &err);
    if (status == VKZ_OK && options->json)
        status = vkz_lint_json(lint, stdout, &err);
    else if (status == VKZ_OK)
        vkz_lint_print(lint, stdout, NULL);
    const int exit_code =
        status == VKZ_OK ? vkz_lint_exit_status(lint, options->strict) : vkz_cli_fail(&err);
    vkz_lint_destroy(&lint);
    return exit_code;
}
