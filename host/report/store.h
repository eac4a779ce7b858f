// SPDX-License-Identifier: MIT
// Memory of many small things that are given back together, and texts held once.
#ifndef VKZ_REPORT_STORE_H
#define VKZ_REPORT_STORE_H

#include <stddef.h>

struct vkz_store;
struct vkz_store *vkz_store_create(void);         // NULL without memory
void vkz_store_destroy(struct vkz_store **store); // takes NULL

// `size` bytes for values of up to 8-byte alignment, not cleared. NULL without memory.
void *vkz_store_take(struct vkz_store *store, size_t size);
// The store's copy of a text: the same pointer for equal texts. NULL without memory.
const char *vkz_store_text(struct vkz_store *store, const char *text);

#endif
