// SPDX-License-Identifier: MIT
//
// Which keys a flash tile walks: one range, or the entries of a list
//
//   dense      [----------------------)                      what the mask leaves
//   FLASH_LIST [-----)   [-----)[--)        [-----)           list entries, in their order
//
// A tile starts at flash_begin() and goes on with flash_step() while at < end. By itself
// that is the loop over one range. A kernel whose keys come from a list defines
// FLASH_LIST before including a tile and declares
//   ivec2 flash_list()             entries [x, y) of the list of this workgroup's rows
//   ivec3 flash_list_span(int n)   keys [x, y) of entry n, none when y <= x; z != 0: the
//                                  mask decides which pairs count, z == 0: all of them do
// Both must give every lane of the workgroup the same. A tile's KEYS should divide the
// entries' lengths: a step never spans two entries.
//
// Two more hooks are for kernels whose rows or keys are not numbered like those of
// attention. Rows and keys are what the kernel's flash_q, flash_k and flash_v take.
//   FLASH_POSITION   int flash_row_position(uint row)     p, instead of row + kv_len - q_len
//   FLASH_VISIBLE    bool flash_visible(uint row, int p, uint key)   instead of the MASK
#ifndef VKZ_FLASH_SPAN_GLSL
#define VKZ_FLASH_SPAN_GLSL

#include "lib/score.glsl"

struct flash_span {
    int at;      // first key of the step
    int end;     // of the entry's keys
    int entry;   // of the list
    int entries; // end of the list
    bool masked; // some pair of the entry may be hidden by the mask
};

#ifdef FLASH_LIST
const bool FLASH_LISTED = true;

flash_span flash_seek_(flash_span x)
{
    x.at = 0;
    x.end = 0;
    for (; x.entry < x.entries; x.entry++) {
        const ivec3 keys = flash_list_span(x.entry);
        if (keys.x < keys.y) {
            x.at = keys.x;
            x.end = keys.y;
            x.masked = keys.z != 0;
            break;
        }
    }
    return x;
}
#else
const bool FLASH_LISTED = false;
#endif

// The first step: `range` holds all keys that are walked when there is no list.
flash_span flash_begin(const ivec2 range)
{
    flash_span x;
    x.at = range.x;
    x.end = range.y;
    x.entry = 0;
    x.entries = 0;
    x.masked = true;
#ifdef FLASH_LIST
    const ivec2 list = flash_list();
    x.entry = list.x;
    x.entries = list.y;
    x = flash_seek_(x);
#endif
    return x;
}

// The step after x, `keys` further on.
flash_span flash_step(flash_span x, const int keys)
{
    x.at += keys;
#ifdef FLASH_LIST
    if (x.at >= x.end) {
        x.entry++;
        x = flash_seek_(x);
    }
#endif
    return x;
}

int flash_position_of_(const score_map s, const uint row)
{
#ifdef FLASH_POSITION
    return flash_row_position(row);
#else
    return int(row) + s.kv_len - s.q_len;
#endif
}

// True when some pair may have to be hidden for more than being past the keys' end.
#ifdef FLASH_VISIBLE
const bool FLASH_HIDES = true;
#else
const bool FLASH_HIDES = MASK != MASK_NONE;
#endif

// Whether a row sees a key of the step's entry.
bool flash_sees_(const score_map s, const flash_span x, const uint row, const int p,
                 const uint key, const int segment)
{
#ifdef FLASH_VISIBLE
    return !x.masked || flash_visible(row, p, key);
#else
    return (FLASH_LISTED && !x.masked) || score_visible(s, p, int(key), segment);
#endif
}

// True when every row of p_low..p_high sees the step's `keys` keys.
bool flash_whole_(const score_map s, const flash_span x, const int p_low,
                  const int p_high, const int keys)
{
    if (FLASH_LISTED) {
        if (x.at + keys > x.end) {
            return false;
        }
        if (!x.masked) {
            return true;
        }
    }
#ifdef FLASH_VISIBLE
    return false;
#else
    return score_all_visible(s, p_low, p_high, x.at, x.at + keys - 1);
#endif
}

#endif
