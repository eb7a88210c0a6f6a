// How compiled device code lies inside the extension: one blob between two symbols, an index in front.
//
//   offset 0   ImagesHeader
//   offset 16  ImageEntry[count]
//   then       the images, each at ImageEntry::offset bytes from the start of the blob, 16-byte aligned
//
// All numbers are little endian. The blob is written and embedded by the builder (doctor/build), by images.S in
// the emulator's tests, and read by cuda_host.cpp.
#pragma once

#include <cstdint>

namespace bevready {

constexpr char IMAGES_MAGIC[8] = {'B', 'E', 'V', 'I', 'M', 'G', '0', '1'};

struct ImagesHeader {
  char magic[8];       // IMAGES_MAGIC
  uint32_t count;      // entries behind this header
  uint32_t entry_size; // sizeof(ImageEntry) = 64
};

enum ImageKind : uint32_t { IMAGE_CUBIN = 0, IMAGE_PTX = 1 };

struct ImageEntry {
  uint32_t kind;   // ImageKind
  uint32_t arch;   // 75 for sm_75, 120 for sm_120; of PTX: its compute_ number
  uint64_t offset; // bytes from the start of the blob
  uint64_t size;   // bytes; of PTX with its closing zero byte
  char name[40];   // the device source without its ending ("msda"), zero padded
};

static_assert(sizeof(ImagesHeader) == 16 && sizeof(ImageEntry) == 64, "the blob's layout is fixed");

} // namespace bevready

extern "C" {
extern const unsigned char bevready_images_begin[] __attribute__((visibility("hidden")));
extern const unsigned char bevready_images_end[] __attribute__((visibility("hidden")));
}
