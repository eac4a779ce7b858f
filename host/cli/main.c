// SPDX-License-Identifier: MIT
// vkzoo: reads the command line, finds the verb, runs it. Help texts live with the verbs'
// table below; the verbs in one file each.
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "version.h"

#define SELECT_HELP                                                                            \
    "  SELECTOR          a suite (gemm), an op (batched_gemm), a case (gemm@m=64,n=64,k=64)\n" \
    "                    or a file (mine.suite); none: everything\n"                           \
    "  --tag T[,T]       only cases with one of these tags (smoke, quick, check, bench-cpu,\n" \
    "                    bench-gpu, or any a suite uses; `all` for every case)\n"              \
    "  --op OP           the same as naming OP\n"                                              \
    "  --set K=V,…       one case of the selected op, made here\n"                             \
    "  --kernel K        only this kernel     --variant V  only this variant (f32, f16, …)\n"  \
    "  --tuning T        only this tuning     --spec 'K=V K=V'  set constants by hand\n"       \
    "  --spirv K.V[.PASS]=FILE  other SPIR-V in the kernel's place\n"                          \
    "  --seed N          of the inputs (default 1)\n"
#define DEVICE_HELP                                                                            \
    "  --device D        index or part of a name (see `vkzoo info`); default: a GPU if any\n"  \
    "  --floor-limits    act as a device with Vulkan's minimum limits\n"                       \
    "  --core-only       enable no optional feature\n"

const struct vkz_verb_entry vkz_verbs[] = {
    {"info", "devices, what each can run, and why not",
     "usage: vkzoo info [--device D] [--json]\n\n"
     "Lists Vulkan devices with driver, limits, and the kernels each cannot run with the\n"
     "feature that is missing; then the choices kept from earlier probes.\n" DEVICE_HELP,
     vkz_cmd_info},
    {"list", "the catalogue of ops, kernels and variants",
     "usage: vkzoo list [SELECTOR…] [--json]\n\n"
     "Needs no device. --json gives everything: tensors, dims, axes, kernels, variants.\n",
     vkz_cmd_list},
    {"where", "contract, kernels and suite lines of an op, as file:line",
     "usage: vkzoo where OP|KERNEL…\n\nexample: vkzoo where attention\n", vkz_cmd_where},
    {"check", "are the kernels right? every kernel and variant against the fp64 reference",
     "usage: vkzoo check [SELECTOR…] [options]\n\n" SELECT_HELP DEVICE_HELP
     "  --identities      also run the contracts' identities on the device\n"
     "  --jobs N          workers side by side (default: 1)\n"
     "  --out FILE        keep the outcomes as a result file; --resume FILE goes on with one\n"
     "  --timeout S       a case that says nothing for S seconds is hung (default 120)\n"
     "  --json            result lines on standard output instead of the table\n\n"
     "examples:\n"
     "  vkzoo check                       everything tagged smoke or check\n"
     "  vkzoo check attention --variant f16\n"
     "  vkzoo check 'gemm@m=65,n=17,k=33' --kernel gemm_tile --variant f32\n",
     vkz_cmd_check},
    {"bench", "check, then time: a table and a result file",
     "usage: vkzoo bench [SELECTOR…] [options]\n\n" SELECT_HELP DEVICE_HELP
     "  --quick           the quick suite (the default): a few minutes on two CPU cores\n"
     "  --all-kernels     time every kernel that can serve a case, not only the chosen one\n"
     "  --budget MS       hot timing per case (default 1000; cold takes half as long)\n"
     "  --no-cold         hot timing only     --no-ceilings  no floors, no efficiencies\n"
     "  --no-canary       no clock canary     --fresh        probe again, ignore kept choices\n"
     "  --statistics      driver statistics (registers, spills) on a second pipeline\n"
     "  --out FILE        default: results/<device>/<time>.jsonl\n"
     "  --resume FILE     go on with a run that was cut off\n"
     "  --cache DIR       where choices are kept (default: $XDG_CACHE_HOME/vkzoo)\n"
     "  --json            result lines on standard output instead of the table\n\n"
     "examples:\n"
     "  vkzoo bench                                  the quick suite\n"
     "  vkzoo bench gemm --tag bench-gpu --variant f16\n"
     "  vkzoo bench --op attention --set heads=8,kv_heads=8,q_len=1024,kv_len=1024,"
     "head_dim=64,v_dim=64\n",
     vkz_cmd_bench},
    {"peak", "this device's measured ceilings",
     "usage: vkzoo peak [--device D] [--full] [--out FILE] [--json]\n\n"
     "Bandwidth over sizes, last-level cache, multiply-add, integer dot, exp2 and\n"
     "cooperative-matrix rates, each the best of a search; launch costs.\n"
     "  --full            every kernel shape at length, sizes up to 512 MiB\n" DEVICE_HELP,
     vkz_cmd_peak},
    {"lint", "is this result file whole, plausible, verified?",
     "usage: vkzoo lint FILE… [--strict] [--json]\n\n"
     "Exit status 1 when a file has errors (with --strict: warnings too).\n",
     vkz_cmd_lint},
    {"worker", NULL, "usage: internal: run by check, bench and peak\n", vkz_cmd_worker},
    {0},
};

int vkz_cli_fail(const struct vkz_error *err)
{
    fprintf(stderr, "vkzoo: %s\n", err->message);
    switch (err->status) {
    case VKZ_BAD_INPUT:
        return VKZ_EXIT_USAGE;
    case VKZ_NO_DEVICE:
    case VKZ_SKIP:
        return VKZ_EXIT_NOTHING;
    default:
        return VKZ_EXIT_HARNESS;
    }
}

static void print_help(FILE *out)
{
    fprintf(out, "vkzoo %s: Vulkan compute kernels, proved right, timed and handed on\n\n"
                 "usage: vkzoo VERB [arguments]\n\n", VKZ_VERSION);
    for (const struct vkz_verb_entry *v = vkz_verbs; v->name; v++) {
        if (v->summary)
            fprintf(out, "  %-8s %s\n", v->name, v->summary);
    }
    fprintf(out, "\n`vkzoo help VERB` has the options and examples.\n"
                 "Exit status: 0 fine, 1 a kernel is wrong or a regression, 2 usage,\n"
                 "77 nothing could run here, 99 the harness or the device failed.\n");
}

enum option_kind { OPTION_TEXT, OPTION_FLAG, OPTION_REAL, OPTION_INT, OPTION_SEED };
struct option {
    const char *name;
    enum option_kind kind;
    size_t offset;
};
#define OPTION(name, kind, field) {name, kind, offsetof(struct vkz_options, field)}

static const struct option options_table[] = {
    OPTION("--device", OPTION_TEXT, device),
    OPTION("--tag", OPTION_TEXT, tags),
    OPTION("--set", OPTION_TEXT, set),
    OPTION("--kernel", OPTION_TEXT, kernel),
    OPTION("--variant", OPTION_TEXT, variant),
    OPTION("--tuning", OPTION_TEXT, tuning),
    OPTION("--spec", OPTION_TEXT, spec),
    OPTION("--out", OPTION_TEXT, out),
    OPTION("--resume", OPTION_TEXT, resume),
    OPTION("--cache", OPTION_TEXT, cache_folder),
    OPTION("--spirv", OPTION_TEXT, spirv),
    OPTION("--seed", OPTION_SEED, seed),
    OPTION("--budget", OPTION_REAL, budget_ms),
    OPTION("--timeout", OPTION_REAL, timeout_s),
    OPTION("--jobs", OPTION_INT, workers),
    OPTION("--in-fd", OPTION_INT, fd_in),
    OPTION("--out-fd", OPTION_INT, fd_out),
    OPTION("--json", OPTION_FLAG, json),
    OPTION("--all-kernels", OPTION_FLAG, all_kernels),
    OPTION("--fresh", OPTION_FLAG, fresh),
    OPTION("--no-cold", OPTION_FLAG, no_cold),
    OPTION("--no-ceilings", OPTION_FLAG, no_ceilings),
    OPTION("--no-canary", OPTION_FLAG, no_canary),
    OPTION("--floor-limits", OPTION_FLAG, floor_limits),
    OPTION("--core-only", OPTION_FLAG, core_only),
    OPTION("--statistics", OPTION_FLAG, statistics),
    OPTION("--full", OPTION_FLAG, full),
    OPTION("--quick", OPTION_FLAG, quick),
    OPTION("--strict", OPTION_FLAG, strict),
    OPTION("--identities", OPTION_FLAG, identities),
    {0},
};

static bool store(struct vkz_options *options, const struct option *o, const char *value)
{
    char *at = (char *)options + o->offset, *end = NULL;
    errno = 0;
    switch (o->kind) {
    case OPTION_FLAG:
        *(bool *)at = true;
        return true;
    case OPTION_TEXT:
        *(const char **)at = value;
        return true;
    case OPTION_REAL:
        *(double *)at = strtod(value, &end);
        return *value && !*end && *(double *)at > 0 && *(double *)at < 1e9;
    case OPTION_INT: {
        const long n = strtol(value, &end, 10);
        *(int *)at = (int)n;
        return *value && !*end && n > 0 && n < 1024;
    }
    case OPTION_SEED:
        *(uint64_t *)at = strtoull(value, &end, 0);
        return *value && *value != '-' && !*end && errno == 0;
    }
    return false;
}

static bool parse_options(int argc, char **argv, const char *verb,
                          struct vkz_options *options)
{
    for (int i = 0; i < argc; i++) {
        const char *arg = argv[i], *value = strchr(arg, '=');
        const size_t length = value && strncmp(arg, "--", 2) == 0 ? (size_t)(value - arg)
                                                                  : strlen(arg);
        const bool names_op = length == 4 && strncmp(arg, "--op", 4) == 0;
        if (strncmp(arg, "--", 2) != 0 || names_op) {
            if (names_op)
                arg = value ? value + 1 : i + 1 < argc ? argv[++i] : NULL;
            if (!arg || options->selector_count == VKZ_MAX_SELECTORS) {
                fprintf(stderr, "vkzoo: %s\n", arg ? "too many selectors" : "--op needs a name");
                return false;
            }
            options->selectors[options->selector_count++] = arg;
            continue;
        }
        const struct option *o = options_table;
        while (o->name && (strlen(o->name) != length || strncmp(o->name, arg, length) != 0))
            o++;
        if (!o->name) {
            fprintf(stderr, "vkzoo: unknown option %s; `vkzoo help %s` lists them\n", arg, verb);
            return false;
        }
        if (o->kind != OPTION_FLAG && !(value && arg[length] == '=')) {
            if (i + 1 == argc) {
                fprintf(stderr, "vkzoo: %s needs a value\n", o->name);
                return false;
            }
            value = argv[++i];
        } else if (value && arg[length] == '=') {
            value++;
        }
        if (!store(options, o, value)) {
            fprintf(stderr, "vkzoo: %s: %s is no valid value\n", o->name, value);
            return false;
        }
    }
    return true;
}

static const struct vkz_verb_entry *verb_find(const char *name)
{
    for (const struct vkz_verb_entry *v = vkz_verbs; v->name; v++) {
        if (strcmp(v->name, name) == 0)
            return v;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct vkz_options options = {.seed = 1};
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--version") == 0) {
        printf("vkzoo %s (%s)\n", VKZ_VERSION, VKZ_COMMIT);
        return VKZ_EXIT_OK;
    }
    const bool wants_help = strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 ||
                            strcmp(name, "-h") == 0;
    if (argc < 2 || (wants_help && argc == 2)) {
        print_help(argc < 2 ? stderr : stdout);
        return argc < 2 ? VKZ_EXIT_USAGE : VKZ_EXIT_OK;
    }
    const struct vkz_verb_entry *verb = verb_find(wants_help ? argv[2] : name);
    if (!verb) {
        fprintf(stderr, "vkzoo: there is no verb %s; `vkzoo help` lists them\n",
                wants_help ? argv[2] : name);
        return VKZ_EXIT_USAGE;
    }
    for (int i = 2; i < argc && !wants_help; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(verb->help, stdout);
            return VKZ_EXIT_OK;
        }
    }
    if (wants_help) {
        fputs(verb->help, stdout);
        return VKZ_EXIT_OK;
    }
    if (!parse_options(argc - 2, argv + 2, verb->name, &options))
        return VKZ_EXIT_USAGE;
    return verb->run(&options);
}
