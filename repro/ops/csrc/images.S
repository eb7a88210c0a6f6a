// Takes the blob of device code (format: images.h) into the object file:
//   g++ -c images.S -DBEVREADY_IMAGES_FILE='"images.bin"' -o images.o
// Without the definition both symbols mark an empty blob, and the extension serves the CPU only.
        .section .rodata
        .balign 16
        .globl  bevready_images_begin
        .hidden bevready_images_begin
bevready_images_begin:
#ifdef BEVREADY_IMAGES_FILE
        .incbin BEVREADY_IMAGES_FILE
#endif
        .globl  bevready_images_end
        .hidden bevready_images_end
bevready_images_end:
        .byte   0
        .section .note.GNU-stack,"",%progbits
