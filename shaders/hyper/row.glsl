// SPDX-License-Identifier: MIT
//
// Sums over the columns of a token, the same bits whoever adds them up
//
// A token's columns are split into 64 strands of groups of four columns; a strand owns
// the same columns of all streams. Strands are in eights, side by side, so that what
// eight lanes read in one step lies together; each eight has a run of the row to itself:
//
//   quads  | 0 1 .. 7 | 8 9 .. 15 | ...  | 8 steps .. 8 steps + 7 | ...
//   strand | 0 1 .. 7 | 0 1 ..  7 | ...  | 8 9              .. 15 | ...
//
// A strand is added up in order; strands s and s + 32 are added, then s and s + 16, and
// so on: one binary tree. A workgroup has 4 to 64 lanes (a power of two). Where these are
// fewer than the strands, it goes over the row in ROW_ROUNDS rounds, which are taken in
// the order in which the tree joins them. So no sum depends on the size of the workgroup
// or of the subgroup, and kernels that add the same terms of a strand in the same order,
// by fma, agree bit for bit.
//
//   for (uint r = 0; r < ROW_ROUNDS; r++) {
//       row_clear();                               // row_sum[] = 0
//       if (row_holds(r, quads)) {
//           const uint first = row_first(r, steps), n = row_steps(quads);
//           for (uint j = 0; j < n; j++)           // groups of four columns
//               ... row_sum[i] = row_dot(x, w, row_sum[i]) for group first + 8 j ...
//       }
//       row_join(r);
//   }
//   row_finish(at, count);                         // row_total[at + i] in all lanes
//
// The last groups of a row may lie past its end: the includer takes zeros there.
//
// The includer defines, before it includes this:
//   ROW_SUMS     constant: sums at once (of several tokens, of several weights)
//   row_total    shared float array, as long as the includer likes
//   row_part     shared float[ROW_PART], see below
//
// With ROW_ONLY_DOT there is nothing but row_dot, and nothing need be defined.
//
// row_sum is meant for registers: its indices must become constants ([[unroll]]).
#ifndef VKZ_HYPER_ROW_GLSL
#define VKZ_HYPER_ROW_GLSL

#extension GL_EXT_control_flow_attributes : require

const uint ROW_STRANDS = 64;
const uint ROW_ROUNDS = ROW_STRANDS / gl_WorkGroupSize.x;
// Rounds 0, 1, 2, ... join as a binary counter carries: a level for each bit.
const uint ROW_LEVELS = ROW_ROUNDS > 8 ? 4 : ROW_ROUNDS > 4 ? 3 : ROW_ROUNDS > 2 ? 2 : 1;
// Sums that go through shared memory at a time, and what a lane's are apart: odd, so that
// lanes meet in different banks.
const uint ROW_CHUNK = gl_WorkGroupSize.x > 16 ? 16 : 64;
const uint ROW_STRIDE = ROW_CHUNK + 1;
#define ROW_PART (gl_WorkGroupSize.x * (gl_WorkGroupSize.x > 16 ? 17 : 65))

// The four products of a group, in order. Written as fma: nothing is left to contraction.
float row_dot(const vec4 x, const vec4 w, const float sum)
{
    return fma(x.w, w.w, fma(x.z, w.z, fma(x.y, w.y, fma(x.x, w.x, sum))));
}

#ifndef ROW_ONLY_DOT

float row_sum[ROW_SUMS];
float row_level[ROW_LEVELS * ROW_SUMS];
float row_tree[gl_WorkGroupSize.x];
float row_kept[ROW_SUMS];

// Strand of this lane in round r: the bits of r in opposite order are its highest.
uint row_strand(const uint r)
{
    uint high = 0;
    [[unroll]] for (uint bit = 1; bit < ROW_ROUNDS; bit *= 2) {
        high = high * 2 + ((r & bit) != 0u ? 1u : 0u);
    }
    return high * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
}

// Groups of four columns a strand, of a row of `quads`.
uint row_steps(const uint quads)
{
    return (quads + ROW_STRANDS - 1u) / ROW_STRANDS;
}

// First group of round r's strand; the next is 8 further on.
uint row_first(const uint r, const uint steps)
{
    const uint strand = row_strand(r);
    return strand / 8u * 8u * steps + strand % 8u;
}

// Whether any lane has a column in round r.
bool row_holds(const uint r, const uint quads)
{
    const uint first = row_strand(r) - gl_LocalInvocationID.x;
    return first / 8u * 8u * row_steps(quads) + first % 8u < quads;
}

void row_clear()
{
    [[unroll]] for (uint i = 0; i < ROW_SUMS; i++) {
        row_sum[i] = 0.0;
    }
}

// Ends round r: its sums join those of the rounds before, in the order of the tree.
void row_join(const uint r)
{
    if (ROW_ROUNDS == 1u) {
        return;
    }
    [[unroll]] for (uint level = 0; level < ROW_LEVELS; level++) {
        const uint below = (1u << level) - 1u;
        if ((r & below) == below) {
            if ((r >> level & 1u) != 0u) {
                [[unroll]] for (uint i = 0; i < ROW_SUMS; i++) {
                    row_sum[i] += row_level[level * ROW_SUMS + i];
                }
            } else {
                [[unroll]] for (uint i = 0; i < ROW_SUMS; i++) {
                    row_level[level * ROW_SUMS + i] = row_sum[i];
                }
            }
        }
    }
}

// row_total[at + i] = sum i of row_part over the lanes, for i < n and i < count.
void row_add_lanes(const uint at, const uint n, const uint count)
{
    const uint lanes = gl_WorkGroupSize.x;
    barrier();
    for (uint i = gl_LocalInvocationID.x; i < n; i += lanes) {
        [[unroll]] for (uint k = 0; k < lanes; k++) {
            row_tree[k] = row_part[k * ROW_STRIDE + i];
        }
        [[unroll]] for (uint half_ = lanes / 2u; half_ > 0u; half_ /= 2u) {
            [[unroll]] for (uint k = 0; k < half_; k++) {
                row_tree[k] += row_tree[k + half_];
            }
        }
        if (i < count) {
            row_total[at + i] = row_tree[0];
        }
    }
    barrier();
}

// After the last round: the lanes' sums join, and row_total[at + i] is sum i for i <
// count. All lanes must come here; all may read the totals afterwards.
void row_finish(const uint at, const uint count)
{
    const uint lane = gl_LocalInvocationID.x;
    if (ROW_ROUNDS > 1u) {
        // Few lanes, as CPU drivers have: rolled, from memory, or it takes seconds to
        // compile.
        [[unroll]] for (uint i = 0; i < ROW_SUMS; i++) {
            row_kept[i] = row_sum[i];
        }
        [[dont_unroll]] for (uint c = 0; c < ROW_SUMS; c += ROW_CHUNK) {
            const uint n = min(ROW_CHUNK, ROW_SUMS - c);
            [[dont_unroll]] for (uint i = 0; i < n; i++) {
                row_part[lane * ROW_STRIDE + i] = row_kept[c + i];
            }
            row_add_lanes(at + c, n, count > c ? count - c : 0u);
        }
    } else {
        [[unroll]] for (uint c = 0; c < ROW_SUMS; c += ROW_CHUNK) {
            [[unroll]] for (uint i = 0; i < ROW_CHUNK; i++) {
                if (c + i < ROW_SUMS) {
                    row_part[lane * ROW_STRIDE + i] = row_sum[c + i];
                }
            }
            row_add_lanes(at + c, min(ROW_CHUNK, ROW_SUMS - c),
                          count > c ? count - c : 0u);
        }
    }
}

#endif // ROW_ONLY_DOT

#endif
