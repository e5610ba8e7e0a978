/* A Vulkan driver that is Mesa's software driver (lavapipe) under another name: a discrete GPU of the model
 * MODEL at the place 0000:BUS:00.0. Two such drivers make a machine with two GPUs. */

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef void *handle;
typedef void (*function)(void);

/* VkPhysicalDeviceProperties, as far as it is changed. */
struct properties {
  uint32_t api, driver, vendor, device, type;
  char name[256];
};

/* What a chain of structures begins with, and VkPhysicalDevicePCIBusInfoPropertiesEXT. */
struct link {
  uint32_t type;
  struct link *next;
};
struct place {
  uint32_t type;
  void *next;
  uint32_t domain, bus, device, function;
};

struct extension {
  char name[256];
  uint32_t version;
};

enum { DISCRETE = 2, PCI_BUS_INFO = 1000212000, VENDOR = 0x10de };

static void *driver(const char *name) {
  static void *library;
  if (library == NULL) library = dlopen("libvulkan_lvp.so", RTLD_NOW | RTLD_LOCAL);
  return library == NULL ? NULL : dlsym(library, name);
}

static function instance_function(handle instance, const char *name) {
  function (*get)(handle, const char *) = driver("vk_icdGetInstanceProcAddr");
  return get == NULL ? NULL : get(instance, name);
}

static handle the_instance;

static int create_instance(const void *info, const void *allocator, handle *instance) {
  int (*call)(const void *, const void *, handle *) = (void *)instance_function(NULL, "vkCreateInstance");
  int code = call(info, allocator, instance);
  the_instance = *instance;
  return code;
}

static void rename_device(struct properties *found) {
  found->vendor = VENDOR;
  found->device = MODEL;
  found->type = DISCRETE;
  snprintf(found->name, sizeof found->name, "GPU %x of software", MODEL);
}

static void properties(handle device, struct properties *found) {
  void (*call)(handle, void *) = (void *)instance_function(the_instance, "vkGetPhysicalDeviceProperties");
  call(device, found);
  rename_device(found);
}

static void properties2(handle device, struct link *head) {
  void (*call)(handle, void *) = (void *)instance_function(the_instance, "vkGetPhysicalDeviceProperties2");
  call(device, head);
  rename_device((struct properties *)(head + 1));
  for (struct link *link = head->next; link != NULL; link = link->next) {
    if (link->type != PCI_BUS_INFO) continue;
    struct place *place = (struct place *)link;
    place->domain = place->device = place->function = 0;
    place->bus = BUS;
  }
}

static int extensions(handle device, const char *layer, uint32_t *count, struct extension *all) {
  int (*call)(handle, const char *, uint32_t *, void *) =
      (void *)instance_function(the_instance, "vkEnumerateDeviceExtensionProperties");
  uint32_t room = *count;
  if (all != NULL && room > 0) (*count)--;
  int code = call(device, layer, count, all);
  if (all != NULL && *count < room) {
    memset(&all[*count], 0, sizeof *all);
    strcpy(all[*count].name, "VK_EXT_pci_bus_info");
    all[*count].version = 2;
  }
  (*count)++;
  return code;
}

static function own(const char *name) {
  if (strcmp(name, "vkCreateInstance") == 0) return (function)create_instance;
  if (strcmp(name, "vkGetPhysicalDeviceProperties") == 0) return (function)properties;
  if (strncmp(name, "vkGetPhysicalDeviceProperties2", 30) == 0) return (function)properties2;
  if (strcmp(name, "vkEnumerateDeviceExtensionProperties") == 0) return (function)extensions;
  return NULL;
}

function vk_icdGetInstanceProcAddr(handle instance, const char *name) {
  function mine = own(name);
  return mine != NULL ? mine : instance_function(instance, name);
}

function vk_icdGetPhysicalDeviceProcAddr(handle instance, const char *name) {
  function mine = own(name);
  if (mine != NULL) return mine;
  function (*get)(handle, const char *) = driver("vk_icdGetPhysicalDeviceProcAddr");
  return get == NULL ? NULL : get(instance, name);
}

int vk_icdNegotiateLoaderICDInterfaceVersion(uint32_t *version) {
  int (*call)(uint32_t *) = driver("vk_icdNegotiateLoaderICDInterfaceVersion");
  return call == NULL ? -3 : call(version);
}
