// SPDX-License-Identifier: MIT
// Reading parsed JSON that may hold anything: a missing or mistyped value reads as empty
// text, NaN or NULL, so that no report has to ask twice.
#ifndef VKZ_REPORT_JSON_H
#define VKZ_REPORT_JSON_H

#include <math.h>
#include <string.h>

#include <yyjson.h>

// The text at a key; "" when there is none. Never NULL.
static inline const char *vkz_json_text(yyjson_val *object, const char *key)
{
    const char *text = yyjson_get_str(yyjson_obj_get(object, key));
    return text ? text : "";
}

// The number at a key; NaN when there is none.
static inline double vkz_json_number(yyjson_val *object, const char *key)
{
    yyjson_val *value = yyjson_obj_get(object, key);
    return yyjson_is_num(value) ? yyjson_get_num(value) : (double)NAN;
}

// The object at a key; NULL when there is none, or it is something else.
static inline yyjson_val *vkz_json_object(yyjson_val *object, const char *key)
{
    yyjson_val *value = yyjson_obj_get(object, key);
    return yyjson_is_obj(value) ? value : NULL;
}

// The array at a key; NULL when there is none. yyjson_arr_* take NULL for an empty one.
static inline yyjson_val *vkz_json_array(yyjson_val *object, const char *key)
{
    yyjson_val *value = yyjson_obj_get(object, key);
    return yyjson_is_arr(value) ? value : NULL;
}

static inline bool vkz_json_is(yyjson_val *object, const char *key, const char *text)
{
    return strcmp(vkz_json_text(object, key), text) == 0;
}

#endif
