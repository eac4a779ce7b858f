// SPDX-License-Identifier: MIT
// The header line of a result file: which tool, device, host and settings.
#ifndef VKZ_CLI_HEADER_H
#define VKZ_CLI_HEADER_H

#include <yyjson.h>

#include "cli/cli.h"

// `hello` is what the worker said of itself; `ceilings` may be NULL, and so may
// `environment`: "NAME=VALUE" of the worker beyond this process's own, ending in NULL.
yyjson_mut_val *vkz_header_json(yyjson_mut_doc *doc, const char *verb,
                                const struct vkz_options *options, yyjson_val *hello,
                                yyjson_val *ceilings, char *const *environment);
// The line that says where a run that was cut off goes on.
yyjson_mut_val *vkz_header_resume_json(yyjson_mut_doc *doc, yyjson_val *hello);
// Gives `options`, which has --resume, what the file's own run was asked and this command
// line leaves open. VKZ_BAD_INPUT when both disagree. Texts are borrowed from the header.
enum vkz_status vkz_resume_options(yyjson_val *header, const char *verb,
                                   struct vkz_options *options, struct vkz_error *err);
// VKZ_OK when results of this build and device may be appended to the file.
enum vkz_status vkz_header_compatible(yyjson_val *header, yyjson_val *hello, const char *path,
                                      struct vkz_error *err);
// "nvidia-h200-580.159" : a folder name for the device and its driver.
void vkz_header_device_slug(yyjson_val *device, char *out, size_t size);

#endif
