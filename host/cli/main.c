// SPDX-License-Identifier: MIT
// vkzoo: reads the command line, finds the verb, runs it. Help texts live with the verbs'
// table below; the verbs in one file each.
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
     "  --brief           no identities, and 16-bit variants only of kernels without others\n"
     "  --jobs N          workers side by side (default: one a core, at most 4)\n"
     "  --out FILE        keep the outcomes as a result file; --resume FILE goes on with one\n"
     "  --timeout S       a case that says nothing for S seconds is hung (default 300)\n"
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
     "  --ab X Y          two settings of the same cases in turns, A B B A, in one run, and a\n"
     "                    verdict a case. X and Y are `;`-separated: kernel=K variant=V\n"
     "                    tuning=T spec='K=V K=V' spirv=K.V=FILE device=D cache=DIR, and\n"
     "                    NAME=VALUE in capitals for the environment of the driver. Hot\n"
     "                    timing only; results in <out>-a.jsonl and <out>-b.jsonl\n"
     "  --json            result lines on standard output instead of the table\n\n"
     "examples:\n"
     "  vkzoo bench                                  the quick suite\n"
     "  vkzoo bench gemm --ab variant=f32 variant=f16\n"
     "  vkzoo bench gemm --ab '' VK_DRIVER_FILES=/opt/mesa/lvp_icd.json\n"
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
    {"compare", "what became faster or slower from one result file to another",
     "usage: vkzoo compare A.jsonl B.jsonl [options]\n\n"
     "Cases are matched by case and variant. Verdicts: faster, slower, same (within 2 %),\n"
     "cannot tell (and why), broken (ran in A, wrong or dead in B). Faster and slower need an\n"
     "interval of the ratio that leaves 1 out, samples that differ (rank test), and more\n"
     "than 1 %. Means: cases weigh the same in their op, ops in their family.\n"
     "  --by case|kernel|op      what a row is (default case)\n"
     "  --format text|md|csv|json\n"
     "  --fail-on slower:3%      exit status 1 when a case is slower by more, or broken;\n"
     "                           77 when no case is in both files\n\n"
     "example: vkzoo compare before.jsonl after.jsonl --fail-on slower:3%\n",
     vkz_cmd_compare},
    {"report", "result files as one page with charts, as tables, or as one chart",
     "usage: vkzoo report FILE… [options]\n\n"
     "One page that needs no network: who was compared, means against a baseline, speed\n"
     "with intervals, fraction of the floor, time over length, roofline, accuracy, what runs\n"
     "where, launch costs, choices, every case. Files and lines that cannot be used are\n"
     "named and left out.\n"
     "  --out FILE               default report.html; other formats: standard output\n"
     "  --format html|md|csv|vega\n"
     "  --chart NAME             with vega: speedup, heatmap, scaling, roofline, accuracy;\n"
     "                           a picture: vl2vg chart.json | vg2svg > chart.svg\n"
     "  --export google-benchmark|nvbench   one file as those tools' JSON, for dashboards\n"
     "                           and scripts that read it: a repetition a sample\n\n"
     "example: vkzoo report results/*/*.jsonl -o report.html\n",
     vkz_cmd_report},
    {"history", "per device and case over commits: noise, and when it changed",
     "usage: vkzoo history DIR|FILE… [options]\n\n"
     "Every result file under the folders, in the order of their dates. A case's history is\n"
     "its hot medians on one device. Where the level changes (permutation test, 5 % a case,\n"
     "and more than 1 %), the first commit of the new level is named, and the driver where\n"
     "that changed too. Noise is the spread around the levels. Fewer than 8 runs say nothing.\n"
     "  --format text|md|csv|json\n\n"
     "example: vkzoo history results\n",
     vkz_cmd_history},
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
                 "77 nothing could run here, 99 the harness or the device failed,\n"
                 "130 interrupted.\n");
}

enum option_kind { OPTION_TEXT, OPTION_FLAG, OPTION_REAL, OPTION_INT, OPTION_SEED };
struct option {
    const char *name;
    enum option_kind kind;
    size_t offset;
    const char *verbs; // that have it
};
#define OPTION(name, kind, field, verbs)                                                       \
    {name, kind, offsetof(struct vkz_options, field), verbs}
#define RUNS "check bench"
#define DEVICES "info check bench peak worker"

static const struct option options_table[] = {
    OPTION("--device", OPTION_TEXT, device, DEVICES),
    OPTION("--tag", OPTION_TEXT, tags, RUNS),
    OPTION("--set", OPTION_TEXT, set, RUNS),
    OPTION("--kernel", OPTION_TEXT, kernel, RUNS),
    OPTION("--variant", OPTION_TEXT, variant, RUNS),
    OPTION("--tuning", OPTION_TEXT, tuning, RUNS),
    OPTION("--spec", OPTION_TEXT, spec, RUNS),
    OPTION("--out", OPTION_TEXT, out, RUNS " peak report"),
    OPTION("-o", OPTION_TEXT, out, RUNS " peak report"),
    OPTION("--resume", OPTION_TEXT, resume, RUNS),
    OPTION("--cache", OPTION_TEXT, cache_folder, DEVICES),
    OPTION("--spirv", OPTION_TEXT, spirv, RUNS " worker"),
    OPTION("--seed", OPTION_SEED, seed, RUNS),
    OPTION("--budget", OPTION_REAL, budget_ms, RUNS),
    OPTION("--timeout", OPTION_REAL, timeout_s, RUNS " peak"),
    OPTION("--jobs", OPTION_INT, workers, "check"),
    OPTION("--in-fd", OPTION_INT, fd_in, "worker"),
    OPTION("--out-fd", OPTION_INT, fd_out, "worker"),
    OPTION("--json", OPTION_FLAG, json, "info list lint compare history " RUNS " peak"),
    OPTION("--all-kernels", OPTION_FLAG, all_kernels, "bench"),
    OPTION("--fresh", OPTION_FLAG, fresh, "bench"),
    OPTION("--no-cold", OPTION_FLAG, no_cold, "bench"),
    OPTION("--no-ceilings", OPTION_FLAG, no_ceilings, "bench"),
    OPTION("--no-canary", OPTION_FLAG, no_canary, RUNS " peak worker"),
    OPTION("--floor-limits", OPTION_FLAG, floor_limits, DEVICES),
    OPTION("--core-only", OPTION_FLAG, core_only, DEVICES),
    OPTION("--statistics", OPTION_FLAG, statistics, "bench"),
    OPTION("--full", OPTION_FLAG, full, "peak"),
    OPTION("--quick", OPTION_FLAG, quick, "bench"),
    OPTION("--strict", OPTION_FLAG, strict, "lint"),
    OPTION("--by", OPTION_TEXT, by, "compare"),
    OPTION("--format", OPTION_TEXT, format, "compare report history"),
    OPTION("--export", OPTION_TEXT, export_format, "report"),
    OPTION("--chart", OPTION_TEXT, chart, "report"),
    OPTION("--fail-on", OPTION_TEXT, fail_on, "compare"),
    OPTION("--identities", OPTION_FLAG, identities, "check"),
    OPTION("--brief", OPTION_FLAG, brief, "check"),
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
        return *value && !*end && n > 0 && n <= 16;
    }
    case OPTION_SEED:
        *(uint64_t *)at = strtoull(value, &end, 0);
        return *value && *value != '-' && !*end && errno == 0;
    }
    return false;
}

// What store() takes.
static const char *option_wants(enum option_kind kind)
{
    return kind == OPTION_REAL   ? "a number above 0"
           : kind == OPTION_INT  ? "a whole number from 1 to 16"
           : kind == OPTION_SEED ? "a whole number from 0"
                                 : "one more word";
}

static bool has_verb(const struct option *o, const char *verb)
{
    const size_t length = strlen(verb);
    for (const char *p = o->verbs; *p; p += strcspn(p, " "), p += *p == ' ') {
        if (strcspn(p, " ") == length && strncmp(p, verb, length) == 0)
            return true;
    }
    return false;
}

// Says what is wrong with an option and where to look; false, for the caller to return.
__attribute__((format(printf, 2, 3))) static bool option_wrong(const char *verb,
                                                               const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fprintf(stderr, "vkzoo: ");
    vfprintf(stderr, format, list);
    fprintf(stderr, "; `vkzoo help %s` lists the options\n", verb);
    va_end(list);
    return false;
}

static bool add_selector(struct vkz_options *options, const char *selector)
{
    if (options->selector_count == VKZ_MAX_SELECTORS) {
        fprintf(stderr, "vkzoo: more than %d selectors; name a suite, or use --tag\n",
                VKZ_MAX_SELECTORS);
        return false;
    }
    options->selectors[options->selector_count++] = selector;
    return true;
}

// --ab X Y: either may be empty.
static bool parse_ab(int argc, char **argv, int *i, const char *verb,
                     struct vkz_options *options)
{
    if (strcmp(verb, "bench") != 0)
        return option_wrong(verb, "%s has no option --ab", verb);
    if (argv[*i][4] == '=' || *i + 2 >= argc)
        return option_wrong(verb, "--ab needs a value: expected two words, as in "
                                  "`--ab variant=f32 variant=f16`");
    options->ab[0] = argv[*i + 1];
    options->ab[1] = argv[*i + 2];
    *i += 2;
    return true;
}

// The option at argv[*i]; *i is moved to its last word.
static bool parse_option(int argc, char **argv, int *i, const char *verb,
                         struct vkz_options *options)
{
    const char *arg = argv[*i], *value = strchr(arg, '=');
    const size_t length = value ? (size_t)(value - arg) : strlen(arg);
    char name[64];
    const struct option *o = options_table;
    snprintf(name, sizeof name, "%.*s", (int)length, arg);
    const bool names_op = strcmp(name, "--op") == 0;
    if (strcmp(name, "--ab") == 0)
        return parse_ab(argc, argv, i, verb, options);
    while (o->name && strcmp(o->name, name) != 0)
        o++;
    if (!o->name && !names_op)
        return option_wrong(verb, "unknown option %s", name);
    if (o->name && !has_verb(o, verb))
        return option_wrong(verb, "%s has no option %s", verb, name);
    if (o->name && o->kind == OPTION_FLAG) {
        if (value)
            return option_wrong(verb, "%s takes no value, found %s", name, value + 1);
        return store(options, o, NULL);
    }
    const char *next = *i + 1 < argc ? argv[*i + 1] : NULL;
    if (next && strncmp(next, "--", 2) == 0)
        next = NULL;
    *i += !value && next;
    value = value ? value + 1 : next;
    if (!value || !*value)
        return option_wrong(verb, "%s needs a value: expected %s", name,
                            names_op ? "the name of an op" : option_wants(o->kind));
    if (names_op)
        return add_selector(options, value);
    if (!store(options, o, value)) {
        fprintf(stderr, "vkzoo: %s: expected %s, found %s\n", name, option_wants(o->kind),
                value);
        return false;
    }
    return true;
}

static bool parse_options(int argc, char **argv, const char *verb,
                          struct vkz_options *options)
{
    for (int i = 0; i < argc; i++) {
        if (!(argv[i][0] == '-' ? parse_option(argc, argv, &i, verb, options)
                                : add_selector(options, argv[i])))
            return false;
    }
    return true;
}

// Standard streams that the caller closed are opened on nothing: otherwise the next file
// or pipe would get their number, and what is printed would end up in it.
static void open_standard_streams(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

// A table that could not be written must not pass for one that was.
static int flush_output(int exit_code)
{
    errno = 0;
    const bool failed = ferror(stdout) != 0;
    const bool written = fflush(stdout) == 0 && !failed;
    if (written || exit_code == VKZ_EXIT_HARNESS || errno == EPIPE)
        return exit_code; // or reported already, or the reader has read enough
    fprintf(stderr, "vkzoo: cannot write to standard output: %s\n",
            errno ? strerror(errno) : "a part of it was lost");
    return exit_code == VKZ_EXIT_OK ? VKZ_EXIT_HARNESS : exit_code;
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
    open_standard_streams();
    if (strcmp(name, "--version") == 0) {
        printf("vkzoo %s (%s)\n", VKZ_VERSION, VKZ_COMMIT);
        return flush_output(VKZ_EXIT_OK);
    }
    bool wants_help = strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 ||
                      strcmp(name, "-h") == 0;
    if (argc < 2 || (wants_help && argc == 2)) {
        print_help(argc < 2 ? stderr : stdout);
        return argc < 2 ? VKZ_EXIT_USAGE : flush_output(VKZ_EXIT_OK);
    }
    const struct vkz_verb_entry *verb = verb_find(wants_help ? argv[2] : name);
    if (!verb) {
        fprintf(stderr, "vkzoo: there is no verb %s; `vkzoo help` lists them\n",
                wants_help ? argv[2] : name);
        return VKZ_EXIT_USAGE;
    }
    for (int i = 2; i < argc; i++)
        wants_help = wants_help || strcmp(argv[i], "--help") == 0 ||
                     strcmp(argv[i], "-h") == 0;
    if (wants_help) {
        fputs(verb->help, stdout);
        return flush_output(VKZ_EXIT_OK);
    }
    if (!parse_options(argc - 2, argv + 2, verb->name, &options))
        return VKZ_EXIT_USAGE;
    return flush_output(verb->run(&options));
}
