// SPDX-License-Identifier: MIT
// block_list: the key tiles in which a sparsity pattern has anything to see, contract and
// reference.
#include "ops/sparse/pattern.h"

#include <string.h>

#define LIST_BATCH "(PATTERN == PATTERN.doc || PATTERN == PATTERN.bitmap ? batch : 1)"
#define LIST_HEADS "(PATTERN == PATTERN.fixed || PATTERN == PATTERN.bitmap ? heads : 1)"
#define ROWS "ceildiv(q_len, br)"
#define TILES "ceildiv(kv_len, bc)"

static const struct vkz_dim dims[] = {
    {"batch", "independent sequences", "1"},
    {"heads", "query heads", "1"},
    {"q_len", "queries of a sequence; the last stands at the last key", NULL},
    {"kv_len", "keys of a sequence", "q_len"},
    {"br", "queries of a tile", "64"},
    {"bc", "keys of a tile", "64"},
    {"nnz", "room for entries; the default holds every tile of every list",
     "batch * heads * " ROWS " * " TILES},
    {0},
};

static const struct vkz_scalar scalars[] = {
    {"l", "64", "stride, or width of the local window"},
    {"cw", "8", "fixed: summary columns of a stride"},
    {"nv", "4", "fixed: heads take their summaries from nv places in turn"},
    {"wl", "64", "longformer, bigbird: keys seen to either side"},
    {"ng", "1", "longformer, bigbird: global tokens"},
    {"nr", "2", "bigbird: random tiles of a row of tiles"},
    {0},
};

static const struct vkz_axis axes[] = {
    {"PATTERN", VKZ_PATTERN_VALUES, "which pairs are visible"},
    {0},
};

static const struct vkz_tensor tensors[] = {
    {"seg", VKZ_IN, "i32", "batch, kv_len", "PATTERN == PATTERN.doc", "op",
     "document of every token; documents are consecutive"},
    {"bits", VKZ_IN, "u32", "batch, heads, " ROWS ", ceildiv(" TILES ", 32)",
     "PATTERN == PATTERN.bitmap", "op", "bit c % 32 of word c / 32: key tile c is shown"},
    {"start", VKZ_OUT, "i32", LIST_BATCH ", " LIST_HEADS ", " ROWS " + 1", NULL, NULL,
     "where the list of each row of tiles begins; the last element: where the last ends"},
    {"cols", VKZ_OUT, "i32", "nnz", NULL, NULL,
     "key tiles, ascending in every list; -1 past the last list"},
    {"flags", VKZ_OUT, "u32", "nnz", NULL, NULL,
     "0: every pair of the tile is visible, 1: some are not; 0 past the last list"},
    {0},
};

static void fill(struct vkz_fill *fill, const char *tensor)
{
    const int64_t count = vkz_fill_count(fill);
    int32_t *out = vkz_fill_int(fill);
    if (tensor[0] == 'b') { // a quarter of the bits
        for (int64_t i = 0; i < count; i++) {
            const double a = vkz_fill_uniform(fill, (uint64_t)(2 * i));
            const double b = vkz_fill_uniform(fill, (uint64_t)(2 * i + 1));
            out[i] = (int32_t)((uint32_t)(a * 0x1p32) & (uint32_t)(b * 0x1p32));
        }
        return;
    }
    const int64_t kv_len = (int64_t)vkz_fill_value(fill, "kv_len");
    for (int64_t i = 0; i < count; i++) { // five documents a sequence on average
        const bool next = vkz_fill_uniform(fill, (uint64_t)i) * (double)kv_len < 5;
        out[i] = i % kv_len == 0 ? 0 : out[i - 1] + next;
    }
}

// A list's numbers, everything looked up once.
struct builder {
    struct pattern x;
    int64_t q_len, kv_len, br, bc, rows, tiles, nr, nnz;
    const int32_t *bits; // of this batch and head
};

// 0: nothing of the tile is visible, 1: all of it, 2: some of it.
static int look(const struct builder *b, int64_t row, int64_t tile)
{
    const int64_t delta = b->kv_len - b->q_len;
    const int64_t i1 = (row + 1) * b->br < b->q_len ? (row + 1) * b->br : b->q_len;
    const int64_t j1 = (tile + 1) * b->bc < b->kv_len ? (tile + 1) * b->bc : b->kv_len;
    bool some = false, all = true;
    if (b->x.kind == PATTERN_BITMAP) {
        const int64_t word = row * ((b->tiles + 31) / 32) + tile / 32;
        if (((uint32_t)b->bits[word] >> tile % 32 & 1) == 0) {
            return 0;
        }
    }
    if (b->x.kind == PATTERN_BIGBIRD) {
        int64_t drawn[PATTERN_RANDOM_MAX];
        const int64_t count = pattern_random(row, b->nr, b->tiles, drawn);
        for (int64_t n = 0; n < count; n++) {
            if (drawn[n] == tile) {
                return 1;
            }
        }
    }
    for (int64_t i = row * b->br; i < i1 && !(some && !all); i++) {
        for (int64_t j = tile * b->bc; j < j1 && !(some && !all); j++) {
            const bool seen = (i + delta >= 0 || b->x.kind == PATTERN_LONGFORMER ||
                               b->x.kind == PATTERN_BIGBIRD) &&
                              pattern_sees(&b->x, i + delta, j);
            some = some || seen;
            all = all && seen;
        }
    }
    return !some ? 0 : all ? 1 : 2;
}

static void reference(struct vkz_ref *ref, int64_t unit)
{
    (void)unit;
    struct builder b = {
        .x = {.kind = (int)vkz_ref_dim(ref, "PATTERN"), .l = vkz_ref_dim(ref, "l"),
              .cw = vkz_ref_dim(ref, "cw"), .nv = vkz_ref_dim(ref, "nv"),
              .wl = vkz_ref_dim(ref, "wl"), .ng = vkz_ref_dim(ref, "ng")},
        .q_len = vkz_ref_dim(ref, "q_len"), .kv_len = vkz_ref_dim(ref, "kv_len"),
        .br = vkz_ref_dim(ref, "br"), .bc = vkz_ref_dim(ref, "bc"),
        .nr = vkz_ref_dim(ref, "nr"), .nnz = vkz_ref_dim(ref, "nnz"),
    };
    b.rows = (b.q_len + b.br - 1) / b.br;
    b.tiles = (b.kv_len + b.bc - 1) / b.bc;
    const bool by_batch = b.x.kind == PATTERN_DOC || b.x.kind == PATTERN_BITMAP;
    const bool by_head = b.x.kind == PATTERN_FIXED || b.x.kind == PATTERN_BITMAP;
    const int64_t batches = by_batch ? vkz_ref_dim(ref, "batch") : 1;
    const int64_t heads = by_head ? vkz_ref_dim(ref, "heads") : 1;
    const int32_t *seg = vkz_ref_in_int(ref, "seg"), *bits = vkz_ref_in_int(ref, "bits");
    double *start = vkz_ref_out(ref, "start");
    double *cols = vkz_ref_out(ref, "cols"), *flags = vkz_ref_out(ref, "flags");
    int64_t count = 0;
    for (int64_t list = 0; list < batches * heads; list++) {
        b.x.seg = seg != NULL ? seg + list / heads * b.kv_len : NULL;
        b.bits = bits != NULL ? bits + list * b.rows * ((b.tiles + 31) / 32) : NULL;
        pattern_head(&b.x, list % heads);
        for (int64_t row = 0; row < b.rows; row++) {
            start[list * (b.rows + 1) + row] = (double)count;
            for (int64_t tile = 0; tile < b.tiles; tile++) {
                const int seen = look(&b, row, tile);
                if (seen != 0 && count < b.nnz) {
                    cols[count] = (double)tile;
                    flags[count] = seen - 1;
                }
                count += seen != 0;
            }
        }
        start[list * (b.rows + 1) + b.rows] = (double)count;
    }
    for (; count < b.nnz; count++) {
        cols[count] = -1;
        flags[count] = 0;
    }
}

VKZ_OP(block_list) = {
    .name = "block_list",
    .family = "sparse",
    .abi = 1,
    .title = "lists of the key tiles in which a sparsity pattern has anything to see",
    .doc = "A key tile is listed for a row of tiles iff a query of the row sees a key of\n"
           "the tile; its flag is 0 iff every one of its queries sees every one of its\n"
           "keys. With p = i + kv_len - q_len, query i sees key j <= p when\n"
           "  local           p - l < j\n"
           "  strided         (p - j) mod l = 0\n"
           "  strided_merged  either of these\n"
           "  fixed           floor(p / l) = floor(j / l), or\n"
           "                  l - cw (v + 1) <= j mod l < l - cw v,  v = head mod nv\n"
           "  doc             seg[p] = seg[j]\n"
           "  bitmap          the bit of the row and the tile is set\n"
           "and, not causal,\n"
           "  longformer      |p - j| <= wl, or p < ng, or j < ng\n"
           "  bigbird         the same, or the tile is one of nr random ones of its row:\n"
           "                  draw n is word 0 of Philox4x32-10, key (0x62696762,\n"
           "                  0x69726421), counter (row, n, 0, 0), modulo the number of\n"
           "                  tiles, then the next tile not drawn yet\n"
           "Lists exist once for each batch (doc, bitmap) and head (fixed, bitmap) that the\n"
           "pattern depends on. Entries beyond nnz are dropped; start tells how many there\n"
           "would be.\n"
           "\n"
           "Sparse Transformers arXiv 1904.10509; Longformer 2004.05150; BigBird\n"
           "2007.14062.",
    .dims = dims,
    .scalars = scalars,
    .axes = axes,
    .tensors = tensors,
    .valid = "l >= 1 && l == floor(l) && cw >= 1 && cw == floor(cw) && nv >= 1 && "
             "nv == floor(nv) && wl >= 0 && wl == floor(wl) && ng >= 0 && ng == floor(ng) "
             "&& nr >= 0 && nr <= 16 && nr == floor(nr)",
    .valid_reason = "l, cw and nv must be whole numbers of at least 1, wl, ng and nr of at "
                    "least 0; nr is at most 16",
    .flops = LIST_BATCH " * " LIST_HEADS " * " ROWS " * " TILES,
    .tolerance = VKZ_TOL_EXACT,
    .metric = VKZ_METRIC_BYTES,
    .unit = "int",
    .reference = reference,
    .fill = fill,
    .bitwise = true,
};
