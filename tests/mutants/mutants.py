# SPDX-License-Identifier: MIT
# Wrong kernels that the check must reject: single mistakes made in the real shaders.
#
# To add one: the shader tree's file, a piece of its text that is there exactly once
# (differences in white space do not matter), and what stands there instead. The case is
# the smallest on which the mistake shows, on any device unless `cpu` is set; a mistake
# that cannot show is left out.
"""The mutants."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """A kernel, a case, and the edits [(file under shaders/, text, replacement)]."""

    name: str
    kernel: str
    case: str
    edits: tuple
    variant: str = "f32"
    tuning: str = "default"
    spec: str = ""
    pass_: str = ""  # of a kernel with several, the one that is mutated
    cpu: bool = False  # shows for certain only where subgroups run one after another


GEMM = "gemm/io.glsl"
NAIVE = "gemm/gemm_naive.comp"
TILE = "lib/tile.glsl"
ATTENTION = "attention/io.glsl"
SCORE = "lib/score.glsl"
FLASH = "lib/flash.glsl"
UNFUSED = "attention/attention_naive.comp"
DECODE = "attention/attention_decode_splitkv.comp"

STATE = "linear/state_recurrent.glsl"
CHUNKS = "linear/state_chunk.glsl"
BACK = "linear/state_backward.glsl"

ODD = "gemm@m=7,n=17,k=33"
LANE = "attention@batch=1,heads=2,kv_heads=2,q_len=37,kv_len=67,head_dim=16,v_dim=16"
# Scores whose exponentials overflow, so far apart that the largest takes all: exact.
HOT = ("attention@batch=1,heads=2,kv_heads=2,q_len=37,kv_len=3,head_dim=16,v_dim=16,"
       "tau=3000")
BLOCKS = ("block_sparse_attention@batch=1,heads=2,q_len=40,head_dim=16,br=8,bc=8,"
          "density=0.5")
SPLIT = ("attention_decode@batch=1,heads=1,kv_heads=1,q_len=1,kv_len=509,head_dim=16,"
         "v_dim=16")
SELECT = "lib/select.glsl"
POOLED = "sparse/pooled.glsl"
TOPK = "topk_select@rows=16,n=257,top=31"
CHOSEN = ("block_select@batch=1,heads=4,kv_heads=2,len=200,head_dim=16,lc=4,st=2,ls=4,"
          "top=5")
GATHERED = "gathered_attention@batch=1,heads=8,q_len=20,kv_len=50,head_dim=16,top=20"
NATIVE = ("native_sparse_attention@batch=1,heads=4,kv_heads=2,len=67,head_dim=16,lc=4,"
          "st=2,ls=4,top=5,wl=9")
DELTA = ("delta_rule@batch=1,heads=2,kv_heads=2,len=37,head_dim=20,v_dim=24,GATE=scalar,"
         "INIT=on,FINAL=on")
DELTA_BACK = DELTA.replace("delta_rule", "delta_rule_backward")
GATED = ("gated_linear_attention@batch=1,heads=2,len=37,head_dim=20,v_dim=24,INIT=on,"
         "FINAL=on")

COMBINER = "combiner_attention@batch=1,heads=1,len=20,head_dim=8,sg=5"
MOBA = "moba_attention@batch=1,heads=1,len=96,head_dim=8,bs=8,top=3"
HALO_MAP = "halo_attention@batch=1,hh=8,ww=8,heads=1,head_dim=8,bs=4,halo=1,REL=on"
PIXELS = "aggregated_attention@batch=1,heads=1,hh=5,ww=7,head_dim=8,win=3,np=9"
CONV = "gatedconv@batch=1,height=5,img_width=6,width=8,conv_width=4,ksize=3"

CHUNK = "lib/chunk.glsl"
RECURRENCE = ("linear_attention@batch=1,heads=2,len=37,head_dim=16,v_dim=16,"
              "DECAY=token")

MUTANTS = (
    # --- gemm ---
    Mutant("last step of k skipped", "gemm_naive", ODD,
           ((NAIVE, "kk < pc.k;", "kk + 1 < pc.k;"),)),
    Mutant("<= for < over k", "gemm_naive", ODD,
           ((NAIVE, "kk < pc.k;", "kk <= pc.k;"),)),
    Mutant("sum begins above zero", "gemm_naive", ODD,
           ((NAIVE, "float sum = 0.0;", "float sum = 0.01;"),)),
    Mutant("indices of a swapped", "gemm_naive", ODD,
           ((GEMM, "r * pc.k + kk", "kk * pc.m + r"),)),
    Mutant("stride of c is m", "gemm_naive", ODD,
           ((GEMM, "c[base_c() + row * pc.n + col] =",
             "c[base_c() + row * pc.m + col] ="),)),
    Mutant("columns past the edge stored", "gemm_naive", ODD,
           ((GEMM, "if (row < pc.m && col < pc.n) { c[base_c()",
             "if (row < pc.m) { c[base_c()"),)),
    Mutant("alpha ignored", "gemm_naive", ODD + ",alpha=0.5",
           ((GEMM, "pc.alpha * sum", "sum"),)),
    Mutant("c0 added after the scale", "gemm_naive", ODD + ",EPILOGUE=scale_row,beta=-2",
           ((GEMM, "pc.beta * vkz_load(c0[i])",
             "pc.beta * vkz_load(c0[i]) / scale[row]"),)),
    Mutant("activation before the bias", "gemm_naive", ODD + ",EPILOGUE=bias_relu",
           ((GEMM, "v += bias[col];", "v = vkz_relu(v) + bias[col];"),)),
    Mutant("barrier before the tile is read dropped", "gemm_tile", "gemm@m=64,n=64,k=64",
           ((TILE, "barrier(); if (q + TILE_Q < q_end)", "if (q + TILE_Q < q_end)"),),
           cpu=True),
    Mutant("last tile not fetched", "gemm_tile", "gemm@m=64,n=64,k=64",
           ((TILE, "if (q + TILE_Q < q_end)", "if (q + 2 * TILE_Q < q_end)"),)),
    Mutant("tail of k not masked", "gemm_tile", "gemm@m=17,n=17,k=33",
           ((GEMM, "row + i < pc.m ? inside_or_zero(block[i], 4 * q, pc.k) : vec4(0.0)",
             "block[i]"),
            (GEMM, "4 * q + x < pc.k ? inside_or_zero(block[x], col, pc.n) : vec4(0.0)",
             "block[x]"))),
    Mutant("rows taken from another lane's block", "gemm_tile", "gemm@m=64,n=64,k=64",
           ((TILE, "lm + i * TILE_LANES_M];", "lm * (REG_M / 4) + i];"),), tuning="reg8"),
    Mutant("one split of k forgotten", "gemm_splitk", "gemm@m=33,n=17,k=256",
           (("gemm/gemm_splitk.comp", "split < SPLIT; ++split",
             "split + 1 < SPLIT; ++split"),),
           tuning="split2", pass_="reduce"),
    # --- attention ---
    Mutant("maximum not subtracted", "attention_naive", HOT,
           ((UNFUSED, "m = reduce(m, true);", "m = 0.0 * reduce(m, true);"),),
           pass_="softmax"),
    Mutant("maximum subtracted from the sum only", "attention_naive", LANE,
           ((UNFUSED, "p[base + j] = vkz_exp2(p[base + j] - m, EXP)",
             "p[base + j] = vkz_exp2(p[base + j], EXP)"),), pass_="softmax"),
    Mutant("scale halved", "attention_naive", LANE,
           ((ATTENTION, ": pc.tau * SCORE_UNIT", ": 0.5 * pc.tau * SCORE_UNIT"),),
           pass_="scores"),
    Mutant("causal mask off by one", "attention_lane", LANE + ",MASK=causal",
           ((SCORE, "case MASK_CAUSAL: return key <= p;",
             "case MASK_CAUSAL: return key < p;"),)),
    Mutant("window one too short", "attention_lane", LANE + ",MASK=window,wl=5,wr=3",
           ((SCORE, "key >= p - s.wl", "key > p - s.wl"),)),
    Mutant("kv heads dealt round", "attention_lane",
           LANE.replace("heads=2,", "heads=4,", 1),
           ((ATTENTION, "head / (pc.heads / pc.kv_heads)", "head % pc.kv_heads"),)),
    Mutant("sink forgotten", "attention_lane", LANE + ",SINK=learned",
           ((ATTENTION, "vkz_exp2_accurate(m - top) + vkz_exp2_accurate(x - top);",
             "vkz_exp2_accurate(m - top);"),)),
    Mutant("lse without the maximum", "attention_lane", LANE + ",LSE=on",
           ((ATTENTION, "(top + vkz_log2(sum)) * VKZ_LN2", "vkz_log2(sum) * VKZ_LN2"),)),
    Mutant("soft cap left out", "attention_lane", LANE + ",CAP=on,cap=5,fill.q=heavy",
           ((SCORE, "s.cap * vkz_tanh(x / s.cap)", "x"),)),
    Mutant("ALiBi slope of the head before", "attention_lane", LANE + ",BIAS=alibi",
           ((SCORE, "slope0 * float(head + 1u)", "slope0 * float(head)"),)),
    Mutant("sum not rescaled", "attention_lane", LANE,
           ((FLASH, "fma(flash_l[r], rescale[r], sum)", "flash_l[r] + sum"),)),
    Mutant("keys past the end counted", "attention_lane", LANE,
           ((FLASH, "span.at + int(j) < span.end &&", ""),)),
    Mutant("barrier after staging dropped", "attention_tile", LANE,
           (("lib/flash_tile.glsl", "_slice_(s, row0, uint(j0), c0); barrier();",
             "_slice_(s, row0, uint(j0), c0);"),), cpu=True),
    Mutant("one share of the keys not combined", "attention_decode_splitkv", SPLIT,
           ((DECODE, "i < splits; i++) { const uint at",
             "i + 1 < splits; i++) { const uint at"),), spec="SPLIT=4", pass_="combine"),
    Mutant("last share goes past the keys", "attention_decode_splitkv", SPLIT,
           ((DECODE, "keys.y = min(keys.y, keys.x + share);",
             "keys.y = keys.x + share;"),),
           spec="SPLIT=4", pass_="partial"),
    # --- segments, blocks, windows and ranges ---
    Mutant("range one key longer", "range_attention_row",
           "range_attention@batch=1,heads=1,q_len=9,kv_len=33,head_dim=8,span=5",
           (("sparse/range_attention_row.comp", "max(high - low - 1, 0)",
             "max(high - low, 0)"),)),
    Mutant("a segment sees its own summary", "combiner_attention_twopass", COMBINER,
           (("sparse/combiner.glsl", "earlier = tile / tiles;",
             "earlier = tile / tiles + 1u;"),
            ("sparse/combiner.glsl", "gl_WorkGroupID.y * pc.len + earlier * pc.sg",
             "gl_WorkGroupID.y * pc.len + (earlier - 1u) * pc.sg")), pass_="main"),
    Mutant("only the first chunk of a segment summarised", "combiner_attention_twopass",
           "combiner_attention@batch=1,heads=1,len=99,head_dim=8,sg=33",
           (("sparse/combiner.glsl", "j0 < pc.sg; j0 += CHUNK", "j0 < 1u; j0 += CHUNK"),),
           pass_="summary"),
    Mutant("the own block is not forced", "moba_attention_masked", MOBA,
           (("sparse/moba.glsl", "bool seen = n == row / pc.bs;", "bool seen = false;"),),
           pass_="main"),
    Mutant("of equal gates the last block wins", "moba_attention_masked",
           MOBA + ",fill.k=dup",
           (("sparse/moba.glsl", "chosen[i] == NONE || x > best[i]",
             "chosen[i] == NONE || x >= best[i]"),), pass_="gate"),
    Mutant("chosen blocks lost where others push in", "moba_attention_inverted", MOBA,
           (("sparse/moba.glsl", "x = y; n = m;", ""),), pass_="gate"),
    Mutant("last tile of a list forgotten", "moba_attention_inverted", MOBA,
           (("sparse/moba.glsl", "(count + TILE_ROWS - 1u) / TILE_ROWS",
             "count / TILE_ROWS"),),
           pass_="scan"),
    Mutant("sums of the slots not rescaled", "moba_attention_inverted", MOBA,
           (("sparse/moba.glsl", "w = vkz_exp2_accurate(x.x - top);", "w = 1.0;"),),
           pass_="own"),
    Mutant("relative row off by one", "halo_attention_block", HALO_MAP,
           (("sparse/halo.glsl", "int(u + W0) - int(ROWS + by0)",
             "int(u + W0) - int(ROWS + by0) - 1"),)),
    Mutant("relative column mirrored", "halo_attention_block", HALO_MAP,
           (("sparse/halo.glsl", "load_rw(wx + W0 - 1u - bx, c)",
             "load_rw(bx + W0 - 1u - min(wx, BS - 1u), c)"),)),
    Mutant("border counted as whole window", "aggregated_attention_row", PIXELS,
           (("sparse/aggregated.glsl", "places(x, int(pc.ww)) * places(y, int(pc.hh))",
             "int(AREA)"),), pass_="main"),
    Mutant("learnable tokens divided by the sum", "aggregated_attention_row",
           PIXELS + ",TOKENS=on",
           (("sparse/aggregated.glsl", "fma(place_token[w], sum, weight)",
             "place_token[w] + weight"),), pass_="main"),
    Mutant("kernel flipped", "gatedconv_strip", CONV,
           (("mixer/gatedconv_strip.comp", "taps[s + v], sums",
             "taps[s + KSIZE - 1u - v], sums"),)),
    Mutant("gate and value swapped", "gatedconv_strip", CONV,
           (("mixer/gatedconv_strip.comp", "activate4(gate) * z :",
             "activate4(z) * gate :"),)),
    # --- recurrent networks, memories, alignment, masking ---
    Mutant("input and forget gate swapped", "lstm_resident",
           "lstm@batch=3,len=9,hid=7",
           (("linear/lstm_walk.glsl",
             "i = gate_sigmoid(vkz_load(gx[x]) + acc[r]); const float f = "
             "gate_sigmoid(vkz_load(gx[x + HID]) + acc[ROWS + r]);",
             "f = gate_sigmoid(vkz_load(gx[x]) + acc[r]); const float i = "
             "gate_sigmoid(vkz_load(gx[x + HID]) + acc[ROWS + r]);"),)),
    Mutant("reverse begins past the end of the sequence", "lstm_resident",
           "lstm@batch=4,len=9,hid=7,DIR=reverse,LENS=on",
           (("linear/lstm_walk.glsl", "DIR == 0 ? s : valid - 1u - s;",
             "DIR == 0 ? s : pc.len - 1u - s;"),)),
    Mutant("state read while it is written", "lstm_resident", "lstm@batch=3,len=9,hid=37",
           (("linear/lstm_walk.glsl", "const uint to = ROWS * PITCH - from;",
             "const uint to = from;"),), cpu=True),
    Mutant("gradient of the cell forgets", "lstm_backward_resident",
           "lstm_backward@batch=2,len=6,hid=12,CACHE=on",
           (("linear/lstm_backward_resident.comp", "dc0[row * HID + j] = dc * f;",
             "dc0[row * HID + j] = dc;"),), pass_="walk"),
    Mutant("frame added to another frame's sum", "fsmn_memory_window",
           "fsmn_memory@batch=2,len=40,width=37,w=4,AHEAD=on,ahead=3",
           (("linear/fsmn_memory_window.comp", "sum[B_TAPS] += frame;",
             "sum[0] += frame;"),)),
    Mutant("convolved instead of correlated", "hrr_attention_direct",
           "hrr_attention@batch=1,heads=2,len=5,head_dim=7",
           (("linear/hrr_attention_direct.comp", "fma(x, near[i + j], acc[4u * r + i])",
             "fma(x, near[i + 3u - j], acc[4u * r + i])"),), pass_="cosine"),
    Mutant("carry of the scan left out", "monotonic_alignment_scan",
           "monotonic_alignment@batch=2,u=5,len=67",
           (("sparse/monotonic_alignment_scan.comp", "float chance = before.y;",
             "float chance = 0.0;"),)),
    Mutant("one token too many masked", "token_mask_select",
           "token_mask@batch=5,len=300,ratio=0.5",
           (("sparse/token_mask_select.comp", "max(wanted, 1u) - 1u", "wanted"),),
           variant="i32"),
    Mutant("the same tokens masked in every row", "token_mask_select",
           "token_mask@batch=5,len=300,ratio=0.5",
           (("sparse/token_mask_select.comp", "uvec4(position, row, 0u, 0u)",
             "uvec4(position, 0u, 0u, 0u)"),), variant="i32"),
    Mutant("token past the end of the row masked", "token_mask_select",
           "token_mask@batch=5,len=300,ratio=1",
           (("sparse/token_mask_select.comp", "if (t < valid && wanted > 0u)",
             "if (wanted > 0u)"),), variant="i32"),
    # --- selection ---
    Mutant("all of the equal selected", "topk_select_radix", TOPK + ",fill.x=op",
           ((SELECT, "(key == cut.key && before < cut.equal)", "key == cut.key"),)),
    Mutant("runs dealt to the lanes backwards", "topk_select_radix", TOPK,
           ((SELECT, "min(base + lane * per, n)",
             "min(base + (lanes - 1u - lane) * per, n)"),)),
    Mutant("half of the digits counted", "topk_select_radix", TOPK,
           ((SELECT, "select_count_((x >> shift) & 0xffu);",
             "select_count_((x >> shift) & 0x7fu);"),)),
    Mutant("minus infinity counted", "topk_select_radix",
           "topk_select@rows=16,n=100,top=95,fill.x=op",
           ((SELECT, "if (x > SELECT_NEVER && (", "if (("),)),
    Mutant("zeros told apart by their sign", "topk_select_radix",
           "topk_select@rows=16,n=257,top=128,fill.x=op",
           ((SELECT, "x == 0.0 ? 0u : floatBitsToUint(x)", "floatBitsToUint(x)"),)),
    Mutant("one equal too few", "topk_select_filter", "topk_select@rows=8,n=5000,top=100",
           (("sparse/topk_select_filter.comp", "cut.equal = pc.top - above;",
             "cut.equal = pc.top - above - 1u;"),)),
    Mutant("ties to the higher block", "block_select_shared", CHOSEN + ",fill.kc=dup",
           ((SELECT, "(key == mine && j < i)", "(key == mine && j > i)"),)),
    Mutant("the block before not forced", "block_select_shared", CHOSEN,
           ((POOLED, "j == own || j + 1u == own;", "j == own;"),)),
    Mutant("stripe of the block before forgotten", "block_select_lane", CHOSEN,
           (("sparse/block_importance.glsl", "const uint begin = max(c, b * stripes);",
             "const uint begin = max(c + 1u, b * stripes);"),)),
    Mutant("block seen one token early", "compressed_attention_lane",
           "compressed_attention@batch=1,heads=2,len=77,head_dim=16,lc=8,st=4",
           (("sparse/compressed_io.glsl", "int((row + 1u - pc.lc) / pc.st)",
             "int((row + 2u - pc.lc) / pc.st)"),), pass_="main"),
    Mutant("mean over one row less", "compressed_attention_lane",
           "compressed_attention@batch=1,heads=2,len=77,head_dim=16,lc=8,st=4,PHI=mean",
           (("sparse/compressed_io.glsl", "sum += pool_k(first + j, c);",
             "sum += j > 0u ? pool_k(first + j, c) : vec4(0.0);"),), pass_="pool"),
    Mutant("tokens after the query seen", "gathered_attention_lane", GATHERED,
           (("sparse/gathered_io.glsl", "token >= 0 && token <= io_position",
             "token >= 0"),)),
    Mutant("holes in the list seen", "gathered_attention_lane", GATHERED,
           (("sparse/gathered_io.glsl", "token >= 0 && token <= io_position",
             "token <= io_position"),)),
    Mutant("scores not rectified", "index_score_pack",
           "index_score@batch=1,q_len=20,kv_len=40,hi=5,di=16",
           (("sparse/index_io.glsl", "mix(dots, vec4(0.0), lessThanEqual(dots, vec4(0.0)))",
             "dots"),), pass_="main"),
    Mutant("window one too short", "native_sparse_attention_lane", NATIVE,
           (("sparse/native_io.glsl", "max(io_i - int(pc.wl), 0)",
             "max(io_i - int(pc.wl) + 1, 0)"),), pass_="main"),
    Mutant("gate of the other branch", "native_sparse_attention_lane", NATIVE,
           (("sparse/native_io.glsl", "1u + io_branch]", "2u - io_branch]"),),
           pass_="main"),
    Mutant("selected tokens not cut at the query", "native_sparse_attention_lane", NATIVE,
           (("sparse/native_io.glsl", "min((block + 1) * int(pc.ls), io_i + 1)",
             "min((block + 1) * int(pc.ls), int(pc.len))"),), pass_="main"),
    # --- the chunk engine ---
    Mutant("gate left out of the state", "linear_attention_lane", RECURRENCE,
           ((CHUNK, "s0 *= passed.x;", ""),)),
    Mutant("state not carried to the next chunk", "linear_attention_lane", RECURRENCE,
           ((CHUNK, "chunk_step_(t, end, j, parts);",
             "chunk_begin(j, false); chunk_step_(t, end, j, parts);"),)),
    Mutant("tokens do not see themselves", "linear_attention_lane", RECURRENCE,
           ((CHUNK, "if (s <= t)", "if (s < t)"),)),
    Mutant("a token decays by its own gate", "linear_attention_lane", RECURRENCE,
           ((CHUNK, "const bool later = t > g * SUBGROUP + lane;",
             "const bool later = t >= g * SUBGROUP + lane;"),)),
    Mutant("gates past the end decay the last state", "linear_attention_lane",
           RECURRENCE + ",FINAL=on",
           ((CHUNK, "gate[g] = valid[g] ? chunk_exp_(chunk_gate(token[g])) : 1.0;",
             "gate[g] = chunk_exp_(chunk_gate(token[g]));"),)),
    Mutant("last row of the state not written", "linear_attention_lane",
           RECURRENCE + ",FINAL=on",
           ((CHUNK, "row < HEAD_DIM; row++) { chunk_store_s",
             "row + 1 < HEAD_DIM; row++) { chunk_store_s"),)),
    Mutant("sum without the entering state", "linear_attention_lane",
           RECURRENCE + ",FEATURE=elu1,NORMALISE=sum",
           ((CHUNK, "float sum = chunk_sum_[t] * reach[t];", "float sum = 0.0;"),)),
    Mutant("last slice of the rows not added", "linear_attention_recurrent", RECURRENCE,
           (("lib/recurrent.glsl", "i < SLICES; i++", "i + 1 < SLICES; i++"),),
           spec="WG_SIZE=16 SLICES=2"),
    Mutant("initial state forgotten", "linear_attention_recurrent",
           RECURRENCE + ",INIT=on",
           (("lib/recurrent.glsl", "load && (RECURRENT_WHOLE || row < HEAD_DIM)",
             "false"),)),
    Mutant("decay inside a chunk one token short", "linear_attention_chunk", RECURRENCE,
           (("lib/chunk_tile.glsl", "u <= t; u++", "u < t; u++"),)),
    Mutant("barrier before the sums are read dropped", "linear_attention_chunk",
           RECURRENCE,
           (("lib/chunk_tile.glsl", "= o; } barrier();", "= o; }"),),
           spec="WG_SIZE=16 SLICES=2", cpu=True),
    Mutant("backward walk decays by the token's own gate",
           "linear_attention_backward_lane",
           RECURRENCE.replace("linear_attention@", "linear_attention_backward@"),
           (("linear/linear_attention_backward.glsl",
             "io_gate(min(pc.len - i, pc.len - 1u))", "io_gate(pc.len - 1u - i)"),),
           pass_="dk"),
    Mutant("values divided by nothing", "cottention_lane",
           "cottention@batch=1,heads=2,len=37,head_dim=16",
           (("linear/cottention.glsl", "return kn[io_row(i)] * io_share(io_token(i));",
             "return kn[io_row(i)];"),), pass_="main"),
    # --- lists of key tiles ---
    Mutant("window's last tile not listed", "block_list_scan",
           "block_list@q_len=20,br=1,bc=1,l=5",
           (("sparse/pattern.glsl", "some = some && low < x.l;",
             "some = some && low + 1 < x.l;"),), "i32", pass_="fill"),
    Mutant("tile on the diagonal taken for whole", "block_list_scan",
           "block_list@q_len=20,br=2,bc=2,l=5",
           (("sparse/pattern.glsl", "bool all = low >= 0;", "bool all = low >= -1;"),),
           "i32", pass_="fill"),
    Mutant("total of the lists one short", "block_list_scan",
           "block_list@q_len=20,br=2,bc=2,l=5",
           (("sparse/list_build.glsl", "list_counter_set(list_units(s), total);",
             "list_counter_set(list_units(s), total - 1u);"),), "i32", pass_="scan"),
    Mutant("last tile of every list left out", "block_sparse_attention_lane", BLOCKS,
           (("sparse/block_rows.glsl", "ivec2(start[at], start[at + 1u])",
             "ivec2(start[at], start[at + 1u] - 1)"),)),
    Mutant("flags ignored", "block_sparse_attention_lane", BLOCKS + ",MASK=causal",
           (("sparse/block_rows.glsl", "int(flags[n])", "0"),)),
    Mutant("last step of every tile left out", "block_sparse_attention_lane", BLOCKS,
           (("lib/flash_span.glsl", "if (x.at >= x.end) {",
             "if (x.at + keys >= x.end) {"),)),
    Mutant("delta not subtracted", "block_sparse_attention_backward_lane",
           BLOCKS.replace("attention", "attention_backward"),
           (("lib/flash_backward.glsl", "(back_p_[at] - stats.y)", "back_p_[at]"),),
           pass_="dq"),
    Mutant("token itself counted twice", "factorised_attention_transposed",
           "factorised_attention@batch=1,heads=1,len=40,head_dim=16,l=4,"
           "PATTERN=strided_merged",
           (("sparse/factorised_attention_transposed.comp", "return int(key) < p;",
             "return int(key) <= p;"),), pass_="part"),
    Mutant("keys after the token in its block", "selected_attention_lane",
           "selected_attention@batch=1,heads=4,kv_heads=1,len=40,head_dim=16,ls=8,top=2",
           (("sparse/selected_rows.glsl", "min(first + pc.ls, selected_token_ + 1)",
             "min(first + pc.ls, pc.len)"),)),
    Mutant("tokens of the blocks before walked too", "selected_attention_backward_lane",
           "selected_attention_backward@batch=1,heads=2,kv_heads=1,len=24,head_dim=16,"
           "ls=8,top=2",
           (("sparse/selected_attention_backward_lane.comp",
             "block == 0u ? 0 : int(counts[last - PARTS])", "0"),), pass_="dkv"),
    # --- delta_rule, gated_linear_attention ---
    Mutant("known without the token's gate", "delta_rule_recurrent", DELTA,
           ((STATE, "keep * known[j] : known[j]", "known[j] : known[j]"),)),
    Mutant("beta left out", "delta_rule_recurrent", DELTA,
           ((STATE, "DELTA ? b * (y -", "DELTA ? (y -"),)),
    Mutant("write decayed with the state", "delta_rule_recurrent", DELTA,
           ((STATE, "s = fma(xk[i], u[j], DECAYS ? s * factor[i] : s);",
             "s = fma(xk[i], u[j], s) * factor[i];"),)),
    Mutant("key of this token for the next", "delta_rule_recurrent", DELTA,
           ((STATE, "staged_next(at + QUADS)", "staged_next(at)"),)),
    Mutant("heads of keys dealt round", "delta_rule_recurrent",
           DELTA.replace("heads=2,", "heads=4,", 1),
           (("linear/state_io.glsl", "head / (pc.heads / pc.kv_heads)",
             "head % pc.kv_heads"),)),
    Mutant("row of the inverse without its neighbour", "delta_rule_chunk", DELTA,
           ((CHUNKS, "s < e; s++", "s + 1u < e; s++"),), pass_="inside"),
    Mutant("one block between rows and columns forgotten", "delta_rule_chunk", DELTA,
           ((CHUNKS, "n = across + 1u; n < down; n++", "n = across + 2u; n < down; n++"),),
           pass_="inside"),
    Mutant("state not decayed over a chunk", "delta_rule_chunk", DELTA,
           ((CHUNKS, "own[4u * n + i] *= last[chunk * DP + 4u * r + i];", ""),),
           pass_="states"),
    Mutant("row of W taken twice", "delta_rule_chunk", DELTA,
           ((CHUNKS, "w4[(row + 1u) * DP4 + c]", "w4[row * DP4 + c]"),), pass_="states"),
    Mutant("factor of columns left out", "gated_linear_attention_chunk", GATED,
           ((CHUNKS, "xk[i] *= io_decay(columns[i] + between);",
             "xk[i] *= io_decay(columns[i]);"),), pass_="inside"),
    Mutant("keys not taken back from dS", "delta_rule_backward_recurrent", DELTA_BACK,
           ((BACK, "take[j] = -b * sum[j];", "take[j] = 0.0;"),), pass_="values"),
    Mutant("gate's gradient without the state", "delta_rule_backward_recurrent",
           DELTA_BACK, ((BACK, "gradient[j] = fma(ends[", "gradient[j] += 0.0 * (ends["),
                        (BACK, "+ own], state[c * COLS + j], gradient[j]);",
                         "+ own] * state[c * COLS + j]);")), pass_="keys"),
    Mutant("one head of a group for all", "delta_rule_backward_recurrent",
           DELTA_BACK.replace("heads=2,", "heads=4,", 1),
           ((BACK, "sum_q += dqh[at];", "sum_q += x == 0u ? dqh[at] : 0.0;"),),
           pass_="finish"),
    # --- mhc ---
    Mutant("Sinkhorn ends with the rows", "mhc_sinkhorn_lane",
           "mhc_sinkhorn@rows=5,streams=4,iters=2,fill.logits=normal(2)",
           (("hyper/sinkhorn.glsl", "sinkhorn_rows(eps); sinkhorn_columns(eps); }",
             "sinkhorn_columns(eps); sinkhorn_rows(eps); }"),)),
    Mutant("comb not transposed", "mhc_post_row", "mhc_post@rows=3,streams=4,width=20",
           (("hyper/mhc_post.glsl", "vec4(mhc_post_x[i * STREAMS + j])",
             "vec4(mhc_post_x[j * STREAMS + i])"),)),
    Mutant("columns past the end counted", "mhc_pre_row", "mhc_pre@rows=3,streams=3,width=36",
           (("hyper/mhc.glsl", "mhc_x[t] = inside ? x : vec4(0.0);", "mhc_x[t] = x;"),)),
    Mutant("norm's gradient left out", "mhc_pre_backward_row",
           "mhc_pre_backward@rows=3,streams=4,width=12",
           (("hyper/mhc_pre_backward_row.comp", "norm * norm * norm * product /",
             "0.0 * product /"),), pass_="coef"),
)
