// SPDX-License-Identifier: MIT
// A machine without a Vulkan loader or driver gets a status and a sentence, not a crash.
// Runs everywhere: it hides the drivers of the machine it runs on.
#define _POSIX_C_SOURCE 200809L
#include "gpu_test.h"

int main(void)
{
    setenv("VK_DRIVER_FILES", "/nonexistent/driver.json", 1);
    setenv("VK_ICD_FILENAMES", "/nonexistent/driver.json", 1); // loaders before 1.3.207
    unsetenv("VK_ADD_DRIVER_FILES");
    unsetenv("VK_INSTANCE_LAYERS");
    struct vkz_instance *instance = NULL;
    CHECK_SAYS(VKZ_NO_DEVICE, "install", vkz_instance_create(&instance, &err));
    CHECK(!instance);
    CHECK(vkz_instance_create(&instance, NULL) == VKZ_NO_DEVICE);
    vkz_instance_destroy(&instance);
    return 0;
}
