/**
 * The devices that Vulkan lists, which is what Deno's WebGPU takes the first of on Linux, asked of the
 * loader itself (`libvulkan.so.1`). Layouts are those of `vulkan_core.h` on 64-bit systems.
 *
 * @module
 */

/** A device of Vulkan's. */
export interface VulkanDevice {
  readonly name: string;
  readonly kind: "other" | "integrated" | "discrete" | "virtual" | "cpu";
  /** PCI numbers of its maker and its model. */
  readonly vendor: number;
  readonly device: number;
  /** Its place on the bus, such as `0000:03:00.0`; null if its driver does not say. */
  readonly pci: string | null;
}

const SYMBOLS = {
  vkCreateInstance: { parameters: ["buffer", "pointer", "buffer"], result: "i32" },
  vkDestroyInstance: { parameters: ["pointer", "pointer"], result: "void" },
  vkEnumeratePhysicalDevices: { parameters: ["pointer", "buffer", "buffer"], result: "i32" },
  vkEnumerateDeviceExtensionProperties: {
    parameters: ["pointer", "pointer", "buffer", "buffer"],
    result: "i32",
  },
  vkGetPhysicalDeviceProperties2: { parameters: ["pointer", "buffer"], result: "void" },
} as const;

const KINDS = ["other", "integrated", "discrete", "virtual", "cpu"] as const;

/** Values of `VkStructureType`. */
const INSTANCE_CREATE_INFO = 1, PROPERTIES_2 = 1000059001, PCI_BUS_INFO = 1000212000;
/** What the properties of a device have with what stands before them, and what one extension has. */
const PROPERTIES_BYTES = 1024, EXTENSION_BYTES = 260, NAME_BYTES = 256;
/** Where the properties begin behind their type and the chain. */
const PROPERTIES = 16;
/** 1.1, without which layers do not ask for places on the bus. */
const VULKAN_1_1 = (1 << 22) | (1 << 12);

/**
 * Lists the devices in the order in which they are offered to programs. Needs the `ffi` permission.
 *
 * @throws Error if there is no loader, or it finds no driver
 */
function listVulkanDevices(): VulkanDevice[] {
  using library = new Library();
  const { vk, instance } = library, count = new Uint32Array(1);
  check(vk.vkEnumeratePhysicalDevices(instance, bytes(count), null), "vkEnumeratePhysicalDevices");
  const handles = new BigUint64Array(count[0]);
  check(
    vk.vkEnumeratePhysicalDevices(instance, bytes(count), bytes(handles)),
    "vkEnumeratePhysicalDevices",
  );
  return [...handles].map((handle) => describe(vk, Deno.UnsafePointer.create(handle)));
}

type Functions = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/** The loader, with an instance. */
class Library implements Disposable {
  readonly #library = Deno.dlopen("libvulkan.so.1", SYMBOLS);
  readonly vk: Functions = this.#library.symbols;
  readonly instance: Deno.PointerValue;

  constructor() {
    const application = new Uint8Array(48), create = new Uint8Array(64);
    new DataView(application.buffer).setUint32(44, VULKAN_1_1, true);
    const view = new DataView(create.buffer), made = new BigUint64Array(1);
    view.setUint32(0, INSTANCE_CREATE_INFO, true);
    view.setBigUint64(24, address(application), true);
    check(this.vk.vkCreateInstance(create, null, bytes(made)), "vkCreateInstance");
    this.instance = Deno.UnsafePointer.create(made[0]);
  }

  [Symbol.dispose](): void {
    this.vk.vkDestroyInstance(this.instance, null);
    this.#library.close();
  }
}

function describe(vk: Functions, device: Deno.PointerValue): VulkanDevice {
  const properties = new Uint8Array(PROPERTIES_BYTES), place = new Uint8Array(32);
  const view = new DataView(properties.buffer), bus = new DataView(place.buffer);
  const number = (at: number) => view.getUint32(PROPERTIES + at, true);
  view.setUint32(0, PROPERTIES_2, true);
  const knowsPlace = extensionsOf(vk, device).includes("VK_EXT_pci_bus_info");
  bus.setUint32(0, PCI_BUS_INFO, true);
  if (knowsPlace) view.setBigUint64(8, address(place), true);
  vk.vkGetPhysicalDeviceProperties2(device, properties);
  const [domain, at, slot, part] = [16, 20, 24, 28].map((offset) => bus.getUint32(offset, true));
  const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0");
  return {
    name: text(properties.subarray(PROPERTIES + 20, PROPERTIES + 20 + NAME_BYTES)),
    kind: KINDS[number(16)] ?? "other",
    vendor: number(8),
    device: number(12),
    pci: knowsPlace ? `${hex(domain, 4)}:${hex(at, 2)}:${hex(slot, 2)}.${hex(part, 1)}` : null,
  };
}

function extensionsOf(vk: Functions, device: Deno.PointerValue): string[] {
  const count = new Uint32Array(1);
  const ask = (room: Uint8Array<ArrayBuffer> | null) =>
    check(
      vk.vkEnumerateDeviceExtensionProperties(device, null, bytes(count), room),
      "vkEnumerateDeviceExtensionProperties",
    );
  ask(null);
  const all = new Uint8Array(EXTENSION_BYTES * count[0]);
  ask(all);
  return Array.from(
    { length: count[0] },
    (_, i) => text(all.subarray(EXTENSION_BYTES * i, EXTENSION_BYTES * i + NAME_BYTES)),
  );
}

function check(code: number, call: string): void {
  if (code < 0) throw new Error(`${call} failed with ${code}`);
}

function address(memory: Uint8Array<ArrayBuffer>): bigint {
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(memory));
}

function bytes(numbers: Uint32Array<ArrayBuffer> | BigUint64Array<ArrayBuffer>) {
  return new Uint8Array(numbers.buffer);
}

/** A string of C in a field of fixed size. */
function text(field: Uint8Array): string {
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
}

if (import.meta.main) console.log(JSON.stringify(listVulkanDevices()));
