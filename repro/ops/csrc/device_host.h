// The device side of the extension without CUDA's headers or libraries: the driver is opened when it is first needed,
// the embedded image that fits the device is loaded once a device, and kernels are launched on torch's own stream.
// Included by cuda_host.cpp only.
#pragma once

#include <dlfcn.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/util/Exception.h>

#include "images.h"

#ifndef BEVREADY_DRIVER // the tests put an emulator here
#define BEVREADY_DRIVER "libcuda.so.1"
#endif

namespace bevready::device {

// Every kernel of device/msda.cu. {} stands for what follows it: the instance.
inline std::vector<std::string> entry_points() {
  std::vector<std::string> names;
  for (const char* way : {"forward_", "backward_"})
    for (const char* instance : {"f32_e32", "f16_e32", "bf16_e32", "f32_any", "f16_any", "bf16_any", "f64_any"})
      names.push_back(std::string("bevready_") + way + instance);
  for (const char* type : {"f32", "f16", "bf16", "f64"}) names.push_back(std::string("bevready_bound_") + type);
  for (const char* rest : {"from_fixed_f32", "from_fixed_f64", "plain2020_forward_f32", "plain2020_backward_f32"})
    names.push_back(std::string("bevready_") + rest);
  return names;
}

// The few functions and numbers of the driver API that are used, as cuda.h declares them.
using Context = void*;
using Module = void*;
using Function = void*;
constexpr int CAPABILITY_MAJOR = 75, CAPABILITY_MINOR = 76, CAPTURE_RELAXED = 2;

struct Driver {
  int (*init)(unsigned);
  int (*device_get)(int*, int);
  int (*attribute)(int*, int, int);
  int (*retain)(Context*, int);
  int (*push)(Context);
  int (*pop)(Context*);
  int (*load)(Module*, const void*);
  int (*function)(Function*, Module, const char*);
  int (*launch)(Function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**);
  int (*capture_mode)(int*);
  int (*error_name)(int, const char**);
  int (*error_text)(int, const char**);

  void check(int code, const std::string& doing) const {
    if (code == 0) return;
    const char *name = nullptr, *text = nullptr;
    error_name(code, &name);
    error_text(code, &text);
    TORCH_CHECK(false, "CUDA error ", code, " ", name ? name : "(unknown)", ": ", text ? text : "no text", ", while ", doing);
  }
};

template <class F>
void find(void* library, const char* name, F& to) {
  to = reinterpret_cast<F>(dlsym(library, name));
  TORCH_CHECK(to != nullptr, "the CUDA driver ", BEVREADY_DRIVER, " has no function ", name, ": it is too old");
}

inline const Driver& driver() {
  static const Driver one = [] {
    void* library = dlopen(BEVREADY_DRIVER, RTLD_NOW | RTLD_LOCAL);
    TORCH_CHECK(library != nullptr, "cannot open the CUDA driver: ", dlerror());
    Driver d{};
    find(library, "cuInit", d.init);
    find(library, "cuDeviceGet", d.device_get);
    find(library, "cuDeviceGetAttribute", d.attribute);
    find(library, "cuDevicePrimaryCtxRetain", d.retain);
    find(library, "cuCtxPushCurrent_v2", d.push);
    find(library, "cuCtxPopCurrent_v2", d.pop);
    find(library, "cuModuleLoadData", d.load);
    find(library, "cuModuleGetFunction", d.function);
    find(library, "cuLaunchKernel", d.launch);
    find(library, "cuThreadExchangeStreamCaptureMode", d.capture_mode);
    find(library, "cuGetErrorName", d.error_name);
    find(library, "cuGetErrorString", d.error_text);
    d.check(d.init(0), "starting the driver");
    return d;
  }();
  return one;
}

// The index of the embedded blob; empty in an extension built for the CPU only.
inline std::vector<ImageEntry> images() {
  const unsigned char *begin = bevready_images_begin, *end = bevready_images_end;
  // Two symbols of one blob: only the compiler could take them for different objects.
  const size_t size = reinterpret_cast<uintptr_t>(end) - reinterpret_cast<uintptr_t>(begin);
  if (size == 0) return {};
  ImagesHeader header;
  TORCH_CHECK(size >= sizeof(header), "the embedded device code is ", size, " bytes; expected an index of at least 16");
  std::memcpy(&header, begin, sizeof(header));
  TORCH_CHECK(std::memcmp(header.magic, IMAGES_MAGIC, sizeof(IMAGES_MAGIC)) == 0 &&
                  header.entry_size == sizeof(ImageEntry) &&
                  sizeof(header) + uint64_t(header.count) * sizeof(ImageEntry) <= size,
              "the embedded device code's index is damaged: build the extension anew");
  std::vector<ImageEntry> entries(header.count);
  std::memcpy(entries.data(), begin + sizeof(header), header.count * sizeof(ImageEntry));
  for (const ImageEntry& entry : entries)
    TORCH_CHECK(entry.offset <= size && entry.size <= size - entry.offset, "an embedded image ends behind the blob");
  return entries;
}

inline std::string label(const ImageEntry& entry) {
  return (entry.kind == IMAGE_PTX ? "compute_" : "sm_") + std::to_string(entry.arch);
}

inline std::string labels() {
  std::string all;
  for (const ImageEntry& entry : images()) all += (all.empty() ? "" : ", ") + label(entry);
  return all.empty() ? "none" : all;
}

// Of each device source the image for `arch` (86 for 8.6): machine code of the same major version and no newer, the
// newest such; else PTX that is no newer, which the driver translates.
inline std::vector<ImageEntry> choose(const std::vector<ImageEntry>& all, unsigned arch) {
  auto rank = [&](const ImageEntry& e) -> unsigned {
    if (e.arch > arch) return 0;
    if (e.kind == IMAGE_CUBIN) return e.arch / 10 == arch / 10 ? 100000 + e.arch : 0;
    return e.kind == IMAGE_PTX ? e.arch : 0;
  };
  std::map<std::string, ImageEntry> best;
  for (const ImageEntry& entry : all) {
    if (rank(entry) == 0) continue;
    auto [at, is_new] = best.emplace(std::string(entry.name, strnlen(entry.name, sizeof(entry.name))), entry);
    if (!is_new && rank(entry) > rank(at->second)) at->second = entry;
  }
  std::vector<ImageEntry> chosen;
  for (const auto& [name, entry] : best) chosen.push_back(entry);
  return chosen;
}

// One device: its context and what is loaded there. Nothing is ever unloaded: the process ends first.
struct Loaded {
  std::string name; // "device 0 (sm_90)"
  Context context = nullptr;
  std::vector<Module> modules;
  std::unordered_map<std::string, Function> functions;
};

struct InContext { // makes a context current while it lives
  explicit InContext(Context c) { driver().check(driver().push(c), "making the device current"); }
  ~InContext() {
    Context old = nullptr;
    driver().pop(&old);
  }
  InContext(const InContext&) = delete;
};

struct RelaxedCapture { // loading is no part of a graph, also while one is being captured
  int mode = CAPTURE_RELAXED;
  RelaxedCapture() { driver().capture_mode(&mode); }
  ~RelaxedCapture() { driver().capture_mode(&mode); }
};

inline std::unique_ptr<Loaded> load_on(int index) {
  const Driver& d = driver();
  auto loaded = std::make_unique<Loaded>();
  int device = 0, major = 0, minor = 0;
  d.check(d.device_get(&device, index), "looking for device " + std::to_string(index));
  d.check(d.attribute(&major, CAPABILITY_MAJOR, device), "asking for the compute capability");
  d.check(d.attribute(&minor, CAPABILITY_MINOR, device), "asking for the compute capability");
  loaded->name = "device " + std::to_string(index) + " (sm_" + std::to_string(major) + std::to_string(minor) + ")";
  const auto chosen = choose(images(), static_cast<unsigned>(major * 10 + minor));
  TORCH_CHECK(!chosen.empty(), "the extension has no code for ", loaded->name, "; inside are: ", labels(),
              ". Build it anew with --arch ", major, ".", minor);
  RelaxedCapture relaxed;
  d.check(d.retain(&loaded->context, device), "opening " + loaded->name);
  InContext here(loaded->context);
  for (const ImageEntry& entry : chosen) {
    Module module = nullptr;
    d.check(d.load(&module, bevready_images_begin + entry.offset), "loading " + label(entry) + " on " + loaded->name);
    loaded->modules.push_back(module);
  }
  return loaded;
}

struct Kernel { Function function; Context context; };

inline Kernel kernel_of(int index, const std::string& name) {
  static std::mutex mutex;
  static std::map<int, std::unique_ptr<Loaded>> devices;
  std::lock_guard<std::mutex> lock(mutex);
  auto& loaded = devices[index];
  if (!loaded) loaded = load_on(index);
  Function& function = loaded->functions[name];
  if (function == nullptr) {
    InContext here(loaded->context);
    RelaxedCapture relaxed;
    int code = 0;
    for (Module module : loaded->modules)
      if ((code = driver().function(&function, module, name.c_str())) == 0) break;
    if (code != 0) function = nullptr;
    driver().check(code, "looking for the kernel " + name + " on " + loaded->name);
  }
  return {function, loaded->context};
}

// torch's stream as the driver knows it. Since torch 2.8 or so the guard tells; before, the CUDA library is asked.
template <class Guard>
auto native_stream(const Guard& guard, c10::Stream stream, int) -> decltype(guard.getStreamNativeHandle(stream)) {
  return guard.getStreamNativeHandle(stream);
}
template <class Guard>
void* native_stream(const Guard&, c10::Stream stream, long) {
  void* library = dlopen("libc10_cuda.so", RTLD_NOLOAD | RTLD_LAZY);
  auto ask = library ? reinterpret_cast<void* (*)(const c10::Stream*)>(dlsym(library, "_ZNK3c104cuda10CUDAStream6streamEv")) : nullptr;
  TORCH_CHECK(ask != nullptr, "this torch does not tell its CUDA stream: the extension does not fit it");
  return ask(&stream); // a CUDAStream is a Stream and nothing else
}

inline void* current_stream(c10::Device device) {
  if (device.is_cpu()) return nullptr; // the emulator of the tests
  const c10::impl::VirtualGuardImpl guard(device.type());
  return native_stream(guard, guard.getStream(device), 0);
}

// Start `blocks` blocks of `threads` threads on torch's current stream; the arguments are copied by the call.
inline void launch(c10::Device device, const std::string& name, int64_t blocks, unsigned threads, std::vector<void*> arguments) {
  if (blocks == 0) return;
  TORCH_CHECK(blocks <= 0x7fffffff, name, " needs ", blocks, " blocks; a launch has at most 2147483647");
  const Kernel kernel = kernel_of(device.has_index() && !device.is_cpu() ? device.index() : 0, name);
  InContext here(kernel.context);
  driver().check(driver().launch(kernel.function, static_cast<unsigned>(blocks), 1, 1, threads, 1, 1, 0,
                                 current_stream(device), arguments.data(), nullptr),
                 "launching " + name + " on " + device.str());
}

} // namespace bevready::device
