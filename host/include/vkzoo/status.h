// SPDX-License-Identifier: MIT
// Status codes and the one error record every fallible vkzoo call fills.
// Three kinds of trouble: bad input and broken devices are errors; a device that cannot
// run something is a skip with a reason; a programmer's mistake is an assert.
#ifndef VKZOO_STATUS_H
#define VKZOO_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

enum vkz_status {
    VKZ_OK = 0,
    VKZ_SKIP,        // this device or kernel cannot do that; message says which need is unmet
    VKZ_BAD_INPUT,   // user text or parameters; message has the place and what was expected
    VKZ_NO_DEVICE,   // no Vulkan loader, driver or matching device
    VKZ_DEVICE_LOST, // the device was lost or a submission timed out; recreate everything
    VKZ_FAILED,      // out of memory, I/O, a driver error: message says what was being done
};

// Filled by the call that found the trouble, left alone on success. NULL is accepted
// everywhere an error pointer is taken: the status is returned all the same.
struct vkz_error {
    enum vkz_status status;
    char message[512];
};

// Formats a message into `err` (may be NULL) and returns `status`.
enum vkz_status vkz_error_set(struct vkz_error *err, enum vkz_status status,
                              const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

// "ok", "skip", "bad input", ... Never NULL.
const char *vkz_status_name(enum vkz_status status);

#ifdef __cplusplus
}
#endif
#endif
